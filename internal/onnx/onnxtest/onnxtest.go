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

// Body is the attribute of a node such as If that holds a graph of these nodes, which takes and
// gives these tensors.
func Body(name string, inputs, outputs []onnx.Value, nodes ...onnx.Node) []byte {
	m := Model()
	m.Graph.Nodes, m.Graph.Inputs, m.Graph.Outputs = nodes, inputs, outputs
	const modelGraph, attrName, attrGraph, attrType, isGraph = 7, 1, 6, 20, 5
	var graph []byte
	for data := m.Bytes(); len(data) > 0; {
		num, typ, n := protowire.ConsumeTag(data)
		size := protowire.ConsumeFieldValue(num, typ, data[n:])
		if num == modelGraph {
			graph, _ = protowire.ConsumeBytes(data[n:])
		}
		data = data[n+size:]
	}
	b := protowire.AppendString(protowire.AppendTag(nil, attrName, protowire.BytesType), name)
	b = protowire.AppendBytes(protowire.AppendTag(b, attrGraph, protowire.BytesType), graph)
	return protowire.AppendVarint(protowire.AppendTag(b, attrType, protowire.VarintType), isGraph)
}
