package main

import (
	"context"
	"fmt"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/tasks/demo"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

// demoOptions are what the flags of demo say.
type demoOptions struct {
	Running evaluation.Running
	Limit   int // scenes; 0: all
	Seed    uint64
	Task    demo.Config
	Format  report.Format
	Quiet   bool
}

func newDemo(s streams, run func(context.Context, demoOptions) error) *cobra.Command {
	o := demoOptions{Running: evaluation.DefaultRunning(), Task: demo.DefaultConfig(), Format: report.Text}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A baseline and a CutMix model side by side, on embedded scenes",
		Long: `demo runs two small embedded networks, one trained plainly and one with CutMix,
on the embedded test scenes and prints their numbers with paired differences.
models/README.md says how they were trained, and where CutMix does not win.`,
		Example: "  cutmix-eval demo\n  cutmix-eval demo --format json",
		Args:    noArgs,
	}
	cmd.Flags().SortFlags = false
	addDevice(cmd, &o.Running.Device)
	addLibrary(cmd, &o.Running.Library)
	count(cmd, &o.Limit, "limit", "use at most N scenes; 0: all")
	replicates := o.Task.Classify.Replicates
	count(cmd, &replicates, "bootstrap", "bootstrap replicates of the intervals, at least 100")
	addSeed(cmd, &o.Seed, "seed of everything random")
	addFormat(cmd, &o.Format)
	cmd.Flags().BoolVar(&o.Quiet, "quiet", false, "no progress bar")
	if run == nil {
		run = func(ctx context.Context, o demoOptions) error { return runDemo(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		t := &o.Task
		t.Classify.Replicates, t.Localize.Replicates, t.Finetune.Replicates = replicates, replicates, replicates
		if replicates < 100 {
			return usageError{fmt.Errorf("--bootstrap %d: the demo shows paired differences, which need at least 100 replicates", replicates)}
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func runDemo(ctx context.Context, s streams, o demoOptions) error {
	progress, finish := func(float64) {}, func() {}
	if !o.Quiet && terminal(s.err) {
		var bar *progressbar.ProgressBar
		progress = func(done float64) {
			const parts = 1000
			if bar == nil {
				bar = newBar(s.err, parts, "demo")
			}
			_ = bar.Set(int(done * parts))
		}
		finish = func() {
			if bar != nil {
				_ = bar.Clear()
			}
		}
	}
	defer finish()
	o.Running.Install, o.Running.Tool = installProgress(s.err, o.Quiet), tool()
	r, err := demo.Run(ctx, o.Running, o.Task, o.Limit, o.Seed, progress)
	if err != nil {
		return err
	}
	finish()
	return finishReport(s, r, o.Format, 0, o.Quiet)
}
