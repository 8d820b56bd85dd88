package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/linear"
)

// MapKind is how a feature map lies in its tensor.
type MapKind string

// The kinds: N image, C channel, H row, W column, T token.
const (
	MapNCHW   MapKind = "NCHW"
	MapNHWC   MapKind = "NHWC"
	MapTokens MapKind = "NTC"
)

// Head is the last linear layer of a classifier and what lies around it:
//
//	feature map -> pooling -> (other layers) -> penultimate -> linear -> logits
//
// The tensors are named as in the graph and can be asked for as outputs of a
// session.
type Head struct {
	Node  string // the linear layer, for people
	Kind  string // Gemm, MatMul or Conv
	Input string // the tensor that enters the linear layer

	Features, Classes int
	// Weight is row-major, Classes x Features: logits = Weight . penultimate +
	// Bias. Bias has one value per class, zeros where the layer has none.
	Weight, Bias []float32

	// Penultimate is the vector per image: Features values. Empty when the
	// linear layer is applied at every place of the map (PerPlace).
	Penultimate string
	// FeatureMap is the last tensor with places, before pooling; empty when
	// none was found, and NoMap says why.
	FeatureMap string
	MapKind    MapKind
	Pool       string // "GlobalAveragePool", "mean", "class token", …
	NoMap      string
	// Direct says that Penultimate is the FeatureMap pooled by a mean, a sum or
	// the choice of a token, and nothing else, so that class activation maps
	// follow from Weight; Between lists the operators that lie between them,
	// from the head backwards.
	Direct  bool
	Between []string

	// PerPlace says that the linear layer is a 1x1 convolution on the map
	// whose results are pooled (SqueezeNet); Relu that they pass a ReLU before.
	PerPlace, Relu bool

	linear, add *onnx.Node // in the parsed graph
	product     string     // what add adds the bias to
	after       []string   // Reshape shapes between the layer and the output
	typ         onnx.Type  // of the layer's weight in the graph
}

// NoHeadError says where the search for a head stopped.
type NoHeadError struct{ Reason string }

func (e *NoHeadError) Error() string { return "no classifier head: " + e.Reason }

func noHead(format string, a ...any) error { return &NoHeadError{fmt.Sprintf(format, a...)} }

// finder walks a graph backwards.
type finder struct {
	g     *onnx.Graph
	dir   string // of external data
	maker map[string]*onnx.Node
	init  map[string]*onnx.Tensor
}

// Half says whether the layer's weights are float16 in the file.
func (h *Head) Half() bool { return h.typ == onnx.Float16 }

func newFinder(g *onnx.Graph, dir string) *finder {
	f := &finder{g: g, dir: dir, maker: make(map[string]*onnx.Node, len(g.Nodes)), init: make(map[string]*onnx.Tensor, len(g.Initializers))}
	for i := range g.Nodes {
		for _, o := range g.Nodes[i].Out {
			f.maker[o] = &g.Nodes[i]
		}
	}
	for i := range g.Initializers {
		f.init[g.Initializers[i].Name] = &g.Initializers[i]
	}
	return f
}

// Head is the classifier's head, found at the first call; it must not be changed. The
// error is a *NoHeadError that names the node at which the search ended, or about
// reading external data.
func (m *Model) Head() (*Head, error) { return m.head() }

func (m *Model) findHead() (*Head, error) {
	h, err := newFinder(&m.file.Graph, m.Dir()).head(m.Output, m.Logits)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", m.Name, err)
	}
	return h, nil
}

// same are operators that keep every value and their order per image.
func same(n *onnx.Node) bool {
	switch n.Op {
	case "Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze":
		return standard(n)
	}
	return false
}

func standard(n *onnx.Node) bool { return n.Domain == "" || n.Domain == "ai.onnx" }

