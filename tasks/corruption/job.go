package corruption

import (
	"context"
	"errors"
	"io"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/variants"
)

// Job is an evaluation on corrupted images. Close it.
type Job struct {
	tasks.Single
	about   About
	samples *samples
	output  []int // model output by class
}

// Open opens the run of a configuration. images are the clean ones; those in
// config.Corrupted take their place, chosen by the same limit and seed.
func Open(ctx context.Context, c *evaluation.Classifier, images *evaluation.Images, config Config, store evaluation.Store) (*Job, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	open := derive
	if config.Corrupted != "" {
		open = openCorrupted
	}
	s, err := open(c, images, config)
	if err != nil {
		return nil, err
	}
	j, err := begin(ctx, c, s, store)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return j, nil
}

func begin(ctx context.Context, c *evaluation.Classifier, s *samples, store evaluation.Store) (*Job, error) {
	labels, err := c.Labels(ctx, s.images)
	if err != nil {
		return nil, err
	}
	p, err := evaluation.Open(ctx, c, s.images, store, evaluation.Spec{
		Task: Name, Labels: labels.Fingerprint(), Selected: labels.Selected,
		Config: struct {
			Made string `json:"made"`
		}{s.identity},
	})
	if err != nil {
		return nil, err
	}
	h := p.Head(s.config)
	h.Dataset.Labels = labels.How
	h.Dataset.Notes = append(slices.Clip(h.Dataset.Notes), s.notes...)
	j := &Job{
		Single: tasks.Single{Task: Task{}, Pass: p}, samples: s, output: labels.Output,
		about: About{Report: head{h, s.warnings}, Config: s.config, Variants: s.variants, Images: s.n},
	}
	if err := p.Begin(ctx, j.about); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return j, nil
}

// Collect makes the records that are missing.
func (j *Job) Collect(ctx context.Context, p *evaluation.Pass, progress func(done int)) error {
	contest := evaluation.NewContest(p.Outputs, nil, p.Probabilities)
	return evaluation.Collect(ctx, p, progress, func(sc evaluation.Scored) (Record, evaluation.Own, error) {
		return j.record(contest, p.Row(sc), sc), nil, nil
	})
}

// Close closes the run; classifier and images stay with who opened them.
func (j *Job) Close() error { return errors.Join(j.Single.Close(), j.samples.close()) }

// Task is evaluation on corrupted images.
type Task struct{}

// Name is the task's name.
func (Task) Name() string { return Name }

// loaded is a run whose numbers can be computed.
type loaded struct {
	about About
	run   *results.Run
}

// Load reads a run. Of the options it knows bins, where the experiment is
// variants.Corruptions.
func (Task) Load(_ context.Context, s *results.Study, o tasks.Options) (tasks.Result, error) {
	a, err := results.About[About](s.Run(), Name)
	if err != nil {
		return nil, err
	}
	if a.Config.Experiment == variants.Corruptions {
		err = o.Only(Name, "bins")
	} else {
		err = o.Only(string(a.Config.Experiment))
	}
	if err != nil {
		return nil, err
	}
	tasks.Set(&a.Config.Bins, o.Bins)
	if err := a.Config.Validate(); err != nil {
		return nil, &tasks.ValueError{Err: err}
	}
	return &loaded{a, s.Run()}, nil
}

// Export writes the records.
func (l *loaded) Export(ctx context.Context, w io.Writer, format string) error {
	return results.Export[Record](ctx, l.run, w, format)
}
