// Package evaltest is a classifier that is a table of scores, and samples to run it on, to
// test tasks without ONNX Runtime.
package evaltest

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"image"
	"math"
	"testing"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Table is what a classifier gives for samples, and what is known about them.
type Table struct {
	Scores   [][]float32 // by sample, then class
	Features [][]float32 // penultimate vectors by sample; nil: one 0 each
	// Weight and Bias are the model's linear layer, classes x features; nil: zeros. Scores
	// need not follow from them.
	Weight, Bias []float32
	Labels       []int // by sample; datasets.Unlabelled is none
	Classes      []string
	Bad          map[int]error // samples that cannot be loaded
	Fixed        int           // batch size that the model insists on; 0: any

	// Ran counts the samples that the model ran on, however often.
	Ran int
	ran map[int]bool
}

// tensor is the number of values of a sample's tensor: its index, and a mark that tells it
// from noise.
const (
	tensor = 3
	mark   = 4321.5
)

// Names of the model's tensors.
const (
	Penultimate = "features"
	logits      = "logits"
)

func (t *Table) classes() int { return len(t.Scores[0]) }

func (t *Table) features() int {
	if t.Features == nil {
		return 1
	}
	return len(t.Features[0])
}

// Classifier is a classifier that gives the table's scores.
func (t *Table) Classifier(tb testing.TB) *evaluation.Classifier {
	tb.Helper()
	m, err := model.FromBytes("table", t.file(), "")
	if err != nil {
		tb.Fatalf("the table's model: %v", err)
	}
	start := func(_ context.Context, _ *evaluation.Classifier, taps []string) (evaluation.Engine, error) {
		e := &engine{table: t, outputs: []runtime.Tensor{{Name: logits, Type: onnx.Float32, Shape: []int64{-1, int64(t.classes())}}}}
		for _, name := range taps {
			if name != Penultimate {
				return nil, fmt.Errorf("the table has no tensor %q", name)
			}
			e.outputs = append(e.outputs, runtime.Tensor{Name: name, Type: onnx.Float32, Shape: []int64{-1, int64(t.features())}})
		}
		return e, nil
	}
	c := evaluation.NewClassifier(m, []int64{tensor, 1, 1}, evaluation.Running{Workers: 2, Batch: 4, Tool: report.Tool{Name: "evaltest"}}, start)
	tb.Cleanup(c.Close)
	return c
}

// file is an ONNX file of the table's shape: a linear layer on features.
func (t *Table) file() []byte {
	c, d := t.classes(), t.features()
	tensor32 := func(name string, v []float32, dims ...int64) onnx.Tensor {
		n := 1
		for _, d := range dims {
			n *= int(d)
		}
		if v == nil {
			v = make([]float32, n)
		}
		var raw []byte
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		return onnx.NewTensor(name, onnx.Float32, dims, raw)
	}
	m := onnxtest.Model()
	g := &m.Graph
	g.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, tensor, 1, 1)...)}
	g.Nodes = []onnx.Node{
		onnx.NewNode("Flatten", "pool", []string{"image"}, []string{Penultimate}),
		onnx.NewNode("Gemm", "head", []string{Penultimate, "w", "b"}, []string{logits}, onnx.IntAttr("transB", 1)),
	}
	g.Initializers = []onnx.Tensor{tensor32("w", t.Weight, int64(c), int64(d)), tensor32("b", t.Bias, int64(c))}
	g.Outputs = []onnx.Value{onnx.NewValue(logits, onnx.Float32).WithDims(onnxtest.Axes(-1, int64(c))...)}
	return m.Bytes()
}

// engine runs the table.
type engine struct {
	table   *Table
	outputs []runtime.Tensor
}

func (e *engine) Outputs() []runtime.Tensor { return e.outputs }
func (e *engine) Fixed() int                { return e.table.Fixed }
func (e *engine) Device() results.Device    { return results.Device{ORT: "none", Name: "table"} }
func (e *engine) Runtime() report.Runtime   { return report.Runtime{ORT: "none", Device: "table"} }
func (e *engine) Close() error              { return nil }

func (e *engine) NewBatch(n int) (pipeline.Batch, error) {
	if e.table.Fixed > 0 {
		n = e.table.Fixed
	}
	return &batch{e, make([]float32, n*tensor)}, nil
}

type batch struct {
	*engine
	in []float32
}

func (b *batch) Size() int                { return len(b.in) / tensor }
func (b *batch) Input(_, i int) []float32 { return b.in[i*tensor : (i+1)*tensor] }

// Output is the table's row of the sample in slot i; noise gets the first one's.
func (b *batch) Output(k, i int) []float32 {
	sample, t := 0, b.table
	if in := b.Input(0, i); in[1] == mark {
		sample = int(in[0])
	}
	switch {
	case b.outputs[k].Name == logits:
		return t.Scores[sample]
	case t.Features == nil:
		return []float32{0}
	}
	return t.Features[sample]
}

func (b *batch) Run(ctx context.Context, n int) error {
	t := b.table
	if t.ran == nil {
		t.ran = map[int]bool{}
	}
	for i := range n {
		if in := b.Input(0, i); in[1] == mark && !t.ran[int(in[0])] {
			t.ran[int(in[0])] = true
			t.Ran++
		}
	}
	return ctx.Err()
}

// Samples are the table's samples.
func (t *Table) Samples() *Samples { return &Samples{table: t} }

// Samples are rows of a table.
type Samples struct {
	table    *Table
	selected []int
	// Name is part of their identity.
	Name string
}

// Select is the same samples with others of them selected.
func (s *Samples) Select(at []int) *Samples {
	out := *s
	out.selected = at
	return &out
}

func (s *Samples) Len() int                              { return len(s.table.Labels) }
func (s *Samples) Selected() []int                       { return s.selected }
func (s *Samples) ID(i int) string                       { return fmt.Sprintf("%s%03d", s.Name, i) }
func (s *Samples) Label(i int) int                       { return s.table.Labels[i] }
func (s *Samples) Classes() []string                     { return s.table.Classes }
func (s *Samples) Orders(int, []string) []datasets.Order { return nil }
func (s *Samples) Describe(h *report.Head) {
	h.Dataset = report.Dataset{Name: "table" + s.Name, Format: "table", Classes: len(s.table.Classes)}
}
func (s *Samples) Identity() evaluation.Identity {
	h := fnv.New64()
	fmt.Fprintln(h, s.Name, s.table.Labels, s.table.Classes)
	return evaluation.Identity{Data: fmt.Sprintf("%x", h.Sum64()), Preprocessing: "none"}
}

// Align takes classes in order.
func (s *Samples) Align(outputs int, _ []string) (datasets.Alignment, error) {
	if n := len(s.table.Classes); n > outputs {
		return datasets.Alignment{}, fmt.Errorf("%d classes, %d outputs", n, outputs)
	}
	a := datasets.Alignment{How: datasets.InOrder}
	for i := range s.table.Classes {
		a.Output = append(a.Output, i)
	}
	return a, nil
}

// Filler writes the sample's index.
func (s *Samples) Filler() (pipeline.Filler, error) {
	return func(i int, dst []float32) (pipeline.Loaded, error) {
		dst[0], dst[1] = float32(i), mark
		return pipeline.Loaded{Size: image.Pt(8, 8)}, s.table.Bad[i]
	}, nil
}
