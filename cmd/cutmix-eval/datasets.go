package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"

	"cutmix-eval/corrupt/frost"
	"cutmix-eval/datasets"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/variants"

	"github.com/spf13/cobra"
)

func newDatasets(s streams) *cobra.Command {
	return group(&cobra.Command{
		Use: "datasets", Short: "Look at image data",
		Long: wrapped("datasets looks at image data: lists the embedded scenes and what else can be read, checks every image, writes scenes or corrupted images. What can be read: " +
			strings.Join(datasets.KindWords(), ", ") + "."),
	},
		newDatasetsList(s), newDatasetsCheck(s, nil), newDatasetsExport(s, nil), newDatasetsCorrupt(s, nil), newDatasetsFetch(s, nil))
}

func newDatasetsList(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the embedded data and what else can be read", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, sp := range scenes.Splits() {
				what := "labelled, " + strings.Join(scenes.Classes(sp), " ")
				if !scenes.Labelled(sp) {
					what = "without labels"
				}
				fmt.Fprintf(s.out, "scenes:%-12s %5d pictures of %d x %d, %s\n", sp, scenes.Len(sp), scenes.Size, scenes.Size, what)
			}
			fmt.Fprint(s.out, "\nfiles and folders, recognised by their contents (docs/data.md)\n")
			w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
			for _, k := range datasets.Kinds() {
				fmt.Fprintf(w, "  %s\t%s\n", plainText(k.What), plainText(k.By))
			}
			return w.Flush()
		},
	}
}

// plainText is a text of docs/ without its marks.
func plainText(s string) string { return strings.ReplaceAll(s, "`", "") }

// wrapped is text in lines of at most 84 characters, as wide as help is.
func wrapped(text string) string {
	var b strings.Builder
	width := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case width+1+n > 84:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String()
}

// exportOptions are what the command line of datasets export says.
type exportOptions struct {
	Split scenes.Split
	Out   string
	Masks string // folder; empty: none
	Limit int    // 0: all
	Quiet bool
}

