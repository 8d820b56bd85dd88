package model

import (
	"strings"
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/linear"
)

// What an output without class scores is, which tensor has them, and what to do is said of every
// kind of output; asked for by name, such an output is refused as well.
func TestNoScores(t *testing.T) {
	one := func(op, out string, in ...string) onnx.Node { return onnx.NewNode(op, "", in, []string{out}) }
	scores := []onnx.Node{
		one("GlobalAveragePool", "p", "image"), one("Flatten", "f", "p"), onnx.NewNode("Gemm", "", []string{"f", "w"}, []string{"scores"}, onnx.IntAttr("transB", 1)),
	}
	for name, c := range map[string]struct {
		nodes []onnx.Node
		typ   onnx.Type
		dims  []int64
		want  []string
	}{
		"a scalar":      {[]onnx.Node{onnx.NewNode("ReduceMax", "", []string{"scores"}, []string{"out"}, onnx.IntAttr("keepdims", 0))}, onnx.Float32, []int64{}, []string{"is a scalar", "--output"}},
		"segmentation":  {[]onnx.Node{one("Conv", "out", "image", "w4")}, onnx.Float32, []int64{-1, 10, 8, 8}, []string{"n x 10 x 8 x 8", "not images x classes", "segmentation", "their mean over the places", "--output"}},
		"open places":   {[]onnx.Node{one("Conv", "out", "image", "w4")}, onnx.Float32, []int64{-1, 10, -1, -1}, []string{"segmentation"}},
		"tokens":        {[]onnx.Node{one("Reshape", "out", "image", "w4")}, onnx.Float32, []int64{-1, 7, 10}, []string{"n x 7 x 10", "token, box or moment", "take one of them", "--output"}},
		"a class":       {[]onnx.Node{one("ArgMax", "out", "scores")}, onnx.Int64, []int64{-1}, []string{"class numbers", `--output "scores"`}},
		"a class, cast": {[]onnx.Node{one("ArgMax", "a", "scores"), one("Cast", "out", "a")}, onnx.Float32, []int64{-1}, []string{"the number of one class", `--output "scores"`}},
		"the largest":   {[]onnx.Node{onnx.NewNode("TopK", "", []string{"scores", "k"}, []string{"out", "which"})}, onnx.Float32, []int64{-1, 5}, []string{"the largest scores", `--output "scores"`}},
		"the highest probability": {
			[]onnx.Node{one("Softmax", "s", "scores"), onnx.NewNode("ReduceMax", "", []string{"s", "axes"}, []string{"out"}, onnx.IntAttr("keepdims", 0))},
			onnx.Float32, []int64{-1}, []string{"the largest score, not one for each class", `--output "s"`},
		},
		"names": {[]onnx.Node{one("ArgMax", "a", "scores"), one("Cast", "out", "a")}, 8, []int64{-1}, []string{"string", `--output "scores"`}},
	} {
		t.Run(name, func(t *testing.T) {
			f := onnxtest.Model()
			f.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, 8, 8)...)}
			f.Graph.Outputs = []onnx.Value{onnx.NewValue("out", c.typ).WithDims(onnxtest.Axes(c.dims...)...)}
			f.Graph.Nodes = append(scores, c.nodes...)
			f.Graph.Initializers = []onnx.Tensor{onnx.NewTensor("w", onnx.Float32, []int64{10, 3}, make([]byte, 120)), onnx.NewInt64s("axes", []int64{1})}
			for _, output := range []string{"", "out"} {
				_, err := FromBytes("net", f.Bytes(), output)
				if err == nil {
					t.Fatalf("output %q is taken for class scores", output)
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) && !(output != "" && want == "--output") {
						t.Errorf("output %q: %v, want %q", output, err, want)
					}
				}
			}
			if m, err := FromBytes("net", f.Bytes(), "scores"); err != nil || m.Output != "scores" {
				t.Errorf("the scores before it: %v", err)
			}
		})
	}
}

