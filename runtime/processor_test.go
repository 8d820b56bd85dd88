package runtime_test

import (
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/runtime"
)

// The name is one of those that are documented for this architecture.
func TestIntegerKernels(t *testing.T) {
	known := map[string][]string{
		"amd64": {"amx_int8", "avx512_vnni", "avx_vnni", "avx512", "avx2", "sse"},
		"arm64": {"i8mm", "dotprod", "neon"},
	}[goruntime.GOARCH]
	if got := runtime.IntegerKernels(); !slices.Contains(append(known, goruntime.GOARCH), got) {
		t.Errorf("%q", got)
	}
}

// A batch that a file fixes at nothing, or at more than fits into memory, is refused before any
// memory is taken.
func TestFixedBatchBounds(t *testing.T) {
	for want, batch := range map[string]int64{
		"a batch axis of size 0": 0, "insists on batches of 1000000, which would take more than 2 GiB": 1000000,
		"insists on batches of 9223372036854775807": 1<<63 - 1,
	} {
		m := onnxtest.Model()
		m.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(batch, 3, 32, 32)...)}
		m.Graph.Nodes = []onnx.Node{onnx.NewNode("Flatten", "f", []string{"image"}, []string{"y"})}
		m.Graph.Outputs = []onnx.Value{onnx.NewValue("y", onnx.Float32)}
		_, err := tryOpenModel(t, runtime.Source{Name: "net", Model: m}, runtime.Options{Device: runtime.CPU, Inputs: image(3, 32, 32), Outputs: []string{"y"}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "export the model") {
			t.Errorf("batch %d: %v", batch, err)
		}
	}
}