func newDatasetsExport(s streams, run func(context.Context, exportOptions) error) *cobra.Command {
	o := exportOptions{Split: scenes.Test}
	cmd := &cobra.Command{
		Use: "export scenes", Short: "Write embedded scenes as an image folder with boxes",
		Long: `export writes a split of the embedded scenes as an ordinary image folder: PNG
files in class folders, and boxes in boxes.csv (path,class,x0,y0,x1,y1 in pixels,
x1 and y1 exclusive). Masks go to a folder of their own where --masks names one.`,
		Example: "  cutmix-eval datasets export scenes --split test --out scenes-test",
		Args:    arguments(1, 1),
	}
	cmd.Flags().SortFlags = false
	choice(cmd, &o.Split, "split", "split to write", scenes.Splits()...)
	text(cmd, &o.Out, "out", "FOLDER", "folder to write, new or empty")
	text(cmd, &o.Masks, "masks", "FOLDER", "folder for the masks (default: none are written)")
	count(cmd, &o.Limit, "limit", "write only the first N scenes; 0: all")
	cmd.Flags().BoolVar(&o.Quiet, "quiet", false, "no progress bar")
	if run == nil {
		run = func(ctx context.Context, o exportOptions) error { return runExport(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] != "scenes" {
			return usageError{fmt.Errorf("%q is not embedded data; scenes is", args[0])}
		}
		if o.Out == "" {
			return usageError{errNoOut}
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

var errNoOut = errors.New("--out FOLDER is missing: the folder to write")

func runExport(ctx context.Context, s streams, o exportOptions) error {
	total := scenes.Len(o.Split)
	if o.Limit > 0 {
		total = min(o.Limit, total)
	}
	progress, finish := imageBar(s.err, o.Quiet, total, "export")
	defer finish()
	written, err := datasets.ExportScenes(ctx, o.Out, o.Masks, string(o.Split), o.Limit, progress)
	if err != nil {
		return fmt.Errorf("exporting scenes to %q: %w", o.Out, err)
	}
	finish()
	_, err = fmt.Fprintf(s.out, "%d scenes in %s\n", written, o.Out)
	return err
}

// checkOptions are what the command line of datasets check says.
type checkOptions struct {
	Path    string
	Data    datasets.Options
	Workers int // 0: one per core
	Format  report.Format
	Quiet   bool
}

func newDatasetsCheck(s streams, run func(context.Context, checkOptions) error) *cobra.Command {
	o := checkOptions{Data: datasets.Options{Format: datasets.Auto}, Format: report.Text}
	cmd := &cobra.Command{
		Use: "check PATH", Short: "Read every image and say what is wrong with the data",
		Long: `check prints the detected format, counts images and classes, and lists missing,
empty and undecodable files, classes without images, and duplicates by content.
Files that cannot be used end in exit code 3.`,
		Example: "  cutmix-eval datasets check imagenet/val\n  cutmix-eval datasets check photos.tar --format json",
		Args:    arguments(1, 1),
	}
	cmd.Flags().SortFlags = false
	addReading(cmd, &o.Data.Format, &o.Data.Labels, &o.Data.LabelColumn, &o.Data.Root)
	text(cmd, &o.Data.Split, "split", "NAME", splitUsage)
	addWorkers(cmd, &o.Workers)
	choice(cmd, &o.Format, "format", "what is printed", report.Text, report.JSON)
	cmd.Flags().BoolVar(&o.Quiet, "quiet", false, "no progress bar")
	if run == nil {
		run = func(ctx context.Context, o checkOptions) error { return runCheck(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Path = args[0]
		return run(cmd.Context(), o)
	}
	return cmd
}

func runCheck(ctx context.Context, s streams, o checkOptions) error {
	d, err := datasets.Open(o.Path, o.Data)
	if err != nil {
		return err
	}
	defer d.Close()
	if o.Workers == 0 {
		o.Workers = goruntime.GOMAXPROCS(0)
	}
	progress, finish := imageBar(s.err, o.Quiet, len(d.Samples), "check")
	defer finish()
	var done atomic.Int64
	c, err := d.Check(ctx, o.Workers, func() { progress(int(done.Add(1))) })
	if err != nil {
		return err
	}
	finish()
	if o.Format == report.JSON {
		err = printCheckJSON(s, d, c)
	} else {
		err = printCheck(s, d, c)
	}
	if err == nil && c.Bad() > 0 {
		return fmt.Errorf("%w", checkFailed{c.Bad(), c.Images})
	}
	return err
}

// checkFailed is badImagesError for a check, which has no --allow-bad.
type checkFailed struct{ bad, all int }

func (e checkFailed) Error() string {
	return fmt.Sprintf("%d of %d images cannot be used", e.bad, e.all)
}

func (e checkFailed) As(target any) bool {
	t, ok := target.(*badImagesError)
	if ok {
		*t = badImagesError(e)
	}
	return ok
}

func printCheckJSON(s streams, d *datasets.Dataset, c *datasets.Checkup) error {
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		SchemaVersion int      `json:"schema_version"`
		Name          string   `json:"name"`
		Format        string   `json:"format"`
		Recognised    string   `json:"recognised"`
		Fingerprint   string   `json:"fingerprint"`
		Classes       []string `json:"classes"`
		Notes         []string `json:"notes"`
		*datasets.Checkup
	}{report.SchemaVersion, d.Name, string(d.Format), d.Why, d.Fingerprint(), d.Classes, d.Notes, c})
}

func printCheck(s streams, d *datasets.Dataset, c *datasets.Checkup) error {
	say := func(format string, a ...any) { fmt.Fprintf(s.out, format+"\n", a...) }
	say("%s: %s", d.Name, d.Why)
	say("images        %d, %d good, sides %d to %d pixels", c.Images, c.Good, c.MinSide, c.MaxSide)
	if len(c.PerClass) > 0 {
		say("classes       %d, with %d to %d images each", len(d.Classes), slices.Min(c.PerClass), slices.Max(c.PerClass))
	} else {
		say("classes       none: the images have no labels")
	}
	for _, f := range slices.Sorted(func(yield func(string) bool) {
		for k := range c.Formats {
			if !yield(string(k)) {
				return
			}
		}
	}) {
		name := f
		if name == "" {
			name = "raw pixels"
		}
		say("  %-11s %d", name, c.Formats[imageproc.Format(f)])
	}
	if c.Sideways > 0 {
		say("sideways      %d have an EXIF orientation other than upright", c.Sideways)
	}
	say("fingerprint   %s", d.Fingerprint())
	const most = 20
	list := func(what string, ps []datasets.Problem) {
		say("%-13s %d", what, len(ps))
		for i, p := range ps {
			if i == most {
				say("  … and %d more (--format json lists all)", len(ps)-i)
				break
			}
			say("  %s: %s", p.ID, p.Reason)
		}
	}
	list("missing", c.Missing)
	list("empty", c.Empty)
	list("undecodable", c.Undecodable)
	say("no images     %d classes", len(c.NoImages))
	for i, n := range c.NoImages {
		if i == most {
			say("  … and %d more", len(c.NoImages)-i)
			break
		}
		say("  %s", n)
	}
	say("duplicates    %d groups of equal files, %d of them with different labels", len(c.Duplicates), c.Conflicts)
	for i, g := range c.Duplicates {
		if i == most {
			say("  … and %d more", len(c.Duplicates)-i)
			break
		}
		say("  %v", g)
	}
	for _, n := range d.Notes {
		say("note: %s", n)
	}
	return nil
}

// corruptOptions are what the command line of datasets corrupt says.
type corruptOptions struct {
	Path   string
	Data   datasets.Options
	Export variants.Export
	Out    string
	Quiet  bool
}

func newDatasetsCorrupt(s streams, run func(context.Context, corruptOptions) error) *cobra.Command {
	o := corruptOptions{
		Data:   datasets.Options{Format: datasets.Auto},
		Export: variants.Export{Benchmark: variants.DefaultBenchmark(), Quality: 85},
	}
	cmd := &cobra.Command{
		Use: "corrupt PATH", Short: "Write corrupted images in ImageNet-C's layout",
		Long: `corrupt writes the corruptions of ImageNet-C of every image to folders
CORRUPTION/SEVERITY/CLASS: as JPEG files of quality 85, as the published ones are, or
as PNG files with the exact pixels. Images are resized and cropped first as --recipe
says. Files that are there are kept: the same command again goes on.`,
		Example: `  cutmix-eval datasets corrupt imagenet/val --out imagenet-c --frost frosts
  cutmix-eval datasets corrupt photos --out photos-c --recipe none --corruption fog,snow \
    --severity 3 --format png`,
		Args: arguments(1, 1),
	}
	cmd.Flags().SortFlags = false
	e, recipe := &o.Export, "imagenet"
	text(cmd, &o.Out, "out", "FOLDER", "folder to write")
	addCorruptions(cmd, &e.Benchmark)
	addRecipe(cmd, &recipe, "how images are resized and cropped", "none")
	choose(cmd, &e.PNG, "format", "jpeg", "format of the files", meaning[bool]{"jpeg", false}, meaning[bool]{"png", true})
	declare(cmd, "quality", "N", "85", "quality of JPEG files, 1 to 100", into(&e.Quality, quality))
	count(cmd, &e.Limit, "limit", "use at most N images, as evenly over the classes as possible; 0: all")
	addSeed(cmd, &e.Seed, "seed of the corruptions")
	addReading(cmd, &o.Data.Format, &o.Data.Labels, &o.Data.LabelColumn, &o.Data.Root)
	text(cmd, &o.Data.Split, "split", "NAME", splitUsage)
	countTo(cmd, &e.Workers, mostThreads, "workers", "goroutines (default: one per core)")
	cmd.Flags().BoolVar(&o.Quiet, "quiet", false, "no progress bar")
	if run == nil {
		run = func(ctx context.Context, o corruptOptions) error { return runCorrupt(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.Out == "" {
			return usageError{errNoOut}
		}
		if err := usage(e.Validate()); err != nil {
			return err
		}
		e.Recipe = imageproc.Standard()
		if recipe == "none" {
			e.Recipe.Resize, e.Recipe.Crop = imageproc.Size{}, imageproc.Size{}
		} else if r, err := imageproc.NamedRecipe(recipe); err != nil {
			return usageError{err}
		} else {
			e.Recipe = r
		}
		o.Path = args[0]
		return run(cmd.Context(), o)
	}
	return cmd
}

func quality(s string) (int, error) {
	return within(s, 1, 100)
}

func runCorrupt(ctx context.Context, s streams, o corruptOptions) error {
	d, err := datasets.Open(o.Path, o.Data)
	if err != nil {
		return err
	}
	defer d.Close()
	e := o.Export
	if err := e.Settle(d); err != nil {
		return err
	}
	n := e.Images(d)
	progress, finish := imageBar(s.err, o.Quiet, n*e.Variants(), "corrupt")
	defer finish()
	written, bad, err := e.Write(ctx, d, o.Out, progress)
	finish()
	for _, b := range bad {
		fmt.Fprintf(s.err, "bad image: %s: %s\n", b.ID, b.Reason)
	}
	if err != nil {
		return fmt.Errorf("corrupting %s: %w (%d files are written; the same command goes on)", d.Name, err, written)
	}
	all := (n - len(bad)) * e.Variants()
	_, err = fmt.Fprintf(s.out, "%d images in %s (%d written now), parameters for size %d\n", all, o.Out, written, e.Set)
	if err == nil && len(bad) > 0 {
		return checkFailed{len(bad), n}
	}
	return err
}

// fetchFrostOptions are what the command line of datasets fetch says.
type fetchFrostOptions struct{ Quiet bool }

func newDatasetsFetch(s streams, run func(context.Context, fetchFrostOptions) error) *cobra.Command {
	var o fetchFrostOptions
	cmd := &cobra.Command{
		Use: "fetch frost", Short: "Download what corruptions need, verified",
		Long: `fetch downloads the five frost textures of ImageNet-C's scripts from their repository
into the cache, checked against pinned checksums; --frost fetched then uses them.`,
		Example: "  cutmix-eval datasets fetch frost",
		Args:    arguments(1, 1),
	}
	cmd.Flags().BoolVar(&o.Quiet, "quiet", false, "say nothing on stderr")
	if run == nil {
		run = func(ctx context.Context, o fetchFrostOptions) error { return runFetchFrost(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] != "frost" {
			return usageError{fmt.Errorf("%q cannot be fetched; frost can", args[0])}
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func runFetchFrost(ctx context.Context, s streams, o fetchFrostOptions) error {
	dir, err := frost.Fetch(ctx, func(name string, done, total int64) {
		if !o.Quiet && done == total {
			fmt.Fprintf(s.err, "%s: %d bytes\n", name, total)
		}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, dir)
	return err
}
