package model

import (
	"errors"
	"fmt"
	"slices"

	"cutmix-eval/internal/onnx"
)

// form is how a linear layer is written with floats, whatever it is in the file.
type form int

const (
	gemmForm   form = iota // of vectors: Gemm
	matmulForm             // of vectors with any axes before: MatMul and Add
	convForm               // of maps: a 1x1 Conv
)

// readers are the linear layers, by domain and operator.
var readers = map[string]func(f *finder, h *Head, n *onnx.Node, factors []string) error{
	"Gemm": (*finder).gemm, microsoft + ".FusedGemm": (*finder).gemm,
	"MatMul": (*finder).matmul, microsoft + ".FusedMatMul": (*finder).matmul,
	"Conv": (*finder).conv, microsoft + ".FusedConv": (*finder).conv,
	microsoft + ".QGemm": (*finder).qgemm, "QLinearMatMul": (*finder).qlinearMatMul, "QLinearConv": (*finder).qlinearConv,
	"MatMulInteger": (*finder).integerLayer, "ConvInteger": (*finder).integerLayer,
	microsoft + ".MatMulIntegerToFloat":  (*finder).matMulIntegerToFloat,
	microsoft + ".DynamicQuantizeMatMul": (*finder).dynamicQuantizeMatMul,
}

func readerOf(n *onnx.Node) func(f *finder, h *Head, n *onnx.Node, factors []string) error {
	if standard(n) {
		return readers[n.Op]
	}
	return readers[n.Domain+"."+n.Op]
}

// unread are layers that hold weights in ways that are not read, by operator.
var unread = map[string]string{
	"MatMulNBits": "holds its weights in blocks of 4 bits or so", "MatMulBnb4": "holds its weights in blocks of 4 bits",
	"MatMulFpQ4": "holds its weights in blocks of 4 bits", "QOrderedMatMul": "holds its weights in an order of its own",
}

// layer reads the linear layer that makes tensor t, which node n makes, with what scales and
// shifts its results by constants until they are t.
func (f *finder) layer(h *Head, t string, n *onnx.Node) error {
	var steps []affine   // from t backwards
	var factors []string // of what is not constant, by which integer layers are scaled
	for range maxBetween {
		if n == nil {
			return noHead("%q is an input of the graph", t)
		}
		if read := readerOf(n); read != nil {
			if len(n.In) < 2 {
				return noHead("%s has no weight", n.Label())
			}
			if a, ok := n.Attr("activation"); ok && len(a.S) > 0 {
				return noHead("%s puts %s behind its results", n.Label(), a.S)
			}
			h.linear, h.Node, h.Kind, h.Input = n, n.Label(), n.Op, n.In[0]
			if err := read(f, h, n, factors); err != nil {
				return asNoHead(n, err)
			}
			for _, a := range slices.Backward(steps) {
				if err := h.behindLayer(a); err != nil {
					return noHead("behind %s: %v", n.Label(), err)
				}
			}
			return nil
		}
		if why, ok := unread[n.Op]; ok {
			return noHead("%s %s, which is not read", n.Label(), why)
		}
		in, a, err := f.affine(n)
		switch {
		case err != nil:
			return noHead("%v", err)
		case in != "":
			steps = append(steps, a)
		default:
			names, constants, data, ok := f.scaled(n)
			if !ok {
				if !standard(n) && n.Domain != microsoft {
					return noHead("%s is of the operator set %q, which is not known", n.Label(), n.Domain)
				}
				return noHead("%s is not a linear layer (Gemm, MatMul, MatMul and Add, or a 1x1 Conv, quantised or not)", n.Label())
			}
			factors, steps, in = append(factors, names...), append(steps, constants...), data
		}
		h.behind = append(h.behind, behind{node: n, drop: true})
		t, n = f.through(in, h.remember)
	}
	return noHead("no linear layer was found within %d nodes before %q", maxBetween, t)
}

