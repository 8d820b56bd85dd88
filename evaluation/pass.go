package evaluation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
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
	p := &Pass{Classifier: c, Samples: s, Spec: spec, store: store, keep: store.Save, manifest: results.Manifest{
		Limit: id.Limit, Seed: id.Seed, Key: results.Key{
			Task: spec.Task, Preprocessing: id.Preprocessing,
			Model:  ModelKey(c.Model),
			Data:   results.Data{Fingerprint: id.Data, N: s.Len(), Labels: spec.Labels, Truth: spec.Truth},
			Config: spec.Config, PartSize: cmp.Or(spec.PartSize, results.PartSize(s.Len())),
		},
	}}
	if store.Dir != "" {
		if err := p.find(); err != nil || p.found != nil {
			return p, err
		}
	}
	m := &p.manifest
	if store.Reuse != "" {
		if err := p.reuse(); err != nil {
			return nil, err
		}
		m.Key.Device, m.Reused = p.from.Manifest.Key.Device, store.Reuse
		p.Outputs, p.Probabilities = p.from.Manifest.Outputs, p.from.Manifest.Probabilities
		return p, nil
	}
	taps := slices.Clone(spec.Taps)
	if p.wants(Features) {
		t, err := p.penultimate()
		if err != nil {
			return nil, err
		}
		taps = append(taps, t)
	}
	var err error
	if p.engine, err = c.Engine(ctx, taps...); err != nil {
		return nil, err
	}
	m.Key.Device = p.engine.Device()
	p.Outputs, p.Probabilities = c.outputs, c.probabilities
	return p, nil
}

