package model

import (
	"os"
	"path/filepath"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"

	"github.com/google/go-cmp/cmp"
)

// graph is a classifier of these nodes, from "image" to "logits".
func graphOf(t *testing.T, nodes []onnx.Node, constants ...onnx.Tensor) *Model {
	t.Helper()
	f := onnxtest.Model()
	f.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, 2, 2)...)}
	f.Graph.Outputs = []onnx.Value{onnx.NewValue("logits", onnx.Float32).WithDims(onnxtest.Axes(-1, 4)...)}
	f.Graph.Nodes, f.Graph.Initializers = nodes, constants
	m, err := FromBytes("net", f.Bytes(), "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Nodes that mix a batch are found before the tensors that are asked for, and behind the images.
func TestMixers(t *testing.T) {
	one := func(op, out string, in []string, attrs ...[]byte) onnx.Node {
		return onnx.NewNode(op, "the "+op, in, []string{out}, attrs...)
	}
	x := []string{"image"}
	last := one("Flatten", "logits", []string{"y"})
	for name, c := range map[string]struct {
		nodes     []onnx.Node
		constants []onnx.Tensor
		want      []string
	}{
		"none":                    {nodes: []onnx.Node{one("Relu", "y", x), last}},
		"softmax of the batch":    {nodes: []onnx.Node{one("Softmax", "y", x, onnx.IntAttr("axis", 0)), last}, want: []string{`Softmax "the Softmax" normalises over the images of a batch (axis 0)`}},
		"softmax of classes":      {nodes: []onnx.Node{one("Softmax", "y", x), last}},
		"all axes":                {nodes: []onnx.Node{one("ReduceMax", "y", x), last}, want: []string{`ReduceMax "the ReduceMax" reduces over the images of a batch (axis 0)`}},
		"axes of an input":        {nodes: []onnx.Node{one("ReduceSum", "y", []string{"image", "axes"}), last}, constants: []onnx.Tensor{onnx.NewInt64s("axes", []int64{1, 2})}},
		"the batch axis":          {nodes: []onnx.Node{one("ReduceSum", "y", []string{"image", "axes"}), last}, constants: []onnx.Tensor{onnx.NewInt64s("axes", []int64{0})}, want: []string{`ReduceSum "the ReduceSum" reduces over the images of a batch (axis 0)`}},
		"axes that are computed":  {nodes: []onnx.Node{one("Shape", "s", x), one("ReduceSum", "y", []string{"image", "s"}), last}},
		"of a constant":           {nodes: []onnx.Node{one("ReduceMax", "m", []string{"c"}), one("Add", "y", []string{"image", "m"}), last}, constants: []onnx.Tensor{onnx.NewInt64s("c", []int64{1})}},
		"what nobody asks for":    {nodes: []onnx.Node{one("ReduceMax", "m", x), one("Relu", "y", x), last}},
		"dropout as in inference": {nodes: []onnx.Node{one("Dropout", "y", x), last}},
		"dropout that is switched off": {
			nodes:     []onnx.Node{one("Dropout", "y", []string{"image", "", "no"}), last},
			constants: []onnx.Tensor{onnx.NewTensor("no", onnx.Bool, nil, []byte{0})},
		},
		"chance comes first": {
			nodes: []onnx.Node{
				onnx.NewNode("DynamicQuantizeLinear", "q", x, []string{"a", "b", "c"}), onnx.NewNode("DequantizeLinear", "d", []string{"a", "b", "c"}, []string{"e"}),
				one("Dropout", "y", []string{"e", "", "yes"}), last,
			},
			constants: []onnx.Tensor{onnx.NewTensor("yes", onnx.Bool, nil, []byte{1})},
			want: []string{
				`Dropout "the Dropout" is in training mode and drops values at random`,
				`DynamicQuantizeLinear "q" quantises all images of a batch with one scale`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, m := range graphOf(t, c.nodes, c.constants...).Mixers("logits") {
				got = append(got, m.String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A BatchNormalization in training mode becomes one of inference, unless its statistics are read.
func TestInference(t *testing.T) {
	m, err := Open(golden.Path(t, "cases", "batchnorm-training", "model.onnx"), "")
	if err != nil {
		t.Fatal(err)
	}
	got, changed, unset, err := m.Inference()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{`BatchNormalization making "y"`}, changed); d != "" || !unset {
		t.Errorf("changed %q, statistics unset %v", changed, unset)
	}
	if want := "inference statistics in 1 BatchNormalization"; got.Edits() != want || got.SHA256 != m.SHA256 {
		t.Errorf("edits %q, want %q", got.Edits(), want)
	}
	again, err := onnx.Parse(got.Data())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range again.Graph.Nodes {
		if _, ok := n.Attr("training_mode"); n.Op == "BatchNormalization" && (ok || len(n.Out) != 1 || len(n.In) != 5) {
			t.Errorf("%s takes %v, gives %v, training mode %v", n.Label(), n.In, n.Out, ok)
		}
		if _, ok := n.Attr("epsilon"); n.Op == "BatchNormalization" && !ok {
			t.Error("epsilon is lost")
		}
	}
	if same, changed, _, err := got.Inference(); same != got || changed != nil || err != nil {
		t.Errorf("changed again: %v, %v", changed, err)
	}
	read := graphOf(t, []onnx.Node{
		onnx.NewNode("BatchNormalization", "bn", []string{"image", "s", "b", "m", "v"}, []string{"y", "mean", "var"}, onnx.IntAttr("training_mode", 1)),
		onnx.NewNode("Add", "", []string{"y", "mean"}, []string{"logits"}),
	})
	if same, changed, _, err := read.Inference(); same != read || changed != nil || err != nil {
		t.Errorf("changed though its mean is read: %v, %v", changed, err)
	}
	if mix := read.Mixers("logits"); len(mix) != 1 || !mix[0].Training {
		t.Errorf("mixers %v", mix)
	}
}

// A Softmax over the batch behind the logits is named.
func TestBatchSoftmax(t *testing.T) {
	for file, want := range map[string]string{"softbatch.onnx": `Softmax making "o"`} {
		m, err := Open(golden.Path(t, "cases", "attacks", file), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := m.BatchSoftmax(); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

// Only models that compute with integers depend on a processor's kernels for them.
func TestIntegers(t *testing.T) {
	for file, want := range map[string][2]bool{ // integers, 16 bits
		"real/q_tinycnn_int8": {true, false}, "real/tinycnn_fp32": {}, "real/q_goku_mobilenetv2_int8": {true, false},
		"real/q_matias_mobilenetv2_int8": {true, false}, "resnet20-cifar10": {},
	} {
		m, err := Open(golden.Path(t, "models", file+".onnx"), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{m.Integers(), m.Half()}; got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}

// FuzzInference: no file makes the search for nodes that mix a batch, or their rewriting, panic,
// and what is rewritten is read again.
func FuzzInference(f *testing.F) {
	for _, name := range []string{"cases/batchnorm-training/model.onnx", "cases/dynamic-quant-batch/model.onnx", "cases/attacks/bntrain.onnx", "cases/attacks/softbatch.onnx"} {
		data, err := os.ReadFile(golden.Path(f, filepath.FromSlash(name)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := FromBytes("fuzz", data, "")
		if err != nil {
			return
		}
		m.Mixers(m.Logits, m.Output)
		m.BatchSoftmax()
		m.Integers()
		e, changed, _, err := m.Inference()
		if err != nil || len(changed) == 0 {
			return
		}
		if _, err := FromBytes("again", e.Data(), m.Output); err != nil {
			t.Fatalf("edited (%q), the file is not read: %v", changed, err)
		}
	})
}
