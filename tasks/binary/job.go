package binary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"
)

// Name is the task's name in run directories and reports.
const Name = "binary"

// Job is an evaluation of a classifier with one output on samples of two classes. Close it.
type Job struct {
	tasks.Single
	about About
}

// Open finds the positive class and opens the run. Samples without a label are left out.
func Open(ctx context.Context, c *evaluation.Classifier, s evaluation.Samples, config Config, store evaluation.Store) (*Job, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	m := c.Model
	if m.Activation == "Softmax" || m.Activation == "LogSoftmax" {
		return nil, fmt.Errorf("model %q ends in %s over a single output, which is the same whatever the image; export it with a Sigmoid, or without either", m.Name, m.Activation)
	}
	labels, err := c.Positive(s, config.Positive)
	if err != nil {
		return nil, err
	}
	p, err := evaluation.Open(ctx, c, s, store, evaluation.Spec{
		Task: Name, Config: struct{}{}, Labels: labels.Fingerprint(), Truth: labels.Fingerprint(), Selected: labels.Selected,
		Needs: []string{evaluation.Logits},
	})
	if err != nil {
		return nil, err
	}
	j := &Job{Single: tasks.Single{Task: Task{}, Pass: p}, about: About{
		Described: tasks.Describe(p, config, labels.How),
		Names:     labels.Names, Positive: slices.Index(labels.Output, 1), Scale: c.Scale(), Last: m.Last(),
	}}
	_, j.about.Predicted = s.(*evaluation.PredictedImages)
	if j.about.Scale == evaluation.Automatic {
		j.about.Scale = config.Scale
	}
	if err := p.Begin(ctx, j.about); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return j, nil
}

// Collect makes the records that are missing.
func (j *Job) Collect(ctx context.Context, p *evaluation.Pass, progress func(done int)) error {
	return evaluation.Collect(ctx, p, progress, func(sc evaluation.Scored) (Record, evaluation.Own, error) {
		rec, err := newRecord(p.Row(sc), p.Samples.Label(sc.Index) == j.about.Positive, sc.Logits, sc.Err)
		return rec, nil, err
	})
}

// Task is binary classification.
type Task struct{}

// Name is the task's name.
func (Task) Name() string { return Name }

// loaded is a run whose numbers can be computed.
type loaded struct {
	about About
	run   *results.Run
}

// Load reads a run. It knows the options by, worst, bins, bootstrap, seed and threshold.
func (Task) Load(_ context.Context, s *results.Study, o tasks.Options) (tasks.Result, error) {
	if err := o.Only(Name, "by", "worst", "bins", "bootstrap", "seed", "threshold"); err != nil {
		return nil, err
	}
	a, err := results.About[About](s.Run(), Name)
	if err == nil {
		err = a.check()
	}
	if err != nil {
		return nil, err
	}
	c := &a.Config
	tasks.Set(&c.By, o.By)
	tasks.Set(&c.Worst, o.Worst)
	tasks.Set(&c.Bins, o.Bins)
	tasks.Set(&c.Replicates, o.Bootstrap)
	tasks.Set(&c.Threshold, o.Threshold)
	tasks.Set(&a.Seed, o.Seed)
	err = c.Validate()
	if err == nil && a.Predicted && o.By != nil && slices.Contains(*o.By, string(report.KeySize)) {
		err = errors.New("--by size says nothing about predictions: their pictures were not looked at")
	}
	if err != nil {
		return nil, &tasks.ValueError{Err: err}
	}
	return &loaded{a, s.Run()}, nil
}

// Report computes the numbers from the records alone.
func (l *loaded) Report(ctx context.Context) (*report.Report, error) {
	res, err := evaluate(ctx, l.about, l.run)
	if err != nil {
		return nil, err
	}
	r := l.about.Begin(l.run, l.about.Config)
	res.fill(r, l.about)
	return r, nil
}

// Source reads the outcomes of the run.
func (l *loaded) Source(ctx context.Context) (compare.Source, error) { return newSource(ctx, l) }

// Export writes the records.
func (l *loaded) Export(ctx context.Context, w io.Writer, format string) error {
	return results.Export[Record](ctx, l.run, w, format)
}
