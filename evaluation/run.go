package evaluation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"cutmix-eval/pipeline"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Store says where a task's records go.
type Store struct {
	Dir   string        // run directory; empty: a temporary one
	Shard results.Shard // of it
	Reuse string        // another run, to take scores and features from
	Save  []string      // arrays to keep: Logits, Features
}

// Arrays that every task can keep and use.
const (
	Logits   = "logits"   // class scores as the model gives them, one per output
	Features = "features" // penultimate vector
	Maps     = "maps"     // class activation maps before post-processing, of localize
)

// Task is what the records of a task depend on beside the setup.
type Task struct {
	Name   string
	Config any      // the options that records depend on
	Labels string   // fingerprint of the matching of classes to outputs
	Truth  string   // fingerprint of what else is known about the images: boxes, masks
	Needs  []string // of Logits and Features, what its report is computed from
	// PartSize is how many samples a part of the run covers; 0: by their number. Parts are
	// written from memory.
	PartSize int
	// Arrays are those of its own that it stores; it is called when a session is open.
	Arrays func() ([]results.Array, error)
	Taps   []string // tensors of the model that it looks at
	// About describes the run for reports; it is called when Outputs and
	// Probabilities are known, with what it gave when the run was started, if it was.
	About func(before json.RawMessage) (any, error)
	// Select narrows the samples, nil being all.
	Select func(at []int) []int
}

// Records is a run that is open for a task: what is there, and what is missing.
type Records struct {
	*results.Run
	Todo   []int // samples of the share that have no record
	setup  *Setup
	from   *results.Run // another run, whose scores are used
	reused string
}

// Records opens the run of a task, making it where there is none, and starts a
// session where samples are missing. Close it.
func (s *Setup) Records(ctx context.Context, store Store, t Task, install runtime.Progress) (_ *Records, err error) {
	rec := &Records{setup: s}
	defer func() {
		if err != nil && rec.Run != nil {
			_ = rec.Close()
		}
	}()
	selected := s.Selected
	if t.Select != nil {
		selected = t.Select(selected)
	}
	m := results.Manifest{Limit: s.Config.Limit, Seed: s.Config.Seed, Key: results.Key{
		Task: t.Name, Model: ModelKey(s.Model), Preprocessing: s.Recipe.Fingerprint(),
		Data:   results.Data{Fingerprint: s.Data.Fingerprint(), N: len(s.Data.Samples), Labels: t.Labels, Truth: t.Truth},
		Config: t.Config, PartSize: cmp.Or(t.PartSize, results.PartSize(len(s.Data.Samples))),
	}}
	save := store.Save
	if store.Dir != "" {
		found, err := results.Find(store.Dir)
		if err != nil {
			return nil, err
		}
		if found != nil {
			if err := found.Check(m.Key); err != nil {
				return nil, err
			}
			if missing := lacking(found, save); missing != "" {
				return nil, fmt.Errorf("run %q was started without --save %s; choose another --out", store.Dir, missing)
			}
			if missing := lacking(found, t.Needs); missing != "" {
				return nil, fmt.Errorf("run %q keeps no %s, which are needed; choose another --out", store.Dir, missing)
			}
			old := found.Manifest
			s.Outputs, s.Probabilities = old.Outputs, old.Probabilities
			m.Outputs, m.Probabilities, m.Arrays = old.Outputs, old.Probabilities, old.Arrays
			if err := rec.about(&m, t, old.About); err != nil {
				return nil, err
			}
			if found.Has(selected) { // perhaps there is nothing to do
				found.View(m, selected)
				if len(found.Missing(store.Shard)) == 0 {
					rec.Run = found
					return rec, nil
				}
			}
			save = nil // what the run keeps, was settled when it was started
			for _, a := range old.Arrays {
				save = append(save, a.Name)
			}
		}
	}
	if store.Reuse != "" {
		if err := rec.reuse(store.Reuse, m.Key, t, save); err != nil {
			return nil, err
		}
		m.Key.Device, m.Reused = rec.from.Manifest.Key.Device, store.Reuse
		s.Outputs, s.Probabilities = rec.from.Manifest.Outputs, rec.from.Manifest.Probabilities
	} else {
		if err := s.tap(t, save); err != nil {
			return nil, err
		}
		if err := s.Start(ctx, install); err != nil {
			return nil, err
		}
		m.Key.Device = results.Device{ORT: s.Library.Version, Name: s.Session.Device.String()}
	}
	if m.Arrays == nil {
		m.Outputs, m.Probabilities = s.Outputs, s.Probabilities
		if m.Arrays, err = s.arrays(rec, t, save); err != nil {
			return nil, err
		}
	}
	if m.About == nil {
		if err := rec.about(&m, t, nil); err != nil {
			return nil, err
		}
	}
	if store.Dir == "" {
		rec.Run, err = results.Temporary(m, selected)
	} else if rec.Run, err = results.Claim(ctx, store.Dir, m, selected, store.Shard); err == nil {
		rec.View(m, selected)
	}
	if err != nil {
		return nil, err
	}
	rec.Todo = rec.Missing(store.Shard)
	return rec, nil
}

