package main

import (
	"context"
	"fmt"
	"strings"

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
	cmd.Flags().BoolVar(&task.Restrict, "restrict", false, "let only the outputs that are classes of the data compete (ImageNet-A, -R)")
	cmd.Flags().IntVar(&task.Bins, "bins", task.Bins, "bins of the calibration errors")
	cmd.Flags().IntVar(&task.Replicates, "bootstrap", task.Replicates, "bootstrap replicates of the intervals; 0 for none")
	cmd.Flags().IntVar(&task.Pairs, "pairs", task.Pairs, "most confused pairs to list")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		task.Seed = c.Seed
		if err := task.Validate(); err != nil {
			return usageError{err}
		}
		return runClassify(cmd.Context(), s, c, task, format, flags.allowBad, flags.quiet)
	}
	return cmd
}

func runClassify(ctx context.Context, s streams, c evaluation.Config, task classify.Config, format report.Format, allowBad int, quiet bool) error {
	setup, err := evaluation.Open(ctx, c, installProgress(s.err, quiet))
	if err != nil {
		return err
	}
	defer setup.Close()
	progress, finish := imageBar(s.err, quiet, len(setup.Data.Samples), "classify")
	defer finish()
	in, aligned, err := classify.NewInput(setup.Data, setup.Outputs, setup.Model.ClassNames, setup.Pipeline(progress))
	if err != nil {
		return err
	}
	res, err := classify.Run(ctx, task, in)
	if err != nil {
		return err
	}
	finish()
	r := setup.Report(tool())
	r.Dataset.Labels = aligned.How
	r.Config = c.Told(task)
	r.Options = options(c, task.Restrict, res.Outputs)
	res.Fill(r, in)
	return finishReport(s, r, format, allowBad, quiet)
}

// options names the choices that change numbers, where they are not the default.
func options(c evaluation.Config, restrict bool, outputs int) string {
	var out []string
	if c.Limit > 0 {
		out = append(out, fmt.Sprintf("limit %d (seed %d)", c.Limit, c.Seed))
	}
	if restrict {
		out = append(out, fmt.Sprintf("only the data's %d classes compete", outputs))
	}
	return strings.Join(out, ", ")
}

// finishReport writes a report to stdout, its warnings to stderr where stdout is
// for a program, and turns too many bad images into an error.
func finishReport(s streams, r *report.Report, format report.Format, allowBad int, quiet bool) error {
	if err := r.Write(s.out, format); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if format == report.CSV && !quiet {
		for _, b := range r.BadImages {
			fmt.Fprintf(s.err, "bad image: %s: %s\n", b.ID, b.Reason)
		}
	}
	if format != report.Text && !quiet {
		for _, w := range r.Warnings {
			fmt.Fprintf(s.err, "warning: %s\n", w)
		}
	}
	if r.Dataset.Bad > allowBad {
		return badImagesError{r.Dataset.Bad, r.Dataset.N + r.Dataset.Bad}
	}
	return nil
}
