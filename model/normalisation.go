package model

import (
	"fmt"
	"math"
	"strings"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
)

// Normalisation is what a graph does to its samples before the first layer: it takes x to
// (x - Mean) / Std, channel by channel.
type Normalisation struct {
	Nodes     []string // that do it, in their order: "Sub \"normalize/sub\""
	Mean, Std [3]float64
}

// Normalisation is what the graph does to its input before anything else; nil where it does
// nothing. Constants are added, subtracted, multiplied and divided by, of one value or one for each
// channel, and a BatchNormalization is at its inference values. The input of a quantised graph is
// taken as it is.
func (m *Model) Normalisation() *Normalisation {
	f := newFinder(&m.file.Graph, m.Dir())
	users := map[string][]*onnx.Node{}
	for i := range f.g.Nodes {
		n := &f.g.Nodes[i]
		for _, in := range n.In {
			users[in] = append(users[in], n)
		}
	}
	out := &Normalisation{Std: [3]float64{1, 1, 1}}
	channels := 1 // axis of the channels, of four
	if m.Layout == imageproc.NHWC {
		channels = 3
	}
	t := m.Input
	for range len(f.g.Nodes) {
		n := only(users[t])
		if n == nil || !standard(n) || len(n.Out) == 0 {
			break
		}
		switch n.Op {
		case "Identity", "Cast", "Dropout":
		case "Transpose":
			a, _ := n.Attr("perm")
			moved := -1
			for to, from := range a.Ints {
				if int(from) == channels {
					moved = to
				}
			}
			if moved < 0 {
				return out.orNil()
			}
			channels = moved
		case "Add", "Sub", "Mul", "Div":
			if !out.arithmetic(f, n, t, channels) {
				return out.orNil()
			}
		case "BatchNormalization":
			if channels != 1 || !out.batchNorm(f, n) {
				return out.orNil()
			}
		default:
			return out.orNil()
		}
		t = n.Out[0]
	}
	return out.orNil()
}

func (n *Normalisation) orNil() *Normalisation {
	if len(n.Nodes) == 0 {
		return nil
	}
	return n
}

// String names the nodes, and says what they do.
func (n *Normalisation) String() string {
	three := func(v [3]float64) string { return fmt.Sprintf("%.4g,%.4g,%.4g", v[0], v[1], v[2]) }
	return fmt.Sprintf("%s: mean %s, std %s", strings.Join(n.Nodes, ", "), three(n.Mean), three(n.Std))
}

// only is the one node of a list; nil for none and for several.
func only(nodes []*onnx.Node) *onnx.Node {
	if len(nodes) != 1 {
		return nil
	}
	return nodes[0]
}

// arithmetic takes in a node that combines the samples t with a constant.
func (n *Normalisation) arithmetic(f *finder, node *onnx.Node, t string, channels int) bool {
	if len(node.In) != 2 || node.In[0] == node.In[1] {
		return false
	}
	other, first := node.In[1], true
	if node.In[1] == t {
		other, first = node.In[0], false
	}
	v, ok := f.perChannel(other, channels)
	if !ok || !first && node.Op == "Div" {
		return false
	}
	for c, x := range v {
		switch node.Op {
		case "Add":
			n.shift(c, x)
		case "Sub":
			if !first { // constant - x
				n.Mean[c], n.Std[c] = n.Mean[c]+x*n.Std[c], -n.Std[c]
				continue
			}
			n.shift(c, -x)
		case "Mul":
			n.Std[c] /= x
		case "Div":
			n.Std[c] *= x
		}
	}
	return n.keep(node)
}

// shift adds a constant behind what is there: (x - m)/s + b is (x - (m - b s))/s.
func (n *Normalisation) shift(c int, b float64) { n.Mean[c] -= b * n.Std[c] }

// keep remembers a node; false where what it makes is not a number.
func (n *Normalisation) keep(node *onnx.Node) bool {
	for c := range 3 {
		if s := n.Std[c]; s == 0 || math.IsNaN(s+n.Mean[c]) || math.IsInf(s, 0) || math.IsInf(n.Mean[c], 0) {
			*n = Normalisation{}
			return false
		}
	}
	n.Nodes = append(n.Nodes, label(node))
	return true
}

// perChannel are the values of a constant for each channel.
func (f *finder) perChannel(name string, channels int) (v [3]float64, ok bool) {
	t, _ := f.resolve(name)
	if t == nil {
		return v, false
	}
	if n, err := t.Len(); err != nil || n != 1 && n != 3 {
		return v, false
	}
	a, err := f.values(name)
	if err != nil || len(a.v) != 1 && len(a.v) != 3 {
		return v, false
	}
	if len(a.v) == 3 {
		// Broadcast from the last of four axes.
		axis := -1
		for k, d := range a.dims {
			if d == 3 {
				axis = 4 - len(a.dims) + k
			}
		}
		if axis != channels {
			return v, false
		}
	}
	for c := range v {
		v[c] = float64(a.v[c%len(a.v)])
	}
	return v, true
}

// batchNorm takes in a BatchNormalization over three channels.
func (n *Normalisation) batchNorm(f *finder, node *onnx.Node) bool {
	if len(node.In) < 5 || attrInt(node, "training_mode", 0) != 0 {
		return false
	}
	var v [4][3]float64 // scale, bias, mean, variance
	for k := range v {
		t, _ := f.resolve(node.In[1+k])
		if t == nil {
			return false
		}
		if len, err := t.Len(); err != nil || len != 3 {
			return false
		}
		a, err := f.values(node.In[1+k])
		if err != nil || len(a.v) != 3 {
			return false
		}
		for c := range 3 {
			v[k][c] = float64(a.v[c])
		}
	}
	epsilon := 1e-5
	if a, ok := node.Attr("epsilon"); ok {
		epsilon = float64(a.F)
	}
	// What was learned of the samples is their mean and variance; scale and bias are the layer's own.
	for c := range 3 {
		n.shift(c, -v[2][c])
		n.Std[c] *= math.Sqrt(v[3][c] + epsilon)
	}
	return n.keep(node)
}
