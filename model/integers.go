package model

import (
	"slices"
	"strings"

	"cutmix-eval/internal/onnx"
)

// Integers says whether the model computes with integers: it has nodes that quantise, or that
// multiply quantised values.
func (m *Model) Integers() bool {
	for i := range m.file.Graph.Nodes {
		n := &m.file.Graph.Nodes[i]
		switch {
		case standard(n) && slices.Contains([]string{
			"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger",
		}, n.Op):
			return true
		case n.Domain == "com.microsoft" && (strings.HasPrefix(n.Op, "Q") || strings.Contains(n.Op, "Quantize") ||
			strings.Contains(n.Op, "Integer") || strings.HasSuffix(n.Op, "NBits")):
			return n.Op != "QuickGelu"
		}
	}
	return false
}

// Half says whether the model computes with numbers of 16 bits: it takes them, or some of its
// weights are such.
func (m *Model) Half() bool {
	half := func(t onnx.Type) bool { return t == onnx.Float16 || t == onnx.BFloat16 }
	return half(m.InputType) || slices.ContainsFunc(m.file.Graph.Initializers, func(t onnx.Tensor) bool { return half(t.Type) })
}
