package evaluation

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"cutmix-eval/pipeline"
	"cutmix-eval/results"
)

// Store says where the records of a pass go.
type Store struct {
	Dir   string        // run directory; empty: a temporary one
	Shard results.Shard // of it
	Reuse string        // another run, to take scores and features from
	Save  []string      // arrays to keep: Logits, Features, Maps
}

// In is the store of a member of a study: a folder in the store's own.
func (s Store) In(name string) Store {
	out := Store{Shard: s.Shard}
	if s.Dir != "" {
		out.Dir = results.MemberDir(s.Dir, name)
	}
	return out
}

// Arrays that every task can keep and use.
const (
	Logits   = "logits"   // class scores as the model gives them, one per output
	Features = "features" // penultimate vector
	Maps     = "maps"     // class activation maps before post-processing, of localize
)

// SavedArrays lists them.
func SavedArrays() []string { return []string{Logits, Features, Maps} }

// Spec is what the records of a task depend on beside classifier and samples.
type Spec struct {
	Task     string
	Config   any      // the options that records depend on
	Labels   string   // fingerprint of the matching of classes to outputs
	Truth    string   // fingerprint of what else is known about the samples: boxes, masks
	Selected []int    // samples to evaluate, ascending; nil is all
	Needs    []string // of Logits and Features, what its report is computed from
	Taps     []string // tensors of the model that it looks at
	// PartSize is how many samples a part of the run covers; 0: by their number. Parts are
	// written from memory.
	PartSize int
}

// Pass is one run of a classifier over samples: the records that are there, and those
// that are missing. Open finds out, Begin makes it ready, Each or Collect makes what is
// missing. Close it.
type Pass struct {
	*results.Run // after Begin
	Classifier   *Classifier
	Samples      Samples
	Spec         Spec
	Todo         []int // samples of the share that have no record; after Begin
	Stats        pipeline.Stats

	Outputs int // class scores per sample
	// Probabilities says that the scores are probabilities though nothing in the graph
	// says so.
	Probabilities bool
	// Before is what described the run when it was started, as JSON; nil for a new one.
	Before json.RawMessage

	store    Store
	manifest results.Manifest
	keep     []string     // arrays to keep
	found    *results.Run // with nothing missing; nil otherwise
	engine   Engine       // nil where nothing is missing, or another run is used
	from     *results.Run // another run, whose scores are used
}

// Open finds the pass's run, and starts the classifier where samples are missing.
func Open(ctx context.Context, c *Classifier, s Samples, store Store, spec Spec) (*Pass, error) {
	id := s.Identity()
	selected := s.Len()
	if spec.Selected != nil {
		selected = len(spec.Selected)
	}
	p := &Pass{Classifier: c, Samples: s, Spec: spec, store: store, keep: store.Save, manifest: results.Manifest{
		Limit: id.Limit, Seed: id.Seed, Key: results.Key{
			Task: spec.Task, Preprocessing: id.Preprocessing,
			Model:  ModelKey(c.Model),
			Data:   results.Data{Fingerprint: id.Data, N: s.Len(), Labels: spec.Labels, Truth: spec.Truth},
			Config: spec.Config, PartSize: cmp.Or(spec.PartSize, results.PartSize(selected, s.Len())),
		},
	}}
	if store.Dir != "" {
		if err := p.find(ctx); err != nil || p.found != nil {
			return p, err
		}
	}
	m := &p.manifest
	if store.Reuse != "" {
		if err := p.reuse(); err != nil {
			return nil, err
		}
		m.Key.Device, m.Notes, m.Reused = p.from.Manifest.Key.Device, p.from.Manifest.Notes, store.Reuse
		p.Outputs, p.Probabilities = p.from.Manifest.Outputs, p.from.Manifest.Probabilities
		return p, nil
	}
	taps, err := p.taps()
	if err != nil {
		return nil, err
	}
	if p.engine, err = c.Engine(ctx, taps...); err != nil {
		return nil, err
	}
	p.Outputs, p.Probabilities = c.outputs, c.probabilities
	return p, nil
}