func asNoHead(n *onnx.Node, err error) error {
	var none *NoHeadError
	if errors.As(err, &none) {
		return err
	}
	return noHead("%s: %v", n.Label(), err)
}

// scaled reads a Mul by scales that are found while the graph runs (DynamicQuantizeLinear),
// and constants.
func (f *finder) scaled(n *onnx.Node) (names []string, constants []affine, data string, ok bool) {
	if n.Op != "Mul" || !standard(n) || len(n.In) != 2 {
		return nil, nil, "", false
	}
	for i := range 2 {
		if names, constants, ok = f.factors(n.In[1-i], 8); ok {
			return names, constants, n.In[i], true
		}
	}
	return nil, nil, "", false
}

// factors takes a tensor apart into a product of constants and scales of DynamicQuantizeLinear.
func (f *finder) factors(t string, depth int) (names []string, constants []affine, ok bool) {
	if f.isConstant(t) {
		c, err := f.values(t)
		return nil, []affine{{scale: c}}, err == nil
	}
	n := f.maker[t]
	switch {
	case depth == 0 || n == nil || !standard(n):
	case n.Op == "DynamicQuantizeLinear" && len(n.Out) > 1 && n.Out[1] == t:
		return []string{t}, nil, true
	case n.Op == "Mul" && len(n.In) == 2:
		n1, c1, ok1 := f.factors(n.In[0], depth-1)
		if !ok1 {
			return nil, nil, false
		}
		n2, c2, ok2 := f.factors(n.In[1], depth-1)
		return append(n1, n2...), append(c1, c2...), ok2
	case reshapesOnly(n) && len(n.In) > 0:
		return f.factors(n.In[0], depth-1)
	}
	return nil, nil, false
}

func attrInt(n *onnx.Node, name string, def int64) int64 {
	if a, ok := n.Attr(name); ok {
		return a.I
	}
	return def
}

func attrFloat(n *onnx.Node, name string, def float32) float32 {
	if a, ok := n.Attr(name); ok {
		return a.F
	}
	return def
}

// unscaled refuses factors that are not constant behind a layer of floats.
func unscaled(factors []string) error {
	if len(factors) > 0 {
		return fmt.Errorf("its results are multiplied by %q, which is not constant", factors[0])
	}
	return nil
}

func (f *finder) gemm(h *Head, n *onnx.Node, factors []string) error {
	if attrInt(n, "transA", 0) != 0 {
		return noHead("%s transposes its input", n.Label())
	}
	if err := unscaled(factors); err != nil {
		return err
	}
	if err := f.weight(h, n, n.In[1], attrInt(n, "transB", 0) != 0, attrFloat(n, "alpha", 1)); err != nil {
		return err
	}
	h.form = gemmForm
	if bias := input(n, 2); bias != "" {
		return f.bias(h, n, bias, attrFloat(n, "beta", 1))
	}
	return nil
}

func (f *finder) matmul(h *Head, n *onnx.Node, factors []string) error {
	if !f.isConstant(n.In[1]) {
		return noHead("%s multiplies by something that is not a constant weight", n.Label())
	}
	for _, name := range []string{"transA", "transBatchA", "transBatchB"} { // of FusedMatMul
		if attrInt(n, name, 0) != 0 {
			return noHead("%s transposes its input", n.Label())
		}
	}
	if err := unscaled(factors); err != nil {
		return err
	}
	h.form = matmulForm
	return f.weight(h, n, n.In[1], attrInt(n, "transB", 0) != 0, attrFloat(n, "alpha", 1))
}

// weightAt is the input that holds the weights of a convolution.
func weightAt(n *onnx.Node) int {
	if n.Op == "QLinearConv" {
		return 3
	}
	return 1
}

// convolves says whether a node is a convolution, of floats or of integers.
func convolves(n *onnx.Node) bool {
	switch n.Op {
	case "Conv", "QLinearConv", "ConvInteger":
		return standard(n)
	case "FusedConv":
		return n.Domain == microsoft
	}
	return false
}

