package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/report"
	"cutmix-eval/tasks/ood"

	"github.com/spf13/cobra"
)

// oodFlags are the flags of ood.
type oodFlags struct {
	out, shifted         []string
	val, train, outVal   string
	openood, benchmark   string
	outLimit, trainLimit int
	thresholdAt          string
	detector             string
	task                 ood.Config
}

func newOOD(s streams) *cobra.Command {
	var flags shared
	var f oodFlags
	cmd := &cobra.Command{
		Use:   "ood",
		Short: "Out-of-distribution detection by post-hoc scores",
		Long: `ood tells how well a classifier's outputs separate images of its classes (--data)
from others (--ood): AUROC with DeLong's interval, areas under both
precision-recall curves, the false positive rate at 95 % in both conventions,
and the CutMix paper's TNR and detection accuracy, for every score that needs no
gradient. The network runs once over every image; all scores are computed from
its logits and penultimate vectors.

Scores that are fitted need images of the classes: --val (clipping thresholds,
temperature, class templates) and --train with labels (means, covariances,
neighbours). Those whose images are not given are named and left out. --val must
not be the images of --data.

A set is [near:|far:][NAME=]PATH; PATH is whatever --data can be, or noise:uniform,
noise:gaussian, noise:blobs or noise:texture, drawn at the model's input size.
Means over the near and the far sets are reported. --csid names images of the
classes under a covariate shift; numbers with them counted as ID follow then.

--threshold-at tpr=0.95 --detector FILE keeps the score named by --score with what
it has learned and a threshold in one file, which "ood apply" uses.`,
		Example: `  cutmix-eval ood
  cutmix-eval ood --model net.onnx --data test --val val --train train --ood near:tin --ood far:textures
  cutmix-eval ood --model net.onnx --openood /data/openood --benchmark imagenet --out runs/ood
  cutmix-eval ood --model net.onnx --data test --ood noise:gaussian --score msp,energy,knn_K10 --reference msp
  cutmix-eval ood --model net.onnx --data test --score energy --threshold-at tpr=0.95 --detector energy.detector
  cutmix-eval ood apply energy.detector --data new`,
		Args: cobra.NoArgs,
	}
	flags.add(cmd)
	flags.addOut(cmd)
	flags.addShard(cmd)
	fs := cmd.Flags()
	fs.StringArrayVar(&f.out, "ood", nil, "images of none of the classes, `[near:|far:][NAME=]PATH`; several by several --ood (default for scenes: their own)")
	fs.StringVar(&f.val, "val", "", "images of the classes that were not trained on and are not --data (default for scenes: scenes:val)")
	fs.StringVar(&f.train, "train", "", "labelled training images (default for scenes: scenes:train)")
	fs.StringArrayVar(&f.shifted, "csid", nil, "images of the classes under a covariate shift, `[NAME=]PATH`; several by several --csid")
	fs.StringVar(&f.outVal, "ood-val", "", "images of none of the classes to choose parameters on, with --grid and --val")
	fs.StringVar(&f.openood, "openood", "", "OpenOOD's data `FOLDER` (benchmark_imglist …) instead of the sets above, with --benchmark")
	fs.StringVar(&f.benchmark, "benchmark", "", strings.Join(datasets.OpenOODBenchmarks(), ", "))
	fs.IntVar(&f.outLimit, "ood-limit", 0, "use only `N` images of each set of --ood, --csid and --ood-val")
	fs.IntVar(&f.trainLimit, "train-limit", 0, "use only `N` training images, as evenly over the classes as possible")
	fs.StringSliceVar(&f.task.Scores, "score", nil, "only these scores, separated by commas; with parameters of your own as in knn_K10")
	fs.StringVar(&f.task.Reference, "reference", "", "score that the others are compared with, paired")
	fs.BoolVar(&f.task.Grid, "grid", false, "evaluate OpenOOD's other parameters too; with --ood-val choose by it")
	fs.StringVar(&f.thresholdAt, "threshold-at", "", "find the threshold that accepts this share of the ID images, `tpr=SHARE`; with --score and --detector")
	fs.StringVar(&f.detector, "detector", "", "file to keep score and threshold in, with --threshold-at")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		err = f.parse(cmd, &c)
		if err == nil {
			err = f.task.Validate()
		}
		if err == nil && f.detector != "" && !flags.store.Shard.Whole() {
			err = errors.New("--threshold-at needs the whole run: give it without --shard when all shards are done")
		}
		if err != nil {
			return usageError{err}
		}
		return runOOD(cmd.Context(), s, c, f.task, &flags, format, f.detector)
	}
	cmd.AddCommand(newOODApply(s))
	return cmd
}

