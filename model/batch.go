package model

import (
	"cmp"
	"fmt"
	"slices"

	"cutmix-eval/internal/onnx"
)

// Mixer is a node by which what a model gives for an image can depend on something else: on
// the other images of its batch, or on chance.
type Mixer struct {
	Node   string // for people
	How    string // what it does, as the end of a sentence that begins with Node
	Random bool   // it draws random numbers
	// Branches says that it decides for all images of a batch at once, by their values: a few images
	// cannot show that it makes no difference.
	Branches bool
	// Training says that it is a BatchNormalization that takes the statistics of the batch.
	Training bool
}

func (m Mixer) String() string { return m.Node + " " + m.How }

// Mixers looks for such nodes before the given tensors, those that draw random numbers first,
// then in the order of the file; bodies of If, Loop and Scan are looked into. That a node is here
// does not mean that results depend on it, and others can do the same: only running the model
// says so, but for Branches.
func (m *Model) Mixers(tensors ...string) []Mixer {
	f := newFinder(&m.file.Graph, m.Dir())
	before := f.upstream(tensors)
	image := func(t string) bool { return t == m.Input }
	out := f.mixers(m.Opset, image, image, func(n *onnx.Node) bool { return before[n] }, 0)
	slices.SortStableFunc(out, func(a, b Mixer) int {
		return cmp.Compare(map[bool]int{true: 0, false: 1}[a.Random], map[bool]int{true: 0, false: 1}[b.Random])
	})
	return out
}

// maxDepth bounds the bodies within bodies that are looked into.
const maxDepth = 8

// mixers are the nodes of a graph, and of the bodies in it, among those that wanted names. images
// says which tensors from outside depend on the images, values which on more of them than their
// size.
func (f *finder) mixers(opset int64, images, values func(tensor string) bool, wanted func(*onnx.Node) bool, depth int) (out []Mixer) {
	behind, deep := map[string]bool{}, map[string]bool{}
	isBehind := func(t string) bool { return behind[t] || images(t) }
	isDeep := func(t string) bool { return deep[t] || values(t) }
	for i := range f.g.Nodes { // nodes are sorted: what a node reads is made by those before it
		n := &f.g.Nodes[i]
		reads := append(n.Captured(), n.In...)
		ofImages := slices.ContainsFunc(reads, isBehind)
		ofValues := slices.ContainsFunc(reads, isDeep) && !(standard(n) && (n.Op == "Shape" || n.Op == "Size"))
		for _, o := range n.Out {
			behind[o], deep[o] = behind[o] || ofImages, deep[o] || ofValues
		}
		if !wanted(n) {
			continue
		}
		if how := f.random(n); how != "" {
			out = append(out, Mixer{Node: n.Label(), How: how, Random: true})
		} else if how := branches(n, isDeep); how != "" && ofImages {
			out = append(out, Mixer{Node: n.Label(), How: how, Branches: true})
		} else if how := f.mixes(n, opset); how != "" && ofImages {
			out = append(out, Mixer{Node: n.Label(), How: how, Training: training(n)})
		}
		if depth == maxDepth {
			continue
		}
		for _, g := range n.Bodies() {
			body := newFinder(&g, f.dir)
			body.outer = f
			given := map[string]bool{} // inputs of the body that are of images; a Loop's first two count and decide
			for k, in := range g.Inputs {
				given[in.Name] = n.Op != "Loop" || k > 1
			}
			within := body.mixers(opset,
				func(t string) bool { return given[t] && ofImages || isBehind(t) },
				func(t string) bool { return given[t] && ofValues || isDeep(t) },
				func(*onnx.Node) bool { return true }, depth+1)
			for _, m := range within {
				m.Node += " in " + n.Label()
				out = append(out, m)
			}
		}
	}
	return out
}

// branches says how an If or a Loop decides once for all images of a batch, by their values; empty
// where it does not.
func branches(n *onnx.Node, values func(tensor string) bool) string {
	if !standard(n) {
		return ""
	}
	switch n.Op {
	case "If":
		if len(n.In) > 0 && values(n.In[0]) {
			return "chooses one branch for all images of a batch"
		}
	case "Loop":
		if slices.ContainsFunc(n.In[:min(2, len(n.In))], values) || loopsOn(n, values) {
			return "runs equally often for all images of a batch"
		}
	}
	return ""
}

// loopsOn says whether the body of a Loop decides by such values whether it goes on.
func loopsOn(n *onnx.Node, values func(tensor string) bool) bool {
	carried := slices.ContainsFunc(append(n.Captured(), n.In[min(2, len(n.In)):]...), values)
	for _, g := range n.Bodies() {
		if len(g.Outputs) == 0 {
			continue
		}
		state := map[string]bool{}
		for _, in := range g.Inputs[min(2, len(g.Inputs)):] { // behind the count and the condition
			state[in.Name] = carried
		}
		decides := func(t string) bool { return state[t] || values(t) }
		condition := g.Outputs[0].Name
		if decides(condition) {
			return true
		}
		for node := range newFinder(&g, "").upstream([]string{condition}) {
			if slices.ContainsFunc(append(node.Captured(), node.In...), decides) {
				return true
			}
		}
	}
	return false
}