// onePlace says whether a convolution looks at one place at a time: 1x1, without
// groups, strides or padding.
func (f *finder) onePlace(n *onnx.Node) bool {
	if len(n.In) <= weightAt(n) {
		return false
	}
	w := f.constant(n.In[weightAt(n)])
	if w == nil || len(w.Dims) != 4 || w.Dims[2] != 1 || w.Dims[3] != 1 || attrInt(n, "group", 1) != 1 || attrInt(n, "channels_last", 0) != 0 {
		return false
	}
	for name, plain := range map[string]int64{"strides": 1, "pads": 0} {
		if a, ok := n.Attr(name); ok && slices.ContainsFunc(a.Ints, func(v int64) bool { return v != plain }) {
			return false
		}
	}
	return true
}

// kernel takes the weights of a 1x1 convolution.
func (f *finder) kernel(h *Head, n *onnx.Node, w array) error {
	if len(w.dims) != 4 || !f.onePlace(n) || w.dims[0] == 0 || w.dims[1] == 0 {
		return noHead("%s is a convolution with weights %v, groups, strides or padding; only a plain 1x1 one is a linear layer", n.Label(), w.dims)
	}
	h.form, h.Classes, h.Features, h.Weight = convForm, w.dims[0], w.dims[1], w.v
	h.Bias = make([]float32, h.Classes)
	return nil
}

func (f *finder) conv(h *Head, n *onnx.Node, factors []string) error {
	if len(n.In) > 3 && n.In[3] != "" { // FusedConv adds another map
		return noHead("%s adds another map", n.Label())
	}
	if err := unscaled(factors); err != nil {
		return err
	}
	w, err := f.values(n.In[1])
	if err != nil {
		return err
	}
	h.typ = f.typeOf(n.In[1])
	if err := f.kernel(h, n, w); err != nil {
		return err
	}
	if bias := input(n, 2); bias != "" {
		return f.bias(h, n, bias, 1)
	}
	return nil
}

// weight reads a matrix as Classes x Features; transposed says that the file
// has it so, otherwise it is Features x Classes.
func (f *finder) weight(h *Head, n *onnx.Node, name string, transposed bool, scale float32) error {
	w, err := f.values(name)
	if err != nil {
		return err
	}
	h.typ = f.typeOf(name)
	return h.matrix(n, w, transposed, scale)
}

// matrix takes a layer's weights.
func (h *Head) matrix(n *onnx.Node, w array, transposed bool, scale float32) error {
	if len(w.dims) != 2 || w.dims[0] == 0 || w.dims[1] == 0 {
		return noHead("%s has weights of shape %v, not a matrix", n.Label(), w.dims)
	}
	if !transposed {
		w = w.transpose()
	}
	h.Classes, h.Features, h.Weight = w.dims[0], w.dims[1], w.v
	if scale != 1 {
		for i := range h.Weight {
			h.Weight[i] *= scale
		}
	}
	h.Bias = make([]float32, h.Classes)
	return nil
}

func (f *finder) bias(h *Head, n *onnx.Node, name string, scale float32) error {
	b, err := f.values(name)
	if err != nil {
		return noHead("%s: bias: %v", n.Label(), err)
	}
	return h.addBias(n, b, scale)
}

func (h *Head) addBias(n *onnx.Node, b array, scale float32) error {
	last := len(b.dims) - 1
	if len(b.v) != 1 && (len(b.v) != h.Classes || b.dims[last] != h.Classes) {
		return noHead("%s has a bias of shape %v for %d classes", n.Label(), b.dims, h.Classes)
	}
	for i := range h.Bias {
		h.Bias[i] = b.v[i%len(b.v)] * scale
	}
	return nil
}

