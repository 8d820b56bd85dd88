package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/linear"

	"google.golang.org/protobuf/encoding/protowire"
)

// bytes returns the model's file.
func (m *Model) bytes() ([]byte, error) {
	if m.Data != nil {
		return m.Data, nil
	}
	return os.ReadFile(m.Path)
}

// FreeBatch returns the model with a batch axis of any size in place of a fixed
// one: on the image input, on the outputs, and in the constants that Reshape
// nodes take their shapes from. Whether the result computes the same is for the
// caller to check by running it; graphs can depend on their batch size in ways
// that no rewriting finds. ok is false where the batch is open already.
func (m *Model) FreeBatch() (data []byte, ok bool, err error) {
	if data, err = m.bytes(); err != nil {
		return nil, false, err
	}
	f, err := onnx.Parse(data)
	if err != nil {
		return nil, false, err
	}
	batch := int64(0)
	for _, in := range f.Graph.Inputs {
		if in.Name == m.Input && in.Ranked && len(in.Dims) > 0 {
			batch = in.Dims[0].Size
		}
	}
	if batch <= 0 {
		return nil, false, nil
	}
	shapes := map[string]bool{} // tensors that only Reshape nodes take as shapes
	for _, n := range f.Graph.Nodes {
		for i, in := range n.In {
			use := n.Op == "Reshape" && i == 1
			if old, seen := shapes[in]; seen {
				use = use && old
			}
			shapes[in] = use
		}
		for _, in := range n.Captured() {
			shapes[in] = false
		}
	}
	open := func(v onnx.Value) []byte {
		v.Dims = slices.Clone(v.Dims)
		v.Dims[0] = onnx.Dim{Size: -1, Symbol: "batch"}
		return onnx.EncodeValue(v)
	}
	data, err = onnx.EditGraph(data, func(field protowire.Number, msg []byte) ([]byte, error) {
		switch field {
		case onnx.FieldInput, onnx.FieldOutput:
			v, err := onnx.ParseValue(msg)
			if err == nil && v.Ranked && len(v.Dims) > 0 && v.Dims[0].Size == batch && (field == onnx.FieldOutput || v.Name == m.Input) {
				return open(v), nil
			}
			return msg, err
		case onnx.FieldValue:
			return nil, nil // shapes in between are inferred anew
		case onnx.FieldInitializer:
			t, err := onnx.ParseTensor(msg)
			if err == nil && shapes[t.Name] {
				if v, ok := freed(&t, batch); ok {
					return onnx.EncodeInt64s(t.Name, v), nil
				}
			}
			return msg, err
		case onnx.FieldNode:
			n, err := onnx.ParseNode(msg)
			if err == nil && n.Op == "Constant" && len(n.Out) == 1 && shapes[n.Out[0]] {
				if a, ok := n.Attr("value"); ok && a.Tensor != nil {
					if v, ok := freed(a.Tensor, batch); ok {
						return onnx.EncodeConstant(n.Name, n.Out[0], v), nil
					}
				}
			}
			return msg, err
		}
		return msg, nil
	}, nil)
	return data, true, err
}

// freed opens the first axis of a shape that begins with the batch size.
func freed(t *onnx.Tensor, batch int64) ([]int64, bool) {
	v, ok := t.Int64s()
	if !ok || len(v) == 0 || v[0] != batch {
		return nil, false
	}
	v = slices.Clone(v)
	v[0] = -1 // "what is left"
	if slices.Contains(v[1:], -1) {
		v[0] = 0 // "as in the input"
	}
	return v, true
}

// mostMoved is how many bytes of external files one ONNX file can take, and the rest.
const mostMoved = 2000 << 20

