package model

import (
	"fmt"
	"math"
	"slices"

	"cutmix-eval/internal/onnx"
)

// whole is a constant of quantised integers.
type whole struct {
	dims []int
	v    []int32
	typ  onnx.Type
}

// integersOf reads a constant of integers of up to 32 bits: of the file, perhaps transposed,
// or quantised from a constant in the graph.
func (f *finder) integersOf(name string, depth int) (whole, error) {
	n := f.maker[name]
	switch {
	case f.init[name] != nil || n != nil && standard(n) && n.Op == "Constant":
		t, err := f.stored(name)
		if err != nil {
			return whole{}, err
		}
		v, err := t.Int32s()
		return whole{dimsOf(t), v, t.Type}, err
	case depth == 0 || n == nil || !standard(n) || len(n.In) == 0 || n.Out[0] != name:
	case n.Op == "Identity":
		return f.integersOf(n.In[0], depth-1)
	case n.Op == "Transpose":
		w, err := f.integersOf(n.In[0], depth-1)
		if err != nil {
			return w, err
		}
		if p, ok := n.Attr("perm"); len(w.dims) != 2 || ok && !slices.Equal(p.Ints, []int64{1, 0}) {
			return w, fmt.Errorf("weight %q of shape %v is transposed", name, w.dims)
		}
		t := whole{[]int{w.dims[1], w.dims[0]}, make([]int32, len(w.v)), w.typ}
		for i := range w.dims[0] {
			for j := range w.dims[1] {
				t.v[j*w.dims[0]+i] = w.v[i*w.dims[1]+j]
			}
		}
		return t, nil
	case n.Op == "QuantizeLinear":
		return f.quantizeLinear(n, depth-1)
	}
	return whole{}, fmt.Errorf("weight %q is not a constant of the file", name)
}

// scaling is how integers are read: one scale and zero point for all, or one for every place
// of an axis.
type scaling struct {
	scale []float32
	zero  []int32
	axis  int
}

// scaling reads constant scale and zero point of integers of a shape. An empty zero is 0.
func (f *finder) scaling(scale, zero string, axis int64, dims []int, depth int) (scaling, error) {
	s, err := f.evaluate(scale, depth)
	if err != nil {
		return scaling{}, fmt.Errorf("scale: %w", err)
	}
	out := scaling{scale: s.v}
	if zero != "" {
		z, err := f.integersOf(zero, depth)
		if err != nil {
			return scaling{}, fmt.Errorf("zero point: %w", err)
		}
		out.zero = z.v
	}
	if len(out.scale) == 1 && len(out.zero) <= 1 {
		return out, nil
	}
	if len(s.dims) > 1 {
		return scaling{}, fmt.Errorf("scale %q of shape %v is of blocks, which are not read", scale, s.dims)
	}
	if axis < 0 {
		axis += int64(len(dims))
	}
	if axis < 0 || axis >= int64(len(dims)) || dims[axis] != len(out.scale) || len(out.zero) > 1 && len(out.zero) != len(out.scale) {
		return scaling{}, fmt.Errorf("%d scales and %d zero points are not those of axis %d of shape %v", len(out.scale), len(out.zero), axis, dims)
	}
	out.axis = int(axis)
	return out, nil
}

// each calls do for every value with the place of its scale.
func (s scaling) each(dims []int, count int, do func(i, at int)) {
	inner := 1
	for _, d := range dims[min(s.axis+1, len(dims)):] {
		inner *= d
	}
	for i := range count {
		at := 0
		if len(s.scale) > 1 {
			at = i / inner % len(s.scale)
		}
		do(i, at)
	}
}

func (s scaling) zeroAt(at int) int32 {
	switch len(s.zero) {
	case 0:
		return 0
	case 1:
		return s.zero[0]
	}
	return s.zero[at]
}

// dequantized are the values of integers: scale * (integer - zero), in float32 as ONNX
// Runtime computes them.
func (w whole) dequantized(s scaling) array {
	out := array{w.dims, make([]float32, len(w.v))}
	s.each(w.dims, len(w.v), func(i, at int) {
		out.v[i] = float32(int64(w.v[i])-int64(s.zeroAt(at))) * s.scale[at]
	})
	return out
}

// blocked refuses scales of blocks along an axis (operator set 21).
func blocked(n *onnx.Node) error {
	if b := attrInt(n, "block_size", 0); b != 0 {
		return fmt.Errorf("%s has a scale per block of %d values, which are not read", n.Label(), b)
	}
	return nil
}

// dequantizeLinear computes a DequantizeLinear of constants.
func (f *finder) dequantizeLinear(n *onnx.Node, depth int) (array, error) {
	if len(n.In) < 2 {
		return array{}, fmt.Errorf("%s has no scale", n.Label())
	}
	if err := blocked(n); err != nil {
		return array{}, err
	}
	return f.dequantizedConstant(n.In[0], n.In[1], input(n, 2), attrInt(n, "axis", 1), depth)
}