// find looks at the run that is there, if one is.
func (p *Pass) find() error {
	found, err := results.Find(p.store.Dir)
	if err != nil || found == nil {
		return err
	}
	if err := found.Check(p.manifest.Key); err != nil {
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

// Scored is what the model gave for one sample.
type Scored struct {
	Index         int
	Err           error // the sample could not be loaded
	Width, Height int   // of the picture as stored
	Logits        []float32
	Features      []float32 // nil unless kept
	Taps          [][]float32
	Input         []float32 // what the model was given
}

// Content identifies what the model was given: samples of the same tensor have the same.
func (sc Scored) Content() int64 {
	h := sha256.New()
	var buf [4096]byte
	for v := sc.Input; len(v) > 0; {
		n := min(len(v), len(buf)/4)
		for i, x := range v[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(x))
		}
		h.Write(buf[:4*n])
		v = v[n:]
	}
	return int64(binary.LittleEndian.Uint64(h.Sum(nil)))
}

// Row is the part of a record that all tasks share.
func (p *Pass) Row(sc Scored) results.Row {
	return results.Row{
		Index: int64(sc.Index), ID: p.Samples.ID(sc.Index), Class: className(p.Samples, sc.Index),
		Status: results.OK, Width: int32(sc.Width), Height: int32(sc.Height),
	}
}

// Pipeline is the configuration that sends the samples at (nil is all) through an engine.
// Output 0 holds the class scores, the taps follow.
func (c *Classifier) Pipeline(e Engine, s Samples, at []int, progress func(done int)) pipeline.Config {
	n, fill := s.Len(), s.Filler
	if at != nil {
		n, fill = len(at), func() (pipeline.Filler, error) {
			f, err := s.Filler()
			return f.At(at), err
		}
	}
	return pipeline.Config{N: n, Filler: fill, NewBatch: e.NewBatch, Batch: c.batch(e), Workers: c.Running.Workers, Progress: progress}
}

// Each calls f for every sample of Todo, in order, with what the model gives for it, or
// what another run has stored. Values are valid until f returns. progress may be nil.
func (p *Pass) Each(ctx context.Context, progress func(done int), f func(Scored) error) (pipeline.Stats, error) {
	if len(p.Todo) == 0 {
		return pipeline.Stats{}, nil
	}
	if p.from != nil {
		return pipeline.Stats{}, p.eachReused(ctx, f)
	}
	return p.run(ctx, p.engine, p.Todo, progress, f)
}

// Again is Each for other samples, whose results are only looked at. It starts the
// classifier where it was stopped.
func (p *Pass) Again(ctx context.Context, at []int, f func(Scored) error) error {
	taps := slices.Clone(p.Spec.Taps)
	if p.wants(Features) {
		t, err := p.penultimate()
		if err != nil {
			return err
		}
		taps = append(taps, t)
	}
	e, err := p.Classifier.Engine(ctx, taps...)
	if err == nil {
		p.engine = e
		_, err = p.run(ctx, e, at, nil, f)
	}
	return err
}

func (p *Pass) run(ctx context.Context, e Engine, at []int, progress func(done int), f func(Scored) error) (pipeline.Stats, error) {
	place := func(name string) int {
		k := slices.IndexFunc(e.Outputs(), func(t runtime.Tensor) bool { return t.Name == name })
		if k < 0 {
			panic("evaluation: the engine has no output " + name)
		}
		return k
	}
	var taps []int
	for _, t := range p.Spec.Taps {
		taps = append(taps, place(t))
	}
	features := -1
	if p.wants(Features) {
		t, err := p.penultimate()
		if err != nil {
			return pipeline.Stats{}, err
		}
		features = place(t)
	}
	return pipeline.Run(ctx, p.Classifier.Pipeline(e, p.Samples, at, progress), func(r pipeline.Result) error {
		sc := Scored{Index: at[r.Index], Err: r.Err, Width: r.Size.X, Height: r.Size.Y}
		if r.Err == nil {
			sc.Logits, sc.Input = r.Output(0), r.Input(0)
			for _, k := range taps {
				sc.Taps = append(sc.Taps, r.Output(k))
			}
			if features >= 0 {
				sc.Features = r.Output(features)
			}
		}
		return f(sc)
	})
}

// common is a row of any task.
type common struct{ results.Row }

func (p *Pass) eachReused(ctx context.Context, f func(Scored) error) error {
	names := []string{Logits}
	if _, ok := p.HasArray(Features); ok {
		names = append(names, Features)
	}
	todo := p.Todo
	err := results.Each[common](ctx, p.from, names, func(row *common, arrays [][]float32) error {
		i := int(row.Index)
		if len(todo) == 0 || todo[0] > i {
			return nil
		}
		if todo[0] < i {
			return fmt.Errorf("run %q has no record of %s; run it to its end first", p.store.Reuse, p.Samples.ID(todo[0]))
		}
		todo = todo[1:]
		sc := Scored{Index: i, Width: int(row.Width), Height: int(row.Height)}
		if row.Status == results.OK {
			sc.Logits = arrays[0]
			if len(arrays) > 1 {
				sc.Features = arrays[1]
			}
		} else {
			sc.Err = errors.New(row.Error)
		}
		return f(sc)
	})
	if err == nil && len(todo) > 0 {
		err = fmt.Errorf("run %q has no record of %d images; run it to its end first", p.store.Reuse, len(todo))
	}
	return err
}

// Own are a record's values of the task's own arrays, by name.
type Own map[string][]float32

// Collect makes the records that are missing. record turns what the model gives for a
// sample into a record and the task's own arrays; a record of status results.Bad has
// none. When it ends early, those that were made are kept.
func Collect[T any, P results.Record[T]](ctx context.Context, p *Pass, progress func(done int), record func(Scored) (T, Own, error)) error {
	if len(p.Todo) == 0 {
		return nil
	}
	w := results.NewWriter[T, P](p.Run)
	stats, err := p.Each(ctx, progress, func(sc Scored) error {
		rec, own, err := record(sc)
		if err != nil {
			return err
		}
		return w.Add(rec, p.values(sc.Logits, sc.Features, own)...)
	})
	p.Stats = stats
	return closed(w, err)
}

// CollectParallel is Collect where records take time: take copies what it needs of a
// sample, in order; work, of which each goroutine has its own, makes the record.
func CollectParallel[I, T any, P results.Record[T]](ctx context.Context, p *Pass, workers int, progress func(done int),
	take func(Scored) (I, error), work func() func(I) (T, Own, error)) error {
	if len(p.Todo) == 0 {
		return nil
	}
	type item struct {
		of               I
		logits, features []float32
	}
	type made struct {
		record T
		values [][]float32
	}
	w := results.NewWriter[T, P](p.Run)
	queue := pipeline.NewOrdered(ctx, workers, func() func(item) (made, error) {
		f := work()
		return func(it item) (made, error) {
			rec, own, err := f(it.of)
			return made{rec, p.values(it.logits, it.features, own)}, err
		}
	}, func(m made) error { return w.Add(m.record, m.values...) })
	kept := func(name string, v []float32) []float32 {
		if _, ok := p.HasArray(name); ok {
			return slices.Clone(v)
		}
		return nil
	}
	stats, err := p.Each(ctx, progress, func(sc Scored) error {
		it, err := take(sc)
		if err != nil {
			return err
		}
		return queue.Put(item{it, kept(Logits, sc.Logits), kept(Features, sc.Features)})
	})
	p.Stats = stats
	if qerr := queue.Close(); qerr != nil {
		err = qerr
	}
	return closed(w, err)
}

// values are a record's arrays in the order of the manifest.
func (p *Pass) values(logits, features []float32, own Own) [][]float32 {
	out := make([][]float32, len(p.Manifest.Arrays))
	for i, a := range p.Manifest.Arrays {
		switch a.Name {
		case Logits:
			out[i] = logits
		case Features:
			out[i] = features
		default:
			out[i] = own[a.Name]
		}
	}
	return out
}

// closed closes a writer, and joins its error with another unless it is the same.
func closed(w interface{ Close() error }, err error) error {
	if werr := w.Close(); !errors.Is(err, werr) {
		err = errors.Join(err, werr)
	}
	return err
}

// Head begins a report: what was run on what. options are the task's own.
func (p *Pass) Head(options any) report.Head {
	return p.Classifier.head(p.Spec.Task, p.Samples, p.Outputs, options)
}

// Head begins a report on samples that no pass is made over. An engine must have been open.
func (c *Classifier) Head(task string, s Samples, options any) report.Head {
	return c.head(task, s, c.outputs, options)
}

func (c *Classifier) head(task string, s Samples, outputs int, options any) report.Head {
	h := report.Head{Task: task, Tool: c.Running.Tool, Model: c.describe(outputs), Published: published(c.Entry)}
	s.Describe(&h)
	h.Config.Task = options
	return h
}

// ModelKey is what of a model enters the key of a run.
func ModelKey(m *model.Model) results.Model {
	return results.Model{SHA256: m.SHA256, Edits: m.Edits(), Output: m.Logits}
}

// describe is a report's part about the model.
func (c *Classifier) describe(outputs int) report.Model {
	m := c.Model
	return report.Model{
		Name: m.Name, Path: m.Path, SHA256: m.SHA256, Bytes: m.Size, Edits: m.Edits(),
		Classes: outputs, Output: m.Logits, Activation: m.Activation, Training: c.Entry.TrainingText(m),
	}
}

// Reported is a report that begins with a run's head, as it is read from the run's
// records with these options: the one place that says how numbers were made.
func Reported(h report.Head, run *results.Run, options any) *report.Report {
	m := run.Manifest
	h.Task, h.Config.Limit, h.Config.Task = m.Key.Task, m.Limit, options
	h.Runtime = report.Runtime{ORT: m.Key.Device.ORT, Device: m.Key.Device.Name, Reused: m.Reused}
	return &report.Report{Head: h}
}
