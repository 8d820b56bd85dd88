package main

import (
	"cutmix-eval/evaluation"
	"cutmix-eval/runtime"
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
		return runTask(cmd.Context(), s, c, &flags, format, func(setup *evaluation.Setup, install runtime.Progress) (job, *evaluation.Records, error) {
			j, err := classify.Open(cmd.Context(), setup, task, flags.store, tool(), install)
			if err != nil {
				return nil, nil, err
			}
			return j, j.Records, nil
		}, nil)
	}
	return cmd
}
