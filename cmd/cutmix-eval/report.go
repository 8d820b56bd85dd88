package main

import (
	"context"

	"cutmix-eval/report"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/localize"

	"github.com/spf13/cobra"
)

// reportArgs are what the command line of report says.
type reportArgs struct {
	Dirs     []string
	Options  tasks.Options
	Export   string // csv or jsonl; empty: a report
	Partial  bool
	AllowBad int
	Format   report.Format
	Quiet    bool
}

func newReport(s streams, run func(context.Context, reportArgs) error) *cobra.Command {
	a := reportArgs{Format: report.Text}
	cmd := &cobra.Command{
		Use:   "report RUN [RUN ...]",
		Short: "The numbers of a run, from its records alone",
		Long: `report computes the numbers of a run directory again, from its records: without
model, images or ONNX Runtime. Several directories with shares of one run (--shard)
are joined, in any order. The folder of a fine-tuning (OUT.run) or of a suite of them
is a run, too.

With --export it writes the records themselves.`,
		Example: `  cutmix-eval report runs/base
  cutmix-eval report runs/base --by class,size,confidence --worst 20
  cutmix-eval report shard0 shard1 shard2 --format json
  cutmix-eval report runs/base --export csv`,
		Args: arguments(1, -1),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o := &a.Options
	var by, scores []string
	var grid bool
	choices(cmd, &by, "by", "groupings to report (runs of localize: class, object)", groupings()...)
	declare(cmd, "worst", "N", "", "list the N images that are wrong with most confidence", intoNew(&o.Worst, wholeNumber))
	choice(cmd, &a.Export, "export", "write the records instead", "csv", "jsonl")
	declare(cmd, "bins", "N", "", "bins of the calibration errors (default: as in the run)", intoNew(&o.Bins, wholeNumber))
	declare(cmd, "bootstrap", "N", "",
		"bootstrap replicates of the intervals; 0 for none (default: as in the run)", intoNew(&o.Bootstrap, wholeNumber))
	declare(cmd, "seed", "N", "", "seed of the bootstrap (default: as in the run)", intoNew(&o.Seed, seed))
	declare(cmd, "threshold", "P", "", "runs of one output or of several labels: threshold on the probability",
		intoNew(&o.Threshold, probability))
	texts(cmd, &scores, "score", "NAMES", "runs of ood: only these scores, several with commas")
	declare(cmd, "reference", "SCORE", "", "runs of ood: score that the others are compared with",
		intoNew(&o.Reference, func(s string) (string, error) { return s, nil }))
	flags.BoolVar(&grid, "grid", false, "runs of ood: other parameters too")
	flags.BoolVar(&a.Partial, "partial", false, "report on the records that are there, though some are missing")
	count(cmd, &a.AllowBad, "allow-bad", "accept up to N images that could not be read")
	addFormat(cmd, &a.Format)
	flags.BoolVar(&a.Quiet, "quiet", false, "no warnings on stderr")
	if run == nil {
		run = func(ctx context.Context, a reportArgs) error { return runReport(ctx, s, a) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if flags.Changed("by") {
			o.By = &by
		}
		if flags.Changed("score") {
			o.Score = &scores
		}
		if flags.Changed("grid") {
			o.Grid = &grid
		}
		a.Dirs = args
		return run(cmd.Context(), a)
	}
	return cmd
}

// groupings are those of all tasks.
func groupings() []string {
	return append(classify.Groupings(), localize.Groupings()[1:]...)
}

func runReport(ctx context.Context, s streams, a reportArgs) error {
	task, study, err := openStudy(a.Partial, a.Dirs...)
	if err != nil {
		return err
	}
	if a.Export != "" { // options change numbers, not records; but OOD scores are numbers of single images
		if err := usage(a.Options.Only(task.Name()+"'s records", "score", "reference", "grid")); err != nil {
			return err
		}
	}
	res, err := loaded(ctx, task, study, a.Options)
	if err != nil {
		return err
	}
	if a.Export != "" {
		return res.Export(ctx, s.out, a.Export)
	}
	r, err := res.Report(ctx)
	if err != nil {
		return err
	}
	missing, err := study.Missing()
	if err != nil {
		return err
	}
	if missing > 0 {
		r.Warn("%d images of the run are missing: these are numbers of a part of it", missing)
	}
	return finishReport(s, r, a.Format, a.AllowBad, a.Quiet)
}
