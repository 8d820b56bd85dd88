package runtime_test

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// TestSharedZeroPoint: two layers of int8 weights that share a zero point, as programs that merge
// equal constants leave them, are opened and give what the integers say. 127 x 255 twice is beyond
// 16 bits, which products on processors without VNNI must not be cut to.
func TestSharedZeroPoint(t *testing.T) {
	ortest.Load(t)
	float := func(name string, v float32) onnx.Tensor {
		return onnx.NewTensor(name, onnx.Float32, nil, binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
	}
	m := onnxtest.Model()
	g := &m.Graph
	g.Inputs = []onnx.Value{onnx.NewValue("x", onnx.Float32).WithDims(onnxtest.Axes(-1, 4)...)}
	g.Initializers = []onnx.Tensor{
		float("one", 1), float("many", 1024), onnx.NewTensor("zero", onnx.Int8, nil, []byte{0}), onnx.NewTensor("low", onnx.Uint8, nil, []byte{0}),
		onnx.NewTensor("a", onnx.Int8, []int64{4, 4}, []byte{127, 1, 0, 0, 127, 0, 1, 0, 127, 0, 0, 1, 127, 0, 0, 0}),
		onnx.NewTensor("b", onnx.Int8, []int64{4, 2}, []byte{127, 0, 0, 1, 0, 1, 0, 1}),
	}
	node := func(op, out string, in ...string) {
		g.Nodes = append(g.Nodes, onnx.NewNode(op, out, in, []string{out}))
	}
	node("QuantizeLinear", "xq", "x", "one", "low")
	node("DequantizeLinear", "xf", "xq", "one", "low")
	node("DequantizeLinear", "af", "a", "one", "zero")
	node("MatMul", "h", "xf", "af")
	node("QuantizeLinear", "hq", "h", "many", "low")
	node("DequantizeLinear", "hf", "hq", "many", "low")
	node("DequantizeLinear", "bf", "b", "one", "zero")
	node("MatMul", "y", "hf", "bf")
	g.Outputs = []onnx.Value{onnx.NewValue("y", onnx.Float32).WithDims(onnxtest.Axes(-1, 2)...)}
	s, err := runtime.Open(context.Background(), written(t, m), runtime.Options{Device: runtime.CPU, Inputs: []runtime.Input{{Shape: []int64{4}}}, Outputs: []string{"y"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := s.NewBatch(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	copy(b.Input(0, 0), []float32{255, 255, 255, 255})
	if err := b.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	// 4 x 255 x 127 is 129,540, which quantised by 1024 is 127 (of 126.5);
	// the other three are 255 / 1024, which is 0.
	want := float32(math.RoundToEven(129540.0/1024) * 1024 * 127)
	if got := b.Output(0, 0); got[0] != want || got[1] != 0 {
		t.Errorf("%v, want [%v 0]", got, want)
	}
}
