package onnx

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Edit returns a copy whose metadata and lists (of nodes, initializers, inputs,
// outputs and values) can be changed; m stays as it is. Elements are replaced by
// others, which New and With functions make: what Bytes writes of an element is
// what it was made from, whatever is written into its fields.
func (m *Model) Edit() *Model {
	e := *m
	e.data, e.Meta = nil, maps.Clone(m.Meta)
	g := &e.Graph
	g.Nodes, g.Initializers = slices.Clone(g.Nodes), slices.Clone(g.Initializers)
	g.Inputs, g.WeightInputs = slices.Clone(g.Inputs), slices.Clone(g.WeightInputs)
	g.Outputs, g.Values = slices.Clone(g.Outputs), slices.Clone(g.Values)
	return &e
}

// Bytes is the model as a file: that which was parsed, or a new one, which is
// encoded at every call.
func (m *Model) Bytes() []byte {
	if m.data != nil {
		return m.data
	}
	g := &m.Graph
	graph := len(g.rest)
	g.each(func(num protowire.Number, msg []byte) {
		graph += protowire.SizeTag(num) + protowire.SizeBytes(len(msg))
	})
	out := make([]byte, 0, graph+len(m.rest)+1024)
	out = append(out, m.rest...)
	for _, key := range slices.Sorted(maps.Keys(m.Meta)) {
		out = appendMessage(out, modelMeta, appendString(appendString(nil, 1, key), 2, m.Meta[key]))
	}
	out = protowire.AppendVarint(protowire.AppendTag(out, modelGraph, protowire.BytesType), uint64(graph))
	out = append(out, g.rest...)
	g.each(func(num protowire.Number, msg []byte) { out = appendMessage(out, num, msg) })
	return out
}

// each calls f for every element with its field number.
func (g *Graph) each(f func(num protowire.Number, msg []byte)) {
	for i := range g.Nodes {
		f(graphNode, g.Nodes[i].msg)
	}
	for i := range g.Initializers {
		f(graphInitializer, g.Initializers[i].msg)
	}
	for _, list := range []struct {
		num    protowire.Number
		values []Value
	}{{graphInput, g.Inputs}, {graphInput, g.WeightInputs}, {graphOutput, g.Outputs}, {graphValue, g.Values}} {
		for i := range list.values {
			f(list.num, list.values[i].msg)
		}
	}
}

// Tap returns the model with the named tensors among its outputs, as float32:
// those that are no such outputs yet get a Cast each, and those that hold quantised
// integers a DequantizeLinear before it. FloatOutput says how the outputs are called. Standard operators must be in the model's opset imports, as
// they nearly always are.
func (m *Model) Tap(tensors ...string) (*Model, error) {
	e := m
	for _, t := range tensors {
		switch {
		case e.FloatOutput(t) != "":
			continue
		case !e.Graph.Produces(t):
			return nil, fmt.Errorf("it has no tensor %q; its outputs are %s", t, Names(m.Graph.Outputs))
		case e == m:
			e = m.Edit()
		}
		name, values := t+castSuffix, t
		if _, ok := e.Graph.QuantizationOf(t); ok {
			values = t + dequantizedSuffix
			n, err := e.Graph.Dequantize(t, values, values)
			if err != nil {
				return nil, err
			}
			e.Graph.Nodes = append(e.Graph.Nodes, n)
		}
		e.Graph.Nodes = append(e.Graph.Nodes, NewNode("Cast", name, []string{values}, []string{name}, IntAttr("to", int64(Float32))))
		// The output's type is stated; its shape is left to inference.
		e.Graph.Outputs = append(e.Graph.Outputs, NewValue(name, Float32))
	}
	return e, nil
}

// castSuffix ends the names of the outputs that Tap makes, dequantizedSuffix those of what
// lies before them.
const (
	castSuffix        = "::float32"
	dequantizedSuffix = "::dequantized"
)

// FloatOutput is the name of the output that holds a tensor as float32, empty
// where none does: the tensor itself, or what Tap made.
func (m *Model) FloatOutput(tensor string) string {
	for _, name := range []string{tensor, tensor + castSuffix} {
		if slices.ContainsFunc(m.Graph.Outputs, func(v Value) bool { return v.Name == name && v.Type == Float32 }) {
			return name
		}
	}
	return ""
}

// VectorInput returns the model with a vector of one value in place of a scalar
// input, and the name of the new input.
func (m *Model) VectorInput(input string) (*Model, string) {
	e, name := m.Edit(), input+"::vector"
	for i, v := range e.Graph.Inputs {
		if v.Name == input {
			e.Graph.Inputs[i] = NewValue(name, v.Type).WithDims(Dim{Size: 1})
		}
	}
	e.Graph.Nodes = slices.Insert(e.Graph.Nodes, 0, NewNode("Squeeze", name, []string{name}, []string{input}))
	return e, name
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

func appendMessage(b []byte, num protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), m)
}

