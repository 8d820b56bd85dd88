package ood

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/scores"
	"cutmix-eval/tasks"
)

// Job is an evaluation of how well a classifier tells images of its classes from others: a
// run for every set. Close it.
type Job struct {
	classifier *evaluation.Classifier
	config     Config
	parts      []*part
	images     []*evaluation.Images // of the sets that the job has opened itself
	study      *results.Study
	head       *scores.Head // nil where features are not used
	result     *loaded      // nil until all records are there
}

// part is a set on its way through the model.
type part struct {
	pass   *evaluation.Pass
	labels *evaluation.Labels // nil where the set has none, or they do not matter
}

// input is a set of images to evaluate.
type input struct {
	Source
	samples evaluation.Samples
}

// Open opens the sets that the configuration names, beside im, the ID test images, and their
// runs. They are members of a study in store.Dir; temporary where that is empty.
func Open(ctx context.Context, c *evaluation.Classifier, im *evaluation.Images, config Config, store evaluation.Store) (*Job, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	j := &Job{classifier: c, config: config}
	test := Of(Test, im.Config.Path, im.Config.Limit)
	inputs := []input{{test, im}}
	for _, src := range config.Sources {
		other, err := c.Images(evaluation.DataConfig{
			Path: src.Path, Format: datasets.Auto, Limit: src.Limit, Seed: im.Config.Seed, Unlabelled: !src.Role.id(),
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("set %s: %w", src.Name, err), j.Close())
		}
		j.images = append(j.images, other)
		inputs = append(inputs, input{src, other})
	}
	if err := j.open(ctx, inputs, store); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// open opens the runs of the sets, the ID test images first, and describes the evaluation.
func (j *Job) open(ctx context.Context, inputs []input, store evaluation.Store) error {
	if err := j.checkFolders(store.Dir); err != nil {
		return err
	}
	head, why := headOf(j.classifier.Model)
	needs := []string{evaluation.Logits}
	if j.head = head; head != nil {
		needs = append(needs, evaluation.Features)
	}
	for _, in := range inputs {
		p, err := openPart(ctx, j.classifier, in, store.In(in.Name), needs)
		if err != nil {
			return fmt.Errorf("set %s: %w", in.Name, err)
		}
		j.parts = append(j.parts, p)
	}
	about, err := j.about(why)
	if err != nil {
		return err
	}
	if j.study, err = results.NewStudy(Name, about); err != nil {
		return err
	}
	for i, p := range j.parts {
		j.study.Add(inputs[i].Name, p.pass.Run)
	}
	if store.Dir == "" {
		return nil
	}
	if head != nil {
		if err := saveHead(store.Dir, head); err != nil {
			return err
		}
	}
	return j.study.Save(store.Dir)
}

// checkFolders refuses a folder with something else in it, and one that is not there for the
// detector.
func (j *Job) checkFolders(dir string) error {
	if dir != "" {
		task, _ := results.TaskOf(dir) // a damaged study is written again
		switch run := results.IsRun(dir); {
		case run && task == "":
			return fmt.Errorf("folder %q holds a damaged run; choose another --out", dir)
		case run || task != "" && task != Name:
			return fmt.Errorf("folder %q holds a run of %s; choose another --out", dir, task)
		}
	}
	if file := j.config.Detector; file != "" {
		if _, err := os.Stat(filepath.Dir(file)); err != nil {
			return fmt.Errorf("writing detector %q: %w", file, err)
		}
	}
	return nil
}

// about describes the evaluation.
func (j *Job) about(noFeatures string) (About, error) {
	first := j.parts[0]
	h := first.pass.Head(j.config)
	if first.labels != nil {
		h.Dataset.Labels = first.labels.How
	}
	h.Dataset.Notes = slices.Concat(h.Dataset.Notes, j.config.Notes)
	a := About{Head: h, Config: j.config, NoFeatures: noFeatures}
	a.Model, a.Output = j.classifier.Source()
	if _, err := os.Stat(a.Model); err != nil {
		return a, nil // a name, no file
	}
	var err error
	a.Model, err = filepath.Abs(a.Model)
	return a, err
}

// openPart matches the labels of a set, if it has any that matter, and opens its run.
func openPart(ctx context.Context, c *evaluation.Classifier, in input, store evaluation.Store, needs []string) (*part, error) {
	p := &part{}
	spec := evaluation.Spec{Task: Name, Config: struct{}{}, Needs: needs, Selected: in.samples.Selected()}
	if in.Role.id() && labelled(in.samples) {
		var err error
		if p.labels, err = c.Labels(ctx, in.samples); err != nil {
			return nil, err
		}
		spec.Labels, spec.Selected = p.labels.Fingerprint(), p.labels.Selected
	} else if in.Role == Train {
		return nil, errors.New("training images need labels")
	}
	var err error
	if p.pass, err = evaluation.Open(ctx, c, in.samples, store, spec); err != nil {
		return nil, err
	}
	if p.pass.Probabilities {
		return nil, fmt.Errorf("model %q gives probabilities, of which most scores cannot be computed; "+
			"export it without its last softmax, or name its logits with --output", c.Model.Name)
	}
	var h report.Head
	in.samples.Describe(&h)
	if err := p.pass.Begin(ctx, setAbout{in.Source, h.Dataset}); err != nil {
		return nil, errors.Join(err, p.pass.Close())
	}
	return p, nil
}

// labelled says whether any sample has a label.
func labelled(s evaluation.Samples) bool {
	for i := range s.Len() {
		if s.Label(i) != datasets.Unlabelled {
			return true
		}
	}
	return false
}

// Passes are the runs of the sets, the ID test images first.
func (j *Job) Passes() []*evaluation.Pass {
	var out []*evaluation.Pass
	for _, p := range j.parts {
		out = append(out, p.pass)
	}
	return out
}

// Collect makes the records that are missing of a set.
func (j *Job) Collect(ctx context.Context, pass *evaluation.Pass, progress func(done int)) error {
	at := slices.IndexFunc(j.parts, func(p *part) bool { return p.pass == pass })
	if err := j.parts[at].collect(ctx, progress); err != nil {
		return fmt.Errorf("set %s: %w", j.config.sources()[at].Name, err)
	}
	return nil
}

func (p *part) collect(ctx context.Context, progress func(done int)) error {
	return evaluation.Collect(ctx, p.pass, progress, func(sc evaluation.Scored) (Record, evaluation.Own, error) {
		return p.record(sc), nil, nil
	})
}

// Finish keeps score and threshold in the detector's file, if one is wanted.
func (j *Job) Finish(ctx context.Context) error {
	path := j.config.Detector
	if path == "" {
		return nil
	}
	j.classifier.Stop() // its memory is better used by what computes scores
	l, err := j.load()
	if err != nil {
		return err
	}
	res, err := l.evaluate(ctx)
	if err != nil {
		return err
	}
	if err := atomicfile.Clean(filepath.Dir(path), filepath.Base(path)); err != nil {
		return fmt.Errorf("writing detector %q: %w", path, err)
	}
	if err := atomicfile.Save(path, res.detector.Write); err != nil {
		return fmt.Errorf("writing detector %q: %w", path, err)
	}
	return nil
}

// Result is what the records say; what Finish has computed is not computed again.
func (j *Job) Result(context.Context) (tasks.Result, error) { return j.load() }

func (j *Job) load() (*loaded, error) {
	var err error
	if j.result == nil {
		j.result, err = load(j.study, j.head, tasks.Options{})
	}
	return j.result, err
}

// Close closes the runs and the sets that the job has opened.
func (j *Job) Close() error {
	var errs []error
	for _, p := range j.parts {
		errs = append(errs, p.pass.Close())
	}
	for _, im := range j.images {
		_ = im.Close() // they were only read
	}
	return errors.Join(errs...)
}
