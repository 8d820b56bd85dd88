package model

import (
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/internal/onnx"
)

// pooling is a step from places to one vector.
type pooling struct {
	in   string
	kind MapKind
	how  string
	// linear says that the vector is a mean or a sum over the places, or one of
	// them, so that what is linear in it is linear in the map.
	linear bool
	// whole says that the operator covers all places by its nature; otherwise
	// the number of features must show it.
	whole bool
}

// pool says whether n pools the places of its input. Means taken over one
// spatial axis after the other count as one.
func (f *finder) pool(n *onnx.Node) pooling {
	if n == nil || len(n.In) == 0 || n.Out[0] == "" {
		return pooling{}
	}
	if n.Domain == microsoft {
		return f.quantizedPool(n)
	}
	if !standard(n) {
		return pooling{}
	}
	in := n.In[0]
	switch n.Op {
	case "GlobalAveragePool":
		return pooling{in, MapNCHW, n.Op, true, true}
	case "GlobalMaxPool", "GlobalLpPool":
		return pooling{in, MapNCHW, n.Op, false, true}
	case "AveragePool", "MaxPool":
		return f.window(n, n.Op)
	case "ReduceMean", "ReduceSum", "ReduceMax":
		return f.reduction(n)
	case "Gather":
		if attrInt(n, "axis", 0) == 1 && len(n.In) == 2 {
			if at, ok := f.integers(n.In[1]); ok && len(at) == 1 {
				return pooling{in, MapTokens, tokenName(at[0]), true, true}
			}
		}
	case "Slice":
		if len(n.In) >= 4 {
			starts, ok1 := f.integers(n.In[1])
			ends, ok2 := f.integers(n.In[2])
			axes, ok3 := f.integers(n.In[3])
			if ok1 && ok2 && ok3 && len(starts) == 1 && len(ends) == 1 && slices.Equal(axes, []int64{1}) && ends[0] == starts[0]+1 {
				return pooling{in, MapTokens, tokenName(starts[0]), true, true}
			}
		}
	}
	return pooling{}
}

// window is a pooling by a window, which may be the whole map.
func (f *finder) window(n *onnx.Node, op string) pooling {
	a, ok := n.Attr("kernel_shape")
	if !ok || len(a.Ints) != 2 || a.Ints[0] <= 1 {
		return pooling{}
	}
	return pooling{f.unpadded(n.In[0]), MapNCHW, fmt.Sprintf("%s %dx%d", op, a.Ints[0], a.Ints[1]), op == "AveragePool", false}
}

// quantizedPool is pool for ONNX Runtime's operators on quantised maps.
func (f *finder) quantizedPool(n *onnx.Node) pooling {
	if attrInt(n, "channels_last", 0) != 0 {
		return pooling{}
	}
	switch n.Op {
	case "QLinearGlobalAveragePool":
		return pooling{n.In[0], MapNCHW, "GlobalAveragePool", true, true}
	case "QLinearAveragePool":
		return f.window(n, "AveragePool")
	case "QLinearReduceMean":
		a, _ := n.Attr("axes")
		axes := slices.Clone(a.Ints)
		slices.Sort(axes)
		switch fmt.Sprint(axes) {
		case "[2 3]", "[-2 -1]", "[-1 2]":
			return pooling{n.In[0], MapNCHW, "mean", true, true}
		}
	}
	return pooling{}
}

// unpadded steps back over a Pad that adds nothing, which torch writes before an
// AveragePool.
func (f *finder) unpadded(t string) string {
	n := f.maker[t]
	if n == nil || n.Op != "Pad" || !standard(n) || len(n.In) < 2 {
		return t
	}
	pads, ok := f.integers(n.In[1])
	if !ok || slices.ContainsFunc(pads, func(v int64) bool { return v != 0 }) {
		return t
	}
	return n.In[0]
}

