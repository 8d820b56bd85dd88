package evaluation

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/datasets"
	"cutmix-eval/pipeline"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Scored is what the model gave for one sample.
type Scored struct {
	Index         int
	Err           error  // the sample could not be loaded
	Width, Height int    // of the picture as stored
	Sum           uint32 // CRC-32C of what is stored; 0 where that is not known
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
		Status: results.OK, Width: int32(sc.Width), Height: int32(sc.Height), Sum: sc.Sum,
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
	return pipeline.Config{
		N: n, Filler: fill, NewBatch: e.NewBatch, Batch: c.batch(e), Workers: c.Running.Workers, Progress: progress,
		Stops: func(i int, err error) error {
			if at != nil {
				i = at[i]
			}
			return lost(s, i, err)
		},
	}
}

// lost is the error that ends a run where the storage of a sample fails, which says nothing about
// the sample; nil where its contents are to blame.
func lost(s Samples, i int, err error) error {
	if storage := (*datasets.StorageError)(nil); errors.As(err, &storage) {
		return fmt.Errorf("image %s: %w: mend that first", s.ID(i), err)
	}
	return nil
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
	taps, err := p.taps()
	if err != nil {
		return err
	}
	e, err := p.Classifier.EngineFor(ctx, p.Samples, at, taps...)
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
		sc := Scored{Index: at[r.Index], Err: r.Err, Width: r.Size.X, Height: r.Size.Y, Sum: r.Sum}
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
		sc := Scored{Index: i, Width: int(row.Width), Height: int(row.Height), Sum: row.Sum}
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
