package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/detector"
	"cutmix-eval/evaluation"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/ood"

	"github.com/spf13/cobra"
)

// oodOptions are what the flags of ood say.
type oodOptions struct {
	options
	Task ood.Config
}

func newOOD(s streams, run func(context.Context, oodOptions) error, apply func(context.Context, applyOptions) error) *cobra.Command {
	o := oodOptions{options: newOptions()}
	var w ood.Wanted
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
  cutmix-eval ood --model net.onnx --data test --val val --train train \
    --ood near:tin --ood far:textures
  cutmix-eval ood --model net.onnx --openood /data/openood --benchmark imagenet --out runs/ood
  cutmix-eval ood --model net.onnx --data test --ood noise:gaussian \
    --score msp,energy,knn_K10 --reference msp
  cutmix-eval ood --model net.onnx --data test --score energy \
    --threshold-at tpr=0.95 --detector energy.detector
  cutmix-eval ood apply energy.detector --data new`,
		Args: noArgs,
	}
	o.add(cmd)
	o.addOut(cmd)
	o.addShard(cmd)
	declare(cmd, "ood", "SET", "",
		"images of none of the classes, [near:|far:][NAME=]PATH; can be repeated (default for scenes: their own)", addSource(&w.Out, ood.Out))
	text(cmd, &w.Val, "val", "PATH", "images of the classes that were not trained on and are not --data (default for scenes: scenes:val)")
	text(cmd, &w.Train, "train", "PATH", "labelled training images (default for scenes: scenes:train)")
	declare(cmd, "csid", "SET", "",
		"images of the classes under a covariate shift, [NAME=]PATH; can be repeated", addSource(&w.Shifted, ood.Shifted))
	text(cmd, &w.OutVal, "ood-val", "PATH", "images of none of the classes to choose parameters on, with --grid and --val")
	text(cmd, &w.OpenOOD, "openood", "FOLDER", "OpenOOD's data folder (benchmark_imglist …) instead of the sets above, with --benchmark")
	choice(cmd, &w.Benchmark, "benchmark", "benchmark of --openood", datasets.OpenOODBenchmarks()...)
	count(cmd, &w.OutLimit, "ood-limit", "use at most N images of each set of --ood, --csid and --ood-val; 0: all")
	count(cmd, &w.TrainLimit, "train-limit", "use at most N training images, as evenly over the classes as possible; 0: all")
	texts(cmd, &o.Task.Scores, "score", "NAMES", "only these scores, several with commas; with parameters of your own as in knn_K10")
	text(cmd, &o.Task.Reference, "reference", "SCORE", "score that the others are compared with, paired")
	cmd.Flags().BoolVar(&o.Task.Grid, "grid", false, "evaluate OpenOOD's other parameters too; with --ood-val choose by it")
	declare(cmd, "threshold-at", "tpr=SHARE", "",
		"find the threshold that accepts this share of the ID images; with --score and --detector", into(&o.Task.Threshold, tprShare))
	text(cmd, &o.Task.Detector, "detector", "FILE", "file to keep score and threshold in, with --threshold-at")
	if run == nil {
		run = func(ctx context.Context, o oodOptions) error { return runOOD(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := usage(o.check(cmd, w)); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	cmd.AddCommand(newOODApply(s, apply))
	return cmd
}

// addSource reads a set of images that have a role.
func addSource(to *[]ood.Source, role ood.Role) func(string) error {
	return func(s string) error {
		src, err := ood.ParseSource(s, role)
		if err == nil {
			*to = append(*to, src)
		}
		return err
	}
}

// tprShare reads tpr=SHARE.
func tprShare(s string) (float64, error) {
	number, ok := strings.CutPrefix(s, "tpr=")
	share, err := finite(number)
	if !ok || err != nil || !(share > 0 && share < 1) {
		return 0, refuse("%q is not tpr=SHARE with a share between 0 and 1", s)
	}
	return share, nil
}

// check refuses flags that make no sense together, and settles the sets of images.
func (o *oodOptions) check(cmd *cobra.Command, w ood.Wanted) error {
	switch err := o.options.check(cmd); {
	case err != nil:
		return err
	case (o.Task.Threshold != 0) != (o.Task.Detector != ""):
		return errors.New("--threshold-at and --detector go together: the share to accept, and the file to write")
	case o.Task.Detector != "" && !o.Store.Shard.Whole():
		return errors.New("--threshold-at needs the whole run: give it without --shard when all shards are done")
	}
	if cmd.Flags().Changed("data") {
		w.Data = o.Data.Path
	}
	w.Grid = o.Task.Grid
	sets, err := ood.Plan(w, o.Data.Path)
	if err != nil {
		return err
	}
	o.Data.Path, o.Task.Sources, o.Task.Notes = sets.Data, sets.Sources, sets.Notes
	return o.Task.Validate()
}

func runOOD(ctx context.Context, s streams, o oodOptions) error {
	err := o.onImages(ctx, s, func(c *evaluation.Classifier, im *evaluation.Images) (tasks.Job, error) {
		return ood.Open(ctx, c, im, o.Task, o.Store)
	})
	if err == nil && o.Task.Detector != "" && !o.Quiet {
		fmt.Fprintf(s.err, "score and threshold are in %s; cutmix-eval ood apply %s --data FOLDER uses them\n", o.Task.Detector, o.Task.Detector)
	}
	return err
}

// applyOptions are what the command line of ood apply says.
type applyOptions struct {
	options
	Detector string // file; it says which model and output are meant where Config does not
}

func newOODApply(s streams, run func(context.Context, applyOptions) error) *cobra.Command {
	o := applyOptions{options: newOptions()}
	o.Model.Model, o.Data.Unlabelled = "", true
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
		Args: arguments(1, 1),
	}
	o.add(cmd)
	o.addOut(cmd)
	if run == nil {
		run = func(ctx context.Context, o applyOptions) error { return runOODApply(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := cmd.Flags().Changed
		if given("labels") {
			return usageError{errors.New("--labels: verdicts need no labels")}
		}
		for _, name := range []string{"recipe", "preprocessing", "resize", "crop", "fit", "fill", "interpolation", "resizer", "mean", "std", "color", "range", "exif"} {
			if given(name) {
				return usageError{fmt.Errorf("--%s: the detector says how pixels are prepared", name)}
			}
		}
		o.Detector = args[0]
		return run(cmd.Context(), o)
	}
	return cmd
}

func runOODApply(ctx context.Context, s streams, o applyOptions) error {
	d, err := detector.Read(o.Detector)
	if err != nil {
		return err
	}
	m := &o.Model
	m.Model, m.Output, m.Exact = cmp.Or(m.Model, d.Source), cmp.Or(m.Output, d.Output), &d.Recipe
	return o.opened(s, func(c *evaluation.Classifier, im *evaluation.Images) error {
		a, err := ood.Apply(ctx, d, c, im, o.Store)
		if err != nil {
			return err
		}
		defer a.Close()
		if err := collect(ctx, s, &o.options, a, a.Pass); err != nil {
			return err
		}
		verdicts, err := a.Verdicts(ctx)
		if err != nil {
			return err
		}
		if err := ood.WriteVerdicts(s.out, d, verdicts, o.Format); err != nil {
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
		if !o.Quiet {
			fmt.Fprintf(s.err, "%d of %d images accepted (%s >= %v)\n", accepted, len(verdicts)-bad, d.Score, d.Threshold)
		}
		if bad > o.AllowBad {
			return badImagesError{bad, len(verdicts)}
		}
		return nil
	})
}
