package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/tasks/ood"

	"github.com/spf13/cobra"
)

// oodFlags are the flags of ood.
type oodFlags struct {
	out                  []string
	val, train           string
	outLimit, trainLimit int
	scores               []string
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

A set is [near:|far:][NAME=]PATH; PATH is whatever --data can be, or
noise:uniform, noise:gaussian or noise:blobs, drawn at the model's input size.
Means over the near and the far sets are reported.`,
		Example: `  cutmix-eval ood
  cutmix-eval ood --model net.onnx --data test --val val --train train --ood near:tin --ood far:textures
  cutmix-eval ood --model net.onnx --data test --ood noise:gaussian --score msp,energy
  cutmix-eval ood --model net.onnx --data test --ood far:inat=/data/inaturalist.tar --out runs/ood`,
		Args: cobra.NoArgs,
	}
	flags.add(cmd)
	flags.addOut(cmd)
	fs := cmd.Flags()
	fs.StringArrayVar(&f.out, "ood", nil, "images of none of the classes, `[near:|far:][NAME=]PATH`; several by several --ood (default for scenes: their own)")
	fs.StringVar(&f.val, "val", "", "images of the classes that were not trained on and are not --data (default for scenes: scenes:val)")
	fs.StringVar(&f.train, "train", "", "labelled training images (default for scenes: scenes:train)")
	fs.IntVar(&f.outLimit, "ood-limit", 0, "use only `N` images of each OOD set")
	fs.IntVar(&f.trainLimit, "train-limit", 0, "use only `N` training images, as evenly over the classes as possible")
	fs.StringSliceVar(&f.scores, "score", nil, "only these scores, separated by commas")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		task, err := f.parse(c.Data)
		if err == nil {
			err = task.Validate()
		}
		if err != nil {
			return usageError{err}
		}
		return runOOD(cmd.Context(), s, c, task, &flags, format)
	}
	return cmd
}

func (f *oodFlags) parse(data string) (ood.Config, error) {
	c := ood.Config{Scores: f.scores}
	if f.outLimit < 0 || f.trainLimit < 0 {
		return c, fmt.Errorf("--ood-limit and --train-limit cannot be below 0")
	}
	out, val, train := f.out, f.val, f.train
	if name, _, _ := strings.Cut(data, ":"); name == "scenes" {
		if len(out) == 0 {
			out = []string{"near:unseen=scenes:ood-near", "far:texture=scenes:ood-texture", "far:noise=scenes:ood-noise"}
		}
		if val == "" {
			val = "scenes:val"
		}
		if train == "" {
			train = "scenes:train"
		}
	}
	if val != "" {
		c.Sources = append(c.Sources, ood.Source{Name: "id-val", Role: ood.Val, Path: val})
	}
	if train != "" {
		c.Sources = append(c.Sources, ood.Source{Name: "id-train", Role: ood.Train, Path: train, Limit: f.trainLimit})
	}
	for _, o := range out {
		src, err := ood.ParseSource(o)
		if err != nil {
			return c, fmt.Errorf("--ood: %w", err)
		}
		src.Limit = f.outLimit
		c.Sources = append(c.Sources, src)
	}
	return c, nil
}

func runOOD(ctx context.Context, s streams, c evaluation.Config, task ood.Config, f *shared, format report.Format) error {
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
	r, err := j.Report(ctx)
	if err != nil {
		return err
	}
	return finishReport(s, r, format, f.allowBad, f.quiet)
}
