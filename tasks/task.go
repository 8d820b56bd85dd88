// Package tasks is what all tasks have in common: how a job is done, and how its result
// is read from records again.
package tasks

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// Job is an evaluation that is being made. Records come first: Collect makes those of
// every pass, Finish does what else is wanted when all are there, and the result is read
// from the records. Close it.
type Job interface {
	// Passes are the job's runs, in the order in which they are made.
	Passes() []*evaluation.Pass
	// Collect makes the records that are missing of a pass. progress is called with the
	// number of samples done so far.
	Collect(ctx context.Context, p *evaluation.Pass, progress func(done int)) error
	// Finish is called when all records are there.
	Finish(ctx context.Context) error
	// Result is read from the records, as Task.Load reads it.
	Result(ctx context.Context) (Result, error)
	Close() error
}

// Do does all of a job. progress, if not nil, is called with how many of the n samples that
// were missing are done.
func Do(ctx context.Context, j Job, progress func(done, n int)) (Result, error) {
	n, before := 0, 0
	for _, p := range j.Passes() {
		n += len(p.Todo)
	}
	for _, p := range j.Passes() {
		err := j.Collect(ctx, p, func(done int) {
			if progress != nil {
				progress(before+done, n)
			}
		})
		if err != nil {
			return nil, err
		}
		before += len(p.Todo)
	}
	if err := j.Finish(ctx); err != nil {
		return nil, err
	}
	return j.Result(ctx)
}

// Task is a kind of evaluation, whose result can be read from a study.
type Task interface {
	// Name is the task's name in studies and on the command line.
	Name() string
	// Load reads a study. An option that the task has not is an *OptionError, and one whose
	// value makes no sense a *ValueError, before any work is done.
	Load(ctx context.Context, s *results.Study, o Options) (Result, error)
}

// Result is what the records of a study say.
type Result interface {
	// Report computes the numbers.
	Report(ctx context.Context) (*report.Report, error)
	// Source is what the study offers for comparison with others.
	Source(ctx context.Context) (compare.Source, error)
	// Export writes the records as csv or jsonl.
	Export(ctx context.Context, w io.Writer, format string) error
}

// Options are what a report can be made with that does not change records; nil is as in
// the run.
type Options struct {
	By        *[]string // groupings
	Worst     *int      // images to list
	Bins      *int      // of calibration errors
	Bootstrap *int      // replicates
	Seed      *uint64   // of the bootstrap
	Score     *[]string // OOD scores
	Reference *string   // OOD score that the others are compared with
	Grid      *bool     // other parameters of OOD scores
	Threshold *float64  // on a probability
}

// given lists the options by the names of their flags.
func (o Options) given() []string {
	var out []string
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"by", o.By != nil}, {"worst", o.Worst != nil}, {"bins", o.Bins != nil}, {"bootstrap", o.Bootstrap != nil},
		{"seed", o.Seed != nil}, {"score", o.Score != nil}, {"reference", o.Reference != nil}, {"grid", o.Grid != nil},
		{"threshold", o.Threshold != nil},
	} {
		if f.given {
			out = append(out, f.name)
		}
	}
	return out
}

// OptionError says that a task has no such option.
type OptionError struct{ Option, Task string }

func (e *OptionError) Error() string {
	return fmt.Sprintf("--%s says nothing about a run of %s", e.Option, e.Task)
}

// ValueError says that the value of an option makes no sense.
type ValueError struct{ Err error }

func (e *ValueError) Error() string { return e.Err.Error() }

// Unwrap is what is wrong with it.
func (e *ValueError) Unwrap() error { return e.Err }

// Only refuses options other than those named.
func (o Options) Only(task string, names ...string) error {
next:
	for _, given := range o.given() {
		for _, n := range names {
			if n == given {
				continue next
			}
		}
		return &OptionError{given, task}
	}
	return nil
}

// Set sets what an option points to, if it was given.
func Set[T any](to *T, option *T) {
	if option != nil {
		*to = *option
	}
}

// CheckReport says what makes no sense in how numbers are to be reported: replicates of the
// bootstrap, of which 0 is none, and by which of a task's groupings.
func CheckReport(replicates int, by, groupings []string) error {
	if replicates != 0 {
		if err := metrics.CheckReplicates(replicates); err != nil {
			return fmt.Errorf("%w, or 0 for none", err)
		}
	}
	for _, kind := range by {
		if !slices.Contains(groupings, kind) {
			return fmt.Errorf("grouping %q is not one of %s", kind, strings.Join(groupings, ", "))
		}
	}
	return nil
}
