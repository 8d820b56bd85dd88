package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

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
	options  []string // of a report, by the names of their flags
	exported []string // those that change what is exported
	// check says what in the options makes no sense for a run; nil where all does.
	check  func(run *results.Run, o reportOptions) error
	report func(ctx context.Context, run *results.Run, o reportOptions) (*report.Report, error)
	export func(ctx context.Context, run *results.Run, o reportOptions, w io.Writer, format string) error
	source func(ctx context.Context, run *results.Run) (compare.Source, error)
}

// reportOptions are what a report can be made with that does not change records; nil is as
// in the run.
type reportOptions struct {
	By        *[]string // groupings
	Worst     *int      // images to list
	Bins      *int      // of calibration errors
	Bootstrap *int      // replicates
	Seed      *uint64   // of the bootstrap
	Score     *[]string // OOD scores
	Reference *string   // OOD score that the others are compared with
	Grid      *bool     // other parameters of OOD scores
}

// given lists the options by the names of their flags.
func (o reportOptions) given() []string {
	var out []string
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"by", o.By != nil}, {"worst", o.Worst != nil}, {"bins", o.Bins != nil}, {"bootstrap", o.Bootstrap != nil},
		{"seed", o.Seed != nil}, {"score", o.Score != nil}, {"reference", o.Reference != nil}, {"grid", o.Grid != nil},
	} {
		if f.given {
			out = append(out, f.name)
		}
	}
	return out
}

// set sets what an option points to, if it was given.
func set[T any](to *T, option *T) {
	if option != nil {
		*to = *option
	}
}

func (o reportOptions) ofClassify(a *classify.About) {
	set(&a.Config.By, o.By)
	set(&a.Config.Worst, o.Worst)
	set(&a.Config.Bins, o.Bins)
	set(&a.Config.Replicates, o.Bootstrap)
	set(&a.Seed, o.Seed)
}

func (o reportOptions) ofLocalize(a *localize.About) {
	set(&a.Config.By, o.By)
	set(&a.Config.Worst, o.Worst)
	set(&a.Config.Replicates, o.Bootstrap)
	set(&a.Classify.Seed, o.Seed)
}

func (o reportOptions) ofOOD(c *ood.Config) {
	set(&c.Scores, o.Score)
	set(&c.Reference, o.Reference)
	set(&c.Grid, o.Grid)
	c.Threshold = 0 // it was for the score of then
}

var tasks = map[string]task{
	classify.Name: {
		options: []string{"by", "worst", "bins", "bootstrap", "seed"},
		check: func(run *results.Run, o reportOptions) error {
			a, err := classify.Read(run)
			o.ofClassify(&a)
			return cmp.Or(err, usage(a.Config.Validate()))
		},
		report: func(ctx context.Context, run *results.Run, o reportOptions) (*report.Report, error) {
			r, _, err := classify.Report(ctx, run, o.ofClassify)
			return r, err
		},
		export: exporter[classify.Record](),
		source: func(ctx context.Context, run *results.Run) (compare.Source, error) { return classify.Load(ctx, run) },
	},
	localize.Name: {
		options: []string{"by", "worst", "bootstrap", "seed"},
		check: func(run *results.Run, o reportOptions) error {
			a, err := localize.Read(run)
			o.ofLocalize(&a)
			return cmp.Or(err, usage(a.Config.Validate()))
		},
		report: func(ctx context.Context, run *results.Run, o reportOptions) (*report.Report, error) {
			r, _, err := localize.Report(ctx, run, o.ofLocalize)
			return r, err
		},
		export: exporter[localize.Record](),
		source: func(ctx context.Context, run *results.Run) (compare.Source, error) { return localize.Load(ctx, run) },
	},
	corruption.Name: {
		options: []string{"bins"},
		check: func(_ *results.Run, o reportOptions) error {
			c := corruption.DefaultConfig()
			set(&c.Bins, o.Bins)
			return usage(c.Validate())
		},
		report: func(ctx context.Context, run *results.Run, o reportOptions) (*report.Report, error) {
			return corruption.Report(ctx, run, func(a *corruption.About) { set(&a.Config.Bins, o.Bins) })
		},
		export: exporter[corruption.Record](),
		source: func(ctx context.Context, run *results.Run) (compare.Source, error) { return corruption.Load(ctx, run) },
	},
}

// exporter writes the records of a run as they are: no option changes them.
func exporter[T any, P results.Record[T]]() func(context.Context, *results.Run, reportOptions, io.Writer, string) error {
	return func(ctx context.Context, run *results.Run, _ reportOptions, w io.Writer, format string) error {
		return results.Export[T, P](ctx, run, w, format)
	}
}

// refuse says which option the run does not have, or what makes no sense in one, before
// anything is computed.
func (r *opened) refuse(o reportOptions, export bool) error {
	has, what := r.options, ""
	if export {
		has, what = r.exported, "'s records"
	}
	for _, name := range o.given() {
		if !slices.Contains(has, name) {
			return usageError{fmt.Errorf("--%s says nothing about a run of %s%s", name, r.name, what)}
		}
	}
	if r.check == nil {
		return nil
	}
	return r.check(r.Run, o)
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
		report: func(context.Context, *results.Run, reportOptions) (*report.Report, error) { return r, nil },
		export: func(context.Context, *results.Run, reportOptions, io.Writer, string) error { return parts },
		source: func(context.Context, *results.Run) (compare.Source, error) { return nil, parts },
	}
}

// oodTask is what can be done with an evaluation of out-of-distribution detection.
func oodTask(runs *ood.Runs) task {
	options := []string{"score", "reference", "grid"}
	return task{
		options: options, exported: options,
		check: func(_ *results.Run, o reportOptions) error {
			c := runs.About.Config
			o.ofOOD(&c)
			return usage(c.Validate())
		},
		report: func(ctx context.Context, _ *results.Run, o reportOptions) (*report.Report, error) {
			o.ofOOD(&runs.About.Config)
			return runs.Report(ctx)
		},
		export: func(ctx context.Context, _ *results.Run, o reportOptions, w io.Writer, format string) error {
			o.ofOOD(&runs.About.Config)
			return runs.Export(ctx, w, format)
		},
		source: func(ctx context.Context, _ *results.Run) (compare.Source, error) { return runs.Pair(ctx) },
	}
}
