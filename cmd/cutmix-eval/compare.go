package main

import (
	"context"
	"fmt"

	"cutmix-eval/report"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"

	"github.com/spf13/cobra"
)

// compareOptions are what the command line of compare says.
type compareOptions struct {
	Dirs   []string
	Task   compare.Config
	Format report.Format
	Quiet  bool
}

func newCompare(s streams, run func(context.Context, compareOptions) error) *cobra.Command {
	o := compareOptions{Task: compare.DefaultConfig(), Format: report.Text}
	cmd := &cobra.Command{
		Use:   "compare RUN RUN [RUN ...]",
		Short: "Runs of different models on the same images, paired",
		Long: `compare pairs the records of runs by image: McNemar's exact test for accuracy,
DeLong's for the AUROC of models with one output, a paired bootstrap for everything
else, an interval and a sentence for every difference. Every run is compared with
the first; where that makes several tests, p-values are corrected after Holm. Runs
of other images or labels are refused.`,
		Example: `  cutmix-eval classify --model base.onnx --data val --out runs/base
  cutmix-eval classify --model cutmix.onnx --data val --out runs/cutmix
  cutmix-eval compare runs/base runs/cutmix`,
		Args: arguments(2, -1),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&o.Task.AllPairs, "all-pairs", false, "compare every run with every other")
	count(cmd, &o.Task.Replicates, "bootstrap", "bootstrap replicates, at least 100")
	addSeed(cmd, &o.Task.Seed, "seed of the bootstrap")
	addFormat(cmd, &o.Format)
	cmd.Flags().BoolVar(&o.Quiet, "quiet", false, "no warnings on stderr")
	if run == nil {
		run = func(ctx context.Context, o compareOptions) error { return runCompare(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, dirs []string) error {
		if err := usage(o.Task.Validate()); err != nil {
			return err
		}
		o.Dirs = dirs
		return run(cmd.Context(), o)
	}
	return cmd
}

func runCompare(ctx context.Context, s streams, o compareOptions) error {
	var runs []compare.Run
	for _, dir := range o.Dirs {
		run, err := load(ctx, tasks.Options{}, false, dir)
		if err != nil {
			return err
		}
		source, err := run.Source(ctx)
		if err != nil {
			return fmt.Errorf("run %q: %w", dir, err)
		}
		runs = append(runs, compare.Run{Dir: dir, Source: source})
	}
	res, err := compare.Compare(ctx, o.Task, runs)
	if err != nil {
		return err
	}
	return finishReport(s, res.Report(o.Task, tool()), o.Format, 0, o.Quiet)
}
