package multilabel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"
)

// Name is the task's name in run directories and reports.
const Name = "multi-label"

// Job is an evaluation of a classifier on images with several labels. Close it.
type Job struct {
	tasks.Single
	about About
	truth *datasets.Truth
}

// Open reads the annotations, matches their classes to the classifier's outputs and opens the run.
// Images without annotation are left out.
func Open(ctx context.Context, c *evaluation.Classifier, im *evaluation.Images, config Config, store evaluation.Store) (*Job, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	m, err := im.MultiLabels(config.Path, config.Split)
	if err != nil {
		return nil, err
	}
	outputs, err := c.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	a, err := align(m.Classes, outputs, c.Model.ClassNames)
	if err != nil {
		return nil, fmt.Errorf("matching the annotations %q to model %q: %w", config.Path, c.Model.Name, err)
	}
	return OpenTruth(ctx, c, Limited(im, m), Truth{m.Truth(im.Dataset), a, append([]string{m.Why}, m.Notes...)}, config, store)
}

// Truth is what images are, and how it was found.
type Truth struct {
	*datasets.Truth
	Alignment datasets.Alignment // of its classes
	Notes     []string
}

// OpenTruth is Open for what is known of the images already.
func OpenTruth(ctx context.Context, c *evaluation.Classifier, im *evaluation.Images, t Truth, config Config, store evaluation.Store) (*Job, error) {
	if m := c.Model; m.Activation != "" && m.Activation != "Sigmoid" {
		return nil, fmt.Errorf("model %q ends in %s, and several labels need scores of each class for itself: export it without", m.Name, m.Activation)
	}
	selected := evaluation.Both(im.Selected(), t.Labelled())
	if selected != nil && len(selected) == 0 {
		return nil, fmt.Errorf("not one of the images of %s that were chosen has an annotation", im.Name)
	}
	p, err := evaluation.Open(ctx, c, im, store, evaluation.Spec{
		Task: Name, Config: struct{}{}, Truth: fingerprint(t.Truth, im.Len()), Selected: selected, Needs: []string{evaluation.Logits},
		Labels: fmt.Sprint(t.Alignment.Output),
	})
	if err != nil {
		return nil, err
	}
	j := &Job{Single: tasks.Single{Task: Task{}, Pass: p}, truth: t.Truth, about: About{
		Described: tasks.Describe(p, config, t.Alignment.How), Classes: t.Classes, Output: t.Alignment.Output,
		Scale: c.Scale(), Competing: p.Probabilities,
	}}
	set := &j.about.Head.Dataset
	set.Classes, set.Notes = len(t.Classes), append(slices.Clip(set.Notes), t.Notes...)
	if j.about.Scale == evaluation.Automatic {
		j.about.Scale = config.Scale
	}
	if err := p.Begin(ctx, j.about, results.Array{Name: TruthArray, Width: len(t.Classes)}); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return j, nil
}

// Collect makes the records that are missing.
func (j *Job) Collect(ctx context.Context, p *evaluation.Pass, progress func(done int)) error {
	truth, narrow := make([]float64, len(j.about.Classes)), make([]float32, len(j.about.Classes))
	return evaluation.Collect(ctx, p, progress, func(sc evaluation.Scored) (Record, evaluation.Own, error) {
		if j.truth.Row(truth, sc.Index) < 0 {
			return Record{}, nil, fmt.Errorf("image %s has no annotation", p.Samples.ID(sc.Index))
		}
		for c, y := range truth {
			narrow[c] = float32(y)
		}
		rec, err := j.about.NewRecord(p.Row(sc), narrow, sc.Logits, sc.Err)
		if err != nil || rec.Status != results.OK {
			return rec, nil, err
		}
		return rec, evaluation.Own{TruthArray: narrow}, nil
	})
}

// Task is classification with several labels.
type Task struct{}

// Name is the task's name.
func (Task) Name() string { return Name }

// loaded is a run whose numbers can be computed.
type loaded struct {
	about About
	run   *results.Run
}

// Load reads a run. It knows the options bootstrap, seed and threshold.
func (Task) Load(_ context.Context, s *results.Study, o tasks.Options) (tasks.Result, error) {
	if err := o.Only(Name, "bootstrap", "seed", "threshold"); err != nil {
		return nil, err
	}
	a, err := results.About[About](s.Run(), Name)
	if err == nil {
		err = a.check()
	}
	if err != nil {
		return nil, err
	}
	tasks.Set(&a.Config.Replicates, o.Bootstrap)
	tasks.Set(&a.Config.Threshold, o.Threshold)
	tasks.Set(&a.Seed, o.Seed)
	if err := a.Config.Validate(); err != nil {
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

// Source reads the scores of the run.
func (l *loaded) Source(ctx context.Context) (compare.Source, error) { return newSource(ctx, l) }

// Export writes the records.
func (l *loaded) Export(ctx context.Context, w io.Writer, format string) error {
	return results.Export[Record](ctx, l.run, w, format)
}

// inOrder says whether nothing but their order says which outputs the classes are.
func (a About) inOrder() bool { return strings.HasPrefix(a.Head.Dataset.Labels, datasets.InOrder) }
