package main

import (
	"context"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/tasks/classify"

	"github.com/spf13/cobra"
)

func newClassify(s streams) *cobra.Command {
	var flags shared
	task := classify.DefaultConfig()
	cmd := &cobra.Command{
		Use:   "classify",
		Short: "Accuracy and calibration of a classifier",
		Long: `classify runs a classifier over labelled images and reports top-1 and top-5
accuracy, NLL, Brier score, calibration errors, the area under the risk-coverage
curve, the temperature that fits best, accuracy by class and the most confused
pairs, each with a 95 % interval.

What the data is, is recognised from its content and said in the report: class
folders (synsets, names, numbers), a tar file of the same, images with a label
file, OpenOOD image lists, CIFAR binaries, Tiny-ImageNet, ImageNet-V2.

A model that ends in Softmax is recognised; its logits are read before it.`,
		Example: `  cutmix-eval classify
  cutmix-eval classify --model resnet50.onnx --data imagenet/val
  cutmix-eval classify --model resnet50.onnx --data val_flat --labels LOC_val_solution.csv
  cutmix-eval classify --model resnet50.onnx --data imagenet-r --restrict
  cutmix-eval classify --model net.onnx --data test.tar --resize 32 --crop 32 --format json`,
		Args: cobra.NoArgs,
	}
	flags.add(cmd)
	flags.addStore(cmd)
	cmd.Flags().BoolVar(&task.Restrict, "restrict", false, "let only the outputs that are classes of the data compete (ImageNet-A, -R)")
	cmd.Flags().IntVar(&task.Bins, "bins", task.Bins, "bins of the calibration errors")
	cmd.Flags().IntVar(&task.Replicates, "bootstrap", task.Replicates, "bootstrap replicates of the intervals; 0 for none")
	cmd.Flags().IntVar(&task.Pairs, "pairs", task.Pairs, "most confused pairs to list")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		if err := task.Validate(); err != nil {
			return usageError{err}
		}
		return runClassify(cmd.Context(), s, c, task, flags.store, format, flags.allowBad, flags.quiet)
	}
	return cmd
}

func runClassify(ctx context.Context, s streams, c evaluation.Config, task classify.Config, store evaluation.Store, format report.Format, allowBad int, quiet bool) error {
	setup, err := evaluation.Prepare(c)
	if err != nil {
		return err
	}
	defer setup.Close()
	job, err := classify.Open(ctx, setup, task, store, tool(), installProgress(s.err, quiet))
	if err != nil {
		return err
	}
	defer job.Close()
	stats, err := collect(ctx, s, store, quiet, job.Records, job.Collect)
	if err != nil {
		return err
	}
	if !store.Shard.Whole() {
		return shardDone(ctx, s, store, job.Run, allowBad)
	}
	ran := setup.Ran()
	start := time.Now()
	r, _, err := classify.Report(ctx, job.Run, nil)
	if err != nil {
		return err
	}
	if store.Dir == "" { // what is computed from a run directory is the same every time
		r.Timing = setup.Timing(stats)
		r.Timing.Metrics = time.Since(start).Seconds()
		if ran != nil {
			r.Runtime = *ran
		}
	}
	return finishReport(s, r, format, allowBad, quiet)
}
