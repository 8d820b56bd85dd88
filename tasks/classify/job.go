package classify

import (
	"context"
	"errors"
	"io"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/tasks/doctor"
)

// Name is the task's name in run directories and reports.
const Name = "classify"

// Job is an evaluation of a classifier on labelled samples. Close it.
type Job struct {
	tasks.Single
	// Advice, after Finish, is what a report of a kept run does not say, since it is not computed from
	// records: pixels that fit the model better. Empty for none.
	Advice string

	about   About
	labels  *evaluation.Labels
	subject *doctor.Subject // nil: the doctor was asked, or is not to be
}

// Open matches the labels of samples to the classifier's outputs and opens the run.
// Samples without a label are left out.
func Open(ctx context.Context, c *evaluation.Classifier, s evaluation.Samples, config Config, store evaluation.Store) (*Job, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	labels, err := c.AllLabels(ctx, s)
	if err != nil {
		return nil, err
	}
	p, err := evaluation.Open(ctx, c, s, store, evaluation.Spec{
		Task: Name, Labels: labels.Fingerprint(), Selected: labels.Selected, Needs: []string{evaluation.Logits},
		Config: struct {
			Restrict bool `json:"restrict"`
		}{config.Restrict},
	})
	if err != nil {
		return nil, err
	}
	j := &Job{Single: tasks.Single{Task: Task{}, Pass: p}, labels: labels, about: About{
		Described: tasks.Describe(p, config, labels.How), Names: labels.Names, Output: labels.Output, More: labels.More, Several: labels.Several(),
		Called: labels.Called, Orders: s.Orders(p.Outputs, c.Model.ClassNames), Outputs: p.Outputs, Probabilities: p.Probabilities,
	}}
	if config.Restrict {
		if n := len(labels.Competing()); n != len(labels.Names) {
			j.about.Head.Option("only the %d outputs of the data's %d classes compete", n, len(labels.Names))
		} else {
			j.about.Head.Option("only the data's %d classes compete", n)
		}
	}
	if hard, ok := s.(interface{ Hard() bool }); ok {
		j.about.Predicted, j.about.Hard = true, hard.Hard()
	}
	if err := j.before(ctx, s, labels, store); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if err := p.Begin(ctx, j.about); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return j, nil
}

// Collect makes the records that are missing.
func (j *Job) Collect(ctx context.Context, p *evaluation.Pass, progress func(done int)) error {
	r := NewRecorder(j.about)
	return evaluation.Collect(ctx, p, progress, func(sc evaluation.Scored) (Record, evaluation.Own, error) {
		rec, err := r.Record(p.Row(sc), p.Samples.Label(sc.Index), sc.Logits, sc.Err, j.labels.Right(sc.Index)[1:]...)
		return rec, nil, err
	})
}

// Finish asks the doctor where the accuracy is low.
func (j *Job) Finish(ctx context.Context) error { return j.after(ctx) }

// Task is classification.
type Task struct{}

// Name is the task's name.
func (Task) Name() string { return Name }

// loaded is a run whose numbers can be computed.
type loaded struct {
	about About
	run   *results.Run
}

// Load reads a run. It knows the options by, worst, bins, bootstrap and seed.
func (Task) Load(_ context.Context, s *results.Study, o tasks.Options) (tasks.Result, error) {
	if err := o.Only(Name, "by", "worst", "bins", "bootstrap", "seed"); err != nil {
		return nil, err
	}
	a, err := ReadAbout(s.Run())
	if err != nil {
		return nil, err
	}
	c := &a.Config
	tasks.Set(&c.By, o.By)
	tasks.Set(&c.Worst, o.Worst)
	tasks.Set(&c.Bins, o.Bins)
	tasks.Set(&c.Replicates, o.Bootstrap)
	tasks.Set(&a.Seed, o.Seed)
	err = c.Validate()
	if err == nil {
		err = a.lacks(o)
	}
	if err != nil {
		return nil, &tasks.ValueError{Err: err}
	}
	return &loaded{a, s.Run()}, nil
}

// lacks says which of the options predictions made elsewhere cannot answer.
func (a About) lacks(o tasks.Options) error {
	by := func(key report.KeyName) bool { return o.By != nil && slices.Contains(*o.By, string(key)) }
	switch {
	case a.Predicted && by(report.KeySize):
		return errors.New("--by size says nothing about predictions: their pictures were not looked at")
	case a.Hard && by(report.KeyConfidence):
		return errors.New("--by confidence says nothing about predicted classes alone: they have no scores")
	case a.Hard && o.Worst != nil && *o.Worst > 0:
		return errors.New("--worst says nothing about predicted classes alone: they have no scores that tell which are wrong with most confidence")
	case a.Hard && o.Bins != nil:
		return errors.New("--bins says nothing about predicted classes alone: they have no calibration errors")
	}
	return nil
}

// ReadAbout reads what describes a run of this task.
func ReadAbout(run *results.Run) (About, error) {
	return results.About[About](run, Name)
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
func (l *loaded) Source(ctx context.Context) (compare.Source, error) {
	return newSource(ctx, l)
}

// Export writes the records.
func (l *loaded) Export(ctx context.Context, w io.Writer, format string) error {
	return results.Export[Record](ctx, l.run, w, format)
}
