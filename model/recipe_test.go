package model

import (
	"strings"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/recipes"
)

// A file says how the values of its flat colour input are ordered; of other inputs the graph does.
func TestLayoutInMetadata(t *testing.T) {
	for _, c := range []struct {
		name, recipe string
		dims         []int64
		want         imageproc.Layout
		err          string
	}{
		{"nothing", `{"crop":8}`, []int64{-1, 192}, imageproc.NCHW, ""},
		{"pixel by pixel", `{"crop":8,"layout":"NHWC"}`, []int64{-1, 192}, imageproc.NHWC, ""},
		{"planes", `{"crop":8,"layout":"NCHW"}`, []int64{-1, 192}, imageproc.NCHW, ""},
		{"no order", `{"crop":8,"layout":"HWNC"}`, []int64{-1, 192}, "", "HWNC"},
		{"of four axes", `{"crop":8,"layout":"NHWC"}`, []int64{-1, 3, 8, 8}, "", "the model's is NCHW"},
	} {
		f := onnxtest.Model()
		f.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(c.dims...)...)}
		f.Graph.Outputs = []onnx.Value{onnx.NewValue("out", onnx.Float32).WithDims(onnxtest.Axes(-1, 192)...)}
		f.Graph.Nodes = []onnx.Node{onnx.NewNode("Flatten", "", []string{"image"}, []string{"out"})}
		f.Meta["recipe"] = c.recipe
		m, err := FromBytes("net", f.Bytes(), "")
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := m.Recipe(nil)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || r.Layout != c.want {
			t.Errorf("%s: %q, %v", c.name, r.Layout, err)
		}
		text, err := recipes.Encode(r, m.FlatColour())
		if err != nil {
			t.Fatal(err)
		}
		if found, err := recipes.Read(text, m.recipeInput()); err != nil || *found.Recipe != r {
			t.Errorf("%s: written as %s, read as %+v: %v", c.name, text, found.Recipe, err)
		}
	}
}
