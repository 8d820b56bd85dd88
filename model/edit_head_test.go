package model

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/linear"
	"cutmix-eval/runtime/ortest"
)

// TestReplaceHead gives every family a head of other weights and another number
// of classes and runs it. Weights that pick single features must give those
// features to the bit; random ones the expected logits within rounding.
func TestReplaceHead(t *testing.T) {
	ortest.Load(t)
	paths := []string{golden.Path(t, "models", "resnet20-cifar10.onnx")}
	for name := range headCases {
		paths = append(paths, "testdata/heads/"+name+".onnx")
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".onnx"), func(t *testing.T) {
			m, err := Open(path, "")
			if err != nil {
				t.Fatal(err)
			}
			h, err := m.Head()
			if err != nil {
				t.Fatal(err)
			}
			const k = 5
			pick, weight, bias := make([]float32, k*h.Features), make([]float32, k*h.Features), make([]float32, k)
			for c := range k {
				pick[c*h.Features+(3*c)%h.Features] = 1
				bias[c] = float32(rng.IntN(33)-16) / 8 // exact in float16 too
			}
			for i := range weight {
				weight[i] = float32(rng.IntN(33)-16) / 8
			}
			random := tolerance
			if m.Name == "half-constants" {
				random = 2e-2 // logits near 10 in 11 bits
			}
			names := []string{"a", "b", "c", "d", "e"}
			for _, v := range []struct {
				name         string
				weight, bias []float32
				tol          float64
			}{{"pick", pick, make([]float32, k), 0}, {"random", weight, bias, random}} {
				n, err := m.ReplaceHead(h, []linear.Layer{{In: h.Features, Out: k, Weight: v.weight, Bias: v.bias}}, names, map[string]string{"made_by": "test"})
				if err != nil {
					t.Fatal(err)
				}
				got, err := n.Head()
				if err != nil {
					t.Fatal(err)
				}
				if n.Classes != k || !slices.Equal(n.ClassNames, names) || n.Metadata("made_by") != "test" || got.Classes != k || n.Activation != m.Activation {
					t.Errorf("%d classes %v, head of %d, activation %q", n.Classes, n.ClassNames, got.Classes, n.Activation)
				}
				if !slices.Equal(got.Weight, v.weight) || !slices.Equal(got.Bias, v.bias) || got.Features != h.Features {
					t.Error("the weights that were put in are not those that are read back")
				}
				bare, err := n.ReplaceHead(got, []linear.Layer{{In: h.Features, Out: k, Weight: v.weight, Bias: v.bias}}, nil, map[string]string{"made_by": ""})
				if err != nil {
					t.Fatal(err)
				}
				if bare.Metadata("made_by") != "" || !slices.Equal(bare.ClassNames, names) {
					t.Errorf("a key that was taken out: %q; classes %v", bare.Metadata("made_by"), bare.ClassNames)
				}
				n, err = FromBytes("new", n.Data(), "") // what lay in external files is in it
				if err != nil {
					t.Fatal(err)
				}
				want, z := make([]float32, k), []float32(nil)
				feature := h.Penultimate
				if h.PerPlace {
					feature = h.FeatureMap
				}
				_, out := run(t, n, 2, 3, n.Logits, feature)
				for i := range 2 {
					z = out[0][i]
					if h.PerPlace {
						want = perPlace(got, out[1][i])
					} else {
						got.Layer().Apply(want, out[1][i])
					}
					tol := v.tol
					if h.PerPlace {
						tol = tolerance // a mean over places is summed in some order
					}
					for c := range k {
						if math.Abs(float64(z[c]-want[c])) > tol {
							t.Errorf("%s image %d class %d: %v, want %v", v.name, i, c, z[c], want[c])
						}
					}
				}
			}
			if _, err := m.ReplaceHead(h, []linear.Layer{{In: h.Features, Out: k, Weight: weight[1:], Bias: bias}}, nil, nil); err == nil {
				t.Error("a weight too few: no error")
			}
			if _, err := m.ReplaceHead(h, []linear.Layer{{In: h.Features, Out: k, Weight: weight, Bias: bias}}, names[:2], nil); err == nil {
				t.Error("names too few: no error")
			}
		})
	}
}