// upstream are the nodes that tensors are computed from.
func (f *finder) upstream(tensors []string) map[*onnx.Node]bool {
	seen := map[*onnx.Node]bool{}
	for todo := slices.Clone(tensors); len(todo) > 0; {
		n := f.maker[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		if n == nil || seen[n] {
			continue
		}
		seen[n] = true
		todo = append(append(todo, n.In...), n.Captured()...)
	}
	return seen
}

// random says how a node draws random numbers; empty where it does not.
func (f *finder) random(n *onnx.Node) string {
	if !standard(n) {
		return ""
	}
	switch n.Op {
	case "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial":
		return "draws random numbers"
	case "Dropout":
		if len(n.In) > 2 && f.isTrue(n.In[2]) {
			return "is in training mode and drops values at random"
		}
	}
	return ""
}

// isTrue says whether a tensor is the constant true.
func (f *finder) isTrue(name string) bool {
	for ; f != nil; f = f.outer {
		if t := f.constant(name); t != nil {
			return t.True()
		}
	}
	return false
}

// mixes says how a node, of whose inputs the first axis is the image, takes several images
// together; empty where it does not.
func (f *finder) mixes(n *onnx.Node, opset int64) string {
	switch n.Op {
	case "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM":
		return "quantises all images of a batch with one scale"
	}
	if !standard(n) {
		return ""
	}
	switch n.Op {
	case "BatchNormalization":
		if training(n) {
			return "is in training mode and takes mean and variance of the batch"
		}
	case "Softmax", "LogSoftmax", "Hardmax":
		if attrInt(n, "axis", map[bool]int64{true: -1, false: 1}[opset >= 13]) == 0 {
			return "normalises over the images of a batch (axis 0)"
		}
	case "LpNormalization":
		if attrInt(n, "axis", -1) == 0 {
			return "normalises over the images of a batch (axis 0)"
		}
	case "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
		"ReduceLogSum", "ReduceLogSumExp":
		axes := f.axes(n)
		computed := len(axes) == 0 && len(n.In) > 1 && n.In[1] != ""
		if slices.Contains(axes, 0) || len(axes) == 0 && !computed && attrInt(n, "noop_with_empty_axes", 0) == 0 {
			return "reduces over the images of a batch (axis 0)"
		}
	}
	return ""
}

// training says whether a BatchNormalization takes the statistics of the batch: by its
// attribute, or, before operator set 14, by its further outputs.
func training(n *onnx.Node) bool {
	return n.Op == "BatchNormalization" && standard(n) && (attrInt(n, "training_mode", 0) != 0 || len(n.Out) > 1)
}

// Inference returns the model with every BatchNormalization that is in training mode taking
// the mean and the variance that are stored in the file, as an exporter writes them for
// inference, and says which nodes were changed; unset says that all their means are 0 and all
// their variances 1, as before a training. Nodes whose further outputs something reads
// stay as they are. The model itself is returned where there is nothing to change.
func (m *Model) Inference() (_ *Model, changed []string, unset bool, err error) {
	g := &m.file.Graph
	read := map[string]bool{}
	for i := range g.Nodes {
		for _, t := range append(g.Nodes[i].Captured(), g.Nodes[i].In...) {
			read[t] = true
		}
	}
	e, dropped, f := m.file.Edit(), map[string]bool{}, newFinder(g, m.Dir())
	unset = true
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if !training(n) || len(n.Out) == 0 || slices.ContainsFunc(n.Out[1:], func(t string) bool { return read[t] || t == m.Output }) {
			continue
		}
		edited, err := n.WithoutAttrs("training_mode")
		if err == nil {
			edited, err = edited.WithOutputs(n.Out[0])
		}
		if err != nil {
			return nil, nil, false, fmt.Errorf("model %q: %s: %w", m.Name, n.Label(), err)
		}
		for _, t := range n.Out[1:] {
			dropped[t] = true
		}
		e.Graph.Nodes[i] = edited
		unset = unset && len(n.In) > 4 && f.all(n.In[3], 0) && f.all(n.In[4], 1)
		changed = append(changed, n.Label())
	}
	if len(changed) == 0 {
		return m, nil, false, nil
	}
	gone := func(v onnx.Value) bool { return dropped[v.Name] }
	e.Graph.Outputs = slices.DeleteFunc(e.Graph.Outputs, gone)
	e.Graph.Values = slices.DeleteFunc(e.Graph.Values, gone)
	out, err := m.edited(e, fmt.Sprintf("inference statistics in %d BatchNormalization", len(changed)))
	return out, changed, unset, err
}

// all says whether all values of a constant are x.
func (f *finder) all(name string, x float32) bool {
	a, err := f.values(name)
	return err == nil && !slices.ContainsFunc(a.v, func(v float32) bool { return v != x })
}

// BatchSoftmax names the Softmax behind the logits where it normalises over the images of a
// batch instead of the classes; empty where it does not. Its input is read, so scores do not
// depend on it, but what the file itself gives does.
func (m *Model) BatchSoftmax() string {
	if m.Logits == m.Output {
		return ""
	}
	f := newFinder(&m.file.Graph, m.Dir())
	_, n := f.through(m.Output, nil)
	if n == nil || f.mixes(n, m.Opset) == "" {
		return ""
	}
	return n.Label()
}
