package model

import (
	"slices"

	"cutmix-eval/internal/onnx"
)

// FreeBatch returns the model with a batch axis of any size in place of a fixed
// one: on the image input, on the outputs, and in the constants that Reshape
// nodes take their shapes from. Whether the result computes the same is for the
// caller to check by running it; graphs can depend on their batch size in ways
// that no rewriting finds. ok is false where the batch is open already.
func (m *Model) FreeBatch() (free *Model, ok bool, err error) {
	batch := int64(m.Batch)
	if batch == 0 {
		return nil, false, nil
	}
	e := m.file.Edit()
	g := &e.Graph
	g.Values = nil // shapes in between are inferred anew
	open := func(v onnx.Value) onnx.Value {
		if !v.Ranked || len(v.Dims) == 0 || v.Dims[0].Size != batch {
			return v
		}
		axes := slices.Clone(v.Dims)
		axes[0] = onnx.Dim{Size: -1, Symbol: "batch"}
		return v.WithDims(axes...)
	}
	for i, v := range g.Inputs {
		if v.Name == m.Input {
			g.Inputs[i] = open(v)
		}
	}
	for i, v := range g.Outputs {
		g.Outputs[i] = open(v)
	}
	shapes := reshapes(g)
	for i := range g.Initializers {
		t := &g.Initializers[i]
		if v, ok := freed(t, batch); ok && shapes[t.Name] {
			*t = onnx.NewInt64s(t.Name, v)
		}
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Op != "Constant" || len(n.Out) != 1 || !shapes[n.Out[0]] {
			continue
		}
		if a, ok := n.Attr("value"); ok && a.Tensor != nil {
			if v, ok := freed(a.Tensor, batch); ok {
				*n = onnx.NewConstant(n.Name, n.Out[0], v)
			}
		}
	}
	if free, err = m.edited(e, ""); err != nil {
		return nil, false, err
	}
	free.head = m.head // it has no batch axis
	return free, true, nil
}

// reshapes are the tensors that nodes take, with whether only Reshape nodes do, as shapes.
func reshapes(g *onnx.Graph) map[string]bool {
	shapes := map[string]bool{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		for k, in := range n.In {
			use := n.Op == "Reshape" && k == 1
			if old, seen := shapes[in]; seen {
				use = use && old
			}
			shapes[in] = use
		}
		for _, in := range n.Captured() {
			shapes[in] = false
		}
	}
	return shapes
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
