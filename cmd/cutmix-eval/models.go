package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/pin"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/models"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

func newModels(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "models", Short: "Known models and what is inside a model file",
		Long: `models works on models.lock, which pins models by checksum with their recipe,
training and published numbers. The program carries one; your own entries go to
models.local.lock in the current folder where there is one, otherwise to the
cache.`,
	}
	return group(cmd, newModelsList(s), newModelsShow(s, nil), newModelsVerify(s), newModelsAdd(s, nil), newModelsFetch(s, nil), newModelsDoctor(s, nil))
}

func newModelsList(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List known models", Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runModelsList(s) },
	}
}

func newModelsVerify(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "verify [NAME…]", Short: "Compare model files with their pinned checksums", Args: arguments(0, -1),
		RunE: func(_ *cobra.Command, names []string) error { return runVerify(s, names) },
	}
}

func newModelsShow(s streams, run func(ctx context.Context, name, output string) error) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use: "show NAME|FILE", Short: "What a model is: inputs, head, feature maps, preprocessing", Args: arguments(1, 1),
		Example: "  cutmix-eval models show scenes-cutmix\n  cutmix-eval models show resnet50.onnx",
	}
	text(cmd, &output, "output", "NAME", outputUsage)
	if run == nil {
		run = func(ctx context.Context, name, output string) error { return runShow(ctx, s, name, output) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args[0], output) }
	return cmd
}

func newModelsAdd(s streams, run func(ctx context.Context, name, file, about string) error) *cobra.Command {
	about := ""
	cmd := &cobra.Command{
		Use: "add NAME FILE", Short: "Pin an ONNX file under a name", Args: arguments(2, 2),
		Long: `add pins a file by its checksum under a name. Where the name is that of a model to
convert (models list), its recipe, training and published numbers are kept. Files
that finetune wrote bring their recipe and training along.`,
		Example: "  cutmix-eval models add cutmix-resnet50 resnet50_cutmix.onnx",
	}
	text(cmd, &about, "about", "TEXT", "a line about the model")
	if run == nil {
		run = func(ctx context.Context, name, file, about string) error { return runAdd(ctx, s, name, file, about) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args[0], args[1], about) }
	return cmd
}

func newModelsFetch(s streams, run func(ctx context.Context, names []string, quiet bool) error) *cobra.Command {
	quiet := false
	cmd := &cobra.Command{
		Use: "fetch NAME…", Short: "Download pinned models into the cache, verified", Args: arguments(1, -1),
		Example: "  cutmix-eval models fetch zoo-squeezenet1.1",
	}
	cmd.Flags().BoolVar(&quiet, "quiet", false, "no progress bar")
	if run == nil {
		run = func(ctx context.Context, names []string, quiet bool) error { return runFetch(ctx, s, names, quiet) }
	}
	cmd.RunE = func(cmd *cobra.Command, names []string) error { return run(cmd.Context(), names, quiet) }
	return cmd
}

// place says where an entry's file is, and whether it is there.
func place(e lock.Entry) (path, state string, err error) {
	switch e.Kind {
	case lock.Embedded:
		return "", "embedded", nil
	case lock.Convert:
		return "", "convert it yourself", nil
	case lock.Download:
		dir, err := cache.Dir()
		if err != nil {
			return "", "", err
		}
		path = e.Path(dir)
	default:
		path = e.File
	}
	if _, err := os.Stat(path); err != nil {
		if e.Kind == lock.Download {
			return path, "not fetched", nil
		}
		return path, "missing", nil
	}
	return path, "there", nil
}

