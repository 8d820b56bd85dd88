package model

import (
	"encoding/binary"
	"math"
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
)

func floats(name string, dims []int64, v ...float32) onnx.Tensor {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return onnx.NewTensor(name, onnx.Float32, dims, raw)
}

// front is a model whose nodes stand between its input x and a pooling of y.
func front(t testing.TB, nhwc bool, constants []onnx.Tensor, nodes ...onnx.Node) *Model {
	t.Helper()
	m := onnxtest.Model()
	g := &m.Graph
	axes := onnxtest.Axes(-1, 3, 8, 8)
	if nhwc {
		axes = onnxtest.Axes(-1, 8, 8, 3)
	}
	g.Inputs = []onnx.Value{onnx.NewValue("x", onnx.Float32).WithDims(axes...)}
	g.Nodes = append(nodes,
		onnx.NewNode("GlobalAveragePool", "pool", []string{"y"}, []string{"p"}),
		onnx.NewNode("Flatten", "flat", []string{"p"}, []string{"f"}),
		onnx.NewNode("Gemm", "head", []string{"f", "w"}, []string{"z"}))
	g.Initializers = append(constants, floats("w", []int64{3, 2}, 1, 2, 3, 4, 5, 6))
	g.Outputs = []onnx.Value{onnx.NewValue("z", onnx.Float32).WithDims(onnxtest.Axes(-1, 2)...)}
	model, err := FromBytes("front", m.Bytes(), "")
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func node(op, name string, out string, in ...string) onnx.Node {
	return onnx.NewNode(op, name, in, []string{out})
}

// turned goes from NHWC to NCHW.
func turned(t testing.TB, out, in string) onnx.Node {
	t.Helper()
	n, err := node("Transpose", "t", out, in).WithInts(map[string][]int64{"perm": {0, 3, 1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNormalisation(t *testing.T) {
	scalar := func(name string, v float32) onnx.Tensor { return floats(name, nil, v) }
	for name, c := range map[string]struct {
		nhwc      bool
		constants []onnx.Tensor
		nodes     []onnx.Node
		mean, std [3]float64 // what x is taken less and by; std 0: nothing is found
		last      string
	}{
		"nothing": {nodes: []onnx.Node{node("Identity", "i", "y", "x")}},
		"by 255": {
			constants: []onnx.Tensor{scalar("c", 255)}, nodes: []onnx.Node{node("Div", "d", "y", "x", "c")},
			std: [3]float64{255, 255, 255}, last: "Div",
		},
		"mean and std": {
			constants: []onnx.Tensor{floats("m", []int64{3, 1, 1}, 0.5, 0.25, 0.125), floats("s", []int64{1, 3, 1, 1}, 2, 4, 8)},
			nodes:     []onnx.Node{node("Sub", "m", "a", "x", "m"), node("Div", "s", "y", "a", "s")},
			mean:      [3]float64{0.5, 0.25, 0.125}, std: [3]float64{2, 4, 8}, last: "Div",
		},
		// (x * 2 - 1) is (x - 0.5) / 0.5
		"to -1..1": {
			constants: []onnx.Tensor{scalar("two", 2), scalar("one", 1)},
			nodes:     []onnx.Node{node("Mul", "m", "a", "two", "x"), node("Sub", "s", "y", "a", "one")},
			mean:      [3]float64{0.5, 0.5, 0.5}, std: [3]float64{0.5, 0.5, 0.5}, last: "Sub",
		},
		// 1 - x is (x - 1) / -1
		"inverted": {
			constants: []onnx.Tensor{scalar("one", 1)}, nodes: []onnx.Node{node("Sub", "s", "y", "one", "x")},
			mean: [3]float64{1, 1, 1}, std: [3]float64{-1, -1, -1}, last: "Sub",
		},
		"last axis, then turned": {
			nhwc: true, constants: []onnx.Tensor{floats("m", []int64{3}, -1, -2, -3), scalar("half", 0.5)},
			nodes: []onnx.Node{
				node("Add", "m", "a", "x", "m"),
				turned(t, "b", "a"),
				node("Mul", "h", "y", "b", "half"),
			},
			mean: [3]float64{1, 2, 3}, std: [3]float64{2, 2, 2}, last: "Mul",
		},
		"along a row": { // three values that are not of the channels
			constants: []onnx.Tensor{floats("m", []int64{3}, 1, 2, 3)}, nodes: []onnx.Node{node("Sub", "m", "y", "x", "m")},
		},
		"batch normalization": {
			constants: []onnx.Tensor{
				floats("g", []int64{3}, 7, 7, 7), floats("b", []int64{3}, 9, 9, 9),
				floats("m", []int64{3}, 120, 110, 100), floats("v", []int64{3}, 16, 25, 36),
			},
			nodes: []onnx.Node{node("BatchNormalization", "bn", "y", "x", "g", "b", "m", "v")},
			mean:  [3]float64{120, 110, 100}, std: [3]float64{4, 5, 6}, last: "BatchNormalization",
		},
		"by zero": {constants: []onnx.Tensor{scalar("c", 0)}, nodes: []onnx.Node{node("Mul", "d", "y", "x", "c")}},
		"a skip": { // the input has another user
			constants: []onnx.Tensor{scalar("c", 255)},
			nodes:     []onnx.Node{node("Div", "d", "a", "x", "c"), node("Add", "s", "y", "a", "x")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := front(t, c.nhwc, c.constants, c.nodes...).Normalisation()
			if c.last == "" {
				if got != nil {
					t.Errorf("found %v", got)
				}
				return
			}
			if got == nil {
				t.Fatal("nothing was found")
			}
			for k := range 3 {
				// epsilon of the variance is 1e-5
				if math.Abs(got.Mean[k]-c.mean[k]) > 1e-6 || math.Abs(got.Std[k]-c.std[k]) > 1e-5 {
					t.Errorf("%v, want mean %v, std %v", got, c.mean, c.std)
				}
			}
			if n := len(got.Nodes); n == 0 || len(got.Nodes[n-1]) < len(c.last) || got.Nodes[n-1][:len(c.last)] != c.last {
				t.Errorf("nodes %v", got.Nodes)
			}
		})
	}
}

// Whatever a graph says, what is found is a normalisation.
func FuzzNormalisation(f *testing.F) {
	three := func(name string) onnx.Tensor { return floats(name, []int64{3, 1, 1}, 1, 2, 3) }
	f.Add(front(f, false, []onnx.Tensor{three("m"), three("s")}, node("Sub", "m", "a", "x", "m"), node("Div", "s", "y", "a", "s")).Data())
	f.Add(front(f, true, []onnx.Tensor{floats("m", []int64{3}, 1, 2, 3)}, node("Mul", "m", "a", "m", "x"), turned(f, "y", "a")).Data())
	var four []onnx.Tensor
	for _, name := range []string{"g", "b", "m", "v"} {
		four = append(four, floats(name, []int64{3}, 1, 2, 3))
	}
	f.Add(front(f, false, four, node("BatchNormalization", "bn", "y", "x", "g", "b", "m", "v")).Data())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := FromBytes("fuzz", data, "")
		if err != nil {
			return
		}
		n := m.Normalisation()
		if n == nil {
			return
		}
		for c := range 3 {
			if s := n.Std[c]; s == 0 || math.IsNaN(s) || math.IsInf(s, 0) || math.IsNaN(n.Mean[c]) || math.IsInf(n.Mean[c], 0) {
				t.Errorf("%v", n)
			}
		}
		if len(n.Nodes) == 0 || n.String() == "" {
			t.Error("no node does it")
		}
	})
}
