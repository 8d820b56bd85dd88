package model

import (
	"fmt"
	"math"
	"slices"

	"cutmix-eval/internal/onnx"
)

// affine is a step scale*x + shift: one number each, or one per class or feature. Without
// values scale is 1 and shift 0.
type affine struct{ scale, shift array }

// affine reads a node that scales and shifts the values of its input in by constants: Add,
// Sub, Mul, Div, Neg, BatchNormalization with fixed statistics, and their quantised kin. in is
// empty for other nodes. An error is about a node that should be such a step and is not.
func (f *finder) affine(n *onnx.Node) (in string, a affine, err error) {
	switch {
	case n.Domain == microsoft && (n.Op == "QLinearAdd" || n.Op == "QLinearMul") && len(n.In) >= 7:
		return f.qlinearAffine(n)
	case !standard(n) || len(n.In) == 0:
		return "", a, nil
	case n.Op == "Neg":
		return n.In[0], affine{scale: number(-1)}, nil
	case n.Op == "BatchNormalization":
		a, err = f.batchNorm(n)
		return n.In[0], a, err
	case len(n.In) != 2:
		return "", a, nil
	}
	data := 0
	if f.isConstant(n.In[0]) {
		data = 1
	}
	if !f.isConstant(n.In[1-data]) || f.isConstant(n.In[data]) {
		return "", a, nil
	}
	switch {
	case n.Op == "Add" || n.Op == "Sub" || n.Op == "Mul":
	case n.Op == "Div" && data == 0:
	default:
		return "", a, nil
	}
	c, err := f.values(n.In[1-data])
	if err != nil {
		return "", a, fmt.Errorf("%s: %w", n.Label(), err)
	}
	switch n.Op {
	case "Add":
		a.shift = c
	case "Mul":
		a.scale = c
	case "Div":
		a.scale = c.each(func(v float32) float32 { return 1 / v })
	case "Sub":
		if data == 0 {
			a.shift = c.each(func(v float32) float32 { return -v })
		} else {
			a = affine{number(-1), c}
		}
	}
	return n.In[data], a, nil
}

func number(v float32) array { return array{v: []float32{v}} }

func (a array) each(f func(float32) float32) array {
	out := array{a.dims, make([]float32, len(a.v))}
	for i, v := range a.v {
		out.v[i] = f(v)
	}
	return out
}

// qlinearAffine reads QLinearAdd and QLinearMul, which take A, B and C as quantised values with
// scale and zero point each.
func (f *finder) qlinearAffine(n *onnx.Node) (in string, a affine, err error) {
	data := 0
	if f.constant(n.In[0]) != nil {
		data = 3
	}
	k := 3 - data
	if f.constant(n.In[k]) == nil || f.constant(n.In[data]) != nil {
		return "", a, nil
	}
	if !f.readAs(n.In[data], n.In[data+1], n.In[data+2]) {
		return "", a, fmt.Errorf("%s reads %q with another scale than it was made with", n.Label(), n.In[data])
	}
	c, err := f.dequantizedConstant(n.In[k], n.In[k+1], n.In[k+2], 1, 8)
	if err != nil {
		return "", a, fmt.Errorf("%s: %w", n.Label(), err)
	}
	if n.Op == "QLinearAdd" {
		return n.In[data], affine{shift: c}, nil
	}
	return n.In[data], affine{scale: c}, nil
}

// batchNorm is a BatchNormalization with the statistics of the file.
func (f *finder) batchNorm(n *onnx.Node) (affine, error) {
	no := func(format string, a ...any) (affine, error) {
		return affine{}, fmt.Errorf("%s %s", n.Label(), fmt.Sprintf(format, a...))
	}
	if attrInt(n, "training_mode", 0) != 0 {
		return no("is in training mode: its results depend on the other images of a batch (export the model in evaluation mode)")
	}
	if len(n.In) < 5 || attrInt(n, "spatial", 1) != 1 {
		return no("is not one with a scale per channel")
	}
	var p [4][]float32 // scale, bias, mean, variance
	for i := range p {
		v, err := f.values(n.In[1+i])
		if err != nil {
			return no("%v", err)
		}
		if p[i] = v.v; len(v.v) == 0 || len(p[i]) != len(p[0]) {
			return no("has %d scales and %d others", len(p[0]), len(p[i]))
		}
	}
	epsilon := float32(1e-5) // the operator's default
	if e, ok := n.Attr("epsilon"); ok {
		epsilon = e.F
	}
	a := affine{array{[]int{len(p[0])}, make([]float32, len(p[0]))}, array{[]int{len(p[0])}, make([]float32, len(p[0]))}}
	for i := range p[0] {
		s := float64(p[0][i]) / math.Sqrt(float64(p[3][i])+float64(epsilon))
		a.scale.v[i] = float32(s)
		a.shift.v[i] = float32(float64(p[1][i]) - float64(p[2][i])*s)
	}
	return a, nil
}

// spread gives a constant one value for each of n classes or features; ok is false where it
// has another number of them, or has them on another axis than the last that is not 1.
func (a array) spread(n int, missing float32) (v []float32, ok bool) {
	switch len(a.v) {
	case 0:
		return slices.Repeat([]float32{missing}, n), len(a.dims) == 0
	case 1:
		return slices.Repeat([]float32{a.v[0]}, n), true
	}
	// One axis only, as len(a.v) is n: the others have length 1.
	return a.v, len(a.v) == n && slices.Contains(a.dims, n)
}

// behindLayer folds a step behind the linear layer into it.
func (h *Head) behindLayer(a affine) error {
	scale, ok1 := a.scale.spread(h.Classes, 1)
	shift, ok2 := a.shift.spread(h.Classes, 0)
	if !ok1 || !ok2 {
		return fmt.Errorf("constants of shape %v and %v do not fit %d classes", a.scale.dims, a.shift.dims, h.Classes)
	}
	for c, s := range scale {
		row := h.Weight[c*h.Features : (c+1)*h.Features]
		for i := range row {
			row[i] *= s
		}
		h.Bias[c] = h.Bias[c]*s + shift[c]
	}
	return nil
}

// beforeLayer folds a step between pooled map and penultimate vector into the weights by which
// the map is read; ok is false where it does not fit.
func (h *Head) beforeLayer(a affine) (ok bool) {
	scale, ok1 := a.scale.spread(h.Features, 1)
	shift, ok2 := a.shift.spread(h.Features, 0)
	if !ok1 || !ok2 {
		return false
	}
	if h.mapWeight == nil {
		h.mapWeight, h.mapBias = slices.Clone(h.Weight), slices.Clone(h.Bias)
	}
	for c := range h.Classes {
		row := h.mapWeight[c*h.Features : (c+1)*h.Features]
		sum := float64(h.mapBias[c])
		for i, w := range row {
			sum += float64(w) * float64(shift[i])
			row[i] = w * scale[i]
		}
		h.mapBias[c] = float32(sum)
	}
	return true
}