func (rec *Records) about(m *results.Manifest, t Task, before json.RawMessage) error {
	v, err := t.About(before)
	if err != nil {
		return err
	}
	m.About, err = json.Marshal(v)
	return err
}

// lacking names an array that is wanted and that the run does not keep.
func lacking(r *results.Run, names []string) string {
	for _, name := range names {
		if _, ok := r.HasArray(name); !ok {
			return name
		}
	}
	return ""
}

// tap asks the session for the tensors that a task looks at, and behind them for the
// penultimate vector where it is to be kept.
func (s *Setup) tap(t Task, save []string) error {
	features := slices.Contains(slices.Concat(save, t.Needs), Features)
	if s.Session != nil && (len(t.Taps) > 0 || features && !s.Penultimate) {
		s.Stop() // opened to learn the number of outputs
	}
	s.Taps, s.Penultimate = slices.Clone(t.Taps), false
	if !features {
		return nil
	}
	h, err := s.Model.Head()
	if err != nil {
		return fmt.Errorf("features of model %q: %w", s.Model.Name, err)
	}
	if h.Penultimate == "" {
		return fmt.Errorf("model %q has no single feature vector per image: its head is applied at every place of the map", s.Model.Name)
	}
	s.Taps, s.Penultimate = append(s.Taps, h.Penultimate), true
	return nil
}

// arrays lists what the run keeps: what the task needs and what was asked for.
func (s *Setup) arrays(rec *Records, t Task, save []string) ([]results.Array, error) {
	var out []results.Array
	if slices.Contains(t.Needs, Logits) || slices.Contains(save, Logits) {
		out = append(out, results.Array{Name: Logits, Width: s.Outputs})
	}
	if slices.Contains(t.Needs, Features) || slices.Contains(save, Features) {
		width := 0
		if rec.from != nil {
			width, _ = rec.from.HasArray(Features)
		} else {
			width = 1
			for _, d := range s.Session.Outputs[len(s.Session.Outputs)-1].Shape[1:] {
				width *= int(d)
			}
		}
		out = append(out, results.Array{Name: Features, Width: width})
	}
	if t.Arrays != nil {
		own, err := t.Arrays()
		if err != nil {
			return nil, err
		}
		out = append(out, own...)
	} else if slices.Contains(save, Maps) {
		return nil, fmt.Errorf("%s makes no maps to save", t.Name)
	}
	return out, nil
}

// reuse opens the run that scores are taken from: of the same model, pixels and
// data, and with the arrays that are needed.
func (rec *Records) reuse(dir string, key results.Key, t Task, save []string) error {
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
	case key.Device != (results.Device{}) && k.Device != key.Device:
		err = fmt.Errorf("it ran on ONNX Runtime %s, %s, this run on %s, %s", k.Device.ORT, k.Device.Name, key.Device.ORT, key.Device.Name)
	default:
		var need []string
		for _, name := range append([]string{Logits}, save...) {
			if name == Logits || name == Features { // others are the task's own
				need = append(need, name)
			}
		}
		if len(t.Taps) > 0 {
			err = fmt.Errorf("task %s looks inside the model, which a run does not keep", t.Name)
		} else if name := lacking(from, need); name != "" {
			err = fmt.Errorf("it does not keep %s", name)
		}
	}
	if err != nil {
		return fmt.Errorf("run %q cannot be used for this one: %w", dir, err)
	}
	rec.from, rec.reused = from, dir
	return nil
}

