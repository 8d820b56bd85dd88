package onnx

import (
	"bytes"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
)

// message builds protobuf messages by hand: alternating field numbers and
// values.
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		num := protowire.Number(fields[i].(int))
		switch v := fields[i+1].(type) {
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
		case []byte:
			b = protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
		case float32:
			b = protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), math.Float32bits(v))
		}
	}
	return b
}

func valueInfo(name string, typ int, dims ...any) []byte {
	var shape []any
	for _, d := range dims {
		if s, ok := d.(string); ok {
			shape = append(shape, 1, message(2, s))
		} else {
			shape = append(shape, 1, message(1, d))
		}
	}
	return message(1, name, 2, message(1, message(1, typ, 2, message(shape...))))
}

// small is a model of one Gemm whose weight is listed as an input too.
func small() []byte {
	graph := message(
		1, message(1, "x", 1, "w", 2, "y", 3, "fc", 4, "Gemm", 5, message(1, "transB", 3, 1, 20, 2)),
		5, message(1, 2, 1, 3, 2, 1, 4, float32(1), 4, float32(2), 4, float32(3), 4, float32(4), 4, float32(5), 4, float32(6), 8, "w"),
		11, valueInfo("x", 1, "n", 3), 11, valueInfo("w", 1, 2, 3),
		12, valueInfo("y", 1, "n", 2))
	return message(1, 7, 2, "test", 7, graph, 8, message(2, 13), 14, message(1, "k", 2, "v"))
}

func TestParse(t *testing.T) {
	m, err := Parse(small())
	if err != nil {
		t.Fatal(err)
	}
	if m.IR != 7 || m.Opset[""] != 13 || m.Meta["k"] != "v" || m.Producer != "test" {
		t.Errorf("%+v", m)
	}
	g := m.Graph
	if len(g.Inputs) != 1 || g.Inputs[0].Name != "x" || g.Inputs[0].Dims[0].String() != "n" || g.Inputs[0].Dims[1].Size != 3 {
		t.Errorf("inputs %+v", g.Inputs)
	}
	if a, ok := g.Nodes[0].Attr("transB"); !ok || a.I != 1 {
		t.Errorf("attributes %+v", g.Nodes[0].Attrs)
	}
	w, err := g.Initializers[0].Float32s()
	if err != nil || !slices.Equal(w, []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("%v %v", w, err)
	}
}

// alike compares models that were parsed from different bytes.
var alike = []cmp.Option{
	cmp.AllowUnexported(Model{}, Graph{}, Node{}, Attr{}, Tensor{}, field{}, Value{}),
	cmpopts.IgnoreFields(Model{}, "data"), cmpopts.EquateEmpty(), cmpopts.EquateNaNs(),
}

// What is written is read back as the same.
func TestBytes(t *testing.T) {
	whole := small()
	m, err := Parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Bytes(), whole) {
		t.Error("the bytes of a model that was not edited are not those it was parsed from")
	}
	again, err := Parse(m.Edit().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, again, alike...); d != "" {
		t.Errorf("written and read (-want +got):\n%s", d)
	}
}

func TestEdit(t *testing.T) {
	m, err := Parse(small())
	if err != nil {
		t.Fatal(err)
	}
	before, err := Parse(small())
	if err != nil {
		t.Fatal(err)
	}
	e := m.Edit()
	e.Meta["k"], e.Meta["new"] = "w", "x"
	g := &e.Graph
	if g.Nodes[0], err = g.Nodes[0].WithInputs("x", "w", "b"); err != nil {
		t.Fatal(err)
	}
	if g.Nodes[0], err = g.Nodes[0].WithInts(map[string][]int64{"transB": {4, 5}, "more": {6}}); err != nil {
		t.Fatal(err)
	}
	g.Nodes = append(g.Nodes, NewConstant("c", "shape", []int64{0, -1}))
	g.Initializers = append(g.Initializers, NewTensor("b", Float32, []int64{2}, make([]byte, 8)))
	g.Outputs[0] = g.Outputs[0].WithDims(Dim{Size: 4}, Dim{Size: 2})
	g.Inputs = append(g.Inputs, NewValue("y", Int64))
	if d := cmp.Diff(before, m, alike...); d != "" {
		t.Errorf("the model that was edited has changed (-want +got):\n%s", d)
	}
	got, err := Parse(e.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, got, alike...); d != "" {
		t.Errorf("written and read (-want +got):\n%s", d)
	}
	n := got.Graph.Nodes[0]
	if a, _ := n.Attr("transB"); !slices.Equal(n.In, []string{"x", "w", "b"}) || !slices.Equal(a.Ints, []int64{4, 5}) {
		t.Errorf("node %+v", n)
	}
	if a, _ := got.Graph.Nodes[1].Attr("value"); a.Tensor == nil {
		t.Errorf("constant %+v", got.Graph.Nodes[1])
	} else if v, ok := a.Tensor.Int64s(); !ok || !slices.Equal(v, []int64{0, -1}) {
		t.Errorf("constant of %v", v)
	}
	if d := cmp.Diff(map[string]string{"k": "w", "new": "x"}, got.Meta); d != "" {
		t.Errorf("metadata (-want +got):\n%s", d)
	}
}

