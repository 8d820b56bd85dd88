package main

import (
	"context"
	"fmt"
	"io"

	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/tasks/localize"
)

// task is what can be done with a run of a task.
type task struct {
	report func(ctx context.Context, run *results.Run, edit func(*reportOptions)) (*report.Report, error)
	export func(ctx context.Context, run *results.Run, w io.Writer, format string) error
	source func(ctx context.Context, run *results.Run) (compare.Source, error)
}

// reportOptions are what a report can be told that does not change records; nil where
// the task has no such thing.
type reportOptions struct {
	by, worst, bins, replicates, seed any // pointers to []string, int, int, int, uint64
	validate                          func() error
}

var tasks = map[string]task{
	classify.Name: {
		report: func(ctx context.Context, run *results.Run, edit func(*reportOptions)) (*report.Report, error) {
			r, _, err := classify.Report(ctx, run, func(a *classify.About) {
				c := &a.Config
				edit(&reportOptions{&c.By, &c.Worst, &c.Bins, &c.Replicates, &a.Seed, func() error { return c.Validate() }})
			})
			return r, err
		},
		export: results.Export[classify.Record],
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
		export: results.Export[localize.Record],
		source: func(ctx context.Context, run *results.Run) (compare.Source, error) { return localize.Load(ctx, run) },
	},
}

// taskOf finds the task that a run is of.
func taskOf(run *results.Run) (task, error) {
	name := run.Manifest.Key.Task
	t, ok := tasks[name]
	if !ok {
		return t, fmt.Errorf("the run is of task %q, which this program does not know", name)
	}
	return t, nil
}
