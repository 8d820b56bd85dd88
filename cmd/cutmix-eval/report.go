package main

import (
	"context"
	"fmt"

	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"

	"github.com/spf13/cobra"
)

// reportFlags are what a report of a run can be told.
type reportFlags struct {
	format, export string
	by             []string
	worst          int
	replicates     int
	bins           int
	seed           uint64
	partial, quiet bool
	allowBad       int
}

func newReport(s streams) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report RUN [RUN ...]",
		Short: "The numbers of a run, from its records alone",
		Long: `report computes the numbers of a run directory again, from its records: without
model, images or ONNX Runtime. Several directories with shares of one run (--shard)
are joined, in any order.

With --export it writes the records themselves.`,
		Example: `  cutmix-eval report runs/base
  cutmix-eval report runs/base --by class,size,confidence --worst 20
  cutmix-eval report shard0 shard1 shard2 --format json
  cutmix-eval report runs/base --export csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runReport(cmd, s, f, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringSliceVar(&f.by, "by", nil, "group by class, predicted, size or confidence; several with commas")
	fs.IntVar(&f.worst, "worst", 0, "list the `N` images that are wrong with most confidence")
	fs.StringVar(&f.export, "export", "", "write the records instead: csv or jsonl")
	fs.IntVar(&f.bins, "bins", 0, "bins of the calibration errors (default: as the run was told)")
	fs.IntVar(&f.replicates, "bootstrap", 0, "bootstrap replicates of the intervals; 0 for none (default: as the run was told)")
	fs.Uint64Var(&f.seed, "seed", 0, "seed of the bootstrap (default: as the run was told)")
	fs.BoolVar(&f.partial, "partial", false, "report on the records that are there, though some are missing")
	fs.IntVar(&f.allowBad, "allow-bad", 0, "accept up to `N` images that could not be read")
	fs.StringVar(&f.format, "format", string(report.Text), "text, json, csv or md")
	fs.BoolVar(&f.quiet, "quiet", false, "no warnings on stderr")
	return cmd
}

func runReport(cmd *cobra.Command, s streams, f reportFlags, dirs []string) error {
	format, err := report.ParseFormat(f.format)
	if err != nil {
		return usageError{err}
	}
	if f.export != "" && f.export != "csv" && f.export != "jsonl" {
		return usageError{fmt.Errorf("--export %q is not one of csv, jsonl", f.export)}
	}
	run, err := openRun(f.partial, dirs...)
	if err != nil {
		return err
	}
	task := run.Manifest.Key.Task
	if task != classify.Name {
		return fmt.Errorf("run %q is of task %q, which this program does not know", dirs[0], task)
	}
	ctx := cmd.Context()
	if f.export != "" {
		return exportRun(ctx, s, run, f.export)
	}
	var bad error
	r, _, err := classify.Report(ctx, run, func(a *classify.About) {
		if cmd.Flags().Changed("by") {
			a.Config.By = f.by
		}
		if cmd.Flags().Changed("worst") {
			a.Config.Worst = f.worst
		}
		if cmd.Flags().Changed("bins") {
			a.Config.Bins = f.bins
		}
		if cmd.Flags().Changed("bootstrap") {
			a.Config.Replicates = f.replicates
		}
		if cmd.Flags().Changed("seed") {
			a.Seed = f.seed
		}
		bad = a.Config.Validate()
	})
	if bad != nil {
		return usageError{bad}
	}
	if err != nil {
		return err
	}
	if missing := run.Missing(results.Shard{}); len(missing) > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d images of the run are missing: these are numbers of a part of it", len(missing)))
	}
	return finishReport(s, r, format, f.allowBad, f.quiet)
}

func exportRun(ctx context.Context, s streams, run *results.Run, format string) error {
	return results.Export[classify.Record](ctx, run, s.out, format)
}
