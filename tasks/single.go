package tasks

import (
	"context"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// Single is the part that is the same in every Job that makes one run, of which its result
// is read.
type Single struct {
	Task Task
	Pass *evaluation.Pass // nil before it is opened
}

// Passes is the one run.
func (s *Single) Passes() []*evaluation.Pass { return []*evaluation.Pass{s.Pass} }

// Finish has nothing to do.
func (s *Single) Finish(context.Context) error { return nil }

// Result is read from the records.
func (s *Single) Result(ctx context.Context) (Result, error) {
	return s.Task.Load(ctx, results.StudyOf(s.Pass.Run), Options{})
}

// Close closes the run; classifier and samples stay with who opened them.
func (s *Single) Close() error {
	if s.Pass == nil {
		return nil
	}
	return s.Pass.Close()
}

// Described begins what is kept with the records of a run: what a report says before its
// numbers. C are the task's options.
type Described[C any] struct {
	Head   report.Head `json:"report"` // model, data, pixels, device, options
	Config C           `json:"config"`
	Seed   uint64      `json:"seed"`
	Split  string      `json:"split,omitempty"`
}

// Describe describes a pass. labels say how the samples got theirs.
func Describe[C any](p *evaluation.Pass, config C, labels string) Described[C] {
	h := p.Head(config)
	h.Dataset.Labels = labels
	return Described[C]{Head: h, Config: config, Seed: h.Config.Seed, Split: h.Config.Split}
}

// Begin begins the report of a run, whose numbers are computed with these options.
func (d *Described[C]) Begin(run *results.Run, options any) *report.Report {
	h := d.Head
	h.Config.Seed, h.Config.Split = d.Seed, d.Split
	return evaluation.Reported(h, run, options)
}

// Valid says what in the options makes no sense.
func (d Described[C]) Valid() error {
	if c, ok := any(d.Config).(interface{ Validate() error }); ok {
		return c.Validate()
	}
	return nil
}

// Describe says to which run a comparison's source belongs.
func (d *Described[C]) Describe(run *results.Run) compare.Description {
	return compare.Description{Head: d.Head, Key: run.Manifest.Key}
}
