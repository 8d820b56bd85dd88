package evaluation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Engine runs a model: a session of ONNX Runtime, or a table in a test.
type Engine interface {
	// Outputs are the class scores first, then the taps in the order they were asked for.
	Outputs() []runtime.Tensor
	// Fixed is the batch size that the model insists on, 0 if any will do.
	Fixed() int
	NewBatch(n int) (pipeline.Batch, error)
	// Device is what determines results; Runtime is what a report says.
	Device() results.Device
	Runtime() report.Runtime
	Close() error
}

// Start opens an engine for a classifier's model, with the tensors taps as outputs beside
// the class scores.
type Start func(ctx context.Context, c *Classifier, taps []string) (Engine, error)

// session is an engine of ONNX Runtime.
type session struct {
	*runtime.Session
	library runtime.Candidate
	fixed   string // what became of a batch size fixed in the file; empty for an open one
	kernels string // for products of integers, of a model that has such
	workers int
	batch   int
}

func (s *session) Outputs() []runtime.Tensor { return s.Session.Outputs }
func (s *session) Fixed() int                { return s.Session.Fixed }

func (s *session) NewBatch(n int) (pipeline.Batch, error) { return s.Session.NewBatch(n) }

func (s *session) Device() results.Device {
	return results.Device{ORT: s.library.Version, Name: s.Session.Device.String(), Kernels: s.kernels}
}

func (s *session) Runtime() report.Runtime {
	return report.Runtime{
		ORT: s.library.Version, Library: s.library.Path, Device: s.Session.Device.String(), Threads: s.Session.Threads,
		Workers: s.workers, Batch: s.batch, Placement: s.Placement, PlacementText: s.PlacementText(), FixedBatch: s.fixed,
		Kernels: s.kernels,
	}
}

// startSession opens a session on the classifier's device. A batch size that is fixed in
// the file is opened where the opened graph runs at other sizes and gives the same values;
// otherwise the model runs at its own size.
func startSession(ctx context.Context, c *Classifier, taps []string) (Engine, error) {
	if err := c.checkSize(); err != nil {
		return nil, err
	}
	library, err := runtime.Ensure(ctx, c.Running.Library, c.Running.Install)
	if err != nil {
		return nil, err
	}
	open := func(m *model.Model) (*runtime.Session, error) {
		return runtime.Open(ctx, runtime.Source{Name: cmp.Or(m.Path, m.Name), Dir: m.Dir(), Model: m.File()}, runtime.Options{
			Device: c.Running.Device, Threads: c.Running.Threads,
			Inputs:  []runtime.Input{{Name: m.Input, Shape: c.shape, Whole: m.NoBatch}},
			Outputs: append([]string{m.Logits}, taps...), Single: m.NoBatch,
		})
	}
	s := &session{library: library, workers: c.Running.Workers}
	if c.Model.Integers() {
		s.kernels = runtime.IntegerKernels()
	}
	if s.Session, err = open(c.Model); err != nil {
		if edits := c.Model.Edits(); strings.Contains(edits, "enlarge") && ctx.Err() == nil {
			err = fmt.Errorf("the changed graph of model %q (%s) does not run (its head probably insists on the size of its map): %w", c.Model.Name, edits, err)
		}
		return nil, err
	}
	if err := s.openBatch(ctx, c.Model, c.tolerance(), open); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.batch = c.batch(s)
	return s, nil
}

// openBatch opens the batch axis where the file fixes it.
func (s *session) openBatch(ctx context.Context, m *model.Model, tolerance float64, open func(*model.Model) (*runtime.Session, error)) error {
	if s.Session.Fixed == 0 {
		return nil
	}
	if m.NoBatch {
		s.fixed = "one image per run: the model has no batch axis"
		return nil
	}
	s.fixed = fmt.Sprintf("fixed at %d by the file", s.Session.Fixed)
	freed, ok, err := m.FreeBatch()
	if err != nil || !ok {
		return err
	}
	free, err := open(freed)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.fixed += "; it cannot be opened"
		return nil // it runs as it is
	}
	if free.Fixed > 0 || !sameResults(ctx, s.Session, free, tolerance) {
		s.fixed += "; it cannot be opened"
		return errors.Join(free.Close(), ctx.Err())
	}
	old := s.Session
	s.Session = free
	s.fixed += ", opened after checking that results stay the same"
	return old.Close()
}

// sameResults runs both sessions on the same random images, one more than a batch of a,
// and compares: sums in another order may differ in the last digits. Images of the data are
// tried when there are some, by EngineFor.
func sameResults(ctx context.Context, a, b *runtime.Session, tolerance float64) bool {
	n := a.Fixed + 1
	run := func(s *runtime.Session) [][]float32 {
		batch, err := s.NewBatch(n)
		if err != nil {
			return nil
		}
		defer batch.Close()
		rng := rand.New(rand.NewPCG(1, 1))
		var out [][]float32
		for at := 0; at < n; at += batch.Size() {
			k := min(batch.Size(), n-at)
			fillNoise(batch, rng)
			if batch.Run(ctx, k) != nil {
				return nil
			}
			for i := range k {
				out = append(out, append([]float32(nil), batch.Output(0, i)...))
			}
		}
		return out
	}
	x, y := run(a), run(b)
	if x == nil || y == nil {
		return false
	}
	for i := range x {
		if difference(x[i], y[i]) > tolerance {
			return false
		}
	}
	return true
}