// ReplaceHead returns the model with other linear layers in place of the head
// that Head found, with a ReLU between each two: the first takes h.Features
// values, the last gives one value a class; classes are their names. The number of
// classes may change. The activation behind the head, if any, stays. meta is added
// to the metadata; a value of "" takes a key out. Weights that nothing else uses are left
// out; those in external files are put into the file, which can hold 2 GiB.
func (m *Model) ReplaceHead(h *Head, layers []linear.Layer, classes []string, meta map[string]string) ([]byte, error) {
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
	data, err := m.bytes()
	if err != nil {
		return nil, err
	}
	g, err := onnx.Parse(data)
	if err != nil {
		return nil, err
	}
	used := usedTensors(&g.Graph, h)
	r := &replacement{h, freePrefix(used), h.Input, k}
	add, err := r.hidden(layers[:len(layers)-1])
	if err != nil {
		return nil, err
	}
	own, err := r.weights(r.prefix, last, h.Kind == "MatMul" && h.add != nil)
	if err != nil {
		return nil, err
	}
	add = append(own, add...)
	moved := 0
	edit := func(field protowire.Number, msg []byte) ([]byte, error) {
		switch field {
		case onnx.FieldValue:
			return nil, nil // shapes in between are inferred anew
		case onnx.FieldInitializer:
			t, err := onnx.ParseTensor(msg)
			switch {
			case err != nil:
				return nil, err
			case !used[t.Name]:
				return nil, nil
			case len(t.External) > 0:
				loaded, err := external(filepath.Dir(m.Path), &t)
				if err != nil {
					return nil, err
				}
				if moved += len(loaded.Raw); moved > mostMoved {
					return nil, errors.New("its weights, which lie in external files, are too many for one ONNX file of 2 GiB")
				}
				return onnx.EncodeTensor(t.Name, t.Type, t.Dims, loaded.Raw), nil
			case slices.Contains(h.after, t.Name):
				if v, ok := renumbered(&t, h.Classes, k); ok {
					return onnx.EncodeInt64s(t.Name, v), nil
				}
			}
		case onnx.FieldInput: // weights listed as inputs
			v, err := onnx.ParseValue(msg)
			if err == nil && v.Name != m.Input && !used[v.Name] {
				return nil, nil
			}
			return msg, err
		case onnx.FieldOutput:
			v, err := onnx.ParseValue(msg)
			if err == nil && v.Name == m.Output && len(v.Dims) > 1 && v.Dims[1].Size == int64(h.Classes) {
				v.Dims[1].Size = int64(k)
				return onnx.EncodeValue(v), nil
			}
			return msg, err
		case onnx.FieldNode:
			return r.editNode(msg)
		}
		return msg, nil
	}
	data, err = onnx.EditGraph(data, edit, add)
	if err != nil {
		return nil, err
	}
	set := map[string]string{}
	for key, v := range meta {
		set[key] = v
	}
	if classes != nil {
		names, err := json.Marshal(classes)
		if err != nil {
			return nil, err
		}
		set["classes"] = string(names)
	}
	var order []string
	for key, v := range set {
		if v != "" {
			order = append(order, key)
		}
	}
	slices.Sort(order)
	if data, err = onnx.SetMeta(data, set, order); err != nil {
		return nil, err
	}
	// What was written must read back as what was meant.
	again, err := FromBytes(m.Name, data, m.Output)
	if err != nil {
		return nil, fmt.Errorf("the rewritten model: %w", err)
	}
	if got, err := again.Head(); err != nil || got.Classes != k || got.Features != features {
		return nil, fmt.Errorf("the rewritten model has no head of %d classes: %w", k, cmp.Or(err, errors.New("another one was found")))
	}
	return data, nil
}