// reduction reads ReduceMean and its kin.
func (f *finder) reduction(n *onnx.Node) pooling {
	how := strings.ToLower(strings.TrimPrefix(n.Op, "Reduce"))
	p := pooling{in: n.In[0], how: how, linear: n.Op != "ReduceMax", whole: true}
	axes, keep := f.axes(n), attrInt(n, "keepdims", 1) != 0
	slices.Sort(axes)
	switch fmt.Sprint(axes) {
	case "[2 3]", "[-2 -1]", "[-1 2]":
		p.kind = MapNCHW
		return p
	case "[1 2]", "[-3 -2]":
		p.kind = MapNHWC
		return p
	}
	if len(axes) != 1 {
		return pooling{}
	}
	inner := f.maker[f.unquantized(p.in)]
	if inner != nil && inner.Op == n.Op && standard(inner) && len(inner.In) > 0 {
		if first := f.axes(inner); len(first) == 1 {
			// x.mean(3).mean(2) and the like; which axis the second number means
			// depends on whether the first one was kept.
			kept := attrInt(inner, "keepdims", 1) != 0
			p.in = inner.In[0]
			switch pair := [2]int64{first[0], axes[0]}; {
			case pair == [2]int64{3, 2}, pair == [2]int64{-1, -2} && kept, pair == [2]int64{-1, 2},
				!kept && (pair == [2]int64{-1, -1} || pair == [2]int64{2, 2} || pair == [2]int64{3, -1} ||
					pair == [2]int64{2, -1} || pair == [2]int64{-2, -1}),
				kept && (pair == [2]int64{2, 3} || pair == [2]int64{2, -1} || pair == [2]int64{-2, -1}):
				p.kind = MapNCHW
			case pair == [2]int64{2, 1}, !kept && pair == [2]int64{1, 1}, kept && pair == [2]int64{1, 2}:
				p.kind = MapNHWC
			default:
				return pooling{}
			}
			return p
		}
	}
	switch axes[0] {
	case 1, -2:
		p.kind, p.how = MapTokens, how+" of tokens"
		return p
	case 2, -1:
		// x.flatten(2).mean(-1): rows and columns in one axis. A norm's mean over
		// the last axis keeps it.
		if inner != nil && !keep && (inner.Op == "Reshape" || inner.Op == "Flatten") && standard(inner) && len(inner.In) > 0 {
			p.in, p.kind, p.whole = inner.In[0], MapNCHW, false
			return p
		}
	}
	return pooling{}
}

func tokenName(at int64) string {
	if at == 0 {
		return "class token"
	}
	return fmt.Sprintf("token %d", at)
}

// axes of a reduction: an attribute, or an input since opset 18.
func (f *finder) axes(n *onnx.Node) []int64 {
	if a, ok := n.Attr("axes"); ok {
		return slices.Clone(a.Ints)
	}
	if len(n.In) > 1 {
		if v, ok := f.integers(n.In[1]); ok {
			return v
		}
	}
	return nil
}

// maxBetween bounds the search from the penultimate vector back to the pooling.
const maxBetween = 64

// findMap goes back from the penultimate vector to the pooling: straight, where
// only shapes change, otherwise through what may lie between in a head: linear
// layers, activations, norms. It never goes through a layer that looks at places,
// nor where two values meet that do not come from one: behind such a node there
// may be poolings of earlier layers, which are not the feature map.
func (f *finder) findMap(h *Head) {
	t, ops, width := h.Penultimate, []string(nil), h.Features
	affine := true        // nothing lies between but what is in the weights of MapLayer
	flat, behind := "", 0 // what the last Flatten or Reshape takes, and the operators behind it
	for range maxBetween {
		var n *onnx.Node
		_, n = f.through(t, func(n *onnx.Node) {
			h.Rounded = h.Rounded || f.quantizes(n)
			if n.Op == "Flatten" || n.Op == "Reshape" {
				flat, behind = n.In[0], len(ops)
			}
		})
		if n == nil {
			h.NoMap = fmt.Sprintf("no pooling was found between %q and the input", h.Penultimate)
			return
		}
		if p := f.pool(n); p.in != "" {
			if !p.whole && f.channels(p.in) != width {
				h.NoMap = fmt.Sprintf("%s does not lead from the channels of its input to the %d features behind it", n.Label(), width)
				h.flatten(f, flat, ops[:behind])
				return
			}
			h.setMap(p, f)
			h.Between, h.Direct = ops, affine && p.linear
			h.Rounded = h.Rounded || n.Domain == microsoft // integers are pooled
			return
		}
		next, ok := f.before(n)
		if !ok {
			h.NoMap = "no pooling was found up to " + n.Label()
			h.flatten(f, flat, ops[:behind])
			return
		}
		if affine {
			in, a, err := f.affine(n)
			affine = err == nil && in == next && h.beforeLayer(a)
		}
		width = f.inputWidth(n, width)
		ops, t = append(ops, n.Op), next
	}
	h.NoMap = fmt.Sprintf("no pooling was found within %d nodes of %q", maxBetween, h.Penultimate)
}

