package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/tasks/corruption"
	"cutmix-eval/tasks/finetune"
	"cutmix-eval/tasks/localize"
	"cutmix-eval/tasks/ood"
)

// task is what can be done with a run of a task.
type task struct {
	report func(ctx context.Context, run *results.Run, edit func(*reportOptions)) (*report.Report, error)
	export func(ctx context.Context, run *results.Run, edit func(*reportOptions) error, w io.Writer, format string) error
	source func(ctx context.Context, run *results.Run) (compare.Source, error)
}

// reportOptions are what a report can be told that does not change records; nil where
// the task has no such thing.
type reportOptions struct {
	by, worst, bins, replicates, seed any // pointers to []string, int, int, int, uint64
	scores, reference, grid           any // pointers to []string, string, bool
	validate                          func() error
}

var tasks = map[string]task{
	classify.Name: {
		report: func(ctx context.Context, run *results.Run, edit func(*reportOptions)) (*report.Report, error) {
			r, _, err := classify.Report(ctx, run, func(a *classify.About) {
				c := &a.Config
				edit(&reportOptions{by: &c.By, worst: &c.Worst, bins: &c.Bins, replicates: &c.Replicates, seed: &a.Seed, validate: func() error { return c.Validate() }})
			})
			return r, err
		},
		export: exporter[classify.Record](),
		source: func(ctx context.Context, run *results.Run) (compare.Source, error) { return classify.Load(ctx, run) },
	},
	localize.Name: {
		report: func(ctx context.Context, run *results.Run, edit func(*reportOptions)) (*report.Report, error) {
			r, _, err := localize.Report(ctx, run, func(a *localize.About) {
				c := &a.Config
				edit(&reportOptions{by: &c.By, worst: &c.Worst, replicates: &c.Replicates, seed: &a.Classify.Seed, validate: func() error { return c.Validate() }})
			})
			return r, err
		},
		export: exporter[localize.Record](),
		source: func(ctx context.Context, run *results.Run) (compare.Source, error) { return localize.Load(ctx, run) },
	},
	corruption.Name: {
		report: func(ctx context.Context, run *results.Run, edit func(*reportOptions)) (*report.Report, error) {
			return corruption.Report(ctx, run, func(a *corruption.About) {
				edit(&reportOptions{bins: &a.Config.Bins, validate: func() error { return a.Config.Validate() }})
			})
		},
		export: exporter[corruption.Record](),
		source: func(ctx context.Context, run *results.Run) (compare.Source, error) { return corruption.Load(ctx, run) },
	},
}

// exporter writes the records of a run as they are: no option changes them.
func exporter[T any, P results.Record[T]]() func(context.Context, *results.Run, func(*reportOptions) error, io.Writer, string) error {
	return func(ctx context.Context, run *results.Run, edit func(*reportOptions) error, w io.Writer, format string) error {
		if err := edit(&reportOptions{validate: func() error { return nil }}); err != nil {
			return err
		}
		return results.Export[T, P](ctx, run, w, format)
	}
}

// opened is what lies in run directories, of any task.
type opened struct {
	task
	*results.Run        // nil where several runs make one evaluation
	name         string // of the task
	missing      int    // records that are not there
}

// openTask opens run directories: shares of one run or evaluation. All records must be
// there, unless some will do.
func openTask(partial bool, dirs ...string) (*opened, error) {
	switch {
	case ood.IsRun(dirs[0]):
		runs, err := ood.Load(partial, dirs...)
		if err != nil {
			return nil, err
		}
		return &opened{task: oodTask(runs), name: ood.Name, missing: runs.Missing()}, nil
	case finetune.IsRun(dirs[0]):
		if len(dirs) > 1 {
			return nil, fmt.Errorf("%q is a fine-tuning, which has no shares: give it alone", dirs[0])
		}
		r, err := finetune.Load(dirs[0])
		return &opened{task: finetuneTask(dirs[0], r), name: finetune.Name}, err
	}
	run, err := openRun(partial, dirs...)
	if err != nil {
		return nil, err
	}
	name := run.Manifest.Key.Task
	t, ok := tasks[name]
	if !ok {
		return nil, fmt.Errorf("the run is of task %q, of which there is no report", name)
	}
	return &opened{task: t, Run: run, name: name, missing: len(run.Missing(results.Shard{}))}, nil
}

// finetuneTask is what can be done with a fine-tuning: its report is shown as it was. Its
// parts are runs of their own.
func finetuneTask(dir string, r *report.Report) task {
	parts := fmt.Errorf("%q is a fine-tuning; the runs of its heads are folders in it, such as %q", dir, filepath.Join(dir, "tuned-val"))
	return task{
		report: func(_ context.Context, _ *results.Run, edit func(*reportOptions)) (*report.Report, error) {
			edit(&reportOptions{validate: func() error { return nil }})
			return r, nil
		},
		export: func(context.Context, *results.Run, func(*reportOptions) error, io.Writer, string) error { return parts },
		source: func(context.Context, *results.Run) (compare.Source, error) { return nil, parts },
	}
}

// oodTask is what can be done with an evaluation of out-of-distribution detection.
func oodTask(runs *ood.Runs) task {
	return task{
		report: func(ctx context.Context, _ *results.Run, edit func(*reportOptions)) (*report.Report, error) {
			c := &runs.About.Config
			edit(oodOptions(c))
			return runs.Report(ctx)
		},
		export: func(ctx context.Context, _ *results.Run, edit func(*reportOptions) error, w io.Writer, format string) error {
			if err := edit(oodOptions(&runs.About.Config)); err != nil {
				return err
			}
			return runs.Export(ctx, w, format)
		},
		source: func(ctx context.Context, _ *results.Run) (compare.Source, error) { return runs.Pair(ctx) },
	}
}

func oodOptions(c *ood.Config) *reportOptions {
	return &reportOptions{scores: &c.Scores, reference: &c.Reference, grid: &c.Grid, validate: func() error {
		c.Threshold = 0 // it was for the score of then
		return c.Validate()
	}}
}