func TestTap(t *testing.T) {
	m, err := Parse(small())
	if err != nil {
		t.Fatal(err)
	}
	if same, err := m.Tap("y"); err != nil || same != m {
		t.Errorf("an output that is float32 already: %v", err)
	}
	if _, err := m.Tap("q"); err == nil || !strings.Contains(err.Error(), `no tensor "q"; its outputs are y`) {
		t.Errorf("no such tensor: %v", err)
	}
	tapped, err := m.Tap("x", "y", "x")
	if err != nil {
		t.Fatal(err)
	}
	m, err = Parse(tapped.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("y, x::float32", Names(m.Graph.Outputs)); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
	if m.FloatOutput("x") != "x::float32" || m.FloatOutput("y") != "y" || m.FloatOutput("q") != "" {
		t.Errorf("x is output %q, y %q, q %q", m.FloatOutput("x"), m.FloatOutput("y"), m.FloatOutput("q"))
	}
	if !m.Graph.Produces("x::float32") || m.Graph.Produces("q") {
		t.Error("Produces is wrong about the new outputs")
	}
}

func TestTensorErrors(t *testing.T) {
	for _, c := range []Tensor{
		{Name: "negative", Type: Float32, Dims: []int64{-1}},
		{Name: "huge", Type: Float32, Dims: []int64{1 << 40, 1 << 40}},
		{Name: "short", Type: Float32, Dims: []int64{3}, Raw: make([]byte, 8)},
		{Name: "ints", Type: Int64, Dims: []int64{1}, Raw: make([]byte, 8)},
	} {
		if _, err := c.Float32s(); err == nil {
			t.Errorf("%s: no error", c.Name)
		}
	}
	ext := Tensor{Type: Float32, Dims: []int64{1}, External: map[string]string{"location": "w.bin"}}
	if _, err := ext.Float32s(); !errors.Is(err, ErrExternal) {
		t.Errorf("external: %v", err)
	}
	for _, data := range [][]byte{nil, []byte("hello"), message(1, 7), {0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F}} {
		if _, err := Parse(data); err == nil {
			t.Errorf("%q: no error", data)
		}
	}
}

// Eight megabytes of empty nodes must not become gigabytes.
func TestManyNodes(t *testing.T) {
	graph := bytes.Repeat([]byte{0x0a, 0x00}, 4<<20)
	if _, err := Parse(message(7, graph)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
}

// Tensors that only the body of an If reads are seen.
func TestCaptured(t *testing.T) {
	body := message(1, message(1, "outer", 2, "r", 4, "Identity"), 12, valueInfo("r", 1, 1))
	n, err := parseNode(message(1, "cond", 2, "y", 4, "If", 5, message(1, "then_branch", 6, body, 20, 5)))
	if err != nil || !slices.Contains(n.Captured(), "outer") {
		t.Errorf("%v %v", n.Captured(), err)
	}
}

func TestParseRealModel(t *testing.T) {
	data, err := os.ReadFile(golden.Path(t, "models", "resnet20-cifar10.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if m.IR != 7 || m.Opset[""] != 13 || m.Producer != "pytorch" || m.Graph.Inputs[0].Name != "input" || m.Graph.Outputs[0].Name != "logits" {
		t.Errorf("%d %v %q %+v %+v", m.IR, m.Opset, m.Producer, m.Graph.Inputs, m.Graph.Outputs)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small())
	if m, err := Parse(small()); err == nil {
		m, _ = m.Tap("x")
		f.Add(m.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		for i := range m.Graph.Initializers {
			_, _ = m.Graph.Initializers[i].Float32s()
		}
		again, err := Parse(m.Edit().Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, again, alike...); d != "" {
			t.Fatalf("written and read (-want +got):\n%s", d)
		}
	})
}
