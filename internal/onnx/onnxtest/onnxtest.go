// Package onnxtest makes small models for tests.
package onnxtest

import (
	"cutmix-eval/internal/onnx"

	"google.golang.org/protobuf/encoding/protowire"
)

// Model is a model of opset 13 without nodes, inputs and outputs, which can be
// put into its lists.
func Model() *onnx.Model {
	field := func(b []byte, num protowire.Number, msg []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), msg)
	}
	number := func(b []byte, num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
	}
	graph := field(field(nil, 2, []byte("g")), 1, nil) // with an empty node, for Parse takes no empty graph
	m, err := onnx.Parse(field(field(number(nil, 1, 8), 8, number(nil, 2, 13)), 7, graph))
	if err != nil {
		panic("onnxtest: " + err.Error())
	}
	m = m.Edit()
	m.Graph.Nodes = nil
	return m
}

// Axes are a value's axes: sizes, -1 for the batch.
func Axes(sizes ...int64) []onnx.Dim {
	var out []onnx.Dim
	for _, n := range sizes {
		d := onnx.Dim{Size: n}
		if n < 0 {
			d.Symbol = "n"
		}
		out = append(out, d)
	}
	return out
}