// find looks at the run that is there, if one is.
func (p *Pass) find(ctx context.Context) error {
	found, err := results.Find(p.store.Dir)
	if err != nil || found == nil {
		return err
	}
	// More samples may be selected now; the parts stay what they are.
	p.manifest.Key.PartSize = found.Manifest.Key.PartSize
	if err := found.Check(p.manifest.Key); err != nil {
		return err
	}
	if err := unchanged(ctx, found, p.store.Dir, p.Samples); err != nil {
		return err
	}
	if missing := lacking(found, p.store.Save); missing != "" {
		return fmt.Errorf("run %q was started without --save %s; choose another --out", p.store.Dir, missing)
	}
	if missing := lacking(found, p.Spec.Needs); missing != "" {
		return fmt.Errorf("run %q keeps no %s, which are needed; choose another --out", p.store.Dir, missing)
	}
	old := found.Manifest
	p.Outputs, p.Probabilities, p.Before = old.Outputs, old.Probabilities, old.About
	p.manifest.Outputs, p.manifest.Probabilities, p.manifest.Arrays = old.Outputs, old.Probabilities, old.Arrays
	p.manifest.Notes = old.Notes
	if found.Has(p.Spec.Selected) { // perhaps there is nothing to do
		found.View(p.manifest, p.Spec.Selected)
		if len(found.Missing(p.store.Shard)) == 0 {
			p.found = found
		}
	}
	p.keep = nil // what the run keeps was settled when it was started
	for _, a := range old.Arrays {
		p.keep = append(p.keep, a.Name)
	}
	return nil
}

// New says whether the run is begun now, so that its arrays have to be named.
func (p *Pass) New() bool { return p.manifest.Arrays == nil }

// Shape is the shape of a tap, first axis the sample, of a pass with something to do.
func (p *Pass) Shape(tap string) []int64 {
	if p.engine != nil {
		for _, t := range p.engine.Outputs() {
			if t.Name == tap {
				return t.Shape
			}
		}
	}
	return nil
}

// Begin makes the run ready to be written. about is what a report needs beside the
// records; own are the task's own arrays, of a new run.
func (p *Pass) Begin(ctx context.Context, about any, own ...results.Array) (err error) {
	if p.manifest.About, err = json.Marshal(about); err != nil {
		return err
	}
	if p.found != nil {
		p.Run = p.found
		p.View(p.manifest, p.Spec.Selected)
		return nil
	}
	if p.engine != nil {
		if err := p.prepare(ctx); err != nil {
			return err
		}
	}
	if p.New() {
		if err := p.arrays(own); err != nil {
			return err
		}
	}
	if p.store.Dir == "" {
		p.Run, err = results.Temporary(p.manifest, p.Spec.Selected)
	} else if p.Run, err = results.Claim(ctx, p.store.Dir, p.manifest, p.Spec.Selected, p.store.Shard); err == nil {
		p.View(p.manifest, p.Spec.Selected)
	}
	if err == nil {
		p.Todo = p.Missing(p.store.Shard)
	}
	return err
}

// prepare finds out whether the model can run on several images at once.
func (p *Pass) prepare(ctx context.Context) error {
	taps, err := p.taps()
	if err != nil {
		return err
	}
	if p.engine, err = p.Classifier.EngineFor(ctx, p.Samples, p.Spec.Selected, taps...); err != nil {
		return err
	}
	p.manifest.Key.Device, p.manifest.Notes = p.Classifier.Device(p.engine), p.Classifier.Warnings()
	return nil
}

// taps are the tensors that the model has to give beside the class scores.
func (p *Pass) taps() ([]string, error) {
	taps := slices.Clone(p.Spec.Taps)
	if p.wants(Features) {
		t, err := p.penultimate()
		if err != nil {
			return nil, err
		}
		taps = append(taps, t)
	}
	return taps, nil
}

