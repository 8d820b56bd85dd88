package classify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"cutmix-eval/evaluation"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Name is the task's name in run directories and reports.
const Name = "classify"

// Job is an evaluation of a model on labelled images: its run, and what is to be
// done for it. Close it.
type Job struct {
	*evaluation.Records
	setup *evaluation.Setup
	about About
}

// Open matches the labels of the setup's data to the model's outputs and opens the
// run. Images without a label are left out. tool says what makes the report.
func Open(ctx context.Context, s *evaluation.Setup, c Config, store evaluation.Store, tool report.Tool, install runtime.Progress) (*Job, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	labels, err := s.Labels(ctx, install)
	if err != nil {
		return nil, err
	}
	job := &Job{setup: s}
	job.Records, err = s.Records(ctx, store, evaluation.Task{
		Name: Name, Labels: labels.Fingerprint(), Needs: []string{evaluation.Logits},
		Config: struct {
			Restrict bool `json:"restrict"`
		}{c.Restrict},
		About: func(json.RawMessage) (any, error) {
			job.about = About{
				Config: c, Seed: s.Config.Seed, Split: s.Config.Split, Names: labels.Names, Output: labels.Output, Orders: s.Data.Orders(s.Outputs),
				Outputs: s.Outputs, Probabilities: s.Probabilities,
			}
			h := s.Head(tool)
			h.Dataset.Labels = labels.How
			if c.Restrict {
				h.Option("only the data's %d classes compete", len(labels.Names))
			}
			job.about.Head = h
			return job.about, nil
		},
		Select: labels.Select,
	}, install)
	if err != nil {
		return nil, err
	}
	return job, nil
}

// Collect makes the records that are missing. When it ends early, those that were
// made are kept.
func (j *Job) Collect(ctx context.Context, progress func(done int)) (pipeline.Stats, error) {
	if len(j.Todo) == 0 {
		return pipeline.Stats{}, nil
	}
	c := NewCollector(j.about)
	w := results.NewWriter[Record](j.Run)
	stats, err := j.Each(ctx, progress, func(sc evaluation.Scored) error {
		sample := j.setup.Data.Samples[sc.Index]
		rec, err := c.Record(sc.Index, sample.ID, sample.Label, [2]int{sc.Width, sc.Height}, sc.Logits, sc.Err)
		if err != nil {
			return err
		}
		return w.Add(rec, j.Arrays(sc)...)
	})
	if werr := w.Close(); !errors.Is(err, werr) {
		err = errors.Join(err, werr)
	}
	return stats, err
}

// Report computes the report of the job's run.
func (j *Job) Report(ctx context.Context) (*report.Report, error) {
	r, _, err := Report(ctx, j.Run, nil)
	return r, err
}

// Read reads what describes a run of this task.
func Read(run *results.Run) (About, error) {
	a, err := results.About[About](run, Name)
	if err != nil {
		return a, err
	}
	for _, o := range a.Output {
		if o < 0 || o >= a.Outputs {
			return a, fmt.Errorf("the manifest says that a class is output %d of %d", o, a.Outputs)
		}
	}
	if len(a.Output) != len(a.Names) {
		return a, fmt.Errorf("the manifest names %d classes and %d outputs", len(a.Names), len(a.Output))
	}
	return a, nil
}

// Report computes the report of a run from its records alone. edit, if not nil,
// may change what does not determine records: bins, replicates, seed.
func Report(ctx context.Context, run *results.Run, edit func(*About)) (*report.Report, *Result, error) {
	a, err := Read(run)
	if err != nil {
		return nil, nil, err
	}
	if edit != nil {
		edit(&a)
	}
	res, err := Evaluate(ctx, a, run)
	if err != nil {
		return nil, nil, err
	}
	r := &report.Report{Head: a.Head}
	r.Config = report.Config{Limit: run.Manifest.Limit, Seed: a.Seed, Split: a.Split, Task: a.Config}
	r.Runtime = evaluation.RanBy(run.Manifest)
	res.Fill(r, a)
	return r, res, nil
}