// Scored is what the model gave for one sample.
type Scored struct {
	Index         int
	Err           error // the image could not be loaded
	Width, Height int   // of the picture
	Logits        []float32
	Features      []float32 // nil unless kept
	Taps          [][]float32
	Input         []float32 // what the model was given
}

// Content identifies what the model was given: images of the same tensor have the same.
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

// Arrays are the values to store, in the order of the manifest.
func (rec *Records) Arrays(sc Scored) [][]float32 {
	out := make([][]float32, len(rec.Manifest.Arrays))
	for i, a := range rec.Manifest.Arrays {
		switch a.Name {
		case Logits:
			out[i] = sc.Logits
		case Features:
			out[i] = sc.Features
		}
	}
	return out
}

// Each calls f for every sample of Todo, in order, with what the model gives for
// it, or what another run has stored. Values are valid until f returns. progress
// may be nil.
func (rec *Records) Each(ctx context.Context, progress func(done int), f func(Scored) error) (pipeline.Stats, error) {
	if len(rec.Todo) == 0 {
		return pipeline.Stats{}, nil
	}
	if rec.from != nil {
		return pipeline.Stats{}, rec.eachReused(ctx, f)
	}
	features := rec.setup.Penultimate
	taps := len(rec.setup.Session.Outputs) - 1
	if features {
		taps--
	}
	return pipeline.Run(ctx, rec.setup.Pipeline(rec.Todo, progress), func(r pipeline.Result) error {
		sc := Scored{Index: rec.Todo[r.Index], Err: r.Err, Width: r.Size.X, Height: r.Size.Y}
		if r.Err == nil {
			sc.Logits, sc.Input = r.Output(0), r.Input(0)
			for k := range taps {
				sc.Taps = append(sc.Taps, r.Output(1+k))
			}
			if features {
				sc.Features = r.Output(1 + taps)
			}
		}
		return f(sc)
	})
}

// Again is the same run with other samples to do, whose results are only looked at.
func (rec *Records) Again(at []int) *Records {
	return &Records{Run: rec.Run, Todo: at, setup: rec.setup}
}

// common is a row of any task.
type common struct{ results.Row }

func (rec *Records) eachReused(ctx context.Context, f func(Scored) error) error {
	names := []string{Logits}
	if _, ok := rec.HasArray(Features); ok {
		names = append(names, Features)
	}
	todo := rec.Todo
	err := results.Each[common](ctx, rec.from, names, func(row *common, arrays [][]float32) error {
		i := int(row.Index)
		if len(todo) == 0 || todo[0] > i {
			return nil
		}
		if todo[0] < i {
			return fmt.Errorf("run %q has no record of %s; run it to its end first", rec.reused, rec.setup.Data.Samples[todo[0]].ID)
		}
		todo = todo[1:]
		sc := Scored{Index: i, Width: int(row.Width), Height: int(row.Height)}
		if row.Status == results.OK {
			sc.Logits = arrays[0]
			if len(arrays) > 1 {
				sc.Features = arrays[1]
			}
		} else {
			sc.Err = fmt.Errorf("%s", row.Error)
		}
		return f(sc)
	})
	if err == nil && len(todo) > 0 {
		err = fmt.Errorf("run %q has no record of %d images; run it to its end first", rec.reused, len(todo))
	}
	return err
}

// ParseSave reads the list of arrays to keep.
func ParseSave(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	names := strings.Split(s, ",")
	for _, n := range names {
		if n != Logits && n != Features && n != Maps {
			return nil, fmt.Errorf("%q is not one of logits, features, maps", n)
		}
	}
	return names, nil
}