// parse turns the flags into sources and a threshold.
func (f *oodFlags) parse(cmd *cobra.Command, c *evaluation.Config) (err error) {
	if f.outLimit < 0 || f.trainLimit < 0 {
		return errors.New("--ood-limit and --train-limit cannot be below 0")
	}
	if (f.thresholdAt != "") != (f.detector != "") {
		return errors.New("--threshold-at and --detector go together: the share to accept, and the file to write")
	}
	if f.thresholdAt != "" {
		share, ok := strings.CutPrefix(f.thresholdAt, "tpr=")
		if f.task.Threshold, err = strconv.ParseFloat(share, 64); !ok || err != nil || !(f.task.Threshold > 0 && f.task.Threshold < 1) {
			return fmt.Errorf("--threshold-at %q is not tpr=SHARE with a share between 0 and 1", f.thresholdAt)
		}
	}
	if (f.openood != "") != (f.benchmark != "") {
		return fmt.Errorf("--openood and --benchmark (%s) go together", strings.Join(datasets.OpenOODBenchmarks(), ", "))
	}
	var out []ood.Source
	if f.openood != "" {
		b, err := datasets.ReadOpenOOD(f.openood, f.benchmark)
		if err != nil {
			return fmt.Errorf("--openood: %w", err)
		}
		for flag, has := range map[string]bool{"data": true, "val": b.Val != "", "train": b.Train != "", "csid": len(b.Shifted) > 0} {
			if has && cmd.Flags().Changed(flag) {
				return fmt.Errorf("--%s and --openood say the same; give one", flag)
			}
		}
		f.task.Notes = append(b.Notes, fmt.Sprintf("OpenOOD %s, lists of %s", b.Benchmark, b.Version))
		c.Data, f.val, f.train = b.Test, cmp.Or(b.Val, f.val), cmp.Or(b.Train, f.train)
		if f.task.Grid && f.outVal == "" {
			f.outVal = b.OutVal
		}
		add := func(role ood.Role, group string, sets []datasets.OpenOODSet) {
			for _, s := range sets {
				out = append(out, ood.Source{Name: s.Name, Role: role, Group: group, Path: s.List, Limit: f.outLimit})
			}
		}
		add(ood.Shifted, "", b.Shifted)
		add(ood.Out, "near", b.Near)
		add(ood.Out, "far", b.Far)
	} else if name, _, _ := strings.Cut(c.Data, ":"); name == "scenes" {
		if len(f.out) == 0 {
			for _, s := range ood.ScenesSources() {
				s.Limit = f.outLimit
				out = append(out, s)
			}
		}
		if f.val == "" {
			f.val = "scenes:val"
		}
		if f.train == "" {
			f.train = "scenes:train"
		}
	}
	sources := &f.task.Sources
	for _, s := range []ood.Source{ood.Of(ood.Val, f.val, 0), ood.Of(ood.Train, f.train, f.trainLimit), ood.Of(ood.OutVal, f.outVal, f.outLimit)} {
		if s.Path != "" {
			*sources = append(*sources, s)
		}
	}
	for _, of := range []struct {
		role  ood.Role
		paths []string
	}{{ood.Shifted, f.shifted}, {ood.Out, f.out}} {
		for _, p := range of.paths {
			src, err := ood.ParseSource(p, of.role)
			if err != nil {
				return fmt.Errorf("--%s: %w", of.role, err)
			}
			src.Limit = f.outLimit
			out = append(out, src)
		}
	}
	*sources = append(*sources, out...)
	return nil
}

func runOOD(ctx context.Context, s streams, c evaluation.Config, task ood.Config, f *shared, format report.Format, detector string) error {
	setup, err := evaluation.Prepare(c)
	if err != nil {
		return err
	}
	defer setup.Close()
	j, err := ood.Open(ctx, setup, task, f.store, tool(), installProgress(s.err, f.quiet))
	if err != nil {
		return err
	}
	defer j.Close()
	for _, p := range j.Passes {
		store := f.store
		if store.Dir != "" {
			store.Dir = filepath.Join(store.Dir, p.Name)
		}
		if _, err := collect(ctx, s, store, f.quiet, p.Records, p.Collect); err != nil {
			return err
		}
	}
	setup.Stop()
	runs := j.Runs()
	if !f.store.Shard.Whole() {
		return shardDone(ctx, s, f.store, runs.All(), f.allowBad)
	}
	res, err := runs.Evaluate(ctx)
	if err != nil {
		return err
	}
	var kept error
	if res.Detector != nil {
		if kept = atomicfile.Save(detector, res.Detector.Write); kept != nil {
			kept = fmt.Errorf("writing detector %q: %w", detector, kept)
		} else if !f.quiet {
			fmt.Fprintf(s.err, "score and threshold are in %s; cutmix-eval ood apply %s --data FOLDER uses them\n", detector, detector)
		}
	}
	return errors.Join(kept, finishReport(s, runs.Present(res), format, f.allowBad, f.quiet))
}

