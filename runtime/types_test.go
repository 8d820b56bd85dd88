package runtime_test

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/runtime"

	"github.com/google/go-cmp/cmp"
)

// written is a model that was edited, as it is read from a file.
func written(t *testing.T, m *onnx.Model) runtime.Source {
	t.Helper()
	again, err := onnx.Parse(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return runtime.Source{Name: t.Name(), Model: again}
}

// identity is a model that gives its input of n x 4 values back as what names it:
// "same" is of the input's type, "float" is cast to float32.
func identity(t *testing.T, typ onnx.Type) runtime.Source {
	m := onnxtest.Model()
	g := &m.Graph
	g.Inputs = []onnx.Value{onnx.NewValue("x", typ).WithDims(onnxtest.Axes(-1, 4)...)}
	g.Nodes = []onnx.Node{
		onnx.NewNode("Identity", "", []string{"x"}, []string{"same"}),
		onnx.NewNode("Cast", "", []string{"x"}, []string{"float"}, onnx.IntAttr("to", int64(onnx.Float32))),
	}
	g.Outputs = []onnx.Value{
		onnx.NewValue("same", typ).WithDims(onnxtest.Axes(-1, 4)...),
		onnx.NewValue("float", onnx.Float32).WithDims(onnxtest.Axes(-1, 4)...),
	}
	return written(t, m)
}

// Every element type goes in and comes out: values are rounded to nearest, ties to even,
// and saturate.
func TestElementTypes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	const third = float32(1) / 3
	for _, c := range []struct {
		typ      onnx.Type
		in, want []float32 // rows of 4
	}{
		{onnx.Float32, []float32{third, -1e30, inf, 1e-40}, []float32{third, -1e30, inf, 1e-40}},
		{onnx.Float64, []float32{third, -1e30, inf, 1e-40}, []float32{third, -1e30, inf, 1e-40}},
		{onnx.Float16, []float32{0.5, 2049, 65504, 1e6}, []float32{0.5, 2048, 65504, inf}},
		{onnx.Uint8, []float32{0.5, 1.5, 2.5, 254.6}, []float32{0, 2, 2, 255}},
		{onnx.Uint8, []float32{-3, 300, nan, -0.4}, []float32{0, 255, 0, 0}},
		{onnx.Int8, []float32{-128.4, -500, 127.5, 3}, []float32{-128, -128, 127, 3}},
		{onnx.Int32, []float32{-7.5, 1 << 24, 1e20, -inf}, []float32{-8, 1 << 24, math.MaxInt32, math.MinInt32}},
		{onnx.Int64, []float32{-7.5, 1 << 40, inf, -1e30}, []float32{-8, 1 << 40, math.MaxInt64, math.MinInt64}},
		{onnx.Bool, []float32{0, 1, -0.25, 7}, []float32{0, 1, 1, 1}},
	} {
		t.Run(c.typ.String(), func(t *testing.T) {
			s, err := tryOpenModel(t, identity(t, c.typ), runtime.Options{Inputs: image(4), Outputs: []string{"same", "float"}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if d := cmp.Diff([]runtime.Tensor{{Name: "x", Type: c.typ, Shape: []int64{-1, 4}}}, s.Inputs); d != "" {
				t.Errorf("inputs (-want +got):\n%s", d)
			}
			outputs := []runtime.Tensor{
				{Name: "same", Type: onnx.Float32, Shape: []int64{-1, 4}}, {Name: "float", Type: onnx.Float32, Shape: []int64{-1, 4}},
			}
			if d := cmp.Diff(outputs, s.Outputs); d != "" {
				t.Errorf("outputs (-want +got):\n%s", d)
			}
			b, err := s.NewBatch(3)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			for n := 1; n <= 3; n++ {
				for i := range 3 {
					clear(b.Input(0, i))
				}
				copy(b.Input(0, n-1), c.in)
				if err := b.Run(context.Background(), n); err != nil {
					t.Fatal(err)
				}
				for k, name := range []string{"same", "float"} {
					if d := cmp.Diff(c.want, b.Output(k, n-1)); d != "" {
						t.Errorf("%s of slot %d of %d (-want +got):\n%s", name, n-1, n, d)
					}
				}
			}
		})
	}
	t.Run("string", func(t *testing.T) {
		const text onnx.Type = 8
		s, err := tryOpenModel(t, identity(t, text), runtime.Options{Inputs: image(4), Outputs: []string{"same"}})
		if err == nil {
			s.Close()
			t.Fatal("no error")
		}
		if !strings.Contains(err.Error(), `input "x" takes string`) {
			t.Errorf("%v", err)
		}
	})
}

// A model with four inputs: x of n x 3 values, w of 3 x 2 weights, a scalar and one flag
// per sample: z = x . w + scalar, y = flag ? x : -x.
func TestSeveralInputs(t *testing.T) {
	m := onnxtest.Model()
	g := &m.Graph
	g.Inputs = []onnx.Value{
		onnx.NewValue("x", onnx.Float32).WithDims(onnxtest.Axes(-1, 3)...),
		onnx.NewValue("w", onnx.Float32).WithDims(onnxtest.Axes(3, 2)...),
		onnx.NewValue("scalar", onnx.Int64).WithDims(),
		onnx.NewValue("flag", onnx.Bool).WithDims(onnxtest.Axes(-1, 1)...),
	}
	g.Nodes = []onnx.Node{
		onnx.NewNode("MatMul", "", []string{"x", "w"}, []string{"product"}),
		onnx.NewNode("Cast", "", []string{"scalar"}, []string{"added"}, onnx.IntAttr("to", int64(onnx.Float32))),
		onnx.NewNode("Add", "", []string{"product", "added"}, []string{"z"}),
		onnx.NewNode("Neg", "", []string{"x"}, []string{"minus"}),
		onnx.NewNode("Where", "", []string{"flag", "x", "minus"}, []string{"y"}),
	}
	g.Outputs = []onnx.Value{onnx.NewValue("z", onnx.Float32).WithDims(onnxtest.Axes(-1, 2)...)}
	s, err := tryOpenModel(t, written(t, m), runtime.Options{
		Inputs: []runtime.Input{ // in another order than the file's
			{Name: "scalar", Whole: true},
			{Name: "flag", Shape: []int64{1}},
			{Name: "x", Shape: []int64{3}},
			{Name: "w", Shape: []int64{3, 2}, Whole: true},
		},
		Outputs: []string{"y", "z"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := []runtime.Tensor{
		{Name: "scalar", Type: onnx.Int64, Whole: true},
		{Name: "flag", Type: onnx.Bool, Shape: []int64{-1, 1}},
		{Name: "x", Type: onnx.Float32, Shape: []int64{-1, 3}},
		{Name: "w", Type: onnx.Float32, Shape: []int64{3, 2}, Whole: true},
	}
	if d := cmp.Diff(want, s.Inputs); d != "" {
		t.Errorf("inputs (-want +got):\n%s", d)
	}
	b, err := s.NewBatch(4)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	copy(b.Input(3, 0), []float32{1, 2, 3, 4, 5, 6})
	for n := 1; n <= 4; n++ {
		b.Input(0, 17)[0] = float32(10 * n) // whatever the slot
		for i := range n {
			v := float32(i + 1)
			b.Input(1, i)[0] = float32(i % 2)
			copy(b.Input(2, i), []float32{v, 0, -v})
		}
		if err := b.Run(context.Background(), n); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			v, sign := float32(i+1), float32(2*(i%2)-1)
			if d := cmp.Diff([]float32{sign * v, 0 * sign, -sign * v}, b.Output(0, i)); d != "" {
				t.Errorf("y of slot %d of %d (-want +got):\n%s", i, n, d)
			}
			if d := cmp.Diff([]float32{v - 5*v + float32(10*n), 2*v - 6*v + float32(10*n)}, b.Output(1, i)); d != "" {
				t.Errorf("z of slot %d of %d (-want +got):\n%s", i, n, d)
			}
		}
	}
}

// Outputs of types that no input has come out as float32 too: here weights of the file
// added to the input, cast.
func TestOutputTypes(t *testing.T) {
	for _, typ := range []onnx.Type{onnx.Int64, onnx.Int32, onnx.Float16, onnx.Float64, onnx.Uint8, onnx.Bool} {
		t.Run(typ.String(), func(t *testing.T) {
			m := onnxtest.Model()
			g := &m.Graph
			raw := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1))
			g.Initializers = []onnx.Tensor{onnx.NewTensor("one", onnx.Float32, []int64{1}, raw)}
			g.Inputs = []onnx.Value{onnx.NewValue("x", onnx.Float32).WithDims(onnxtest.Axes(-1, 1)...)}
			g.Nodes = []onnx.Node{
				onnx.NewNode("Add", "", []string{"x", "one"}, []string{"sum"}),
				onnx.NewNode("Cast", "", []string{"sum"}, []string{"z"}, onnx.IntAttr("to", int64(typ))),
			}
			g.Outputs = []onnx.Value{onnx.NewValue("z", typ).WithDims(onnxtest.Axes(-1, 1)...)}
			s, err := tryOpenModel(t, written(t, m), runtime.Options{Inputs: image(1)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			b, err := s.NewBatch(2)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			b.Input(0, 1)[0] = 6
			if err := b.Run(context.Background(), 2); err != nil {
				t.Fatal(err)
			}
			want := []float32{1, 7}
			if typ == onnx.Bool {
				want[1] = 1
			}
			if d := cmp.Diff(want, []float32{b.Output(0, 0)[0], b.Output(0, 1)[0]}); d != "" {
				t.Errorf("outputs (-want +got):\n%s", d)
			}
		})
	}
}