// through goes back over nodes that change nothing and returns the node that
// makes the values, and the tensor it makes. node is nil at an input of the
// graph.
func (f *finder) through(t string, visit func(*onnx.Node)) (tensor string, node *onnx.Node) {
	for range len(f.g.Nodes) + 1 {
		n := f.maker[t]
		if n == nil || !same(n) || len(n.In) == 0 {
			return t, n
		}
		if visit != nil {
			visit(n)
		}
		t = n.In[0]
	}
	return t, nil
}

// head finds the head that makes logits; output is the graph's output behind it.
func (f *finder) head(output, logits string) (*Head, error) {
	h := &Head{}
	if output != logits { // what lies behind an activation
		f.through(output, h.remember)
	}
	t, n := f.through(logits, h.remember)
	if n == nil {
		return nil, noHead("%q comes straight from the input", logits)
	}
	if pooled := f.pool(n); pooled.in != "" { // pooling after the linear layer
		h.Pool = pooled.how
		t, n = f.through(pooled.in, h.remember)
		if n != nil && n.Op == "Relu" && standard(n) {
			h.Relu = true
			t, n = f.through(n.In[0], h.remember)
		}
		if n == nil || n.Op != "Conv" || pooled.kind != MapNCHW {
			return nil, noHead("%q is pooled, but what is pooled comes from %s, not from a 1x1 Conv", logits, label(n))
		}
		h.PerPlace, h.Direct = true, pooled.linear
	}
	if err := f.layer(h, t, n); err != nil {
		return nil, err
	}
	if h.PerPlace {
		h.FeatureMap, h.MapKind = h.Input, MapNCHW
		return h, nil
	}
	h.Penultimate = h.Input
	f.findMap(h)
	return h, nil
}

// remember keeps the shapes of Reshapes behind the linear layer: they may hold
// the number of classes.
func (h *Head) remember(n *onnx.Node) {
	if n.Op == "Reshape" && len(n.In) > 1 {
		h.after = append(h.after, n.In[1])
	}
}

func label(n *onnx.Node) string {
	if n == nil {
		return "an input of the graph"
	}
	return n.Label()
}

// layer reads the linear layer that makes tensor t.
func (f *finder) layer(h *Head, t string, n *onnx.Node) error {
	if n == nil {
		return noHead("%q is an input of the graph", t)
	}
	if !standard(n) {
		return noHead("%s is of the operator set %q, which is not known", n.Label(), n.Domain)
	}
	switch n.Op {
	case "Gemm":
		return f.gemm(h, n)
	case "MatMul":
		return f.matmul(h, n)
	case "Conv":
		return f.conv(h, n)
	case "Add":
		if len(n.In) != 2 {
			break
		}
		for i := range 2 {
			if f.constant(n.In[1-i]) == nil {
				continue
			}
			_, inner := f.through(n.In[i], nil)
			if inner == nil || !standard(inner) {
				continue
			}
			if inner.Op == "MatMul" || inner.Op == "Gemm" && (len(inner.In) < 3 || inner.In[2] == "") {
				h.add, h.product = n, n.In[i]
				read := f.matmul
				if inner.Op == "Gemm" {
					read = f.gemm
				}
				if err := read(h, inner); err != nil {
					return err
				}
				return f.bias(h, n, n.In[1-i], 1)
			}
		}
		return noHead("%s does not add a constant bias to a MatMul or a Gemm without one", n.Label())
	}
	return noHead("%s is not a linear layer (Gemm, MatMul, MatMul and Add, or a 1x1 Conv)", n.Label())
}

func attrInt(n *onnx.Node, name string, def int64) int64 {
	if a, ok := n.Attr(name); ok {
		return a.I
	}
	return def
}

func (f *finder) gemm(h *Head, n *onnx.Node) error {
	if len(n.In) < 2 || attrInt(n, "transA", 0) != 0 {
		return noHead("%s transposes its input", n.Label())
	}
	scale := func(name string) float32 {
		if a, ok := n.Attr(name); ok {
			return a.F
		}
		return 1
	}
	if err := f.weight(h, n, n.In[1], attrInt(n, "transB", 0) != 0, scale("alpha")); err != nil {
		return err
	}
	if len(n.In) > 2 && n.In[2] != "" {
		if err := f.bias(h, n, n.In[2], scale("beta")); err != nil {
			return err
		}
	}
	h.Kind, h.Input, h.Node, h.linear = "Gemm", n.In[0], n.Label(), n
	return nil
}

