package model

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cutmix-eval/internal/float16"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/linear"
)

// mostMoved is how many bytes of external files one ONNX file can take, and the rest.
const mostMoved = 2000 << 20

// ReplaceHead returns the model with other linear layers in place of the head
// that Head found, with a ReLU between each two: the first takes h.Features
// values, the last gives one value per class; classes are their names. The number of
// classes may change. The activation behind the head, if any, stays; scales and shifts of
// its results, and their quantisation, go. What a quantised head took is dequantised for
// the new one. meta is added
// to the metadata; a value of "" takes a key out. Weights that nothing else uses are left
// out; those in external files are put into the file, which can hold 2 GiB.
func (m *Model) ReplaceHead(h *Head, layers []linear.Layer, classes []string, meta map[string]string) (*Model, error) {
	if h.linear == nil {
		return nil, errors.New("the head was not found in this model")
	}
	if h.PerPlace && len(layers) > 1 {
		return nil, ErrPerPlace
	}
	features := h.Features
	for i, l := range layers {
		if err := l.Validate(); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		if l.In != features {
			return nil, fmt.Errorf("layer %d takes %d values, and gets %d", i, l.In, features)
		}
		if i < len(layers)-1 {
			features = l.Out
		}
	}
	if len(layers) == 0 {
		return nil, errors.New("a head without layers")
	}
	last := layers[len(layers)-1]
	k := last.Out
	if classes != nil && len(classes) != k {
		return nil, fmt.Errorf("%d class names for %d classes", len(classes), k)
	}
	e := m.file.Edit()
	e.Graph.Values = nil // shapes in between are inferred anew
	r := &replacement{head: h, g: &e.Graph, prefix: freePrefix(&e.Graph), input: h.Input, classes: k}
	if err := r.replace(layers); err != nil {
		return nil, err
	}
	if err := r.dropUnused(m.Dir()); err != nil {
		return nil, err
	}
	r.g.Initializers = append(r.g.Initializers, r.weights...)
	r.reshape()
	_, integers := r.g.QuantizationOf(m.Output)
	for i, v := range e.Graph.Outputs {
		if v.Name == m.Output && (v.Type == onnx.Uint8 || v.Type == onnx.Int8) && !integers {
			v = v.WithType(onnx.Float32) // of the new head, whose scores nothing quantises
			e.Graph.Outputs[i] = v
		}
		if v.Name == m.Output && len(v.Dims) > 1 && v.Dims[1].Size == int64(h.Classes) {
			axes := slices.Clone(v.Dims)
			axes[1].Size = int64(k)
			e.Graph.Outputs[i] = v.WithDims(axes...)
		}
	}
	maps.Copy(e.Meta, meta)
	if classes != nil {
		names, err := json.Marshal(classes)
		if err != nil {
			return nil, err
		}
		e.Meta["classes"] = string(names)
	}
	maps.DeleteFunc(e.Meta, func(_, v string) bool { return v == "" })
	// What will be written must read back as what was meant.
	f, err := onnx.Parse(e.Bytes())
	if err != nil {
		return nil, fmt.Errorf("the rewritten model: %w", err)
	}
	out, err := m.edited(f, fmt.Sprintf("head of %d classes (%s)", k, fingerprint(layers)))
	if err != nil {
		return nil, err
	}
	if got, err := out.Head(); err != nil || got.Classes != k || got.Features != features {
		return nil, fmt.Errorf("the rewritten model has no head of %d classes: %w", k, cmp.Or(err, errors.New("another one was found")))
	}
	return out, nil
}

