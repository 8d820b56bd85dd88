package runtime_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// TestBatchBounds: batches that no memory holds are refused before any of it is asked for,
// whether a flag or the file says so.
func TestBatchBounds(t *testing.T) {
	ortest.Load(t)
	open := func(batch int) (*runtime.Session, error) {
		m := onnxtest.Model()
		m.Graph.Inputs = []onnx.Value{onnx.NewValue("x", onnx.Float32).WithDims(onnxtest.Axes(int64(batch), 4)...)}
		m.Graph.Nodes = []onnx.Node{onnx.NewNode("Relu", "y", []string{"x"}, []string{"y"})}
		m.Graph.Outputs = []onnx.Value{onnx.NewValue("y", onnx.Float32)}
		return runtime.Open(context.Background(), runtime.Source{Name: "m", Model: m}, runtime.Options{
			Inputs: []runtime.Input{{Shape: []int64{4}}}, Outputs: []string{"y"}, Threads: 1, Device: runtime.CPU,
		})
	}
	s, err := open(-1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, n := range []int{1 << 27, 1 << 40, 1 << 62, math.MaxInt} {
		if _, err := s.NewBatch(n); err == nil || !strings.Contains(err.Error(), "give --batch 44739242 or less") {
			t.Errorf("a batch of %d: %v", n, err)
		}
	}
	for _, n := range []int{1 << 28, 1 << 40, 1 << 62, math.MaxInt} {
		if _, err := open(n); err == nil || !strings.Contains(err.Error(), "insists on batches of") {
			t.Errorf("a model for batches of %d: %v", n, err)
		}
	}
}