func runModelsList(s streams) error {
	l, err := evaluation.Lock()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tSIZE\tPUBLISHED TOP-1\tABOUT")
	for _, e := range l.Models {
		_, state, err := place(e)
		if err != nil {
			return err
		}
		size, top1 := "", ""
		if e.Size > 0 {
			size = fmt.Sprintf("%.1f MB", float64(e.Size)/1e6)
		}
		if len(e.Published) > 0 {
			top1 = fmt.Sprintf("%.2f %% on %s", 100*e.Published[0].Value, e.Published[0].Data)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", e.Name, state, size, top1, e.About)
	}
	return t.Flush()
}

func runVerify(s streams, names []string) error {
	l, err := evaluation.Lock()
	if err != nil {
		return err
	}
	for _, n := range names {
		if _, ok := l.Find(n); !ok {
			return unknownModel(n)
		}
	}
	var bad error
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, e := range l.Models {
		if len(names) > 0 && !slices.Contains(names, e.Name) {
			continue
		}
		path, state, err := place(e)
		if err != nil {
			return err
		}
		switch {
		case e.Kind == lock.Embedded:
			data, _ := models.Bytes(e.Name)
			m, err := model.FromBytes(e.Name, data, "")
			switch {
			case err != nil:
				return err
			case m.SHA256 != e.SHA256:
				bad = errors.Join(bad, &pin.MismatchError{File: "embedded model " + e.Name, Want: e.SHA256, Got: m.SHA256})
				state = "NOT the pinned file"
			case m.Size != e.Size:
				bad = errors.Join(bad, &pin.MismatchError{File: "embedded model " + e.Name, Want: bytesText(e.Size), Got: bytesText(m.Size)})
				state = "NOT the pinned file"
			default:
				state = "embedded, as pinned"
			}
		case state == "there":
			err := cmp.Or(pin.Check(path, e.SHA256), pinnedSize(e, path))
			var mismatch *pin.MismatchError
			switch {
			case errors.As(err, &mismatch):
				bad, state = errors.Join(bad, err), "NOT the pinned file"
			case err != nil:
				return err
			default:
				state = "as pinned"
			}
		case state == "missing":
			bad = errors.Join(bad, fmt.Errorf("model %q: its file %q is missing: put it back, or pin another with cutmix-eval models add %s FILE.onnx", e.Name, path, e.Name))
		case len(names) > 0: // asked for, and nothing to verify
			_, _, err := evaluation.OpenModel(e.Name, "") // says how to come by it
			bad = errors.Join(bad, err)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.Name, state, path)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return bad
}

// pinnedSize compares the size of a file with that of its entry.
func pinnedSize(e lock.Entry, path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() != e.Size {
		err = &pin.MismatchError{File: path, Want: bytesText(e.Size), Got: bytesText(info.Size())}
	}
	return err
}

func bytesText(n int64) string { return fmt.Sprintf("of %d bytes", n) }

func unknownModel(name string) error {
	return fmt.Errorf("model %q is not in models.lock; cutmix-eval models list shows what is", name)
}

func runFetch(ctx context.Context, s streams, names []string, quiet bool) error {
	l, err := evaluation.Lock()
	if err != nil {
		return err
	}
	dir, err := cache.Dir()
	if err != nil {
		return err
	}
	for _, n := range names {
		e, ok := l.Find(n)
		if !ok {
			return unknownModel(n)
		}
		if e.Kind == lock.Convert {
			_, _, err := evaluation.OpenModel(n, "") // says how to come by it
			return err
		}
		var progress func(done, total int64)
		if !quiet && terminal(s.err) {
			bar := newBar(s.err, e.Size, n, progressbar.OptionShowBytes(true))
			progress = func(done, _ int64) { _ = bar.Set64(done) }
		}
		path, err := e.Fetch(ctx, dir, progress)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s\t%s\n", n, path)
	}
	return nil
}

func runAdd(ctx context.Context, s streams, name, file, about string) error {
	m, err := model.Open(file, "")
	if err != nil {
		return err
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	known, err := evaluation.Lock()
	if err != nil {
		return err
	}
	e, ok := known.Find(name)
	if ok && e.Kind != lock.Convert && e.Kind != lock.Local {
		return fmt.Errorf("model %q is %s in models.lock; take another name", name, e.Kind)
	}
	e.Name, e.Kind, e.File, e.SHA256, e.Size = name, lock.Local, path, m.SHA256, m.Size
	if about != "" {
		e.About = about
	}
	if own := lock.TrainingOf(m); own != nil {
		e.Training = own
	}
	lockFile, err := evaluation.LockFile()
	if err != nil {
		return err
	}
	if err := lock.Add(ctx, lockFile, e); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is pinned to %s (sha256 %.12s…) in %s\n", name, path, m.SHA256, lockFile)
	return err
}

func runShow(ctx context.Context, s streams, name, output string) error {
	m, e, err := evaluation.OpenModel(name, output)
	if errors.Is(err, evaluation.ErrNoFile) { // what is known of it can be shown all the same
		l, lockErr := evaluation.Lock()
		if lockErr != nil {
			return lockErr
		}
		found, _ := l.Find(name)
		t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		showEntry(t, found)
		if training := found.TrainingText(nil); training != "" {
			fmt.Fprintf(t, "training\t%s\n", training)
		}
		fmt.Fprintf(t, "file\t%s\n", err)
		return t.Flush()
	}
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	line := func(k, format string, a ...any) { fmt.Fprintf(t, "%s\t%s\n", k, fmt.Sprintf(format, a...)) }
	line("model", "%s, %d bytes, sha256 %s", m.Name, m.Size, m.SHA256)
	if m.Path != "" {
		line("file", "%s", m.Path)
	}
	line("written by", "%s, opset %d", orUnknown(m.Producer), m.Opset)
	r, source, err := m.Recipe(e.RecipeOrNil())
	if err != nil {
		return err
	}
	line("input", "%q, %s", m.Input, m.Takes(r.Layout))
	line("output", "%s", chosenOutput(m))
	for _, o := range m.Outputs() {
		switch {
		case o.Name == m.Output:
		case o.Not != "":
			line("", "%s holds no class scores: it is %s", o, o.Not)
		case m.Choice() == "" && m.Ambiguous() == nil: // which names them all
			line("", "%s could be read instead", o)
		}
	}
	act := "no activation behind them"
	if m.Activation != "" {
		act = "before the " + m.Activation
	}
	if t := m.Unquantized(); t != "" && t != m.Output {
		act += fmt.Sprintf("; rounded to 8 or 16 bits by the graph (--output %s: as they are before)", t)
	}
	line("logits", "%q, %s", m.Logits, act)
	if len(m.ClassNames) > 0 {
		line("classes", "%s", some(m.ClassNames))
	}
	line("pixels", "%s (%s)", r, source)
	if n := m.Normalisation(); n != nil {
		line("inside", "the graph normalises its input itself: %s", n)
	}
	h, err := m.Head()
	if err != nil {
		line("head", "%s", err)
	} else {
		showHead(line, h)
	}
	showTasks(ctx, line, m, e, name, output)
	if e != nil {
		showEntry(t, *e)
	}
	if training := e.TrainingText(m); training != "" {
		line("training", "%s", training)
	}
	return t.Flush()
}

// chosenOutput names the output that is read, and says why where there are several.
func chosenOutput(m *model.Model) string {
	switch {
	case m.Ambiguous() != nil:
		return "open, unless the data's number of classes decides: " + m.Ambiguous().Error()
	case m.Choice() != "":
		return m.Choice()
	}
	return fmt.Sprintf("%q", m.Output)
}

func showHead(line func(string, string, ...any), h *model.Head) {
	quantized := ""
	if h.Quantized {
		quantized = ", quantised in the file, read as what its integers stand for"
	}
	classes := fmt.Sprintf("%d classes", h.Classes)
	if h.Classes == 1 {
		classes = "one output"
	}
	line("head", "%s: %d features -> %s, weight %d x %d (class by feature), bias %d%s", h.Node, h.Features, classes, h.Classes, h.Features, len(h.Bias), quantized)
	switch {
	case h.PerPlace:
		line("penultimate", "none: the layer is applied at every place of the map, then pooled")
	default:
		line("penultimate", "%q, %d values", h.Penultimate, h.Features)
	}
	switch {
	case h.FeatureMap == "":
		line("feature map", "none: %s", h.NoMap)
	case len(h.Between) == 0:
		line("feature map", "%q, %s, then %s", h.FeatureMap, h.MapKind, h.Pool)
	case h.Direct:
		line("feature map", "%q, %s, then %s, then %s, which fold into the head's weights", h.FeatureMap, h.MapKind, h.Pool, strings.Join(h.Between, ", "))
	default:
		line("feature map", "%q, %s, then %s, then %s before the head", h.FeatureMap, h.MapKind, h.Pool, strings.Join(h.Between, ", "))
	}
}

func showEntry(t *tabwriter.Writer, e lock.Entry) {
	row := func(k, v string) {
		if v != "" {
			fmt.Fprintf(t, "%s\t%s\n", k, v)
		}
	}
	row("models.lock", fmt.Sprintf("%s (%s) %s", e.Name, e.Kind, e.About))
	row("licence", e.Licence)
	row("source", e.Source)
	row("url", e.URL)
	row("page", e.Page)
	for _, p := range e.Published {
		row("published", fmt.Sprintf("%s %.2f %% on %s (%s)", p.Metric, 100*p.Value, p.Data, p.Source))
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown program"
	}
	return s
}

func some(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s … (%d)", strings.Join(names[:most], ", "), len(names))
	}
	return strings.Join(names, ", ")
}