// TestReplaceHeadHidden puts a hidden layer into every family that has a penultimate vector,
// twice: the second head goes behind the first one's hidden layer.
func TestReplaceHeadHidden(t *testing.T) {
	ortest.Load(t)
	rng := rand.New(rand.NewPCG(5, 5))
	random := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.IntN(33)-16) / 64
		}
		return v
	}
	layer := func(in, out int) linear.Layer {
		return linear.Layer{In: in, Out: out, Weight: random(out * in), Bias: random(out)}
	}
	apply := func(l linear.Layer, x []float32, relu bool) []float32 {
		out := make([]float32, l.Out)
		l.Apply(out, x)
		for o := range out {
			if relu {
				out[o] = max(out[o], 0)
			}
		}
		return out
	}
	for name := range headCases {
		t.Run(name, func(t *testing.T) {
			m, err := Open("testdata/heads/"+name+".onnx", "")
			if err != nil {
				t.Fatal(err)
			}
			h, err := m.Head()
			if err != nil {
				t.Fatal(err)
			}
			const hidden, k = 7, 5
			layers := []linear.Layer{layer(h.Features, hidden), layer(hidden, k)}
			n, err := m.ReplaceHead(h, layers, nil, nil)
			if h.PerPlace {
				if err == nil {
					t.Error("a hidden layer at every place")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tol := tolerance
			if m.Name == "half-constants" {
				tol = 2e-2 // 11 bits
			}
			check := func(n *Model, layers []linear.Layer) {
				t.Helper()
				_, out := run(t, n, 2, 3, n.Logits, h.Penultimate)
				for i := range 2 {
					x := out[1][i]
					for j, l := range layers {
						x = apply(l, x, j < len(layers)-1)
					}
					for c := range x {
						if math.Abs(float64(x[c]-out[0][i][c])) > tol*max(1, math.Abs(float64(x[c]))) {
							t.Errorf("image %d class %d: %v, want %v", i, c, out[0][i][c], x[c])
						}
					}
				}
			}
			check(n, layers)
			second, err := n.Head()
			if err != nil || second.Features != hidden {
				t.Fatalf("%+v, %v", second, err)
			}
			more := []linear.Layer{layer(hidden, 4), layer(4, 3)}
			if n, err = n.ReplaceHead(second, more, nil, nil); err != nil {
				t.Fatal(err)
			}
			check(n, []linear.Layer{layers[0], more[0], more[1]})
		})
	}
}

// The file must shrink with the head: old weights do not stay behind.
func TestReplaceHeadDropsOldWeights(t *testing.T) {
	m, err := Open("testdata/heads/resnet.onnx", "")
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
	// 6 of 7 classes gone: 6 * (12 weights + 1 bias) * 4 bytes, less the longer names.
	if saved := m.Size - int64(len(n.Data())); saved < 6*13*4-60 {
		t.Errorf("%d bytes saved", saved)
	}
}

// FuzzHead: no file makes the search for a head or a rewriting panic.
func FuzzHead(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.onnx")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 8000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := FromBytes("fuzz", data, "")
		if err != nil {
			return
		}
		if free, ok, err := m.FreeBatch(); ok && err == nil {
			if again, err := FromBytes("again", free.Data(), m.Output); err != nil || again.Batch != 0 {
				t.Fatalf("freed of its batch, the file is read as %+v, %v", again, err)
			}
		}
		if e, err := m.Enlarge(1); err == nil {
			if _, err := FromBytes("again", e.Data(), m.Output); err != nil {
				t.Fatalf("enlarged, the file is not read: %v", err)
			}
		}
		m.Unquantized()
		h, err := m.Head()
		if err != nil {
			return
		}
		for _, name := range []string{h.Penultimate, h.FeatureMap} {
			if name == "" {
				continue
			}
			if e, err := m.Tap(name); err == nil {
				if _, err := FromBytes("again", e.Data(), m.Output); err != nil {
					t.Fatalf("with %q among its outputs, the file is not read: %v", name, err)
				}
			}
		}
		if l := h.MapLayer(); len(l.Weight) != len(h.Weight) || len(l.Bias) != len(h.Bias) {
			t.Fatalf("the map is read by %d weights and %d biases", len(l.Weight), len(l.Bias))
		}
		if h.Classes <= 0 || h.Features <= 0 || len(h.Weight) != h.Classes*h.Features || len(h.Bias) != h.Classes {
			t.Fatalf("head of %d x %d with %d weights and %d biases", h.Classes, h.Features, len(h.Weight), len(h.Bias))
		}
		two := linear.Layer{In: h.Features, Out: 2, Weight: make([]float32, 2*h.Features), Bias: make([]float32, 2)}
		if _, err := m.ReplaceHead(h, []linear.Layer{two}, nil, nil); err != nil {
			return
		}
	})
}
