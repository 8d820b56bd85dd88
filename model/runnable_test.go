package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"

	"google.golang.org/protobuf/encoding/protowire"
)

// externalModel is a model with a weight of four float32 values in a file of its own, which
// these pairs of key and value describe.
func externalModel(pairs ...string) []byte {
	var weight []byte
	put := func(b []byte, num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
	}
	text := func(b []byte, num protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
	}
	weight = put(put(put(weight, 1, 1), 1, 4), 2, uint64(onnx.Float32))
	weight = put(text(weight, 8, "w"), 14, 1) // data_location: external
	for i := 0; i < len(pairs); i += 2 {
		weight = text(weight, 13, string(text(text(nil, 1, pairs[i]), 2, pairs[i+1])))
	}
	m := onnxtest.Model()
	m.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, 1, 2, 2)...)}
	m.Graph.Nodes = []onnx.Node{onnx.NewNode("Mul", "m", []string{"image", "w"}, []string{"z"}), onnx.NewNode("Flatten", "f", []string{"z"}, []string{"scores"})}
	m.Graph.Outputs = []onnx.Value{onnx.NewValue("scores", onnx.Float32).WithDims(onnxtest.Axes(-1, 4)...)}
	data := m.Bytes()
	// A second graph field is merged with the first, as protocol buffers are.
	return append(data, text(nil, 7, string(text(nil, 5, string(weight))))...)
}

func TestExternalWeights(t *testing.T) {
	for _, c := range []struct {
		name    string
		pairs   []string
		file    string // contents of w.bin; "none": there is no file
		want    string // of the error; empty: it opens
		folders bool   // w.bin is a folder
	}{
		{"there", []string{"location", "w.bin", "offset", "4", "length", "16"}, strings.Repeat("x", 20), "", false},
		{"without a length", []string{"location", "w.bin"}, strings.Repeat("x", 16), "", false},
		{"missing", []string{"location", "w.bin"}, "none", `"w.bin" is not in`, false},
		{"too short", []string{"location", "w.bin", "offset", "4", "length", "16"}, strings.Repeat("x", 16), "has 16 bytes and needs 20", false},
		{"too short for its shape", []string{"location", "w.bin"}, "x", "has 1 bytes and needs 16", false},
		{"a pointer", []string{"location", "w.bin", "length", "1600"}, "version https://git-lfs.github.com/spec/v1\nsize 1600\n", "Git LFS keeps in place of a file of 1600 bytes", false},
		{"a folder", []string{"location", "w.bin"}, "none", "which is no file", true},
		{"outside", []string{"location", "../w.bin"}, "none", "outside the model's folder", false},
		{"absolute", []string{"location", "/etc/passwd"}, "none", "outside the model's folder", false},
		{"an offset below 0", []string{"location", "w.bin", "offset", "-4"}, "x", "no number of bytes", false},
		{"an offset beyond all", []string{"location", "w.bin", "offset", "9223372036854775807"}, "x", "no number of bytes", false},
		{"a length beyond all", []string{"location", "w.bin", "offset", "2305843009213693952", "length", "2305843009213693952"}, "x", "has 1 bytes and needs", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.folders {
				if err := os.Mkdir(filepath.Join(dir, "w.bin"), 0o700); err != nil {
					t.Fatal(err)
				}
			} else if c.file != "none" {
				if err := os.WriteFile(filepath.Join(dir, "w.bin"), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "net.onnx")
			if err := os.WriteFile(path, externalModel(c.pairs...), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path, "")
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestForeignOperators(t *testing.T) {
	node := func(domain, op string) onnx.Node { return onnx.Node{Op: op, Domain: domain} }
	for _, c := range []struct {
		name string
		file onnx.Model
		want string
	}{
		{"standard and contributed", onnx.Model{Graph: onnx.Graph{Nodes: []onnx.Node{node("", "Relu"), node("ai.onnx.ml", "ZipMap"), node("com.microsoft", "Gelu"), node("com.microsoft.nchwc", "Conv")}}}, ""},
		{"of the file", onnx.Model{Functions: []onnx.Function{{Domain: "pkg", Name: "f"}}, Graph: onnx.Graph{Nodes: []onnx.Node{node("pkg", "f")}}}, ""},
		{"another of the same domain", onnx.Model{Functions: []onnx.Function{{Domain: "pkg", Name: "f"}}, Graph: onnx.Graph{Nodes: []onnx.Node{node("pkg", "g")}}}, `g of "pkg" (1 of its nodes)`},
		{"foreign", onnx.Model{Graph: onnx.Graph{Nodes: []onnx.Node{node("qonnx.custom_op.general", "Quant"), node("qonnx.custom_op.general", "Quant")}}}, `Quant of "qonnx.custom_op.general" (2 of its nodes)`},
		{"left by PyTorch", onnx.Model{Graph: onnx.Graph{Nodes: []onnx.Node{node("org.pytorch.aten", "ATen")}}}, `ATen of "org.pytorch.aten"`},
	} {
		err := checkOperators(&c.file)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Files that people keep, and that cannot be run here.
func TestRealFilesRefused(t *testing.T) {
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"models", "real", "refused", "qonnx_mnist_tfc_1w1a.onnx"}, `BipolarQuant of "onnx.brevitas" (8 of its nodes)`},
		{[]string{"models", "real", "refused", "vatsa_mobilenetv3_tinyvit.onnx"}, `"mobilenetv3_tinyvit.onnx.data" is not in`},
		{[]string{"models", "real", "emx_kws_qoperator.onnx"}, `"serving_default_input:0" (float32, 1 x 1960) cannot be given an image`},
		{[]string{"models", "real"}, "give one of the files in it"},
		{[]string{"cases", "attacks", "extlink.onnx"}, `"link.bin" is not in`},
	} {
		if _, err := Open(golden.Path(t, c.path...), ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.path, err, c.want)
		}
	}
}
