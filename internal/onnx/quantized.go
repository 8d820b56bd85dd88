package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Quantization says what the integers of a tensor stand for: scale * (integer - zero).
type Quantization struct {
	Scale string // the tensor with the scale, or with one per place of Axis
	Zero  string // the tensor with the zero point; empty: 0
	Axis  int64
	Made  string // the tensor that was quantised, from which this one was moved or reshaped
}

// maxMoves bounds the nodes that lie between a quantisation and the tensor that is asked for.
const maxMoves = 64

// scalesAt are the operators that make quantised values, with the inputs that hold scale and
// zero point of their results.
var scalesAt = map[string]int{
	"QuantizeLinear": 1, "QLinearConv": 6, "QLinearMatMul": 6, "QGemm": 7, "QLinearAdd": 6, "QLinearMul": 6,
	"QLinearGlobalAveragePool": 3, "QLinearAveragePool": 3, "QLinearReduceMean": 3, "QLinearSoftmax": 3,
	"QLinearSigmoid": 3, "QLinearLeakyRelu": 3, "QLinearConcat": 0, "QLinearWhere": 7,
}

// moving are the operators whose integers mean what those of their first input mean.
var moving = []string{
	"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "NhwcMaxPool", "Slice", "Gather", "Pad", "Expand",
	"DepthToSpace", "SpaceToDepth", "Resize", "Clip", "Max", "Min", "Relu", "Dropout",
}

// QuantizationOf says what the integers of a tensor stand for; ok is false for a tensor
// that holds no quantised integers, as far as the graph's nodes tell.
func (g *Graph) QuantizationOf(tensor string) (q Quantization, ok bool) {
	maker := make(map[string]*Node, len(g.Nodes))
	for i := range g.Nodes {
		for _, o := range g.Nodes[i].Out {
			maker[o] = &g.Nodes[i]
		}
	}
	return QuantizationIn(maker, tensor)
}

// QuantizationIn is QuantizationOf for a graph whose makers of tensors are known.
func QuantizationIn(maker map[string]*Node, tensor string) (q Quantization, ok bool) {
	for range maxMoves {
		n := maker[tensor]
		if n == nil || len(n.In) == 0 || n.Out[0] != tensor || n.Domain != "" && n.Domain != "ai.onnx" && n.Domain != "com.microsoft" {
			return q, false
		}
		q.Made = tensor
		if n.Op == "DynamicQuantizeLinear" {
			if len(n.Out) < 3 {
				return q, false
			}
			q.Scale, q.Zero = n.Out[1], n.Out[2]
			return q, true
		}
		if at, quantised := scalesAt[n.Op]; quantised {
			if len(n.In) <= at || n.In[at] == "" {
				return q, false // QGemm can give floats
			}
			q.Scale, q.Axis = n.In[at], 1
			if len(n.In) > at+1 {
				q.Zero = n.In[at+1]
			}
			if a, ok := n.Attr("axis"); ok && n.Op == "QuantizeLinear" {
				q.Axis = a.I
			}
			if a, ok := n.Attr("block_size"); ok && a.I != 0 {
				return q, false
			}
			return q, true
		}
		if !slices.Contains(moving, n.Op) {
			return q, false
		}
		tensor = n.In[0]
	}
	return q, false
}

// Dequantize makes a node that gives the values that a tensor's integers stand for, in the
// type of the scale. It is of operator set 10 or later. There is one scale for the tensor, or
// one for every place of an axis on which the quantisation put it.
func (g *Graph) Dequantize(tensor, name, output string) (Node, error) {
	q, ok := g.QuantizationOf(tensor)
	if !ok {
		return Node{}, fmt.Errorf("tensor %q holds no quantised values", tensor)
	}
	in := []string{tensor, q.Scale}
	if q.Zero != "" {
		in = append(in, q.Zero)
	}
	var attrs [][]byte
	if scale := g.constant(q.Scale); scale != nil && (len(scale.Dims) > 1 || len(scale.Dims) == 1 && scale.Dims[0] != 1) {
		if q.Made != tensor {
			return Node{}, fmt.Errorf("tensor %q has a scale per channel and was reshaped since", tensor)
		}
		attrs = append(attrs, IntAttr("axis", q.Axis))
	}
	return NewNode("DequantizeLinear", name, in, []string{output}, attrs...), nil
}

// constant is a tensor of the file: an initializer or a Constant's.
func (g *Graph) constant(name string) *Tensor {
	for i := range g.Initializers {
		if g.Initializers[i].Name == name {
			return &g.Initializers[i]
		}
	}
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Op == "Constant" && len(n.Out) == 1 && n.Out[0] == name {
			if a, ok := n.Attr("value"); ok {
				return a.Tensor
			}
		}
	}
	return nil
}

// Int32s returns the values of an integer tensor of up to 32 bits: int8, uint8, int16,
// uint16 and int32.
func (t *Tensor) Int32s() ([]int32, error) {
	n, err := t.Len()
	if err != nil {
		return nil, err
	}
	if len(t.External) > 0 {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, ErrExternal)
	}
	size := int(t.Type.Size())
	switch t.Type {
	case Int8, Uint8, Int16, Uint16, Int32:
	default:
		return nil, fmt.Errorf("tensor %q holds %v, not integers of 8, 16 or 32 bits", t.Name, t.Type)
	}
	if t.Raw == nil {
		return t.packedInt32s(n)
	}
	if len(t.Raw) != n*size {
		return nil, fmt.Errorf("tensor %q has %d bytes of values, its shape %v needs %d", t.Name, len(t.Raw), t.Dims, n*size)
	}
	out := make([]int32, n)
	for i := range out {
		b := t.Raw[i*size:]
		switch t.Type {
		case Int8:
			out[i] = int32(int8(b[0]))
		case Uint8:
			out[i] = int32(b[0])
		case Int16:
			out[i] = int32(int16(uint16(b[0]) | uint16(b[1])<<8))
		case Uint16:
			out[i] = int32(uint16(b[0]) | uint16(b[1])<<8)
		case Int32:
			out[i] = int32(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
		}
	}
	return out, nil
}

// packedInt32s are n values of int32_data.
func (t *Tensor) packedInt32s(n int) ([]int32, error) {
	var out []int32
	for _, f := range t.fields {
		if f.num != 5 {
			continue
		}
		for b := f.data; len(b) > 0; {
			v, size := protowire.ConsumeVarint(b)
			if size < 0 {
				return nil, malformed(size)
			}
			out, b = append(out, int32(v)), b[size:]
		}
	}
	if len(out) != n {
		return nil, fmt.Errorf("tensor %q has %d values, its shape %v needs %d", t.Name, len(out), t.Dims, n)
	}
	return out, nil
}

// With returns the node as another standard operator, or the same, with other inputs and
// outputs; attributes that are named stay.
func (n Node) With(op string, in, out []string, attrs ...string) (Node, error) {
	var kept [][]byte
	err := each(n.msg, func(num protowire.Number, v value) error {
		if num != 5 {
			return nil
		}
		a, err := parseAttr(v.b)
		if err == nil && slices.Contains(attrs, a.Name) {
			kept = append(kept, v.b)
		}
		return err
	})
	if err != nil {
		return n, err
	}
	return NewNode(op, n.Name, in, out, kept...), nil
}
