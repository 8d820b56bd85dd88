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
	Kind  string // its operator: Gemm, MatMul, Conv, or a quantised one such as QGemm or MatMulInteger
	Input string // the tensor that enters the linear layer

	// Quantized says that the layer's weights or what it takes are integers in the file.
	// Weight and Bias are what they stand for, and so are the values of Penultimate and
	// FeatureMap where they are tapped.
	Quantized bool
	// Rounded says that the graph quantises between FeatureMap and Penultimate, so that the
	// one is the other pooled but for rounding.
	Rounded bool

	Features, Classes int
	// Weight is row-major, Classes x Features: logits = Weight . penultimate +
	// Bias. Bias has one value per class, zeros where the layer has none. Scales and
	// shifts by constants behind the layer are in them. Where the graph quantises the
	// logits, they differ from these by its rounding.
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
	// the choice of a token, and nothing else but rounding and scales and shifts by
	// constants, so that class activation maps follow from MapLayer; Between lists the
	// operators that lie between them, from the head backwards.
	Direct  bool
	Between []string

	// PerPlace says that the linear layer is a 1x1 convolution on the map
	// whose results are pooled (SqueezeNet); Relu that they pass a ReLU before.
	PerPlace, Relu bool

	mapWeight, mapBias []float32 // of MapLayer, nil where they are Weight and Bias

	linear *onnx.Node // in the parsed graph
	form   form
	behind []behind  // the nodes from the output back to the layer
	after  []string  // Reshape shapes between the layer and the output
	typ    onnx.Type // of the layer's weight in the graph
}

// behind is a node between the linear layer and the output.
type behind struct {
	node *onnx.Node
	drop bool   // what it does is in the head's weights, or is quantisation
	as   string // the float operator that does what it does with integers
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
	outer *finder // of the graph around a body; nil for the main graph
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

// through goes back over nodes that change nothing but the shape and the rounding of
// values, and returns the node that makes the values, and the tensor it makes. node is nil
// at an input of the graph.
func (f *finder) through(t string, visit func(*onnx.Node)) (tensor string, node *onnx.Node) {
	for range len(f.g.Nodes) + 1 {
		n := f.maker[t]
		if n == nil || len(n.In) == 0 || n.Out[0] != t || !same(n) && !f.quantizes(n) {
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
	if output != logits { // what lies behind an activation, and the activation
		if _, n := f.through(output, h.remember); n != nil {
			op, _ := activation(n)
			if standard(n) {
				op = ""
			}
			h.behind = append(h.behind, behind{node: n, as: op})
		}
	}
	scores := len(h.behind)
	t, n := f.through(logits, h.remember)
	if n == nil {
		return nil, noHead("%q comes straight from the input", logits)
	}
	if pooled := f.pool(n); pooled.in != "" { // pooling after the linear layer
		h.Pool = pooled.how
		if err := h.rememberPool(f, n, pooled); err != nil {
			return nil, err
		}
		cut := false
		t, n = f.through(pooled.in, func(n *onnx.Node) {
			h.remember(n)
			cut = cut || f.cutsNegative(n)
		})
		if n != nil && n.Op == "Relu" && standard(n) {
			h.Relu = true
			h.behind = append(h.behind, behind{node: n})
			t, n = f.through(n.In[0], h.remember)
		}
		if n == nil || !convolves(n) && !f.scales(n) || pooled.kind != MapNCHW {
			return nil, noHead("%q is pooled, but what is pooled comes from %s, not from a 1x1 Conv", logits, label(n))
		}
		h.Relu = h.Relu || cut || f.cutsNegative(n)
		h.PerPlace, h.Direct = true, pooled.linear
	}
	if err := f.layer(h, t, n); err != nil {
		return nil, err
	}
	for _, b := range slices.Concat(h.behind[scores:], []behind{{node: h.linear}}) {
		if !h.Relu && f.cutsNegative(b.node) {
			return nil, noHead("%s cuts its results off at 0, as a ReLU does", b.node.Label())
		}
	}
	_, integers := onnx.QuantizationIn(f.maker, h.Input)
	h.Quantized = integers || h.linear.Op == "DynamicQuantizeMatMul" || len(h.linear.In) > 1 && f.fromIntegers(h.linear.In[1])
	if h.PerPlace {
		if h.form != convForm {
			return nil, noHead("%q is pooled, but what is pooled comes from %s, not from a 1x1 Conv", logits, h.Node)
		}
		h.FeatureMap, h.MapKind = h.Input, MapNCHW
		return h, nil
	}
	h.Penultimate = h.Input
	f.findMap(h)
	return h, nil
}

// fromIntegers says whether a constant is dequantised in the graph.
func (f *finder) fromIntegers(name string) bool {
	for range 8 {
		n := f.maker[name]
		if n == nil || len(n.In) == 0 {
			return false
		}
		if n.Op == "DequantizeLinear" {
			return true
		}
		name = n.In[0]
	}
	return false
}

// scales says whether a node only scales and shifts values by constants, or by the scales of
// dynamic quantisation.
func (f *finder) scales(n *onnx.Node) bool {
	in, _, err := f.affine(n)
	if in != "" && err == nil {
		return true
	}
	_, _, _, ok := f.scaled(n)
	return ok
}

// remember keeps the nodes behind the linear layer, and the shapes of Reshapes: they may hold
// the number of classes.
func (h *Head) remember(n *onnx.Node) {
	h.behind = append(h.behind, behind{node: n, drop: !same(n)})
	if n.Op == "Reshape" && len(n.In) > 1 {
		h.after = append(h.after, n.In[1])
	}
}

// rememberPool keeps the nodes of a pooling.
func (h *Head) rememberPool(f *finder, n *onnx.Node, p pooling) error {
	for range 8 {
		b := behind{node: n}
		if f.quantizes(n) {
			b.drop = true
		}
		if !standard(n) {
			b.as = map[string]string{"QLinearGlobalAveragePool": "GlobalAveragePool", "QLinearAveragePool": "AveragePool"}[n.Op]
		}
		h.behind = append(h.behind, b)
		if len(n.In) == 0 || n.In[0] == p.in {
			return nil
		}
		if n = f.maker[n.In[0]]; n == nil {
			break
		}
	}
	return noHead("the pooling %s is not one of %q", p.how, p.in)
}

func label(n *onnx.Node) string {
	if n == nil {
		return "an input of the graph"
	}
	return n.Label()
}

// Layer is the linear layer by itself; it shares the head's weights.
func (h *Head) Layer() linear.Layer {
	return linear.Layer{In: h.Features, Out: h.Classes, Weight: h.Weight, Bias: h.Bias}
}

// MapLayer gives the logits from the pooled feature map of a Direct head: Layer, with
// what lies between map and penultimate vector in its weights. It shares the head's.
func (h *Head) MapLayer() linear.Layer {
	if h.mapWeight == nil {
		return h.Layer()
	}
	return linear.Layer{In: h.Features, Out: h.Classes, Weight: h.mapWeight, Bias: h.mapBias}
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
