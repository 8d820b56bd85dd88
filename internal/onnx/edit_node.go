package onnx

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// WithOutputs returns the node with other outputs; the rest stays.
func (n Node) WithOutputs(out ...string) (Node, error) {
	var b []byte
	for _, s := range out {
		b = appendString(b, 2, s)
	}
	return n.without(b, func(num protowire.Number, _ value) (bool, error) { return num == 2, nil })
}

// WithoutAttrs returns the node without the attributes of these names, so that they have
// their default values.
func (n Node) WithoutAttrs(names ...string) (Node, error) {
	return n.without(nil, func(num protowire.Number, v value) (bool, error) {
		if num != 5 {
			return false, nil
		}
		a, err := parseAttr(v.b)
		return slices.Contains(names, a.Name), err
	})
}

// without is the node that begins with the fields in b and goes on with those of n that drop
// does not name.
func (n Node) without(b []byte, drop func(protowire.Number, value) (bool, error)) (Node, error) {
	err := each(n.msg, func(num protowire.Number, v value) error {
		dropped, err := drop(num, v)
		if err == nil && !dropped {
			b = append(protowire.AppendTag(b, num, v.typ), v.raw...)
		}
		return err
	})
	if err != nil {
		return n, err
	}
	return parseNode(b)
}
