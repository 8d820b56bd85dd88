package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"cutmix-eval/internal/onnx"

	"google.golang.org/protobuf/encoding/protowire"
)

// bytes returns the model's file.
func (m *Model) bytes() ([]byte, error) {
	if m.Data != nil {
		return m.Data, nil
	}
	return os.ReadFile(m.Path)
}

// FreeBatch returns the model with a batch axis of any size in place of a fixed
// one: on the image input, on the outputs, and in the constants that Reshape
// nodes take their shapes from. Whether the result computes the same is for the
// caller to check by running it; graphs can depend on their batch size in ways
// that no rewriting finds. ok is false where the batch is open already.
func (m *Model) FreeBatch() (data []byte, ok bool, err error) {
	if data, err = m.bytes(); err != nil {
		return nil, false, err
	}
	f, err := onnx.Parse(data)
	if err != nil {
		return nil, false, err
	}
	batch := int64(0)
	for _, in := range f.Graph.Inputs {
		if in.Name == m.Input && in.Ranked && len(in.Dims) > 0 {
			batch = in.Dims[0].Size
		}
	}
	if batch <= 0 {
		return nil, false, nil
	}
	shapes := map[string]bool{} // tensors that only Reshape nodes take as shapes
	for _, n := range f.Graph.Nodes {
		for i, in := range n.In {
			use := n.Op == "Reshape" && i == 1
			if old, seen := shapes[in]; seen {
				use = use && old
			}
			shapes[in] = use
		}
		for _, in := range n.Captured() {
			shapes[in] = false
		}
	}
	open := func(v onnx.Value) []byte {
		v.Dims = slices.Clone(v.Dims)
		v.Dims[0] = onnx.Dim{Size: -1, Symbol: "batch"}
		return onnx.EncodeValue(v)
	}
	data, err = onnx.EditGraph(data, func(field protowire.Number, msg []byte) ([]byte, error) {
		switch field {
		case onnx.FieldInput, onnx.FieldOutput:
			v, err := onnx.ParseValue(msg)
			if err == nil && v.Ranked && len(v.Dims) > 0 && v.Dims[0].Size == batch && (field == onnx.FieldOutput || v.Name == m.Input) {
				return open(v), nil
			}
			return msg, err
		case onnx.FieldValue:
			return nil, nil // shapes in between are inferred anew
		case onnx.FieldInitializer:
			t, err := onnx.ParseTensor(msg)
			if err == nil && shapes[t.Name] {
				if v, ok := freed(&t, batch); ok {
					return onnx.EncodeInt64s(t.Name, v), nil
				}
			}
			return msg, err
		case onnx.FieldNode:
			n, err := onnx.ParseNode(msg)
			if err == nil && n.Op == "Constant" && len(n.Out) == 1 && shapes[n.Out[0]] {
				if a, ok := n.Attr("value"); ok && a.Tensor != nil {
					if v, ok := freed(a.Tensor, batch); ok {
						return onnx.EncodeConstant(n.Name, n.Out[0], v), nil
					}
				}
			}
			return msg, err
		}
		return msg, nil
	}, nil)
	return data, true, err
}

// freed opens the first axis of a shape that begins with the batch size.
func freed(t *onnx.Tensor, batch int64) ([]int64, bool) {
	v, ok := t.Int64s()
	if !ok || len(v) == 0 || v[0] != batch {
		return nil, false
	}
	v = slices.Clone(v)
	v[0] = -1 // "what is left"
	if slices.Contains(v[1:], -1) {
		v[0] = 0 // "as in the input"
	}
	return v, true
}

// Names of the tensors that ReplaceHead adds.
const (
	newWeight = "cutmix_eval.head.weight"
	newBias   = "cutmix_eval.head.bias"
)

