package main

import (
	"fmt"

	"cutmix-eval/report"

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
	scores         []string
	reference      string
	grid           bool
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

With --export it writes the records themselves. Of a fine-tuning (OUT.run) it shows
the report that was kept.`,
		Example: `  cutmix-eval report runs/base
  cutmix-eval report runs/base --by class,size,confidence --worst 20
  cutmix-eval report shard0 shard1 shard2 --format json
  cutmix-eval report runs/base --export csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runReport(cmd, s, f, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringSliceVar(&f.by, "by", nil, "group by class, predicted, size or confidence (localize: class, object); several with commas")
	fs.IntVar(&f.worst, "worst", 0, "list the `N` images that are wrong with most confidence")
	fs.StringVar(&f.export, "export", "", "write the records instead: csv or jsonl")
	fs.IntVar(&f.bins, "bins", 0, "bins of the calibration errors (default: as the run was told)")
	fs.IntVar(&f.replicates, "bootstrap", 0, "bootstrap replicates of the intervals; 0 for none (default: as the run was told)")
	fs.Uint64Var(&f.seed, "seed", 0, "seed of the bootstrap (default: as the run was told)")
	fs.StringSliceVar(&f.scores, "score", nil, "of a run of ood, only these scores")
	fs.StringVar(&f.reference, "reference", "", "of a run of ood, the score that the others are compared with")
	fs.BoolVar(&f.grid, "grid", false, "of a run of ood, other parameters too")
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
	if f.allowBad < 0 {
		return usageError{fmt.Errorf("--allow-bad %d is below 0", f.allowBad)}
	}
	run, err := openTask(f.partial, dirs...)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	edit := func(o *reportOptions) (bad error) {
		for flag, set := range map[string]func() bool{
			"by":        func() bool { return assignTo(o.by, f.by) },
			"worst":     func() bool { return assignTo(o.worst, f.worst) },
			"bins":      func() bool { return assignTo(o.bins, f.bins) },
			"bootstrap": func() bool { return assignTo(o.replicates, f.replicates) },
			"seed":      func() bool { return assignTo(o.seed, f.seed) },
			"score":     func() bool { return assignTo(o.scores, f.scores) },
			"reference": func() bool { return assignTo(o.reference, f.reference) },
			"grid":      func() bool { return assignTo(o.grid, f.grid) },
		} {
			if cmd.Flags().Changed(flag) && !set() {
				bad = fmt.Errorf("--%s says nothing about a run of %s%s", flag, run.name, map[bool]string{true: "'s records"}[f.export != ""])
			}
		}
		if bad == nil {
			bad = o.validate()
		}
		if bad != nil {
			bad = usageError{bad}
		}
		return bad
	}
	if f.export != "" {
		return run.export(ctx, run.Run, edit, s.out, f.export)
	}
	var bad error
	r, err := run.report(ctx, run.Run, func(o *reportOptions) { bad = edit(o) })
	if bad != nil {
		return bad
	}
	if err != nil {
		return err
	}
	if run.missing > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d images of the run are missing: these are numbers of a part of it", run.missing))
	}
	return finishReport(s, r, format, f.allowBad, f.quiet)
}

// assignTo sets what an option points to; false where the task has no such option.
func assignTo[T any](to any, v T) bool {
	p, ok := to.(*T)
	if ok {
		*p = v
	}
	return ok
}
