package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// runJob makes the records that are missing of a job, finishes it and prints its report.
func runJob(ctx context.Context, s streams, o *options, j tasks.Job) error {
	defer j.Close()
	first := j.Passes()[0]
	c := first.Classifier
	for _, p := range j.Passes() {
		if err := collect(ctx, s, o, j, p); err != nil {
			return err
		}
	}
	if !o.Store.Shard.Whole() {
		return shardDone(ctx, s, o, j.Passes())
	}
	ran := c.Ran()
	if err := j.Finish(ctx); err != nil {
		return err
	}
	c.Stop() // its memory is better used by what computes numbers
	start := time.Now()
	res, err := j.Result(ctx)
	if err != nil {
		return err
	}
	r, err := res.Report(ctx)
	if err != nil {
		return err
	}
	// What is computed from a run directory is the same every time, and several passes have no
	// one time; nor has what another program did.
	if o.Store.Dir == "" && ran != nil && len(j.Passes()) == 1 && ran.Device != report.Predictions {
		r.Timing = c.Timing(first.Stats)
		r.Timing.Metrics = time.Since(start).Seconds()
		r.Runtime = *ran
	}
	return finishReport(s, r, o.Format, o.AllowBad, o.Quiet)
}

// collector makes records: a tasks.Job, or what makes them for something else than a report.
type collector interface {
	Collect(ctx context.Context, p *evaluation.Pass, progress func(done int)) error
}

// collect makes the records that are missing of a pass, with a bar, and says on stderr
// what was done where a run directory keeps them.
func collect(ctx context.Context, s streams, o *options, j collector, p *evaluation.Pass) error {
	dir, todo, share := p.Dir(), len(p.Todo), p.Share()
	say := func(format string, a ...any) {
		if dir != "" && !o.Quiet {
			fmt.Fprintf(s.err, format+"\n", a...)
		}
	}
	// A report says so as well, on stderr where its format is for programs.
	if todo > 0 && !o.Quiet && (o.Format == report.Text || !o.Store.Shard.Whole()) {
		for _, note := range p.Notes() {
			fmt.Fprintf(s.err, "warning: %s\n", note)
		}
	}
	for _, d := range p.Damaged {
		say("damaged, its images are evaluated again: %s", d)
	}
	switch {
	case todo == 0:
		say("all %d images are in %s already", share, dir)
	case todo < share:
		say("%d of %d images are in %s already", share-todo, share, dir)
	}
	progress, finish := imageBar(s.err, o.Quiet, todo, p.Spec.Task)
	defer finish()
	err := j.Collect(ctx, p, progress)
	finish()
	if err != nil {
		if dir != "" {
			if left := len(p.Missing(o.Store.Shard)); left < share {
				err = fmt.Errorf("%w (%d of %d images are kept in %s; run the same command again to go on)", err, share-left, share, dir)
			}
		}
		return err
	}
	if st := p.Stats; st.Samples > 0 {
		say("%d images in %.1f s, %.0f images/s", st.Samples, st.Wall.Seconds(), float64(st.Samples)/st.Wall.Seconds())
	}
	return nil
}

// row is a record of any task.
type row struct{ results.Row }

// shardDone says what a share of a run has done. The report is for the whole run.
func shardDone(ctx context.Context, s streams, o *options, passes []*evaluation.Pass) error {
	bad, all, shard := 0, 0, o.Store.Shard
	for _, p := range passes {
		all += p.Share()
		err := results.Each[row](ctx, p.Only(shard), nil, func(r *row, _ [][]float32) error {
			if r.Status != results.OK {
				bad++
				fmt.Fprintf(s.err, "bad image: %s: %s\n", r.ID, r.Error)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.out, "shard %s of run %s is done: %d images; cutmix-eval report %s gives the numbers when all shards are\n",
		shard, o.Store.Dir, all, o.Store.Dir)
	if err == nil && bad > o.AllowBad {
		err = badImagesError{bad, all}
	}
	return err
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
	bad, all := r.Dataset.Bad, r.Dataset.N+r.Dataset.Bad
	if r.Tried > 0 {
		bad, all = len(r.BadImages), r.Tried
	}
	if bad > allowBad {
		return badImagesError{bad, all}
	}
	return nil
}

// openStudy opens run directories: shares of one study. All records must be there, unless
// partial.
func openStudy(partial bool, dirs ...string) (tasks.Task, *results.Study, error) {
	study, err := results.OpenStudy(partial, dirs...)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range all {
		if t.Name() == study.Task {
			return t, study, nil
		}
	}
	return nil, nil, fmt.Errorf("the run is of task %q, of which there is no report", study.Task)
}

// loaded reads a study. An option that its task does not have, or a value of one that makes no
// sense, is wrong usage.
func loaded(ctx context.Context, t tasks.Task, study *results.Study, o tasks.Options) (tasks.Result, error) {
	res, err := t.Load(ctx, study, o)
	if errors.As(err, new(*tasks.OptionError)) || errors.As(err, new(*tasks.ValueError)) {
		err = usageError{err}
	}
	return res, err
}

// load opens run directories and reads what is in them.
func load(ctx context.Context, o tasks.Options, partial bool, dirs ...string) (tasks.Result, error) {
	t, study, err := openStudy(partial, dirs...)
	if err != nil {
		return nil, err
	}
	return loaded(ctx, t, study, o)
}