// fingerprint identifies layers by their sizes and values.
func fingerprint(layers []linear.Layer) string {
	h := sha256.New()
	for _, l := range layers {
		fmt.Fprintln(h, l.In, l.Out)
		h.Write(littleEndian(l.Weight))
		h.Write(littleEndian(l.Bias))
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// replacement is what ReplaceHead puts in place of a head.
type replacement struct {
	head    *Head
	g       *onnx.Graph // that is edited
	prefix  string      // of the names of new tensors
	input   string      // of the next layer
	classes int
	nodes   []onnx.Node   // that are put in
	weights []onnx.Tensor // of them
}

// freePrefix begins the names of new tensors: a head that was put in before can have layers
// that stay.
func freePrefix(g *onnx.Graph) string {
	taken := func(prefix string) bool {
		for i := range g.Nodes {
			for _, name := range slices.Concat(g.Nodes[i].In, g.Nodes[i].Out) {
				if strings.HasPrefix(name, prefix) {
					return true
				}
			}
		}
		return false
	}
	prefix := "cutmix_eval.head."
	for n := 2; taken(prefix); n++ {
		prefix = fmt.Sprintf("cutmix_eval.head%d.", n)
	}
	return prefix
}

// replace puts the layers in place of the head's node, and takes out what was part of the
// head behind it and before it.
func (r *replacement) replace(layers []linear.Layer) error {
	// Nodes from the layer on: those that go leave the name of their result to the last
	// that stays before them.
	chain := append(slices.Clone(r.head.behind), behind{node: r.head.linear})
	slices.Reverse(chain)
	gone := map[int]bool{}           // nodes
	changed := map[int][]onnx.Node{} // and what takes their place
	var again []onnx.Node            // names that are lost, and taken elsewhere
	for i := 0; i < len(chain); {
		first := chain[i]
		last := i + 1
		for last < len(chain) && chain[last].drop {
			last++
		}
		out := chain[last-1].node.Out[0]
		for k := i; k < last; k++ {
			at := r.find(chain[k].node)
			if at < 0 {
				return errors.New("the head was not found in this model")
			}
			if k > i || i == 0 {
				gone[at] = true
			}
			if name := chain[k].node.Out[0]; name != out && r.takenBeside(name, chain) {
				if _, integers := r.g.QuantizationOf(name); integers || strings.HasSuffix(chain[k].node.Op, "Integer") {
					return fmt.Errorf("%s makes integers that are taken elsewhere too: its head cannot be replaced", chain[k].node.Label())
				}
				again = append(again, onnx.NewNode("Identity", r.prefix+"again."+name, []string{out}, []string{name}))
			}
		}
		if i == 0 {
			if err := r.put(layers, out); err != nil {
				return err
			}
			changed[r.find(first.node)] = r.nodes
		} else if n, err := first.floats(out); err != nil {
			return err
		} else {
			changed[r.find(first.node)] = []onnx.Node{n}
		}
		i = last
	}
	var nodes, removed []onnx.Node
	for i := range r.g.Nodes {
		if gone[i] {
			removed = append(removed, r.g.Nodes[i])
		}
		switch with, ok := changed[i]; {
		case ok:
			nodes = append(nodes, with...)
		case !gone[i]:
			nodes = append(nodes, r.g.Nodes[i])
		}
	}
	r.g.Nodes = append(nodes, again...)
	r.prune(removed)
	return nil
}

// floats is a node that stays, with another name for its result, and the operator for floats
// where it worked on integers.
func (b behind) floats(out string) (onnx.Node, error) {
	n := *b.node
	outs := slices.Clone(n.Out)
	outs[0] = out
	switch {
	case b.as != "":
		return n.With(b.as, n.In[:1], outs, "axis", "kernel_shape", "strides", "pads", "auto_pad", "ceil_mode", "count_include_pad")
	case n.Domain == microsoft:
		return n, fmt.Errorf("%s works on integers: its head cannot be replaced", n.Label())
	case out == n.Out[0]:
		return n, nil
	}
	return n.WithOutputs(outs...)
}

// find is the place of a node in the graph, -1 where it is not there.
func (r *replacement) find(n *onnx.Node) int {
	return slices.IndexFunc(r.g.Nodes, func(o onnx.Node) bool { return o.Op == n.Op && slices.Equal(o.Out, n.Out) })
}

// takenBeside says whether nodes outside of the chain take a tensor, or the graph gives it out.
func (r *replacement) takenBeside(name string, chain []behind) bool {
	if slices.ContainsFunc(r.g.Outputs, func(v onnx.Value) bool { return v.Name == name }) {
		return true
	}
	for i := range r.g.Nodes {
		n := &r.g.Nodes[i]
		inChain := slices.ContainsFunc(chain, func(b behind) bool { return b.node.Op == n.Op && slices.Equal(b.node.Out, n.Out) })
		if !inChain && slices.Contains(n.In, name) || slices.Contains(n.Captured(), name) {
			return true
		}
	}
	return false
}

// prune takes out nodes that only removed ones needed.
func (r *replacement) prune(removed []onnx.Node) {
	uses := r.uses()
	maker := map[string]int{}
	for i := range r.g.Nodes {
		for _, o := range r.g.Nodes[i].Out {
			maker[o] = i
		}
	}
	var check []string
	for i := range removed {
		check = append(check, removed[i].In...)
	}
	gone := map[int]bool{}
	for len(check) > 0 {
		name := check[len(check)-1]
		check = check[:len(check)-1]
		i, made := maker[name]
		if !made || gone[i] || slices.ContainsFunc(r.g.Nodes[i].Out, func(o string) bool { return uses[o] > 0 }) {
			continue
		}
		gone[i] = true
		for _, in := range r.g.Nodes[i].In {
			uses[in]--
			check = append(check, in)
		}
		for _, in := range r.g.Nodes[i].Captured() {
			uses[in]--
			check = append(check, in)
		}
	}
	var nodes []onnx.Node
	for i := range r.g.Nodes {
		if !gone[i] {
			nodes = append(nodes, r.g.Nodes[i])
		}
	}
	r.g.Nodes = nodes
}

// uses counts what takes a tensor: nodes, the bodies of If and Loop, and the graph's outputs.
func (r *replacement) uses() map[string]int {
	uses := map[string]int{}
	for i := range r.g.Nodes {
		for _, in := range r.g.Nodes[i].In {
			uses[in]++
		}
		for _, in := range r.g.Nodes[i].Captured() {
			uses[in]++
		}
	}
	for i := range r.g.Outputs {
		uses[r.g.Outputs[i].Name]++
	}
	return uses
}

// dropUnused leaves out the weights that nothing uses, and puts those that do into the
// graph where they lie in files of the folder dir.
func (r *replacement) dropUnused(dir string) error {
	used := r.uses()
	moved := 0
	kept := r.g.Initializers[:0]
	for _, t := range r.g.Initializers {
		if used[t.Name] == 0 {
			continue
		}
		if len(t.External) > 0 {
			loaded, err := external(dir, &t)
			if err != nil {
				return err
			}
			if moved += len(loaded.Raw); moved > mostMoved {
				return errors.New("its weights, which lie in external files, are too many for one ONNX file of 2 GiB")
			}
			t = onnx.NewTensor(t.Name, t.Type, t.Dims, loaded.Raw)
		}
		kept = append(kept, t)
	}
	r.g.Initializers = kept
	r.g.WeightInputs = slices.DeleteFunc(r.g.WeightInputs, func(v onnx.Value) bool { return used[v.Name] == 0 })
	return nil
}

// put makes the nodes of the layers, the last of which gives out, with a ReLU between each two.
func (r *replacement) put(layers []linear.Layer, out string) error {
	if _, integers := r.g.QuantizationOf(r.input); integers {
		features := r.prefix + "features"
		n, err := r.g.Dequantize(r.input, features, features)
		if err != nil {
			return err
		}
		r.nodes, r.input = append(r.nodes, n), features
	}
	last := len(layers) - 1
	for i, l := range layers[:last] {
		prefix := fmt.Sprintf("%s%d.", r.prefix, i)
		form := r.head.form
		if form == gemmForm { // vectors can have axes of length 1 before them
			form = matmulForm
		}
		if err := r.putLayer(prefix, prefix+"sum", form, l, prefix+"sum"); err != nil {
			return err
		}
		relu := prefix + "out"
		r.nodes = append(r.nodes, onnx.NewNode("Relu", relu, []string{prefix + "sum"}, []string{relu}))
		r.input = relu
	}
	return r.putLayer(r.prefix, r.head.linear.Name, r.head.form, layers[last], out)
}

// putLayer makes the nodes of a layer in a form, with its weights.
func (r *replacement) putLayer(prefix, name string, form form, l linear.Layer, out string) error {
	matrix, dims := l.Weight, []int64{int64(l.Out), int64(l.In)}
	weight, bias, product := prefix+"weight", prefix+"bias", prefix+"product"
	switch form {
	case gemmForm:
		r.nodes = append(r.nodes, onnx.NewNode("Gemm", name, []string{r.input, weight, bias}, []string{out}, onnx.IntAttr("transB", 1)))
	case convForm:
		dims = append(dims, 1, 1)
		r.nodes = append(r.nodes, onnx.NewNode("Conv", name, []string{r.input, weight, bias}, []string{out}))
	case matmulForm:
		matrix = array{[]int{l.Out, l.In}, l.Weight}.transpose().v
		dims = []int64{int64(l.In), int64(l.Out)}
		r.nodes = append(r.nodes,
			onnx.NewNode("MatMul", name, []string{r.input, weight}, []string{product}),
			onnx.NewNode("Add", prefix+"add", []string{product, bias}, []string{out}))
	}
	w, err := newWeights(weight, r.head.typ, dims, matrix) // a float16 graph takes float16 weights
	if err != nil {
		return err
	}
	b, err := newWeights(bias, r.head.typ, []int64{int64(l.Out)}, l.Bias)
	r.weights = append(r.weights, w, b)
	return err
}

// reshape gives the shapes behind the head the new number of classes.
func (r *replacement) reshape() {
	h := r.head
	for i := range r.g.Nodes {
		n := &r.g.Nodes[i]
		if n.Op != "Constant" || len(n.Out) != 1 || !slices.Contains(h.after, n.Out[0]) {
			continue
		}
		if a, ok := n.Attr("value"); ok && a.Tensor != nil {
			if v, ok := renumbered(a.Tensor, h.Classes, r.classes); ok {
				*n = onnx.NewConstant(n.Name, n.Out[0], v)
			}
		}
	}
	for i := range r.g.Initializers {
		t := &r.g.Initializers[i]
		if slices.Contains(h.after, t.Name) {
			if v, ok := renumbered(t, h.Classes, r.classes); ok {
				*t = onnx.NewInt64s(t.Name, v)
			}
		}
	}
}

// renumbered replaces the number of classes in the shape of a Reshape.
func renumbered(t *onnx.Tensor, old, k int) ([]int64, bool) {
	v, ok := t.Int64s()
	if !ok {
		return nil, false
	}
	v = slices.Clone(v)
	changed := false
	for i, d := range v {
		if i > 0 && d == int64(old) {
			v[i], changed = int64(k), true
		}
	}
	return v, changed
}

func newWeights(name string, typ onnx.Type, dims []int64, v []float32) (onnx.Tensor, error) {
	switch typ {
	case onnx.Float32:
		return onnx.NewTensor(name, typ, dims, littleEndian(v)), nil
	case onnx.Float16:
		raw := make([]byte, 0, 2*len(v))
		for _, x := range v {
			h := float16.Round(x)
			raw = append(raw, byte(h), byte(h>>8))
		}
		return onnx.NewTensor(name, typ, dims, raw), nil
	}
	return onnx.Tensor{}, fmt.Errorf("the head's weights are %v; float32 and float16 can be replaced", typ)
}