// inputWidth is the number of features that a linear layer takes; other nodes
// keep the width.
func (f *finder) inputWidth(n *onnx.Node, width int) int {
	axis := 0
	switch n.Op {
	case "MatMul", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul":
	case "Gemm", "QGemm", "FusedGemm", "FusedMatMul":
		axis = int(attrInt(n, "transB", 0))
	case "Conv", "FusedConv", "QLinearConv", "ConvInteger":
		axis = 1
	default:
		return width
	}
	w, transposed := f.resolve(n.In[matrixAt(n)])
	if w == nil || len(w.Dims) < 2 {
		return width
	}
	if transposed {
		axis = 1 - axis
	}
	return int(w.Dims[axis&1])
}

// matrixAt is the input that holds the weights of a linear layer that before goes over.
func matrixAt(n *onnx.Node) int {
	switch n.Op {
	case "QGemm", "QLinearMatMul", "QLinearConv":
		return 3
	}
	return 1
}

// PoolFlatten is the Pool of a head that takes every place of its map apart.
const PoolFlatten = "Flatten"

// flatten takes what a Flatten in front of dense layers takes as the feature map, where it is
// one of channels by rows by columns. Every place has weights of its own, so that no method
// that follows from weights of channels can be used; others can.
func (h *Head) flatten(f *finder, t string, between []string) {
	if t == "" {
		return
	}
	if n := f.maker[f.unquantized(t)]; n != nil && n.Op == "Transpose" && standard(n) && len(n.In) == 1 {
		if a, ok := n.Attr("perm"); ok && slices.Equal(a.Ints, []int64{0, 2, 3, 1}) {
			t = n.In[0]
		}
	}
	if f.channels(t) > 0 {
		h.FeatureMap, h.MapKind, h.Pool, h.NoMap, h.Between = t, MapNCHW, PoolFlatten, "", between
	}
}

// before returns the tensor that the head's data comes from at node n, if n is
// something that may lie between pooling and linear layer.
func (f *finder) before(n *onnx.Node) (string, bool) {
	if readerOf(n) != nil && convolves(n) {
		return n.In[0], f.onePlace(n)
	}
	if n.Domain == microsoft {
		return f.beforeQuantized(n)
	}
	if !standard(n) {
		return "", false
	}
	switch n.Op {
	case "QLinearMatMul":
		return n.In[0], len(n.In) > 3 && f.constant(n.In[3]) != nil
	case "MatMulInteger":
		return n.In[0], len(n.In) > 1 && f.constant(n.In[1]) != nil
	case "Gemm", "MatMul":
		return n.In[0], len(n.In) > 1 && f.constant(n.In[1]) != nil
	case "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "Erf", "Clip", "Softplus",
		"Mish", "Pow", "Sqrt", "Reciprocal", "LayerNormalization", "BatchNormalization", "InstanceNormalization", "LpNormalization",
		"GroupNormalization", "RMSNormalization", "Transpose", "Neg", "Abs", "Sign":
		return n.In[0], len(n.In) > 0
	case "Add", "Sub", "Mul", "Div", "Max", "Min":
		var data []string
		for _, in := range n.In {
			if !f.isConstant(in) {
				data = append(data, in)
			}
		}
		switch {
		case len(data) == 1:
			return data[0], true
		case n.Op == "Mul" && len(data) == 2 && f.scales(n): // by the scales of dynamic quantisation
			_, _, in, _ := f.scaled(n)
			return in, true
		case len(data) == 2 && f.comesFrom(data[1], data[0]): // x * sigmoid(x), x / norm(x)
			return data[0], true
		case len(data) == 2 && f.comesFrom(data[0], data[1]):
			return data[1], true
		case len(data) == 2: // (x - mean) / deviation: both come from x
			a, okA := f.origin(data[0])
			b, okB := f.origin(data[1])
			if okA && okB && a == b {
				return a, true
			}
		}
	}
	return "", false
}

