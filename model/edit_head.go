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

	"cutmix-eval/internal/onnx"
	"cutmix-eval/linear"
)

// mostMoved is how many bytes of external files one ONNX file can take, and the rest.
const mostMoved = 2000 << 20

// ReplaceHead returns the model with other linear layers in place of the head
// that Head found, with a ReLU between each two: the first takes h.Features
// values, the last gives one value per class; classes are their names. The number of
// classes may change. The activation behind the head, if any, stays. meta is added
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
	used := usedTensors(&e.Graph, h)
	r := &replacement{head: h, g: &e.Graph, prefix: freePrefix(used), input: h.Input, classes: k}
	if err := r.dropUnused(used, m.Dir()); err != nil {
		return nil, err
	}
	if err := r.addWeights(r.prefix, last, h.Kind == "MatMul" && h.add != nil); err != nil {
		return nil, err
	}
	if err := r.addHidden(layers[:len(layers)-1]); err != nil {
		return nil, err
	}
	if err := r.rewire(); err != nil {
		return nil, err
	}
	for i, v := range e.Graph.Outputs {
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
	input   string      // of the last layer
	classes int
}

// freePrefix begins the names of new tensors: a head that was put in before can have layers
// that stay.
func freePrefix(used map[string]bool) string {
	for n := 1; ; n++ {
		prefix := "cutmix_eval.head."
		if n > 1 {
			prefix = fmt.Sprintf("cutmix_eval.head%d.", n)
		}
		taken := false
		for name := range used {
			taken = taken || strings.HasPrefix(name, prefix)
		}
		if !taken {
			return prefix
		}
	}
}

// dropUnused leaves out the weights that nothing uses, and puts those that do into the
// graph where they lie in files of the folder dir.
func (r *replacement) dropUnused(used map[string]bool, dir string) error {
	moved := 0
	kept := r.g.Initializers[:0]
	for _, t := range r.g.Initializers {
		if !used[t.Name] {
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
	r.g.WeightInputs = slices.DeleteFunc(r.g.WeightInputs, func(v onnx.Value) bool { return !used[v.Name] })
	return nil
}

// addWeights adds a layer's tensors; transposed as MatMul takes them.
func (r *replacement) addWeights(prefix string, l linear.Layer, transposed bool) error {
	matrix, dims := l.Weight, []int64{int64(l.Out), int64(l.In)}
	if transposed {
		matrix = array{[]int{l.Out, l.In}, l.Weight}.transpose().v
		dims = []int64{int64(l.In), int64(l.Out)}
	}
	if r.head.Kind == "Conv" {
		dims = append(dims, 1, 1)
	}
	w, err := newWeights(prefix+"weight", r.head.typ, dims, matrix) // a float16 graph takes float16 weights
	if err != nil {
		return err
	}
	b, err := newWeights(prefix+"bias", r.head.typ, []int64{int64(l.Out)}, l.Bias)
	r.g.Initializers = append(r.g.Initializers, w, b)
	return err
}

// addHidden adds the layers before the last, each with its ReLU, in front of the head's
// layer; r.input is what they end in.
func (r *replacement) addHidden(layers []linear.Layer) error {
	var nodes []onnx.Node
	for i, l := range layers {
		prefix := fmt.Sprintf("%s%d.", r.prefix, i)
		if err := r.addWeights(prefix, l, r.head.Kind != "Conv"); err != nil {
			return err
		}
		sum, out := prefix+"sum", prefix+"out"
		if r.head.Kind == "Conv" {
			nodes = append(nodes, onnx.NewNode("Conv", sum, []string{r.input, prefix + "weight", prefix + "bias"}, []string{sum}))
		} else { // vectors can have axes of length 1 before them
			product := prefix + "product"
			nodes = append(nodes,
				onnx.NewNode("MatMul", product, []string{r.input, prefix + "weight"}, []string{product}),
				onnx.NewNode("Add", sum, []string{product, prefix + "bias"}, []string{sum}))
		}
		nodes = append(nodes, onnx.NewNode("Relu", out, []string{sum}, []string{out}))
		r.input = out
	}
	at := slices.IndexFunc(r.g.Nodes, func(n onnx.Node) bool { return sameNode(&n, r.head.linear) })
	if at < 0 {
		return errors.New("the head was not found in this model")
	}
	r.g.Nodes = slices.Insert(r.g.Nodes, at, nodes...)
	return nil
}

// rewire gives the nodes of the head the new weights, and the shapes behind them the new
// number of classes.
func (r *replacement) rewire() (err error) {
	h, newWeight, newBias := r.head, r.prefix+"weight", r.prefix+"bias"
	for i := range r.g.Nodes {
		n := &r.g.Nodes[i]
		switch {
		case sameNode(n, h.linear) && h.Kind == "Conv":
			*n, err = n.WithInputs(r.input, newWeight, newBias)
		case sameNode(n, h.linear) && h.Kind == "MatMul" && h.add != nil:
			*n, err = n.WithInputs(r.input, newWeight)
		case sameNode(n, h.linear) && h.add != nil:
			*n = onnx.NewNode("Gemm", n.Name, []string{r.input, newWeight}, n.Out, onnx.IntAttr("transB", 1))
		case sameNode(n, h.linear):
			*n = onnx.NewNode("Gemm", n.Name, []string{r.input, newWeight, newBias}, n.Out, onnx.IntAttr("transB", 1))
		case sameNode(n, h.add):
			in := slices.Clone(n.In)
			for k, name := range in {
				if name != h.product {
					in[k] = newBias
				}
			}
			*n, err = n.WithInputs(in...)
		case n.Op == "Constant" && len(n.Out) == 1 && slices.Contains(h.after, n.Out[0]):
			if a, ok := n.Attr("value"); ok && a.Tensor != nil {
				if v, ok := renumbered(a.Tensor, h.Classes, r.classes); ok {
					*n = onnx.NewConstant(n.Name, n.Out[0], v)
				}
			}
		}
		if err != nil {
			return err
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
	return nil
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

// usedTensors lists what nodes other than the head's take as inputs, and the
// head's own data input.
func usedTensors(g *onnx.Graph, h *Head) map[string]bool {
	used := map[string]bool{h.Input: true}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		for _, in := range n.In {
			own := sameNode(n, h.linear) && in != h.Input || sameNode(n, h.add) && in != h.product
			if !own {
				used[in] = true
			}
		}
		for _, in := range n.Captured() { // by the bodies of If and Loop
			used[in] = true
		}
	}
	return used
}

func sameNode(a, b *onnx.Node) bool { return b != nil && a.Op == b.Op && slices.Equal(a.Out, b.Out) }

func newWeights(name string, typ onnx.Type, dims []int64, v []float32) (onnx.Tensor, error) {
	switch typ {
	case onnx.Float32:
		return onnx.NewTensor(name, typ, dims, littleEndian(v)), nil
	case onnx.Float16:
		raw := make([]byte, 0, 2*len(v))
		for _, x := range v {
			h := onnx.ToFloat16(x)
			raw = append(raw, byte(h), byte(h>>8))
		}
		return onnx.NewTensor(name, typ, dims, raw), nil
	}
	return onnx.Tensor{}, fmt.Errorf("the head's weights are %v; float32 and float16 can be replaced", typ)
}
