package model

import (
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"

	"github.com/google/go-cmp/cmp"
)

// TestSingleOutput: an output of one value per image is found with and without an axis of classes, its
// logit before a Sigmoid, and two names are kept for it.
func TestSingleOutput(t *testing.T) {
	for _, c := range []struct {
		name    string
		dims    []int64
		nodes   []onnx.Node
		logits  string
		last    string
		classes int
	}{
		{"images x 1", []int64{-1, 1}, []onnx.Node{onnx.NewNode("Sigmoid", "s", []string{"z"}, []string{"out"})}, "z", "Sigmoid", 1},
		{"images", []int64{-1}, []onnx.Node{
			onnx.NewNode("Sigmoid", "s", []string{"z"}, []string{"p"}), onnx.NewNode("Squeeze", "q", []string{"p"}, []string{"out"}),
		}, "z", "Sigmoid", 1},
		{"fixed", []int64{1}, []onnx.Node{onnx.NewNode("Tanh", "t", []string{"z"}, []string{"out"})}, "out", "Tanh", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := onnxtest.Model()
			g := &m.Graph
			g.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, 2, 2)...)}
			g.Nodes = append([]onnx.Node{
				onnx.NewNode("Flatten", "f", []string{"image"}, []string{"flat"}),
				onnx.NewNode("Gemm", "g", []string{"flat", "w"}, []string{"z"}),
			}, c.nodes...)
			g.Initializers = []onnx.Tensor{onnx.NewTensor("w", onnx.Float32, []int64{12, 1}, make([]byte, 48))}
			g.Outputs = []onnx.Value{onnx.NewValue("out", onnx.Float32).WithDims(onnxtest.Axes(c.dims...)...)}
			m.Meta = map[string]string{"classes": `["cat", "dog"]`}
			got, err := FromBytes("single", m.Bytes(), "")
			if err != nil {
				t.Fatal(err)
			}
			if got.Classes != c.classes || got.Logits != c.logits || got.Last() != c.last {
				t.Errorf("%d classes, logits %q, made by %s", got.Classes, got.Logits, got.Last())
			}
			if d := cmp.Diff([]string{"cat", "dog"}, got.ClassNames); d != "" {
				t.Error(d)
			}
		})
	}
}