// NewBatch is a batch of the engine, for a pass with something to do.
func (p *Pass) NewBatch() (pipeline.Batch, error) {
	return p.engine.NewBatch(p.Classifier.batch(p.engine))
}

// Close gives the run back; classifier and samples stay with who opened them.
func (p *Pass) Close() error {
	if p.Run == nil {
		return nil
	}
	return p.Run.Close()
}

// Notes are what was found out about the model that reports must warn of.
func (p *Pass) Notes() []string { return p.manifest.Notes }

// Dir is the run directory; empty for a temporary one.
func (p *Pass) Dir() string { return p.store.Dir }

// Share is the number of samples that the pass's shard is to have.
func (p *Pass) Share() int { return p.Run.Share(p.store.Shard) }

// lacking names an array that is wanted and that the run does not keep.
func lacking(r *results.Run, names []string) string {
	for _, name := range names {
		if _, ok := r.HasArray(name); !ok {
			return name
		}
	}
	return ""
}

// wants says whether an array is to be kept.
func (p *Pass) wants(name string) bool {
	return slices.Contains(p.keep, name) || slices.Contains(p.Spec.Needs, name)
}

// penultimate names the tensor of the penultimate vector.
func (p *Pass) penultimate() (string, error) {
	m := p.Classifier.Model
	h, err := m.Head()
	if err != nil {
		return "", fmt.Errorf("features of model %q: %w", m.Name, err)
	}
	if h.Penultimate == "" {
		return "", fmt.Errorf("model %q has no single feature vector per image: its head is applied at every place of the map", m.Name)
	}
	return h.Penultimate, nil
}

// arrays settles what a new run keeps: what the task needs and what was asked for.
func (p *Pass) arrays(own []results.Array) error {
	m := &p.manifest
	m.Outputs, m.Probabilities = p.Outputs, p.Probabilities
	m.Arrays = []results.Array{}
	if p.wants(Logits) {
		m.Arrays = append(m.Arrays, results.Array{Name: Logits, Width: p.Outputs})
	}
	if p.wants(Features) {
		width := 1
		if p.from != nil {
			width, _ = p.from.HasArray(Features)
		} else {
			t, err := p.penultimate()
			if err != nil {
				return err
			}
			for _, d := range p.Shape(t)[1:] {
				width *= int(d)
			}
		}
		m.Arrays = append(m.Arrays, results.Array{Name: Features, Width: width})
	}
	if slices.Contains(p.keep, Maps) && !slices.ContainsFunc(own, func(a results.Array) bool { return a.Name == Maps }) {
		return fmt.Errorf("%s makes no maps to save", p.Spec.Task)
	}
	m.Arrays = append(m.Arrays, own...)
	return nil
}

// reuse opens the run that scores are taken from: of the same model, pixels and data, and
// with the arrays that are needed.
func (p *Pass) reuse() error {
	dir, key := p.store.Reuse, p.manifest.Key
	from, err := results.Open(dir)
	if err != nil {
		return err
	}
	k := from.Manifest.Key
	switch {
	case k.Model != key.Model:
		err = fmt.Errorf("it is of another model or output (%s, not %s)", k.Model, key.Model)
	case k.Preprocessing != key.Preprocessing:
		err = fmt.Errorf("its pixels are others (fingerprint %s, not %s)", k.Preprocessing, key.Preprocessing)
	case k.Data.Fingerprint != key.Data.Fingerprint:
		err = fmt.Errorf("its data are others (fingerprint %s, not %s)", k.Data.Fingerprint, key.Data.Fingerprint)
	default:
		need := []string{Logits}
		if slices.Contains(p.keep, Features) { // others are the task's own
			need = append(need, Features)
		}
		if len(p.Spec.Taps) > 0 {
			err = fmt.Errorf("task %s looks inside the model, which a run does not keep", p.Spec.Task)
		} else if name := lacking(from, need); name != "" {
			err = fmt.Errorf("it does not keep %s", name)
		}
	}
	if err != nil {
		return fmt.Errorf("run %q cannot be used for this one: %w", dir, err)
	}
	p.from = from
	return nil
}
