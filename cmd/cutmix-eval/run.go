package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// job is a task's work on a run.
type job interface {
	Collect(ctx context.Context, progress func(done int)) (pipeline.Stats, error)
	Report(ctx context.Context) (*report.Report, error)
	Close() error
}

// runTask makes the records that are missing and prints the report. open opens the job
// and its run; also, if not nil, does what else is wanted when all records are there.
func runTask(ctx context.Context, s streams, o options,
	open func(setup *evaluation.Setup, install runtime.Progress) (job, *evaluation.Records, error), also func(j job) error) error {
	setup, err := evaluation.Prepare(o.Config)
	if err != nil {
		return err
	}
	defer setup.Close()
	store := o.Store
	j, rec, err := open(setup, installProgress(s.err, o.Quiet))
	if err != nil {
		return err
	}
	defer j.Close()
	stats, err := collect(ctx, s, store, o.Quiet, rec, j.Collect)
	if err != nil {
		return err
	}
	if !store.Shard.Whole() {
		return shardDone(ctx, s, store, []*results.Run{rec.Run}, o.AllowBad)
	}
	ran := setup.Ran()
	start := time.Now()
	r, err := j.Report(ctx)
	if err != nil {
		return err
	}
	if store.Dir == "" { // what is computed from a run directory is the same every time
		r.Timing = setup.Timing(stats)
		r.Timing.Metrics = time.Since(start).Seconds()
		if ran != nil {
			r.Runtime = *ran
		}
	}
	if also != nil {
		if err := also(j); err != nil {
			return err
		}
	}
	return finishReport(s, r, o.Format, o.AllowBad, o.Quiet)
}

// collect makes the records that are missing, with a bar, and says on stderr what
// was done where a run directory keeps them.
func collect(ctx context.Context, s streams, store evaluation.Store, quiet bool, rec *evaluation.Records, run func(context.Context, func(int)) (pipeline.Stats, error)) (pipeline.Stats, error) {
	todo, share := len(rec.Todo), rec.Share(store.Shard)
	say := func(format string, a ...any) {
		if store.Dir != "" && !quiet {
			fmt.Fprintf(s.err, format+"\n", a...)
		}
	}
	for _, d := range rec.Damaged {
		say("damaged, its images are evaluated again: %s", d)
	}
	switch {
	case todo == 0:
		say("all %d images are in %s already", share, store.Dir)
	case todo < share:
		say("%d of %d images are in %s already", share-todo, share, store.Dir)
	}
	progress, finish := imageBar(s.err, quiet, todo, rec.Manifest.Key.Task)
	defer finish()
	stats, err := run(ctx, progress)
	finish()
	if err != nil {
		if store.Dir != "" {
			if left := len(rec.Missing(store.Shard)); left < share {
				err = fmt.Errorf("%w (%d of %d images are kept in %s; run the same command again to go on)", err, share-left, share, store.Dir)
			}
		}
		return stats, err
	}
	if stats.Images > 0 {
		say("%d images in %.1f s, %.0f images/s", stats.Images, stats.Wall.Seconds(), float64(stats.Images)/stats.Wall.Seconds())
	}
	return stats, nil
}

// row is a record of any task.
type row struct{ results.Row }

// shardDone says what a share of a run has done. The report is for the whole run.
func shardDone(ctx context.Context, s streams, store evaluation.Store, runs []*results.Run, allowBad int) error {
	bad, all := 0, 0
	for _, run := range runs {
		all += run.Share(store.Shard)
		err := results.Each[row](ctx, run.Only(store.Shard), nil, func(r *row, _ [][]float32) error {
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
		store.Shard, store.Dir, all, store.Dir)
	if err == nil && bad > allowBad {
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

// openRun opens run directories and insists that all records are there, unless
// some will do.
func openRun(partial bool, dirs ...string) (*results.Run, error) {
	run, err := results.Open(dirs...)
	if err != nil {
		return nil, err
	}
	if err := run.Complete(); err != nil && !(partial && errors.Is(err, results.ErrIncomplete)) {
		return nil, err
	}
	return run, nil
}