// Multiple-instance models take the largest score over places: one for each class all the same.
func TestLargestOverPlaces(t *testing.T) {
	f := onnxtest.Model()
	f.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, 8, 8)...)}
	f.Graph.Outputs = []onnx.Value{onnx.NewValue("out", onnx.Float32).WithDims(onnxtest.Axes(-1, 1)...)}
	f.Graph.Nodes = []onnx.Node{
		onnx.NewNode("Conv", "", []string{"image", "w"}, []string{"c"}),
		onnx.NewNode("ReduceMax", "", []string{"c", "axes"}, []string{"out"}, onnx.IntAttr("keepdims", 0)),
	}
	f.Graph.Initializers = []onnx.Tensor{onnx.NewTensor("w", onnx.Float32, []int64{1, 3, 1, 1}, make([]byte, 12)), onnx.NewInt64s("axes", []int64{2, 3})}
	if m, err := FromBytes("net", f.Bytes(), ""); err != nil || m.Classes != 1 {
		t.Errorf("%v", err)
	}
}

func TestCheckScores(t *testing.T) {
	for _, shape := range [][]int64{{-1}, {-1, 1}, {-1, 10}, {-1, 10, 1, 1}, {-1, 1, 10}} {
		if err := CheckScores("out", shape); err != nil {
			t.Error(err)
		}
	}
	for want, shape := range map[string][]int64{"n x 10 x 4 x 4": {-1, 10, 4, 4}, "token": {-1, 4, 10}, "segmentation": {-1, 1, 4, 4}, "n x 0 x 2": {-1, 0, 2}} {
		if err := CheckScores("out", shape); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--output") {
			t.Errorf("%v: %v, want %q", shape, err, want)
		}
	}
}

// Scores that the graph gives as integers, by whatever node they were quantised, are scores; a new
// head gives floats in their place.
func TestQuantisedOutput(t *testing.T) {
	for name, behind := range map[string][]onnx.Node{
		"logits": {onnx.NewNode("QuantizeLinear", "", []string{"scores", "scale", "zero"}, []string{"out"})},
		"shaped": {
			onnx.NewNode("QuantizeLinear", "", []string{"scores", "scale", "zero"}, []string{"q"}), onnx.NewNode("Flatten", "", []string{"q"}, []string{"out"}),
		},
		"probabilities": {
			onnx.NewNode("Softmax", "", []string{"scores"}, []string{"s"}), onnx.NewNode("QuantizeLinear", "", []string{"s", "scale", "zero"}, []string{"out"}),
		},
	} {
		f := onnxtest.Model()
		f.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, 8, 8)...)}
		f.Graph.Outputs = []onnx.Value{onnx.NewValue("out", onnx.Uint8).WithDims(onnxtest.Axes(-1, 10)...)}
		f.Graph.Nodes = append([]onnx.Node{
			onnx.NewNode("GlobalAveragePool", "", []string{"image"}, []string{"p"}), onnx.NewNode("Flatten", "", []string{"p"}, []string{"f"}),
			onnx.NewNode("Gemm", "", []string{"f", "w"}, []string{"scores"}, onnx.IntAttr("transB", 1)),
		}, behind...)
		f.Graph.Initializers = []onnx.Tensor{
			onnx.NewTensor("w", onnx.Float32, []int64{10, 3}, make([]byte, 120)), onnx.NewTensor("scale", onnx.Float32, nil, []byte{0, 0, 0x80, 0x3f}), onnx.NewTensor("zero", onnx.Uint8, nil, []byte{128}),
		}
		m, err := FromBytes("net", f.Bytes(), "")
		if err != nil || m.Classes != 10 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		h, err := m.Head()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tuned, err := m.ReplaceHead(h, []linear.Layer{{In: 3, Out: 4, Weight: make([]float32, 12), Bias: make([]float32, 4)}}, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if out := tuned.File().Graph.Outputs[0]; out.Type != onnx.Float32 || tuned.Classes != 4 {
			t.Errorf("%s: output of %v, %d classes", name, out.Type, tuned.Classes)
		}
	}
	f := onnxtest.Model()
	f.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, 8, 8)...)}
	f.Graph.Outputs = []onnx.Value{onnx.NewValue("out", onnx.Uint8).WithDims(onnxtest.Axes(-1, 10)...)}
	f.Graph.Nodes = []onnx.Node{onnx.NewNode("Cast", "", []string{"image"}, []string{"out"})}
	if _, err := FromBytes("net", f.Bytes(), ""); err == nil || !strings.Contains(err.Error(), "no quantised scores") {
		t.Errorf("bytes of no scale: %v", err)
	}
}
