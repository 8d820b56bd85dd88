package evaluation

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/model"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// normalising is a model that takes mean from its samples and divides them by std. A std of 0 is none.
func normalising(t *testing.T, mean, std [3]float32) *model.Model {
	t.Helper()
	tensor := func(name string, dims []int64, v ...float32) onnx.Tensor {
		var raw []byte
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		return onnx.NewTensor(name, onnx.Float32, dims, raw)
	}
	m := onnxtest.Model()
	g := &m.Graph
	g.Inputs = []onnx.Value{onnx.NewValue("x", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, 8, 8)...)}
	at := "x"
	if std[0] != 0 {
		g.Nodes = append(g.Nodes,
			onnx.NewNode("Sub", "less_mean", []string{"x", "mean"}, []string{"a"}),
			onnx.NewNode("Div", "by_std", []string{"a", "std"}, []string{"b"}))
		at = "b"
	}
	g.Nodes = append(g.Nodes,
		onnx.NewNode("GlobalAveragePool", "pool", []string{at}, []string{"p"}),
		onnx.NewNode("Flatten", "flat", []string{"p"}, []string{"f"}),
		onnx.NewNode("Gemm", "head", []string{"f", "w"}, []string{"z"}))
	g.Initializers = []onnx.Tensor{
		tensor("mean", []int64{1, 3, 1, 1}, mean[:]...), tensor("std", []int64{1, 3, 1, 1}, std[:]...), tensor("w", []int64{3, 2}, 1, 2, 3, 4, 5, 6),
	}
	g.Outputs = []onnx.Value{onnx.NewValue("z", onnx.Float32).WithDims(onnxtest.Axes(-1, 2)...)}
	out, err := model.FromBytes("net", m.Bytes(), "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// nowhere is samples of which nothing is said.
type nowhere struct{ Samples }

func (nowhere) Describe(*report.Head) {}

func TestNormalisedTwice(t *testing.T) {
	imageNet := imageproc.Standard()
	bare := func(top int) imageproc.Recipe {
		r := imageNet
		r.Range, r.Mean, r.Std = top, [3]float32{}, [3]float32{1, 1, 1}
		return r
	}
	half := imageNet
	half.Mean, half.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}
	same := func(v float32) [3]float32 { return [3]float32{v, v, v} }
	const nothing = ""
	for name, c := range map[string]struct {
		mean, std [3]float32
		recipe    imageproc.Recipe
		want      string
	}{
		"nothing inside":                  {same(0), same(0), imageNet, nothing},
		"by 255, ImageNet's":              {same(0), same(255), imageNet, "--range 0..255 --mean 0,0,0 --std 1,1,1"},
		"by 255, 0..1":                    {same(0), same(255), bare(1), "--range 0..255"},
		"by 255, 0..255":                  {same(0), same(255), bare(255), nothing},
		"ImageNet's twice":                {imageproc.ImageNetMean, imageproc.ImageNetStd, imageNet, "--range 0..1 --mean 0,0,0 --std 1,1,1"},
		"ImageNet's inside":               {imageproc.ImageNetMean, imageproc.ImageNetStd, bare(1), nothing},
		"ImageNet's inside, 0..255":       {imageproc.ImageNetMean, imageproc.ImageNetStd, bare(255), "--range 0..1"},
		"ImageNet's of 0..255":            {[3]float32{123.675, 116.28, 103.53}, [3]float32{58.395, 57.12, 57.375}, imageNet, "--range 0..255"},
		"to -1..1, ImageNet's":            {same(0.5), same(0.5), imageNet, "--range 0..1"},
		"to -1..1 twice":                  {same(0.5), same(0.5), half, "--range 0..1"},
		"a layer that is near to nothing": {same(0.02), same(0.98), imageNet, nothing}, // as one that was learned of normalised samples
		"-1..1 back to 0..1":              {same(-1), same(2), half, nothing},
		"pictures of another kind":        {same(3000), same(1e5), imageNet, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := NewClassifier(normalising(t, c.mean, c.std), []int64{3, 8, 8}, Running{}, nil)
			c2.Recipe, c2.RecipeSource = c.recipe, "default"
			got := c2.twice()
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || got != "" && !strings.Contains(got, "less_mean") {
				t.Errorf("%q does not say %q", got, c.want)
			}
			// It is kept with a run, and becomes a warning of the report.
			r := Reported(c2.head("task", nowhere{}, 2, nil), &results.Run{}, nil)
			if slices.Contains(r.Warnings, got) != (c.want != "") || len(r.Doubts) > 0 {
				t.Errorf("warnings %v, doubts %v", r.Warnings, r.Doubts)
			}
		})
	}
}

func TestOtherRange(t *testing.T) {
	same := func(v float32) [3]float32 { return [3]float32{v, v, v} }
	for name, c := range map[string]struct {
		top       int
		mean, std [3]float32
		want      string
	}{
		"ImageNet's":            {1, imageproc.ImageNetMean, imageproc.ImageNetStd, ""},
		"ImageNet's of 0..255":  {255, [3]float32{123.675, 116.28, 103.53}, [3]float32{58.395, 57.12, 57.375}, ""},
		"its range left out":    {1, [3]float32{123.675, 116.28, 103.53}, [3]float32{58.395, 57.12, 57.375}, "--range 0..255"},
		"0..255":                {255, same(0), same(1), ""},
		"0..1":                  {1, same(0), same(1), ""},
		"Caffe's":               {255, [3]float32{103.939, 116.779, 123.68}, same(1), ""},
		"Caffe's, range":        {1, [3]float32{103.939, 116.779, 123.68}, same(1), "--range 0..255"},
		"by 255 twice":          {1, same(0), same(255), "--range 0..255"},
		"by 255 with std":       {255, same(0), same(255), ""},
		"-1..1":                 {255, same(127.5), same(127.5), ""},
		"0.5 of 0..255":         {255, same(0.5), same(0.5), "--range 0..1"},
		"ImageNet's for 0..255": {255, imageproc.ImageNetMean, imageproc.ImageNetStd, "--range 0..1"},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := NewClassifier(normalising(t, same(0), same(0)), []int64{3, 8, 8}, Running{}, nil)
			c2.Recipe, c2.RecipeSource = imageproc.Standard(), "file net.json"
			c2.Recipe.Range, c2.Recipe.Mean, c2.Recipe.Std = c.top, c.mean, c.std
			got := strings.Join(c2.doubts(), "")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q does not say %q", got, c.want)
			}
		})
	}
}