// beforeQuantized is before for ONNX Runtime's own operators.
func (f *finder) beforeQuantized(n *onnx.Node) (string, bool) {
	switch n.Op {
	case "QGemm", "FusedGemm", "FusedMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul":
		at := matrixAt(n)
		return n.In[0], len(n.In) > at && f.constant(n.In[at]) != nil
	case "QLinearSigmoid", "QLinearLeakyRelu", "Gelu", "FastGelu", "BiasGelu", "QuickGelu":
		return n.In[0], true
	case "QLinearAdd", "QLinearMul":
		in, _, err := f.affine(n)
		return in, err == nil && in != ""
	}
	return "", false
}

// comesFrom says whether a few steps without weights lead back from tensor t to
// the tensor from.
func (f *finder) comesFrom(t, from string) bool {
	from, _ = f.through(from, nil)
	for range 12 {
		t, _ = f.through(t, nil)
		if t == from {
			return true
		}
		next, ok := f.step(t)
		if !ok {
			return false
		}
		t = next
	}
	return false
}

// origin follows steps without weights back to where they branch from.
func (f *finder) origin(t string) (string, bool) {
	for range 12 {
		n := f.maker[t]
		if n == nil {
			return "", false
		}
		if n.Op == "Sub" && len(n.In) == 2 && f.comesFrom(n.In[1], n.In[0]) { // x - mean(x)
			return n.In[0], true
		}
		next, ok := f.step(t)
		if !ok {
			return "", false
		}
		t = next
	}
	return "", false
}

// step goes back over one elementwise or reducing node with one data input.
func (f *finder) step(t string) (string, bool) {
	n := f.maker[t]
	if n == nil || !standard(n) || len(n.In) == 0 {
		return "", false
	}
	switch n.Op {
	case "Sigmoid", "HardSigmoid", "Tanh", "Erf", "Softplus", "Sqrt", "Pow", "Clip", "ReduceMean", "ReduceL2", "ReduceSum",
		"Abs", "Exp", "Neg", "Expand",
		"Identity", "Cast", "Reciprocal":
		return n.In[0], true
	case "Add", "Sub", "Mul", "Div", "Max", "Min":
		var data []string
		for _, in := range n.In {
			if !f.isConstant(in) {
				data = append(data, in)
			}
		}
		if len(data) == 1 || len(data) == 2 && data[0] == data[1] {
			return data[0], true
		}
	}
	return "", false
}

// channels is the number of channels of a map, where a convolution or a batch
// norm before it tells; 0 where none does.
func (f *finder) channels(t string) int {
	for range 16 {
		n := f.maker[f.unquantized(t)]
		if n == nil || len(n.In) == 0 || !standard(n) && n.Domain != microsoft {
			return 0
		}
		weight := ""
		switch {
		case convolves(n) && len(n.In) > weightAt(n):
			weight = n.In[weightAt(n)]
		case n.Op == "BatchNormalization" && len(n.In) > 1:
			weight = n.In[1]
		}
		if weight != "" {
			if c := f.constant(weight); c != nil && len(c.Dims) > 0 {
				return int(c.Dims[0])
			}
			return 0
		}
		switch n.Op {
		case "Relu", "LeakyRelu", "Clip", "HardSwish", "Sigmoid", "Tanh", "Identity", "Cast", "Dropout", "MaxPool", "AveragePool",
			"Pad", "Sign", "Add", "Mul", "Sub", "Div", "QLinearAdd", "QLinearMul", "QLinearAveragePool", "QLinearLeakyRelu", "QLinearSigmoid",
			"QuantizeLinear", "DequantizeLinear":
			t = n.In[0]
		default:
			return 0
		}
	}
	return 0
}

func (h *Head) setMap(p pooling, f *finder) {
	h.FeatureMap, h.MapKind, h.Pool = p.in, p.kind, p.how
	// Tokens may have been cut out of the map (all but the class token).
	if n := f.maker[f.unquantized(p.in)]; p.how == "mean of tokens" && n != nil && n.Op == "Slice" && standard(n) {
		h.Pool = "mean of tokens after the class token"
	}
}
