package main

import (
	"cmp"
	"context"

	"cutmix-eval/evaluation"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"

	"github.com/spf13/cobra"
)

// classifyOptions are what the flags of classify say.
type classifyOptions struct {
	options
	Task classify.Config
}

func newClassify(s streams, run func(context.Context, classifyOptions) error) *cobra.Command {
	o := classifyOptions{newOptions(), classify.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "classify",
		Short: "Accuracy and calibration of a classifier",
		Long: `classify runs a classifier over labelled images and reports top-1 and top-5
accuracy, NLL, Brier score, calibration errors, the area under the risk-coverage
curve, the temperature that fits best, accuracy by class and the most confused
pairs, each with a 95 % interval.

The data format is detected and printed in the report: class folders (synsets,
names, numbers), a tar file of the same, images with a label file, OpenOOD image
lists, CIFAR binaries, Tiny-ImageNet, ImageNet-V2.

A model that ends in Softmax is recognised; its logits are read before it.`,
		Example: `  cutmix-eval classify
  cutmix-eval classify --model resnet50.onnx --data imagenet/val
  cutmix-eval classify --model resnet50.onnx --data val_flat --labels LOC_val_solution.csv
  cutmix-eval classify --model resnet50.onnx --data imagenet-r --restrict
  cutmix-eval classify --model net.onnx --data test.tar --resize 32 --crop 32 --format json`,
		Args: noArgs,
	}
	o.add(cmd)
	o.addStore(cmd)
	cmd.Flags().BoolVar(&o.Task.Restrict, "restrict", false, "let only the outputs that are classes of the data compete (ImageNet-A, -R)")
	count(cmd, &o.Task.Bins, "bins", "bins of the calibration errors")
	count(cmd, &o.Task.Replicates, "bootstrap", "bootstrap replicates of the intervals; 0 for none")
	count(cmd, &o.Task.Pairs, "pairs", "most confused pairs to list")
	if run == nil {
		run = func(ctx context.Context, o classifyOptions) error { return runClassify(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := usage(cmp.Or(o.check(cmd), o.Task.Validate())); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func runClassify(ctx context.Context, s streams, o classifyOptions) error {
	return o.onImages(ctx, s, func(c *evaluation.Classifier, im *evaluation.Images) (tasks.Job, error) {
		return classify.Open(ctx, c, im, o.Task, o.Store)
	})
}
