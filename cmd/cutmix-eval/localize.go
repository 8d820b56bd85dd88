package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"cutmix-eval/cam"
	"cutmix-eval/corrupt"
	"cutmix-eval/datasets/annotations"
	"cutmix-eval/evaluation"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/localize"
	"cutmix-eval/variants"

	"github.com/spf13/cobra"
)

// localizeOptions are what the flags of localize say.
type localizeOptions struct {
	options
	Task          localize.Config
	Boxes         string
	ThresholdFrom string // run whose best threshold is taken
	Overlays      int
	Corruption    corrupt.Name // empty: images as they are
	Severity      int
	Frost         string
}

// boxFormats are the formats of --boxes in words.
func boxFormats() string {
	var out []string
	for _, k := range annotations.Kinds() {
		out = append(out, plainText(k.What))
	}
	return strings.Join(out, ", ")
}

func newLocalize(s streams, run func(context.Context, localizeOptions) error) *cobra.Command {
	o := localizeOptions{options: newOptions(), Task: localize.DefaultConfig(), Severity: 3}
	cmd := &cobra.Command{
		Use:   "localize",
		Short: "Where a classifier looks: class activation maps, boxes, WSOL metrics",
		Long: `localize makes class activation maps from the ONNX file alone, without gradients,
draws boxes from them and measures them against true boxes and masks: Top-1, Top-5
and GT-known localization (the CutMix paper's protocol), MaxBoxAcc, MaxBoxAccV2 and
PxAP (wsolevaluation's), why boxes are wrong, and what no model at all would reach
(a centred box, the whole picture, a random map).

` + wrapped("True boxes lie with the data, as with the embedded scenes, or come from --boxes: "+boxFormats()+". Images without any are left out.") + `

Published WSOL numbers are measured on the squashed picture (--resize 224x224 --crop
none) and on feature maps of 14 x 14 (--enlarge 1 for an ordinary ResNet).`,
		Example: `  cutmix-eval localize
  cutmix-eval localize --model resnet50.onnx --data imagenet/val --boxes Annotations/CLS-LOC/val \
    --resize 224x224 --crop none
  cutmix-eval localize --model resnet50.onnx --data val --boxes LOC_val_solution.csv \
    --enlarge 1 --method layercam --out runs/layercam`,
		Args: noArgs,
	}
	o.add(cmd)
	o.addStore(cmd)
	c := &o.Task
	text(cmd, &o.Boxes, "boxes", "PATH", "file or folder with the true boxes or masks (default: those that lie with the data)")
	choice(cmd, &c.Method, "method", "how maps are made", cam.Methods()...)
	choice(cmd, &c.Post, "post", "post-processing of maps", cam.WSOL+"\tbicubic, then 0..1", cam.GradCAMLib+"\tas pytorch-grad-cam")
	choice(cmd, &c.Target, "target", "class whose map is drawn", localize.Truth+"\tthe label", localize.Prediction+"\tthe prediction")
	count(cmd, &c.Enlarge, "enlarge", "double the sides of the feature map N times (0, 1 or 2) by dilation, for ResNets")
	number(cmd, &c.Threshold, "threshold", "share of the maximum that the fixed-threshold box is cut at")
	number(cmd, &c.Interval, "interval", "step between the thresholds of the sweep")
	declare(cmd, "at", "X", "", "also report boxes at this one threshold of the sweep, chosen elsewhere", intoNew(&c.At, finite))
	text(cmd, &o.ThresholdFrom, "threshold-from", "RUN",
		"take --at from the best threshold (max_box_acc) of this run of localize, of another split")
	count(cmd, &c.Replicates, "bootstrap", "bootstrap replicates of the intervals; 0 for none")
	choices(cmd, &c.By, "by", "groupings to report (object: by its size)", localize.Groupings()...)
	text(cmd, &c.Maps, "maps", "FOLDER", "measure maps made elsewhere instead (IMAGE.npy, rows by columns)")
	count(cmd, &o.Overlays, "overlays", "draw N images each with most, with least and with any overlap, into OUT/overlays")
	count(cmd, &c.Worst, "worst", "list the N images with the least overlap")
	choice(cmd, &o.Corruption, "corruption", "localize in images under this corruption of ImageNet-C", corrupt.All()...)
	declare(cmd, "severity", "N", "3", "severity of --corruption, 1 to 5", into(&o.Severity, severity))
	addFrost(cmd, &o.Frost)
	if run == nil {
		run = func(ctx context.Context, o localizeOptions) error { return runLocalize(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := usage(o.check(cmd)); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

// check refuses flags that make no sense together.
func (o *localizeOptions) check(cmd *cobra.Command) error {
	if err := o.options.check(cmd); err != nil {
		return err
	}
	switch given := cmd.Flags().Changed; {
	case o.Corruption == "" && (given("severity") || given("frost")):
		return errors.New("--severity and --frost are of --corruption")
	case given("at") && o.ThresholdFrom != "":
		return errors.New("--at and --threshold-from both say the threshold; give one")
	case o.Overlays > 0 && (o.Store.Dir == "" || !o.Store.Shard.Whole()):
		return errors.New("--overlays needs a whole run directory: give --out")
	}
	return o.Task.Validate()
}

func runLocalize(ctx context.Context, s streams, o localizeOptions) error {
	if o.ThresholdFrom != "" {
		study, err := results.OpenStudy(false, o.ThresholdFrom)
		if err != nil {
			return err
		}
		best, err := localize.BestThreshold(ctx, study, o.Task)
		if err != nil {
			return fmt.Errorf("run %q: %w", o.ThresholdFrom, err)
		}
		o.Task.At = &best
	}
	overlays := localize.Overlays{Dir: filepath.Join(o.Store.Dir, "overlays"), N: o.Overlays}
	var job *localize.Job
	err := o.onImages(ctx, s, func(c *evaluation.Classifier, im *evaluation.Images) (_ tasks.Job, err error) {
		if o.Corruption != "" {
			source := variants.Source{Data: im.Dataset, Recipe: im.Recipe, Size: c.Size(), Seed: im.Config.Seed}
			d, words, err := variants.Corrupt(source, o.Corruption, o.Severity, o.Frost)
			if err != nil {
				return nil, err
			}
			im, o.Task.Corrupted = im.Derive(d, 1, c.Cropped()), words
		}
		job, err = localize.Open(ctx, c, im, o.Task, o.Boxes, o.Store, overlays)
		return job, err
	})
	if job != nil && len(job.Pictures) > 0 && !o.Quiet {
		fmt.Fprintf(s.err, "%d pictures are in %s\n", len(job.Pictures), overlays.Dir)
	}
	return err
}