func newOODApply(s streams) *cobra.Command {
	var flags shared
	cmd := &cobra.Command{
		Use:   "apply DETECTOR",
		Short: "Accept or reject images by a kept score and threshold",
		Long: `apply runs the model of a detector, which "ood --threshold-at" wrote, on images that
need no labels, and says of each whether its score reaches the threshold, with the
predicted class. Pixels are prepared as they were for the detector. The model is
looked for where it was then, or named by --model; it must be the same.`,
		Example: `  cutmix-eval ood apply energy.detector --data new
  cutmix-eval ood apply energy.detector --data new.tar --format csv
  cutmix-eval ood apply energy.detector --data new --format json --out runs/new`,
		Args: cobra.ExactArgs(1),
	}
	flags.add(cmd)
	flags.addOut(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("labels") {
			return usageError{errors.New("--labels: verdicts need no labels")}
		}
		for _, name := range []string{"recipe", "resize", "crop", "fit", "interpolation", "mean", "std", "color", "range"} {
			if cmd.Flags().Changed(name) {
				return usageError{fmt.Errorf("--%s: the detector says how pixels are prepared", name)}
			}
		}
		d, err := ood.ReadDetector(args[0])
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("model") {
			c.Model = d.Source
		}
		if !cmd.Flags().Changed("output") {
			c.Output = d.Output
		}
		c.Unlabelled, c.Exact = true, &d.Recipe
		return runOODApply(cmd.Context(), s, c, d, &flags, format)
	}
	return cmd
}

func runOODApply(ctx context.Context, s streams, c evaluation.Config, d *ood.Detector, f *shared, format report.Format) error {
	setup, err := evaluation.Prepare(c)
	if err != nil {
		return err
	}
	defer setup.Close()
	a, err := d.Apply(ctx, setup, f.store, installProgress(s.err, f.quiet))
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := collect(ctx, s, f.store, f.quiet, a.Pass.Records, a.Pass.Collect); err != nil {
		return err
	}
	verdicts, err := a.Verdicts(ctx)
	if err != nil {
		return err
	}
	if err := writeVerdicts(s.out, d, verdicts, format); err != nil {
		return err
	}
	bad, accepted := 0, 0
	for _, v := range verdicts {
		if v.Error != "" {
			bad++
		} else if v.Accept {
			accepted++
		}
	}
	if !f.quiet {
		fmt.Fprintf(s.err, "%d of %d images accepted (%s >= %v)\n", accepted, len(verdicts)-bad, d.Score, d.Threshold)
	}
	if bad > f.allowBad {
		return badImagesError{bad, len(verdicts)}
	}
	return nil
}

func writeVerdicts(w io.Writer, d *ood.Detector, verdicts []ood.Verdict, format report.Format) error {
	if format == report.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			SchemaVersion int           `json:"schema_version"`
			Task          string        `json:"task"`
			Detector      *ood.Detector `json:"detector"`
			Images        []ood.Verdict `json:"images"`
		}{report.SchemaVersion, "ood apply", d, verdicts})
	}
	head := []string{"id", "verdict", "score", "prediction", "class", "confidence", "error"}
	var rows [][]string
	for _, v := range verdicts {
		verdict := map[bool]string{true: "accept", false: "reject"}[v.Accept]
		row := []string{v.ID, verdict, strconv.FormatFloat(v.Score, 'g', -1, 64), strconv.Itoa(v.Prediction), v.Class, strconv.FormatFloat(v.Confidence, 'g', -1, 64), ""}
		if v.Error != "" {
			row = []string{v.ID, "", "", "", "", "", v.Error}
		} else if format != report.CSV {
			row[2], row[5] = strconv.FormatFloat(v.Score, 'f', 4, 64), strconv.FormatFloat(100*v.Confidence, 'f', 2, 64)+" %"
		}
		rows = append(rows, row)
	}
	switch format {
	case report.CSV:
		c := csv.NewWriter(w)
		if err := c.WriteAll(append([][]string{head}, rows...)); err != nil {
			return err
		}
		return c.Error()
	case report.Markdown:
		return report.Table{Columns: head, Rows: rows}.Markdown(w)
	}
	return report.Table{Columns: head, Rows: rows}.Write(w)
}