// own panics where this package cannot read what it has encoded.
func own[T any](v T, err error) T {
	if err != nil {
		panic("onnx: " + err.Error())
	}
	return v
}

// NewTensor makes a tensor from raw little-endian values.
func NewTensor(name string, typ Type, dims []int64, raw []byte) Tensor {
	var b []byte
	for _, d := range dims {
		b = appendInt(b, 1, d)
	}
	b = appendInt(b, 2, int64(typ))
	b = appendString(b, 8, name)
	return own(parseTensor(appendMessage(b, 9, raw)))
}

// NewInt64s makes a vector of integers.
func NewInt64s(name string, v []int64) Tensor {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
	}
	return NewTensor(name, Int64, []int64{int64(len(v))}, raw)
}

// NewNode makes a node of the standard operators; attrs are encoded attributes.
func NewNode(op, name string, in, out []string, attrs ...[]byte) Node {
	var b []byte
	for _, s := range in {
		b = appendString(b, 1, s)
	}
	for _, s := range out {
		b = appendString(b, 2, s)
	}
	b = appendString(appendString(b, 3, name), 4, op)
	for _, a := range attrs {
		b = appendMessage(b, 5, a)
	}
	return own(parseNode(b))
}

// NewConstant makes a Constant node that gives a vector of integers.
func NewConstant(name, output string, v []int64) Node {
	const attrTensor = 4
	attr := appendInt(appendMessage(appendString(nil, 1, "value"), 5, NewInt64s("", v).msg), 20, attrTensor)
	return NewNode("Constant", name, nil, []string{output}, attr)
}

// IntAttr encodes an integer attribute.
func IntAttr(name string, v int64) []byte {
	const attrInt = 2
	return appendInt(appendInt(appendString(nil, 1, name), 3, v), 20, attrInt)
}

// WithInputs returns the node with other inputs; the rest stays.
func (n Node) WithInputs(in ...string) (Node, error) {
	var b []byte
	for _, s := range in {
		b = appendString(b, 1, s)
	}
	err := each(n.msg, func(num protowire.Number, v value) error {
		if num != 1 {
			b = append(protowire.AppendTag(b, num, v.typ), v.raw...)
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	return parseNode(b)
}

// WithInts returns the node with attributes that are lists of integers, in place
// of those of the same names.
func (n Node) WithInts(set map[string][]int64) (Node, error) {
	const attrInts = 7
	var b []byte
	err := each(n.msg, func(num protowire.Number, v value) error {
		if num == 5 {
			a, err := parseAttr(v.b)
			if err != nil {
				return err
			}
			if _, ok := set[a.Name]; ok {
				return nil
			}
		}
		b = append(protowire.AppendTag(b, num, v.typ), v.raw...)
		return nil
	})
	if err != nil {
		return n, err
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		a := appendString(nil, 1, name)
		for _, v := range set[name] {
			a = appendInt(a, 8, v)
		}
		b = appendMessage(b, 5, appendInt(a, 20, attrInts))
	}
	return parseNode(b)
}

// NewValue makes an input, an output or a value of no stated shape.
func NewValue(name string, typ Type) Value { return (Value{Name: name, Type: typ}).encoded() }

// WithDims returns the value, which must be a tensor, with other axes.
func (v Value) WithDims(dims ...Dim) Value {
	v.Ranked, v.Dims = true, dims
	return v.encoded()
}

// WithType returns the value with another element type.
func (v Value) WithType(t Type) Value {
	v.Type = t
	return v.encoded()
}

func (v Value) encoded() Value {
	var shape []byte
	for _, d := range v.Dims {
		var dim []byte
		if d.Size >= 0 {
			dim = appendInt(nil, 1, d.Size)
		} else if d.Symbol != "" {
			dim = appendString(nil, 2, d.Symbol)
		}
		shape = appendMessage(shape, 1, dim)
	}
	tensor := appendInt(nil, 1, int64(v.Type))
	if v.Ranked {
		tensor = appendMessage(tensor, 2, shape)
	}
	v.msg = appendMessage(appendString(nil, 1, v.Name), 2, appendMessage(nil, 1, tensor))
	return v
}

// Names lists values for people.
func Names(values []Value) string {
	names := make([]string, len(values))
	for i := range values {
		names[i] = values[i].Name
	}
	return strings.Join(names, ", ")
}