// dequantizedConstant is a constant of integers, with its scale and zero point as tensors.
func (f *finder) dequantizedConstant(name, scale, zero string, axis int64, depth int) (array, error) {
	w, err := f.integersOf(name, depth)
	if err != nil {
		return array{}, err
	}
	s, err := f.scaling(scale, zero, axis, w.dims, depth)
	if err != nil {
		return array{}, err
	}
	return w.dequantized(s), nil
}

// input is an input of a node, empty where it is left out.
func input(n *onnx.Node, i int) string {
	if i < len(n.In) {
		return n.In[i]
	}
	return ""
}

// quantizeLinear computes a QuantizeLinear of constants: rounded to the nearest, halves to
// even, and cut off at the ends of the type.
func (f *finder) quantizeLinear(n *onnx.Node, depth int) (whole, error) {
	if len(n.In) < 2 {
		return whole{}, fmt.Errorf("%s has no scale", n.Label())
	}
	if err := blocked(n); err != nil {
		return whole{}, err
	}
	x, err := f.evaluate(n.In[0], depth)
	if err != nil {
		return whole{}, err
	}
	s, err := f.scaling(n.In[1], input(n, 2), attrInt(n, "axis", 1), x.dims, depth)
	if err != nil {
		return whole{}, err
	}
	typ := onnx.Uint8
	if to := attrInt(n, "output_dtype", 0); to != 0 {
		typ = onnx.Type(to)
	}
	if zero := input(n, 2); zero != "" {
		typ = f.typeOf(zero)
	}
	low, high, ok := rangeOf(typ)
	if !ok {
		return whole{}, fmt.Errorf("%s makes values of %v, not integers of 8 or 16 bits", n.Label(), typ)
	}
	out := whole{x.dims, make([]int32, len(x.v)), typ}
	s.each(x.dims, len(x.v), func(i, at int) {
		v := math.RoundToEven(float64(x.v[i]/s.scale[at])) + float64(s.zeroAt(at))
		out.v[i] = int32(min(max(v, float64(low)), float64(high)))
	})
	return out, nil
}

// rangeOf are the ends of the integers that activations are quantised to.
func rangeOf(t onnx.Type) (low, high int32, ok bool) {
	switch t {
	case onnx.Uint8:
		return 0, math.MaxUint8, true
	case onnx.Int8:
		return math.MinInt8, math.MaxInt8, true
	case onnx.Uint16:
		return 0, math.MaxUint16, true
	case onnx.Int16:
		return math.MinInt16, math.MaxInt16, true
	}
	return 0, 0, false
}

// sameConstant says whether two tensors are one, or hold the same one number. Empty names
// are the number 0.
func (f *finder) sameConstant(a, b string) bool {
	if a == b {
		return true
	}
	number := func(name string) (float64, bool) {
		if name == "" {
			return 0, true
		}
		if v, err := f.evaluate(name, 8); err == nil && len(v.v) == 1 {
			return float64(v.v[0]), true
		}
		if w, err := f.integersOf(name, 8); err == nil && len(w.v) == 1 {
			return float64(w.v[0]), true
		}
		return 0, false
	}
	x, okX := number(a)
	y, okY := number(b)
	return okX && okY && x == y
}

// readAs says whether integers are read with the scale and zero point that they were made
// with, so that they stand for the values that were quantised, but for rounding.
func (f *finder) readAs(tensor, scale, zero string) bool {
	q, ok := onnx.QuantizationIn(f.maker, tensor)
	return ok && f.sameConstant(q.Scale, scale) && f.sameConstant(q.Zero, zero)
}

// unquantized goes back over quantisation alone.
func (f *finder) unquantized(t string) string {
	for range 4 {
		n := f.maker[t]
		if n == nil || n.Out[0] != t || !f.quantizes(n) {
			break
		}
		t = n.In[0]
	}
	return t
}

// quantizes says whether a node only goes over to integers that stand for values, or back.
func (f *finder) quantizes(n *onnx.Node) bool {
	if !standard(n) && n.Domain != microsoft {
		return false
	}
	switch n.Op {
	case "QuantizeLinear", "DynamicQuantizeLinear":
		return len(n.In) > 0
	case "DequantizeLinear":
		return len(n.In) > 1 && f.readAs(n.In[0], n.In[1], input(n, 2))
	}
	return false
}

// cutsNegative says whether a node's integers have their zero point at their lower end, so
// that what is below 0 becomes 0: quantisers leave a ReLU out where that is so.
func (f *finder) cutsNegative(n *onnx.Node) bool {
	at := map[string]int{"QuantizeLinear": 2, "QLinearConv": 7, "QLinearMatMul": 7, "QGemm": 8}[n.Op]
	if at == 0 {
		return false
	}
	zero := input(n, at)
	if zero == "" {
		return n.Op == "QuantizeLinear" // to uint8, from 0
	}
	z, err := f.integersOf(zero, 8)
	low, _, ok := rangeOf(z.typ)
	return err == nil && ok && len(z.v) == 1 && z.v[0] == low
}

// microsoft is the domain of ONNX Runtime's own operators.
const microsoft = "com.microsoft"
