package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/models"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// headCase is what must be found in a file of testdata/heads.
type headCase struct {
	kind, pool string
	layout     MapKind
	direct     bool
	perPlace   bool
	features   int
}

var headCases = map[string]headCase{
	"resnet":            {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"resnet-opset9":     {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"resnet-opset11":    {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"resnet-opset16":    {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"resnet-inputs":     {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"resnet-fixed":      {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"resnet-softmax":    {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"resnet-avgpool":    {"Gemm", "AveragePool 8x8", MapNCHW, true, false, 12},
	"timm-mean":         {"Gemm", "mean", MapNCHW, true, false, 12},
	"mean-mean":         {"Gemm", "mean", MapNCHW, true, false, 12},
	"no-bias":           {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"two-layer":         {"Gemm", "GlobalAveragePool", MapNCHW, false, false, 10},
	"conv-after-pool":   {"Conv", "GlobalAveragePool", MapNCHW, true, false, 12},
	"squeezenet":        {"Conv", "GlobalAveragePool", MapNCHW, true, true, 12},
	"conv-then-max":     {"Conv", "GlobalMaxPool", MapNCHW, false, true, 12},
	"vgg-gap":           {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 16},
	"vgg-flatten":       {"Gemm", "Flatten", MapNCHW, false, false, 20},
	"densenet":          {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 8},
	"mobilenetv3":       {"Gemm", "GlobalAveragePool", MapNCHW, false, false, 16},
	"efficientnet":      {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 16},
	"convnext":          {"Gemm", "GlobalAveragePool", MapNCHW, false, false, 16},
	"vit":               {"Gemm", "class token", MapTokens, true, false, 8},
	"swin":              {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 16},
	"timm-vit-cls":      {"Gemm", "class token", MapTokens, true, false, 8},
	"timm-vit-mean":     {"Gemm", "mean of tokens after the class token", MapTokens, false, false, 8},
	"timm-swin":         {"Gemm", "mean", MapNHWC, true, false, 8},
	"opset7-ir3":        {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"opset18-axes":      {"MatMul", "mean", MapNCHW, true, false, 12},
	"opset22":           {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"half-weights":      {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"constant-nodes":    {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"transposed-weight": {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"gemm-alpha-beta":   {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"external":          {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"tf2onnx":           {"MatMul", "mean", MapNCHW, true, false, 12},
	"flatten-mean":      {"Gemm", "mean", MapNCHW, true, false, 12},
	"se-no-pool":        {"Gemm", "Flatten", MapNCHW, false, false, 768},
	"avgpool-part":      {"Gemm", "Flatten", MapNCHW, false, false, 48},
	"maxpool":           {"Gemm", "MaxPool 8x8", MapNCHW, false, false, 12},
	"timm-conv-head":    {"Gemm", "GlobalAveragePool", MapNCHW, false, false, 20},
	"gemm-add":          {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"softmax-reshape":   {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"value-ints":        {"MatMul", "mean", MapNCHW, true, false, 12},
	"if-body":           {"MatMul", "", "", false, false, 12},
	"half-constants":    {"Gemm", "GlobalAveragePool", MapNCHW, true, false, 12},
	"two-outputs":       {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
	"fixed-reshape":     {"MatMul", "GlobalAveragePool", MapNCHW, true, false, 12},
}

// TestHeads finds the head of every family and checks it by numbers: logits
// recomputed from the penultimate vector and the weights, and the vector from
// the map where the head is direct, must equal what the graph computes.
func TestHeads(t *testing.T) {
	ortest.Load(t)
	files, err := filepath.Glob("testdata/heads/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".onnx")
		want, ok := headCases[name]
		if !ok {
			continue // TestNoHead, TestFreeBatch
		}
		seen++
		t.Run(name, func(t *testing.T) {
			m, err := Open(file, "")
			if err != nil {
				t.Fatal(err)
			}
			h := checkHead(t, m, 7)
			if h.Kind != want.kind || h.Pool != want.pool || h.MapKind != want.layout || h.Direct != want.direct || h.PerPlace != want.perPlace || h.Features != want.features {
				t.Errorf("kind %s, pool %q, map %s, direct %v (between %v), per place %v, features %d; want %+v", h.Kind, h.Pool, h.MapKind, h.Direct, h.Between, h.PerPlace, h.Features, want)
			}
			if (h.FeatureMap == "") != (h.NoMap != "") {
				t.Errorf("map %q, reason for none %q", h.FeatureMap, h.NoMap)
			}
		})
	}
	if seen != len(headCases) {
		t.Errorf("%d files, want %d", seen, len(headCases))
	}
}

func TestHeadsOfRealModels(t *testing.T) {
	ortest.Load(t)
	for _, name := range []string{"resnet20-cifar10", "resnet20-cifar10jpeg-base", "resnet20-cifar10jpeg-cutmix"} {
		m, err := Open(golden.Path(t, "models", name+".onnx"), "")
		if err != nil {
			t.Fatal(err)
		}
		if h := checkHead(t, m, 10); h.Features != 64 || !h.Direct || h.MapKind != MapNCHW {
			t.Errorf("%s: %+v", name, h.Pool)
		}
	}
	for _, name := range models.Names() {
		data, _ := models.Bytes(name)
		m, err := FromBytes(name, data, "")
		if err != nil {
			t.Fatal(err)
		}
		if h := checkHead(t, m, 10); h.Features != 96 || !h.Direct {
			t.Errorf("%s: %+v", name, h.Pool)
		}
	}
}

// openSession runs a model as it is read from a file.
func openSession(m *Model, tensors ...string) (*runtime.Session, error) {
	shape := []int64{3, int64(m.H), int64(m.W)}
	if m.Layout == imageproc.NHWC {
		shape = []int64{int64(m.H), int64(m.W), 3}
	}
	f, err := onnx.Parse(m.Data())
	if err != nil {
		return nil, err
	}
	return runtime.Open(context.Background(), runtime.Source{Name: m.Name, Dir: m.Dir(), Model: f}, runtime.Options{
		Device: runtime.CPU, Threads: 1, Inputs: []runtime.Input{{Name: m.Input, Shape: shape}}, Outputs: tensors,
	})
}

// run computes tensors of a model for n random images.
func run(t *testing.T, m *Model, n int, seed uint64, tensors ...string) (*runtime.Session, [][][]float32) {
	t.Helper()
	s, err := openSession(m, tensors...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	size := n
	if s.Fixed > 0 {
		size = s.Fixed
	}
	b, err := s.NewBatch(size)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	rng := rand.New(rand.NewPCG(seed, 9))
	out := make([][][]float32, len(tensors))
	for at := 0; at < n; at += size {
		k := min(size, n-at)
		for i := range k {
			for j := range b.Input(0, i) {
				b.Input(0, i)[j] = float32(rng.NormFloat64())
			}
		}
		if err := b.Run(context.Background(), k); err != nil {
			t.Fatal(err)
		}
		for o := range tensors {
			for i := range k {
				out[o] = append(out[o], append([]float32(nil), b.Output(o, i)...))
			}
		}
	}
	return s, out
}

// tolerance is the issue's: float32 sums of up to a hundred terms in another
// order differ by about 1e-5.
const tolerance = 1e-4

func checkHead(t *testing.T, m *Model, classes int) *Head {
	t.Helper()
	tolerance := tolerance
	if m.Name == "half-constants" {
		tolerance = 1e-2 // values near 4 in 11 bits, a few roundings
	}
	h, err := m.Head()
	if err != nil {
		t.Fatal(err)
	}
	if h.Classes != classes || len(h.Weight) != h.Classes*h.Features || len(h.Bias) != h.Classes {
		t.Fatalf("%d classes, %d features, %d weights, %d biases", h.Classes, h.Features, len(h.Weight), len(h.Bias))
	}
	tensors := []string{m.Logits}
	if h.Penultimate != "" {
		tensors = append(tensors, h.Penultimate)
	}
	if h.FeatureMap != "" {
		tensors = append(tensors, h.FeatureMap)
	}
	s, out := run(t, m, 3, 1, tensors...)
	got := make([]float32, h.Classes)
	for i := range 3 {
		z := out[0][i]
		var v []float32
		mapOut := []float32(nil)
		var shape []int64
		if h.FeatureMap != "" {
			mapOut, shape = out[len(out)-1][i], s.Outputs[len(out)-1].Shape[1:]
		}
		if h.PerPlace {
			got = perPlace(h, mapOut)
		} else {
			v = out[1][i]
			h.Layer().Apply(got, v)
		}
		if len(z) != h.Classes {
			t.Fatalf("%d logits", len(z))
		}
		for k := range z {
			if math.Abs(float64(got[k]-z[k])) > tolerance {
				t.Errorf("image %d class %d: recomputed %v, graph %v", i, k, got[k], z[k])
			}
		}
		if h.Direct && !h.PerPlace {
			for k, x := range poolMap(t, h, mapOut, shape) {
				if math.Abs(float64(x-v[k])) > tolerance {
					t.Errorf("image %d feature %d: pooled map %v, penultimate %v", i, k, x, v[k])
				}
			}
		}
	}
	if z := out[0]; fmt.Sprint(z[0]) == fmt.Sprint(z[1]) {
		t.Error("two images have the same logits: nothing was tested")
	}
	return h
}

// poolMap pools a map the way the head says.
func poolMap(t *testing.T, h *Head, v []float32, shape []int64) []float32 {
	t.Helper()
	out := make([]float32, h.Features)
	switch {
	case h.MapKind == MapTokens && h.Pool == "class token":
		copy(out, v)
	case h.MapKind == MapNCHW && len(shape) == 3 && int(shape[0]) == h.Features:
		places := len(v) / h.Features
		for c := range out {
			for p := range places {
				out[c] += v[c*places+p] / float32(places)
			}
		}
	case h.MapKind == MapNHWC && len(shape) == 3 && int(shape[2]) == h.Features:
		places := len(v) / h.Features
		for c := range out {
			for p := range places {
				out[c] += v[p*h.Features+c] / float32(places)
			}
		}
	default:
		t.Fatalf("map of shape %v, %s, %s", shape, h.MapKind, h.Pool)
	}
	return out
}

// perPlace applies the linear layer at every place and takes the mean, or the
// largest value.
func perPlace(h *Head, v []float32) []float32 {
	places := len(v) / h.Features
	out, at, z := make([]float32, h.Classes), make([]float32, h.Features), make([]float32, h.Classes)
	largest := h.Pool == "GlobalMaxPool"
	for p := range places {
		for c := range at {
			at[c] = v[c*places+p]
		}
		h.Layer().Apply(z, at)
		for k := range out {
			switch {
			case largest && p == 0:
				out[k] = z[k]
			case largest:
				out[k] = max(out[k], z[k])
			case !h.Relu || z[k] > 0:
				out[k] += z[k] / float32(places)
			}
		}
	}
	return out
}

func TestNoHead(t *testing.T) {
	for name, want := range map[string]string{"no-head": `Tanh "squash"`, "squeezenet-padded": "only a plain 1x1 one"} {
		m, err := Open("testdata/heads/"+name+".onnx", "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Head()
		var none *NoHeadError
		if !errors.As(err, &none) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestExternalDataErrors(t *testing.T) {
	data, err := os.ReadFile("testdata/heads/external.onnx")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile("testdata/heads/external.bin")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, beside := filepath.Join(dir, "external.onnx"), filepath.Join(dir, "external.bin")
	for p, b := range map[string][]byte{path: data, beside: weights} {
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(beside); err != nil { // after Open has seen that it is there
		t.Fatal(err)
	}
	if _, err := m.Head(); err == nil || !strings.Contains(err.Error(), "external.bin") {
		t.Errorf("%v", err)
	}
}