func (f *finder) matmul(h *Head, n *onnx.Node) error {
	if len(n.In) != 2 || f.constant(n.In[1]) == nil {
		return noHead("%s multiplies by something that is not a constant weight", n.Label())
	}
	if err := f.weight(h, n, n.In[1], false, 1); err != nil {
		return err
	}
	h.Kind, h.Input, h.Node, h.linear = "MatMul", n.In[0], n.Label(), n
	return nil
}

// onePlace says whether a Conv looks at one place at a time: 1x1, without
// groups, strides or padding.
func (f *finder) onePlace(n *onnx.Node) bool {
	w := f.constant(n.In[1])
	if w == nil || len(w.Dims) != 4 || w.Dims[2] != 1 || w.Dims[3] != 1 || attrInt(n, "group", 1) != 1 {
		return false
	}
	for name, plain := range map[string]int64{"strides": 1, "pads": 0} {
		if a, ok := n.Attr(name); ok && slices.ContainsFunc(a.Ints, func(v int64) bool { return v != plain }) {
			return false
		}
	}
	return true
}

func (f *finder) conv(h *Head, n *onnx.Node) error {
	if len(n.In) < 2 {
		return noHead("%s has no weight", n.Label())
	}
	w, err := f.values(n.In[1])
	if err != nil {
		return noHead("%s: %v", n.Label(), err)
	}
	if len(w.dims) != 4 || !f.onePlace(n) {
		return noHead("%s is a convolution with weights %v, strides or padding; only a plain 1x1 one is a linear layer", n.Label(), w.dims)
	}
	h.Classes, h.Features, h.Weight, h.typ = w.dims[0], w.dims[1], w.v, f.typeOf(n.In[1])
	h.Bias = make([]float32, h.Classes)
	if len(n.In) > 2 && n.In[2] != "" {
		if err := f.bias(h, n, n.In[2], 1); err != nil {
			return err
		}
	}
	h.Kind, h.Input, h.Node, h.linear = "Conv", n.In[0], n.Label(), n
	return nil
}

// weight reads a matrix as Classes x Features; transposed says that the file
// has it so, otherwise it is Features x Classes.
func (f *finder) weight(h *Head, n *onnx.Node, name string, transposed bool, scale float32) error {
	w, err := f.values(name)
	if err != nil {
		return noHead("%s: %v", n.Label(), err)
	}
	if len(w.dims) != 2 || w.dims[0] == 0 || w.dims[1] == 0 {
		return noHead("%s has weights of shape %v, not a matrix", n.Label(), w.dims)
	}
	if !transposed {
		w = w.transpose()
	}
	h.Classes, h.Features, h.Weight, h.typ = w.dims[0], w.dims[1], w.v, f.typeOf(name)
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
	last := len(b.dims) - 1
	if len(b.v) != 1 && (len(b.v) != h.Classes || b.dims[last] != h.Classes) {
		return noHead("%s has a bias of shape %v for %d classes", n.Label(), b.dims, h.Classes)
	}
	for i := range h.Bias {
		h.Bias[i] = b.v[i%len(b.v)] * scale
	}
	return nil
}

// Layer is the linear layer by itself; it shares the head's weights.
func (h *Head) Layer() linear.Layer {
	return linear.Layer{In: h.Features, Out: h.Classes, Weight: h.Weight, Bias: h.Bias}
}

// ErrPerPlace says that something needs a penultimate vector, and the model
// classifies every place before it pools.
var ErrPerPlace = errors.New("the model applies its linear layer at every place of the map before pooling, so it has no penultimate vector")

// littleEndian packs float32 values as raw tensor data.
func littleEndian(v []float32) []byte {
	out, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic("model: " + err.Error()) // a slice of numbers always encodes
	}
	return out
}