// ReplaceHead returns the model with another linear layer in place of the head
// that Head found: weight is row-major, classes x h.Features, bias has one value
// a class; classes are their names. The number of classes may change. The
// activation behind the layer, if any, stays. meta is added to the metadata.
// Weights that nothing else uses are left out; other weights in external files
// stay there, so the result belongs into the model's folder.
func (m *Model) ReplaceHead(h *Head, weight, bias []float32, classes []string, meta map[string]string) ([]byte, error) {
	k := len(bias)
	switch {
	case h.linear == nil:
		return nil, errors.New("the head was not found in this model")
	case k == 0 || len(weight) != k*h.Features:
		return nil, fmt.Errorf("a head of %d classes and %d features needs %d weights, not %d", k, h.Features, k*h.Features, len(weight))
	case classes != nil && len(classes) != k:
		return nil, fmt.Errorf("%d class names for %d classes", len(classes), k)
	}
	data, err := m.bytes()
	if err != nil {
		return nil, err
	}
	g, err := onnx.Parse(data)
	if err != nil {
		return nil, err
	}
	typ := h.typ // a float16 graph takes float16 weights
	matrix, dims := weight, []int64{int64(k), int64(h.Features)}
	if h.Kind == "MatMul" && h.add != nil {
		matrix = array{[]int{k, h.Features}, weight}.transpose().v
		dims = []int64{int64(h.Features), int64(k)}
	}
	if h.Kind == "Conv" {
		dims = append(dims, 1, 1)
	}
	w, err := encodeWeights(newWeight, typ, dims, matrix)
	if err != nil {
		return nil, err
	}
	b, err := encodeWeights(newBias, typ, []int64{int64(k)}, bias)
	if err != nil {
		return nil, err
	}
	used := usedTensors(&g.Graph, h)
	edit := func(field protowire.Number, msg []byte) ([]byte, error) {
		switch field {
		case onnx.FieldValue:
			return nil, nil // shapes in between are inferred anew
		case onnx.FieldInitializer:
			t, err := onnx.ParseTensor(msg)
			switch {
			case err != nil:
				return nil, err
			case t.Name == newWeight || t.Name == newBias || !used[t.Name]:
				return nil, nil
			case slices.Contains(h.after, t.Name):
				if v, ok := renumbered(&t, h.Classes, k); ok {
					return onnx.EncodeInt64s(t.Name, v), nil
				}
			}
		case onnx.FieldInput: // weights listed as inputs
			v, err := onnx.ParseValue(msg)
			if err == nil && v.Name != m.Input && !used[v.Name] {
				return nil, nil
			}
			return msg, err
		case onnx.FieldOutput:
			v, err := onnx.ParseValue(msg)
			if err == nil && v.Name == m.Output && len(v.Dims) > 1 && v.Dims[1].Size == int64(h.Classes) {
				v.Dims[1].Size = int64(k)
				return onnx.EncodeValue(v), nil
			}
			return msg, err
		case onnx.FieldNode:
			return h.editNode(msg, k)
		}
		return msg, nil
	}
	data, err = onnx.EditGraph(data, edit, []onnx.Field{{Number: onnx.FieldInitializer, Message: w}, {Number: onnx.FieldInitializer, Message: b}})
	if err != nil {
		return nil, err
	}
	set := map[string]string{}
	for key, v := range meta {
		set[key] = v
	}
	if classes != nil {
		names, err := json.Marshal(classes)
		if err != nil {
			return nil, err
		}
		set["classes"] = string(names)
	}
	var order []string
	for key := range set {
		order = append(order, key)
	}
	slices.Sort(order)
	if data, err = onnx.SetMeta(data, set, order); err != nil {
		return nil, err
	}
	// What was written must read back as what was meant.
	again, err := FromBytes(m.Name, data, m.Output)
	if err != nil {
		return nil, fmt.Errorf("the rewritten model: %w", err)
	}
	again.Path = m.Path
	if got, err := again.Head(); err != nil || got.Classes != k || got.Features != h.Features {
		return nil, fmt.Errorf("the rewritten model has no head of %d classes: %w", k, cmp.Or(err, errors.New("another one was found")))
	}
	return data, nil
}

// editNode rewires the nodes of the head to the new weights.
func (h *Head) editNode(msg []byte, k int) ([]byte, error) {
	n, err := onnx.ParseNode(msg)
	if err != nil {
		return nil, err
	}
	is := func(want *onnx.Node) bool {
		return want != nil && n.Op == want.Op && slices.Equal(n.Out, want.Out)
	}
	switch {
	case is(h.linear) && h.Kind == "Conv":
		return onnx.ReplaceInputs(msg, []string{h.Input, newWeight, newBias})
	case is(h.linear) && h.Kind == "MatMul" && h.add != nil:
		return onnx.ReplaceInputs(msg, []string{h.Input, newWeight})
	case is(h.linear) && h.add != nil:
		return onnx.EncodeNode("Gemm", n.Name, []string{h.Input, newWeight}, n.Out, onnx.IntAttr("transB", 1)), nil
	case is(h.linear):
		return onnx.EncodeNode("Gemm", n.Name, []string{h.Input, newWeight, newBias}, n.Out, onnx.IntAttr("transB", 1)), nil
	case is(h.add):
		in := slices.Clone(n.In)
		for i, name := range in {
			if name != h.product {
				in[i] = newBias
			}
		}
		return onnx.ReplaceInputs(msg, in)
	case n.Op == "Constant" && len(n.Out) == 1 && slices.Contains(h.after, n.Out[0]):
		if a, ok := n.Attr("value"); ok && a.Tensor != nil {
			if v, ok := renumbered(a.Tensor, h.Classes, k); ok {
				return onnx.EncodeConstant(n.Name, n.Out[0], v), nil
			}
		}
	}
	return msg, nil
}

// renumbered replaces the number of classes in the shape of a Reshape.
func renumbered(t *onnx.Tensor, old, k int) ([]int64, bool) {
	v, ok := t.Int64s()
	if !ok {
		return nil, false
	}
	v = slices.Clone(v)
	changed := false
	for i, d := range v {
		if i > 0 && d == int64(old) {
			v[i], changed = int64(k), true
		}
	}
	return v, changed
}

// usedTensors lists what nodes other than the head's take as inputs, and the
// head's own data input.
func usedTensors(g *onnx.Graph, h *Head) map[string]bool {
	used := map[string]bool{h.Input: true}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		for _, in := range n.In {
			own := sameNode(n, h.linear) && in != h.Input || sameNode(n, h.add) && in != h.product
			if !own {
				used[in] = true
			}
		}
		for _, in := range n.Captured() { // by the bodies of If and Loop
			used[in] = true
		}
	}
	return used
}

func sameNode(a, b *onnx.Node) bool { return b != nil && a.Op == b.Op && slices.Equal(a.Out, b.Out) }

func encodeWeights(name string, typ onnx.Type, dims []int64, v []float32) ([]byte, error) {
	switch typ {
	case onnx.Float32:
		return onnx.EncodeTensor(name, typ, dims, littleEndian(v)), nil
	case onnx.Float16:
		raw := make([]byte, 0, 2*len(v))
		for _, x := range v {
			h := onnx.ToFloat16(x)
			raw = append(raw, byte(h), byte(h>>8))
		}
		return onnx.EncodeTensor(name, typ, dims, raw), nil
	}
	return nil, fmt.Errorf("the head's weights are %v; float32 and float16 can be replaced", typ)
}