// quantizedInput says that the layer reads quantised values, with a scale and a zero point
// that must be those they were made with; the scale must be one constant.
func (f *finder) quantizedInput(h *Head, n *onnx.Node, scale, zero string) (float32, error) {
	h.typ = onnx.Float32
	if !f.readAs(h.Input, scale, zero) {
		return 0, fmt.Errorf("it reads %q with another scale or zero point than it was made with", h.Input)
	}
	s, err := f.values(scale)
	if err != nil || len(s.v) != 1 {
		return 0, fmt.Errorf("the scale %q of its input is not one constant", scale)
	}
	return s.v[0], nil
}

// qgemm reads QGemm (ONNX Runtime's contrib operators): A, its scale and zero point, those of
// B, and C, whose scale is alpha times that of A times that of B.
func (f *finder) qgemm(h *Head, n *onnx.Node, factors []string) error {
	if len(n.In) < 6 || attrInt(n, "transA", 0) != 0 {
		return noHead("%s transposes its input", n.Label())
	}
	if err := unscaled(factors); err != nil {
		return err
	}
	scale, err := f.quantizedInput(h, n, n.In[1], n.In[2])
	if err != nil {
		return err
	}
	transposed, alpha := attrInt(n, "transB", 0) != 0, attrFloat(n, "alpha", 1)
	axis := int64(1) // that of the classes
	if transposed {
		axis = 0
	}
	w, err := f.dequantizedConstant(n.In[3], n.In[4], n.In[5], axis, 8)
	if err != nil {
		return err
	}
	h.form = gemmForm
	if err := h.matrix(n, w, transposed, alpha); err != nil {
		return err
	}
	return f.integerBias(h, n, input(n, 6), n.In[4], alpha*scale)
}

// integerBias reads a bias of integers, whose scale is that of the weights times scale.
func (f *finder) integerBias(h *Head, n *onnx.Node, name, weightScale string, scale float32) error {
	if name == "" {
		return nil
	}
	b, err := f.integersOf(name, 8)
	if err != nil {
		return noHead("%s: bias: %v", n.Label(), err)
	}
	s, err := f.values(weightScale)
	if err != nil {
		return err
	}
	each, ok := s.spread(h.Classes, 1)
	if !ok {
		return noHead("%s: %d scales for %d classes", n.Label(), len(s.v), h.Classes)
	}
	if len(b.v) == 0 || len(b.v) != 1 && (len(b.v) != h.Classes || b.dims[len(b.dims)-1] != h.Classes) {
		return noHead("%s has a bias of shape %v for %d classes", n.Label(), b.dims, h.Classes)
	}
	for i := range h.Bias {
		h.Bias[i] = float32(float64(b.v[i%len(b.v)]) * float64(each[i]) * float64(scale))
	}
	return nil
}

func (f *finder) qlinearMatMul(h *Head, n *onnx.Node, factors []string) error {
	if len(n.In) < 6 {
		return noHead("%s has no weight", n.Label())
	}
	if err := unscaled(factors); err != nil {
		return err
	}
	if _, err := f.quantizedInput(h, n, n.In[1], n.In[2]); err != nil {
		return err
	}
	w, err := f.dequantizedConstant(n.In[3], n.In[4], n.In[5], 1, 8)
	if err != nil {
		return err
	}
	h.form = matmulForm
	return h.matrix(n, w, false, 1)
}

func (f *finder) qlinearConv(h *Head, n *onnx.Node, factors []string) error {
	if len(n.In) < 6 {
		return noHead("%s has no weight", n.Label())
	}
	if err := unscaled(factors); err != nil {
		return err
	}
	scale, err := f.quantizedInput(h, n, n.In[1], n.In[2])
	if err != nil {
		return err
	}
	w, err := f.dequantizedConstant(n.In[3], n.In[4], n.In[5], 0, 8)
	if err != nil {
		return err
	}
	if err := f.kernel(h, n, w); err != nil {
		return err
	}
	return f.integerBias(h, n, input(n, 8), n.In[4], scale)
}

