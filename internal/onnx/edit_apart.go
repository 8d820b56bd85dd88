package onnx

import (
	"fmt"
	"slices"
)

// ApartInt8 returns the model with a copy of every constant of int8 values for each of its uses
// but one; m itself where none is shared. ONNX Runtime can turn such weights and their zero points
// to uint8, each once, and fails where two nodes share one.
func (m *Model) ApartInt8() (*Model, error) {
	initializers, constants := map[string]Tensor{}, map[string]Node{}
	for _, t := range m.Graph.Initializers {
		if t.Type == Int8 {
			initializers[t.Name] = t
		}
	}
	for _, n := range m.Graph.Nodes {
		if v, ok := n.Attr("value"); ok && n.Op == "Constant" && v.Tensor != nil && v.Tensor.Type == Int8 && len(n.Out) == 1 {
			constants[n.Out[0]] = n
		}
	}
	if len(initializers)+len(constants) == 0 {
		return m, nil
	}
	uses := map[string]int{}
	var copies []Node // which come before their uses
	e := m
	for i, n := range m.Graph.Nodes {
		var in []string
		for k, name := range n.In {
			t, initializer := initializers[name]
			c, constant := constants[name]
			if !initializer && !constant {
				continue
			}
			if uses[name]++; uses[name] == 1 {
				continue
			}
			if e == m {
				e = m.Edit()
			}
			if in == nil {
				in = slices.Clone(n.In)
			}
			in[k] = fmt.Sprintf("%s::%d", name, uses[name])
			if initializer {
				// Of a field that is there twice, the last one counts.
				own, err := parseTensor(appendString(slices.Clone(t.msg), 8, in[k]))
				if err != nil {
					return nil, err
				}
				e.Graph.Initializers = append(e.Graph.Initializers, own)
				continue
			}
			own, err := c.WithOutputs(in[k])
			if err != nil {
				return nil, err
			}
			copies = append(copies, own)
		}
		if in == nil {
			continue
		}
		changed, err := n.WithInputs(in...)
		if err != nil {
			return nil, err
		}
		e.Graph.Nodes[i] = changed
	}
	if copies != nil {
		e.Graph.Nodes = append(copies, e.Graph.Nodes...)
	}
	return e, nil
}
