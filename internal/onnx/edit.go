package onnx

import (
	"encoding/binary"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of a GraphProto that edits look at.
const (
	FieldNode        protowire.Number = 1
	FieldInitializer protowire.Number = 5
	FieldInput       protowire.Number = 11
	FieldOutput      protowire.Number = 12
	FieldValue       protowire.Number = 13
)

// EditGraph copies a model and lets f see every node, initializer, input,
// output and value of its graph, in encoded form. f returns what to write in its
// place: the same bytes, others, or nil to leave it out. What add holds is put
// into the graph as further fields, in order: in front of the node that makes the
// tensor Before, or of everything. Everything else stays as it is.
func EditGraph(data []byte, f func(field protowire.Number, msg []byte) ([]byte, error), add []Field) ([]byte, error) {
	const graphField = 7
	out := make([]byte, 0, len(data)+len(data)/8)
	added := false
	err := each(data, func(num protowire.Number, v value) error {
		if num != graphField || v.typ != protowire.BytesType {
			out = protowire.AppendTag(out, num, v.typ)
			out = append(out, v.raw...)
			return nil
		}
		g := make([]byte, 0, len(v.b))
		if !added { // before the nodes: initializers may come in any order
			added = true
			g = appendFields(g, add, nil)
		}
		err := each(v.b, func(num protowire.Number, v value) error {
			if num == FieldNode && slices.ContainsFunc(add, func(a Field) bool { return a.Before != "" }) {
				n, err := parseNode(v.b)
				if err != nil {
					return err
				}
				g = appendFields(g, add, n.Out)
			}
			switch num {
			case FieldNode, FieldInitializer, FieldInput, FieldOutput, FieldValue:
				msg, err := f(num, v.b)
				if err != nil || msg == nil {
					return err
				}
				g = protowire.AppendBytes(protowire.AppendTag(g, num, protowire.BytesType), msg)
			default:
				g = append(protowire.AppendTag(g, num, v.typ), v.raw...)
			}
			return nil
		})
		out = protowire.AppendBytes(protowire.AppendTag(out, graphField, protowire.BytesType), g)
		return err
	})
	return out, err
}

// Field is an encoded message with its field number.
type Field struct {
	Number  protowire.Number
	Message []byte
	Before  string // a tensor: the field is put in front of the node that makes it
}

// appendFields adds the fields that belong in front of the maker of the tensors out; nil: of
// everything.
func appendFields(g []byte, add []Field, out []string) []byte {
	for _, a := range add {
		if out == nil && a.Before == "" || slices.Contains(out, a.Before) {
			g = appendMessage(g, a.Number, a.Message)
		}
	}
	return g
}

// SetMeta replaces or adds metadata properties.
func SetMeta(data []byte, set map[string]string, order []string) ([]byte, error) {
	const metaField = 14
	out := make([]byte, 0, len(data)+256)
	err := each(data, func(num protowire.Number, v value) error {
		if num == metaField {
			key, _, err := pair(v.b)
			if _, replaced := set[string(key.b)]; err != nil || replaced {
				return err
			}
		}
		out = append(protowire.AppendTag(out, num, v.typ), v.raw...)
		return nil
	})
	for _, k := range order {
		m := appendString(appendString(nil, 1, k), 2, set[k])
		out = protowire.AppendBytes(protowire.AppendTag(out, metaField, protowire.BytesType), m)
	}
	return out, err
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

// ParseNode, ParseTensor and ParseValue read what EditGraph hands out.
func ParseNode(msg []byte) (Node, error) { return parseNode(msg) }

// ParseTensor reads an encoded initializer.
func ParseTensor(msg []byte) (Tensor, error) { return parseTensor(msg) }

// ParseValue reads an encoded input, output or value.
func ParseValue(msg []byte) (Value, error) {
	var list []Value
	err := parseValue(&list, msg)
	return list[0], err
}

// EncodeTensor encodes a tensor from raw little-endian values.
func EncodeTensor(name string, typ Type, dims []int64, raw []byte) []byte {
	var b []byte
	for _, d := range dims {
		b = appendInt(b, 1, d)
	}
	b = appendInt(b, 2, int64(typ))
	b = appendString(b, 8, name)
	return appendMessage(b, 9, raw)
}

// EncodeInt64s encodes a vector of integers.
func EncodeInt64s(name string, v []int64) []byte {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
	}
	return EncodeTensor(name, Int64, []int64{int64(len(v))}, raw)
}

// EncodeConstant encodes a Constant node that makes a vector of integers.
func EncodeConstant(name, output string, v []int64) []byte {
	const attrTensor = 4
	attr := appendInt(appendMessage(appendString(nil, 1, "value"), 5, EncodeInt64s("", v)), 20, attrTensor)
	return EncodeNode("Constant", name, nil, []string{output}, attr)
}

// EncodeNode encodes a node of the standard operators; attrs are encoded
// attributes.
func EncodeNode(op, name string, in, out []string, attrs ...[]byte) []byte {
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
	return b
}

// IntAttr encodes an integer attribute.
func IntAttr(name string, v int64) []byte {
	const attrInt = 2
	return appendInt(appendInt(appendString(nil, 1, name), 3, v), 20, attrInt)
}

// ReplaceInputs returns the encoded node with other inputs; attributes stay.
func ReplaceInputs(msg []byte, in []string) ([]byte, error) {
	var b []byte
	for _, s := range in {
		b = appendString(b, 1, s)
	}
	err := each(msg, func(num protowire.Number, v value) error {
		if num != 1 {
			b = append(protowire.AppendTag(b, num, v.typ), v.raw...)
		}
		return nil
	})
	return b, err
}

// EncodeValue encodes an input, output or value of the given type and axes.
func EncodeValue(v Value) []byte {
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
	return appendMessage(appendString(nil, 1, v.Name), 2, appendMessage(nil, 1, tensor))
}

// SetInts returns the encoded node with attributes that are lists of integers,
// in place of those of the same names.
func SetInts(msg []byte, set map[string][]int64) ([]byte, error) {
	const attrInts = 7
	var b []byte
	err := each(msg, func(num protowire.Number, v value) error {
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
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		a := appendString(nil, 1, name)
		for _, v := range set[name] {
			a = appendInt(a, 8, v)
		}
		b = appendMessage(b, 5, appendInt(a, 20, attrInts))
	}
	return b, nil
}
