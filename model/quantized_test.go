package model

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/linear"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// quantizedCases are what must be found in the files of testdata/quantized.
var quantizedCases = map[string]struct {
	kind, pool string
	direct     bool
	perPlace   bool
	relu       bool
	between    string
}{
	"qdq-int8":                  {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-uint8":                 {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-uint8-transb0":         {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-channel":               {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-channel-uint8-transb0": {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-opset10":               {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-opset19":               {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-opset21":               {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-matmul-add":            {kind: "MatMul", pool: "GlobalAveragePool", direct: true},
	"qdq-transposed":            {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-float-weights":         {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-output":                {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-softmax":               {kind: "Gemm", pool: "GlobalAveragePool", direct: true},
	"qdq-conv":                  {kind: "Conv", pool: "GlobalAveragePool", direct: true},
	"qdq-squeezenet":            {kind: "Conv", pool: "GlobalAveragePool", direct: true, perPlace: true},
	"qdq-squeezenet-relu":       {kind: "Conv", pool: "GlobalAveragePool", direct: true, perPlace: true, relu: true},
	"qdq-batchnorm":             {kind: "Gemm", pool: "GlobalAveragePool", direct: true, between: "BatchNormalization"},
	"qdq-flatten":               {kind: "Gemm", pool: "Flatten"},
	"qdq-depthwise":             {kind: "Gemm", pool: "Flatten"},
	"constants-around":          {kind: "MatMul", pool: "GlobalAveragePool", direct: true, between: "Add Mul Div Sub"},
	"fused-matmul":              {kind: "FusedMatMul", pool: "GlobalAveragePool", direct: true},
	"fused-gemm":                {kind: "Gemm", pool: "GlobalAveragePool", between: "FusedGemm"},
	"qop-gemm":                  {kind: "QGemm", pool: "GlobalAveragePool", direct: true},
	"qop-gemm-float-output":     {kind: "QGemm", pool: "AveragePool 16x16", direct: true},
	"qop-matmul-add":            {kind: "QLinearMatMul", pool: "GlobalAveragePool", direct: true},
	"qop-conv-softmax":          {kind: "QLinearConv", pool: "GlobalAveragePool", direct: true},
	"qop-squeezenet":            {kind: "QLinearConv", pool: "GlobalAveragePool", direct: true, perPlace: true},
	"dynamic-matmul":            {kind: "MatMulInteger", pool: "GlobalAveragePool", direct: true},
	"dynamic-conv":              {kind: "ConvInteger", pool: "GlobalAveragePool", direct: true},
	"dynamic-contrib":           {kind: "DynamicQuantizeMatMul", pool: "GlobalAveragePool", direct: true},
	"dynamic-to-float":          {kind: "MatMulIntegerToFloat", pool: "GlobalAveragePool", direct: true},
	"static-integer":            {kind: "MatMulInteger", pool: "GlobalAveragePool", direct: true},
}

// TestQuantizedHeads finds the head of every form of quantised graph and checks it by what
// ONNX Runtime computes: the logits from the penultimate vector, and the vector from the map.
func TestQuantizedHeads(t *testing.T) {
	ortest.Load(t)
	for name, want := range quantizedCases {
		t.Run(name, func(t *testing.T) {
			m, err := Open("testdata/quantized/"+name+".onnx", "")
			if err != nil {
				t.Fatal(err)
			}
			h := checkQuantized(t, m, 10, 3, 2)
			if h.Kind != want.kind || h.Pool != want.pool || h.MapKind != MapNCHW || h.Direct != want.direct || h.PerPlace != want.perPlace ||
				h.Relu != want.relu || strings.Join(h.Between, " ") != want.between {
				t.Errorf("kind %s, pool %q, map %s, direct %v, per place %v, relu %v, between %v; want %+v",
					h.Kind, h.Pool, h.MapKind, h.Direct, h.PerPlace, h.Relu, h.Between, want)
			}
			if float := strings.HasPrefix(name, "fused") || strings.HasPrefix(name, "constants"); h.Quantized == float {
				t.Errorf("quantised: %v", h.Quantized)
			}
		})
	}
}

// steps is the largest distance of two values that one rounding of the tensor makes the same:
// its scale, or 0 for a tensor of floats that no quantisation rounded.
func steps(t *testing.T, m *Model, tensor string) float64 {
	t.Helper()
	f := newFinder(&m.file.Graph, m.Dir())
	if n := f.maker[tensor]; n != nil && n.Op == "DequantizeLinear" {
		tensor = n.In[0]
	}
	q, ok := onnx.QuantizationIn(f.maker, tensor)
	if !ok {
		return 0
	}
	s, err := f.values(q.Scale)
	if err != nil || len(s.v) != 1 {
		return 0 // found while the graph runs
	}
	return float64(s.v[0])
}

// checkQuantized compares what the head gives with what the graph computes, for n images of
// c channels.
func checkQuantized(t *testing.T, m *Model, classes, c, n int) *Head {
	t.Helper()
	h, err := m.Head()
	if err != nil {
		t.Fatal(err)
	}
	if h.Classes != classes || len(h.Weight) != h.Classes*h.Features || len(h.Bias) != h.Classes {
		t.Fatalf("%d classes, %d features, %d weights, %d biases", h.Classes, h.Features, len(h.Weight), len(h.Bias))
	}
	tensors := []string{m.Logits}
	for _, name := range []string{h.Penultimate, h.FeatureMap} {
		if name != "" {
			tensors = append(tensors, name)
		}
	}
	shapes, out := runShaped(t, m, []int64{int64(c), int64(m.H), int64(m.W)}, n, tensors...)
	step := steps(t, m, m.Logits)
	for _, b := range h.behind { // results are rounded on their way to the logits
		if out := b.node.Out[0]; out != m.Logits && b.node.Op == "DequantizeLinear" {
			step += 2 * steps(t, m, out) // a BatchNormalization behind may double it
		}
	}
	if h.Kind == "QLinearMatMul" || h.PerPlace && h.linear.Op == "QLinearConv" {
		step += steps(t, m, h.linear.Out[0])
	}
	var all []float32
	got := make([]float32, h.Classes)
	for i := range n {
		z := out[0][i]
		all = append(all, z...)
		var mapOut []float32
		if h.FeatureMap != "" {
			mapOut = out[len(out)-1][i]
		}
		tol := step/2*1.01 + 1e-4*float64(slices.Max(z)-slices.Min(z)+1)
		if h.PerPlace {
			got = perPlace(h, mapOut)
		} else {
			v, row := out[1][i], largestRow(h)
			h.Layer().Apply(got, v)
			if h.Kind == "DynamicQuantizeMatMul" { // it rounds the vector itself
				tol += float64(slices.Max(v)-min(slices.Min(v), 0)) / 255 / 2 * row
			}
			if h.Direct {
				rounding := vectorStep(t, m, h, v)
				layer, pooled := h.MapLayer(), poolMap(t, h, mapOut, shapes[len(out)-1][1:])
				again := make([]float32, h.Classes)
				layer.Apply(again, pooled)
				// The vector was rounded once or twice more.
				for k := range again {
					if d := math.Abs(float64(again[k] - got[k])); d > 2.5*rounding*row+1e-3 {
						t.Errorf("image %d class %d: %v from the map, %v from the vector", i, k, again[k], got[k])
					}
				}
			}
		}
		if low, high := limits(t, m, m.Logits); high > low {
			for k := range got {
				got[k] = min(max(got[k], low), high)
			}
		}
		for k := range z {
			if d := math.Abs(float64(got[k] - z[k])); d > tol {
				t.Errorf("image %d class %d: recomputed %v, graph %v, tolerance %v", i, k, got[k], z[k], tol)
			}
		}
	}
	if slices.Max(all)-slices.Min(all) < 3*float32(step) || slices.Max(all) == slices.Min(all) {
		t.Errorf("logits between %v and %v: nothing was tested", slices.Min(all), slices.Max(all))
	}
	return h
}

// vectorStep is the step of the penultimate vector's values.
func vectorStep(t *testing.T, m *Model, h *Head, v []float32) float64 {
	if s := steps(t, m, h.Penultimate); s > 0 {
		return s
	}
	if h.Quantized {
		return float64(slices.Max(v)-min(slices.Min(v), 0)) / 255
	}
	return 0
}

// largestRow is the largest sum of the sizes of a class's weights.
func largestRow(h *Head) float64 {
	largest := 0.0
	for row := range slices.Chunk(h.Weight, h.Features) {
		sum := 0.0
		for _, w := range row {
			sum += math.Abs(float64(w))
		}
		largest = max(largest, sum)
	}
	return largest
}

// limits are the lowest and the highest value that the integers of a tensor stand for.
func limits(t *testing.T, m *Model, tensor string) (low, high float32) {
	t.Helper()
	f := newFinder(&m.file.Graph, m.Dir())
	if n := f.maker[tensor]; n != nil && n.Op == "DequantizeLinear" {
		tensor = n.In[0]
	}
	q, ok := onnx.QuantizationIn(f.maker, tensor)
	if !ok {
		return 0, 0
	}
	s, err := f.values(q.Scale)
	if err != nil {
		t.Fatal(err)
	}
	z, err := f.integersOf(q.Zero, 8)
	if err != nil {
		t.Fatal(err)
	}
	a, b, _ := rangeOf(z.typ)
	return s.v[0] * float32(a-z.v[0]), s.v[0] * float32(b-z.v[0])
}

// runShaped computes tensors of a model for n random images of a shape, one by one.
func runShaped(t *testing.T, m *Model, shape []int64, n int, tensors ...string) (shapes [][]int64, out [][][]float32) {
	t.Helper()
	f, err := onnx.Parse(m.Data())
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.Open(context.Background(), runtime.Source{Name: m.Name, Dir: m.Dir(), Model: f}, runtime.Options{
		Device: runtime.CPU, Threads: 1, Inputs: []runtime.Input{{Name: m.Input, Shape: shape}}, Outputs: tensors,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := s.NewBatch(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	rng := rand.New(rand.NewPCG(1, 9))
	out = make([][][]float32, len(tensors))
	for range n {
		for j := range b.Input(0, 0) {
			b.Input(0, 0)[j] = float32(rng.NormFloat64())
		}
		if err := b.Run(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		for o := range tensors {
			out[o] = append(out[o], slices.Clone(b.Output(o, 0)))
		}
	}
	for _, o := range s.Outputs {
		shapes = append(shapes, o.Shape)
	}
	return shapes, out
}

// TestRefusedHeads: what is not read is named.
func TestRefusedHeads(t *testing.T) {
	for name, want := range map[string]string{
		"refused-int4": "int4", "refused-blocked": "block", "refused-nbits": "MatMulNBits", "refused-other-scale": "another scale",
		"refused-cut": "cuts its results off at 0", "refused-batchnorm": "training mode",
	} {
		m, err := Open("testdata/quantized/"+name+".onnx", "")
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

// TestQuantizedLogits: an activation behind which the graph quantises is seen.
func TestQuantizedLogits(t *testing.T) {
	for name, want := range map[string][3]string{
		"qdq-softmax":      {"z0_dq", "Softmax", "z0"},
		"qop-conv-softmax": {"z_q", "Softmax", ""},
		"qdq-output":       {"z0_dq", "", "z0"},
		"qop-gemm":         {"z", "", ""},
		"qdq-int8":         {"z", "", ""},
	} {
		m, err := Open("testdata/quantized/"+name+".onnx", "")
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]string{m.Logits, m.Activation, m.Unquantized()}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	m, err := Open(golden.Path(t, "cases", "quantised-softmax", "qsm1000.onnx"), "")
	if err != nil {
		t.Fatal(err)
	}
	if m.Logits != "lg" || m.Activation != "Softmax" {
		t.Errorf("logits %q before %q", m.Logits, m.Activation)
	}
}

// TestQuantizedRealModels: the heads of files that people keep, among them one of grey images.
func TestQuantizedRealModels(t *testing.T) {
	ortest.Load(t)
	for name, want := range map[string]struct {
		kind, input       string
		features, classes int
		h, w, c           int
		direct            bool
	}{
		"q_tinycnn_int8":            {"QGemm", "input", 128, 10, 32, 32, 3, true},
		"q_goku_mobilenetv2_int8":   {"MatMulInteger", "input", 1280, 1000, 224, 224, 3, true},
		"q_iict_mobilenetv2_int8":   {"MatMulInteger", "input", 1280, 1000, 224, 224, 3, true},
		"q_matias_mobilenetv2_int8": {"Gemm", "image", 1280, 1000, 224, 224, 3, true},
		"q_pcb_simplecnn_int8":      {"Gemm", "input", 128, 7, 64, 64, 1, false},
		"vit_cifar10_pgd_2_3_16":    {"Gemm", "input", 48, 10, 32, 32, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(golden.Path(t, "models", "real", name+".onnx"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := onnx.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			m := &Model{Name: name, Input: want.input, H: want.h, W: want.w, file: f}
			m.head = sync.OnceValues(m.findHead)
			finder := newFinder(&f.Graph, "")
			if err := m.findOutput(finder, ""); err != nil {
				t.Fatal(err)
			}
			m.findLogits(finder)
			n := 3
			if want.h > 100 {
				n = 2
			}
			h, err := m.Head()
			if err != nil {
				t.Fatal(err)
			}
			if h.Kind != want.kind || h.Features != want.features || h.Direct != want.direct || h.FeatureMap == "" {
				t.Errorf("%s of %d features, direct %v, map %q (%s)", h.Kind, h.Features, h.Direct, h.FeatureMap, h.NoMap)
			}
			if h.MapKind == MapTokens { // poolMap has no mean of tokens
				checkHeadOnly(t, m, want.classes, want.c)
				return
			}
			checkQuantized(t, m, want.classes, want.c, n)
		})
	}
}

// checkHeadOnly checks a head by its vector, and the vector by the mean of tokens.
func checkHeadOnly(t *testing.T, m *Model, classes, c int) {
	t.Helper()
	h, err := m.Head()
	if err != nil {
		t.Fatal(err)
	}
	shapes, out := runShaped(t, m, []int64{int64(c), int64(m.H), int64(m.W)}, 2, m.Logits, h.Penultimate, h.FeatureMap)
	got, again, pooled := make([]float32, classes), make([]float32, classes), make([]float32, h.Features)
	for i := range 2 {
		h.Layer().Apply(got, out[1][i])
		clear(pooled)
		for j, v := range out[2][i] {
			pooled[j%h.Features] += v / float32(shapes[2][1])
		}
		h.MapLayer().Apply(again, pooled)
		for k, z := range out[0][i] {
			if math.Abs(float64(got[k]-z)) > tolerance || math.Abs(float64(again[k]-z)) > tolerance {
				t.Errorf("image %d class %d: %v from the vector, %v from the map, graph %v", i, k, got[k], again[k], z)
			}
		}
	}
}

// TestReplaceQuantizedHead gives quantised graphs a head of floats: its logits are those that
// the vectors give, to rounding in float32, whatever was quantised behind the old one.
func TestReplaceQuantizedHead(t *testing.T) {
	ortest.Load(t)
	rng := rand.New(rand.NewPCG(4, 4))
	random := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.IntN(33)-16) / 8
		}
		return v
	}
	for name := range quantizedCases {
		t.Run(name, func(t *testing.T) {
			m, err := Open("testdata/quantized/"+name+".onnx", "")
			if err != nil {
				t.Fatal(err)
			}
			h, err := m.Head()
			if err != nil {
				t.Fatal(err)
			}
			const k, hidden = 4, 7
			for _, layers := range [][]linear.Layer{
				{{In: h.Features, Out: k, Weight: random(k * h.Features), Bias: random(k)}},
				{{In: h.Features, Out: hidden, Weight: random(hidden * h.Features), Bias: random(hidden)}, {In: hidden, Out: k, Weight: random(k * hidden), Bias: random(k)}},
			} {
				n, err := m.ReplaceHead(h, layers, nil, nil)
				if h.PerPlace && len(layers) > 1 {
					if err == nil {
						t.Error("a hidden layer at every place")
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if n, err = FromBytes("new", n.Data(), ""); err != nil {
					t.Fatal(err)
				}
				got, err := n.Head()
				if err != nil {
					t.Fatal(err)
				}
				if got.Classes != k || n.Activation != m.Activation || !slices.Equal(got.Weight, layers[len(layers)-1].Weight) {
					t.Errorf("head of %d classes before %q; other weights are read than were put in", got.Classes, n.Activation)
				}
				f := newFinder(&n.file.Graph, "")
				if q := f.unquantized(n.Output); q != n.Output {
					t.Errorf("the output is still quantised, from %q", q)
				}
				tensor := h.Penultimate
				if h.PerPlace {
					tensor = h.FeatureMap
				}
				_, out := runShaped(t, n, []int64{3, 16, 16}, 2, n.Logits, tensor)
				for i := range 2 {
					x := out[1][i]
					if h.PerPlace {
						x = perPlace(got, x)
					} else {
						for j, l := range layers {
							z := make([]float32, l.Out)
							l.Apply(z, x)
							for o := range z {
								if j < len(layers)-1 {
									z[o] = max(z[o], 0)
								}
							}
							x = z
						}
					}
					for c := range x {
						if math.Abs(float64(x[c]-out[0][i][c])) > tolerance*max(1, math.Abs(float64(x[c]))) {
							t.Errorf("image %d class %d: %v, want %v", i, c, out[0][i][c], x[c])
						}
					}
				}
			}
		})
	}
}

// Integers of the old head, and the nodes that only it needed, must not stay behind.
func TestReplaceQuantizedHeadDropsOldNodes(t *testing.T) {
	for name, ops := range map[string][]string{
		"dynamic-matmul": {"MatMulInteger", "Mul"}, "qop-matmul-add": {"QLinearMatMul", "QLinearAdd"},
		"qdq-channel": {"b_q"}, "qop-gemm": {"QGemm"}, "qdq-batchnorm": {"kmean"},
	} {
		m, err := Open(filepath.Join("testdata", "quantized", name+".onnx"), "")
		if err != nil {
			t.Fatal(err)
		}
		h, err := m.Head()
		if err != nil {
			t.Fatal(err)
		}
		n, err := m.ReplaceHead(h, []linear.Layer{{In: h.Features, Out: 1, Weight: make([]float32, h.Features), Bias: make([]float32, 1)}}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		g := &n.file.Graph
		for _, op := range ops {
			if slices.ContainsFunc(g.Nodes, func(n onnx.Node) bool { return n.Op == op }) ||
				slices.ContainsFunc(g.Initializers, func(t onnx.Tensor) bool { return t.Name == op }) {
				t.Errorf("%s: %s is still there", name, op)
			}
		}
	}
}