// integerLayer reads MatMulInteger and ConvInteger, which give products of integers less
// their zero points; what they are multiplied by makes values of them. The weights are
// those that take dequantised inputs.
func (f *finder) integerLayer(h *Head, n *onnx.Node, factors []string) error {
	q, ok := onnx.QuantizationIn(f.maker, h.Input)
	switch {
	case !ok:
		return fmt.Errorf("its input %q was not quantised in the graph", h.Input)
	case !f.sameConstant(q.Zero, input(n, 2)):
		return fmt.Errorf("it reads %q with another zero point than it was made with", h.Input)
	}
	divide := float32(1)
	if slices.Equal(factors, []string{q.Scale}) {
		// scale * (integer - zero) is the dequantised input
	} else {
		s, err := f.values(q.Scale)
		if err != nil || len(s.v) != 1 || s.v[0] == 0 || len(factors) > 0 {
			return fmt.Errorf("its results are not multiplied by the scale of its input, %q", q.Scale)
		}
		divide = s.v[0] // what they are multiplied by holds it
	}
	w, err := f.integersOf(n.In[1], 8)
	if err != nil {
		return err
	}
	axis := int64(1)
	if n.Op == "ConvInteger" {
		axis = 0
	}
	ones := scaling{scale: []float32{1}}
	if zero := input(n, 3); zero != "" {
		z, err := f.integersOf(zero, 8)
		if err != nil {
			return fmt.Errorf("zero point: %w", err)
		}
		if ones.zero = z.v; len(z.v) > 1 { // one per class
			if int(axis) >= len(w.dims) || w.dims[axis] != len(z.v) {
				return fmt.Errorf("%d zero points are not those of axis %d of shape %v", len(z.v), axis, w.dims)
			}
			ones.axis, ones.scale = int(axis), slices.Repeat([]float32{1}, len(z.v))
		}
	}
	values := w.dequantized(ones)
	h.typ = onnx.Float32
	if n.Op == "ConvInteger" {
		if err := f.kernel(h, n, values); err != nil {
			return err
		}
		for i := range h.Weight {
			h.Weight[i] /= divide
		}
		return nil
	}
	h.form = matmulForm
	return h.matrix(n, values, false, 1/divide)
}

// matMulIntegerToFloat reads the contrib operator: A, B, their scales, their zero points, a
// bias of floats.
func (f *finder) matMulIntegerToFloat(h *Head, n *onnx.Node, factors []string) error {
	if len(n.In) < 4 {
		return noHead("%s has no scales", n.Label())
	}
	if err := unscaled(factors); err != nil {
		return err
	}
	if !f.readAs(h.Input, n.In[2], input(n, 4)) {
		return fmt.Errorf("it reads %q with another scale or zero point than it was made with", h.Input)
	}
	return f.integerMatrix(h, n, n.In[3], input(n, 5), input(n, 6))
}

// dynamicQuantizeMatMul reads the contrib operator: A of floats, which it quantises itself,
// B, its scale and zero point, a bias of floats.
func (f *finder) dynamicQuantizeMatMul(h *Head, n *onnx.Node, factors []string) error {
	if len(n.In) < 3 {
		return noHead("%s has no scales", n.Label())
	}
	if err := unscaled(factors); err != nil {
		return err
	}
	return f.integerMatrix(h, n, n.In[2], input(n, 3), input(n, 4))
}

// integerMatrix takes integers, Features x Classes, with their scale, and a bias of floats.
func (f *finder) integerMatrix(h *Head, n *onnx.Node, scale, zero, bias string) error {
	w, err := f.dequantizedConstant(n.In[1], scale, zero, 1, 8)
	if err != nil {
		return err
	}
	h.form, h.typ = matmulForm, onnx.Float32
	if err := h.matrix(n, w, false, 1); err != nil {
		return err
	}
	if bias != "" {
		return f.bias(h, n, bias, 1)
	}
	return nil
}