// replacement is what ReplaceHead puts in place of a head.
type replacement struct {
	head    *Head
	prefix  string // of the names of new tensors
	input   string // of the last layer
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

// weights encodes a layer's tensors; transposed as MatMul takes them.
func (r *replacement) weights(prefix string, l linear.Layer, transposed bool) ([]onnx.Field, error) {
	matrix, dims := l.Weight, []int64{int64(l.Out), int64(l.In)}
	if transposed {
		matrix = array{[]int{l.Out, l.In}, l.Weight}.transpose().v
		dims = []int64{int64(l.In), int64(l.Out)}
	}
	if r.head.Kind == "Conv" {
		dims = append(dims, 1, 1)
	}
	w, err := encodeWeights(prefix+"weight", r.head.typ, dims, matrix) // a float16 graph takes float16 weights
	if err != nil {
		return nil, err
	}
	b, err := encodeWeights(prefix+"bias", r.head.typ, []int64{int64(l.Out)}, l.Bias)
	return []onnx.Field{{Number: onnx.FieldInitializer, Message: w}, {Number: onnx.FieldInitializer, Message: b}}, err
}

// hidden are the layers before the last, each with its ReLU; r.input is what they end in.
func (r *replacement) hidden(layers []linear.Layer) (add []onnx.Field, err error) {
	before := r.head.linear.Out[0]
	for i, l := range layers {
		prefix := fmt.Sprintf("%s%d.", r.prefix, i)
		w, err := r.weights(prefix, l, r.head.Kind != "Conv")
		if err != nil {
			return nil, err
		}
		sum, out := prefix+"sum", prefix+"out"
		var nodes [][]byte
		if r.head.Kind == "Conv" {
			nodes = [][]byte{onnx.EncodeNode("Conv", sum, []string{r.input, prefix + "weight", prefix + "bias"}, []string{sum})}
		} else { // vectors can have axes of length 1 before them
			product := prefix + "product"
			nodes = [][]byte{
				onnx.EncodeNode("MatMul", product, []string{r.input, prefix + "weight"}, []string{product}),
				onnx.EncodeNode("Add", sum, []string{product, prefix + "bias"}, []string{sum}),
			}
		}
		add = append(add, w...)
		for _, n := range append(nodes, onnx.EncodeNode("Relu", out, []string{sum}, []string{out})) {
			add = append(add, onnx.Field{Number: onnx.FieldNode, Message: n, Before: before})
		}
		r.input = out
	}
	return add, nil
}

// editNode rewires the nodes of the head to the new weights.
func (r *replacement) editNode(msg []byte) ([]byte, error) {
	h, k, newWeight, newBias := r.head, r.classes, r.prefix+"weight", r.prefix+"bias"
	n, err := onnx.ParseNode(msg)
	if err != nil {
		return nil, err
	}
	is := func(want *onnx.Node) bool {
		return want != nil && n.Op == want.Op && slices.Equal(n.Out, want.Out)
	}
	switch {
	case is(h.linear) && r.head.Kind == "Conv":
		return onnx.ReplaceInputs(msg, []string{r.input, newWeight, newBias})
	case is(h.linear) && r.head.Kind == "MatMul" && h.add != nil:
		return onnx.ReplaceInputs(msg, []string{r.input, newWeight})
	case is(h.linear) && h.add != nil:
		return onnx.EncodeNode("Gemm", n.Name, []string{r.input, newWeight}, n.Out, onnx.IntAttr("transB", 1)), nil
	case is(h.linear):
		return onnx.EncodeNode("Gemm", n.Name, []string{r.input, newWeight, newBias}, n.Out, onnx.IntAttr("transB", 1)), nil
	case is(h.add):
		in := slices.Clone(n.In)
		for i, name := range in {
			if name != h.product {
				in[i] = newBias
			}
		}
		return onnx.ReplaceInputs(msg, in)
	case n.Op == "Constant" && len(n.Out) == 1 && slices.Contains(h.after, n.Out[0]):
		if a, ok := n.Attr("value"); ok && a.Tensor != nil {
			if v, ok := renumbered(a.Tensor, h.Classes, k); ok {
				return onnx.EncodeConstant(n.Name, n.Out[0], v), nil
			}
		}
	}
	return msg, nil
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

func encodeWeights(name string, typ onnx.Type, dims []int64, v []float32) ([]byte, error) {
	switch typ {
	case onnx.Float32:
		return onnx.EncodeTensor(name, typ, dims, littleEndian(v)), nil
	case onnx.Float16:
		raw := make([]byte, 0, 2*len(v))
		for _, x := range v {
			h := onnx.ToFloat16(x)
			raw = append(raw, byte(h), byte(h>>8))
		}
		return onnx.EncodeTensor(name, typ, dims, raw), nil
	}
	return nil, fmt.Errorf("the head's weights are %v; float32 and float16 can be replaced", typ)
}
