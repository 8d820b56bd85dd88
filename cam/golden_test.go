package cam

import (
	"math"
	"math/rand/v2"
	"testing"

	"cutmix-eval/internal/golden"
)

type reference struct {
	features []Features
	heads    [2][]Head // by target: gt, pred
}

func load(t *testing.T) (r reference) {
	t.Helper()
	var info struct {
		GT   []int `json:"gt_class"`
		Pred []int `json:"predicted_class"`
	}
	golden.JSON(t, &info, "golden", "wsol", "cam", "cam.json")
	fm := golden.NPY(t, "golden", "wsol", "cam", "feature_map.npy")
	w := golden.NPY(t, "golden", "wsol", "cam", "head_W.npy").Rows()
	b := golden.NPY(t, "golden", "wsol", "cam", "head_b.npy").F64
	c, h, wd := fm.Shape[1], fm.Shape[2], fm.Shape[3]
	for i := range fm.Shape[0] {
		f := Features{C: c, H: h, W: wd, A: make([]float32, c*h*wd)}
		for k := range f.A {
			f.A[k] = float32(fm.F64[i*len(f.A)+k])
		}
		r.features = append(r.features, f)
		for k, class := range []int{info.GT[i], info.Pred[i]} {
			r.heads[k] = append(r.heads[k], Head{Weight: w[class], Bias: b[class], Scale: 1 / float64(h*wd)})
		}
	}
	return r
}

// far is the largest difference, relative to the largest value.
func far(got []float64, want []float64) float64 {
	worst, top := 0.0, 0.0
	for i, v := range want {
		worst, top = max(worst, math.Abs(got[i]-v)), max(top, math.Abs(v))
	}
	return worst / top
}

// TestAgainstAutograd: the maps from closed forms are those that pytorch-grad-cam
// computes with gradients, before and after its post-processing.
func TestAgainstAutograd(t *testing.T) {
	r := load(t)
	for file, m := range map[string]Method{"cam": CAM, "gradcam": GradCAM, "gradcam_plusplus": GradCAMPP, "xgradcam": XGradCAM, "hirescam": HiResCAM, "layercam": LayerCAM, "ablationcam": AblationCAM, "eigencam": EigenCAM} {
		worst, final := 0.0, 0.0
		for k, target := range []string{"_gt", "_pred"} {
			name := file + target
			if m == EigenCAM {
				name = file
			}
			raw := name + "_raw.npy"
			if m == CAM {
				raw = name + ".npy"
			}
			want := golden.NPY(t, "golden", "wsol", "cam", raw)
			for i, f := range r.features {
				got, err := Map(m, f, r.heads[k][i])
				if err != nil {
					t.Fatal(err)
				}
				n := f.H * f.W
				w := want.F64[i*n : (i+1)*n]
				sign := 1.0
				if m == EigenCAM { // its sign is arbitrary there
					dot := 0.0
					for j := range got {
						dot += got[j] * w[j]
					}
					sign = math.Copysign(1, dot)
				}
				for j := range got {
					got[j] *= sign
				}
				worst = max(worst, far(got, w))
				if m == CAM {
					continue
				}
				post := golden.NPY(t, "golden", "wsol", "cam", name+"_final32.npy")
				final = max(final, far(GradCAMLib.Apply(got, f.H, f.W, 32, 32), post.F64[i*1024:(i+1)*1024]))
			}
		}
		t.Logf("%-12s %.1e of the largest value before post-processing, %.1e after", m, worst, final)
		// The references are float32 sums over 64 channels.
		if worst > 1e-5 || final > 1e-4 {
			t.Errorf("%s: differs by %v, after post-processing by %v", m, worst, final)
		}
	}
}

// gradient is d logit / d A by finite differences.
func gradient(f Features, h Head) []float64 {
	logit := func() float64 {
		sum := 0.0
		for _, v := range h.places(f) {
			switch {
			case h.PerPlace && h.Relu:
				v = max(v+h.Bias, 0)
			case h.PerPlace:
				v += h.Bias
			}
			sum += v * h.Scale
		}
		if !h.PerPlace {
			sum += h.Bias
		}
		return sum
	}
	g := make([]float64, len(f.A))
	for i := range f.A {
		const step = 1e-3
		keep := f.A[i]
		f.A[i] = keep + step
		up, a := logit(), float64(f.A[i])
		f.A[i] = keep - step
		g[i] = (up - logit()) / (a - float64(f.A[i]))
		f.A[i] = keep
	}
	return g
}

// TestPerPlaceHeads: the methods on a 1x1-convolution head, with and without ReLU,
// against their formulas with gradients and ablations by numbers.
func TestPerPlaceHeads(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, relu := range []bool{false, true} {
		f := Features{C: 5, H: 3, W: 4, A: make([]float32, 60)}
		for i := range f.A {
			f.A[i] = float32(math.Abs(rng.NormFloat64()))
		}
		h := Head{Weight: make([]float32, 5), Bias: 0.3, Scale: 1.0 / 12, PerPlace: true, Relu: relu}
		for k := range h.Weight {
			h.Weight[k] = float32(rng.NormFloat64())
		}
		g := gradient(f, h)
		n := 12
		hires, layer := make([]float64, n), make([]float64, n)
		w := make([]float64, 5)
		for k := range 5 {
			for i := range n {
				d := g[k*n+i]
				hires[i] += d * float64(f.A[k*n+i])
				layer[i] += max(d, 0) * float64(f.A[k*n+i])
				w[k] += d / float64(n)
			}
		}
		for m, want := range map[Method][]float64{HiResCAM: hires, LayerCAM: layer, GradCAM: Combine(f, w)} {
			got, err := Map(m, f, h)
			if err != nil || far(got, want) > 1e-4 { // finite differences in float32 features
				t.Errorf("%s, ReLU %v: %v, want %v (%v)", m, relu, got, want, err)
			}
		}
		// Ablation: the logit with a channel set to zero.
		logit := func(f Features) float64 {
			sum := 0.0
			for _, v := range h.places(f) {
				if v += h.Bias; relu {
					v = max(v, 0)
				}
				sum += v * h.Scale
			}
			return sum
		}
		y := logit(f)
		for k := range w {
			without := Features{C: f.C, H: f.H, W: f.W, A: append([]float32(nil), f.A...)}
			clear(without.channel(k))
			w[k] = (y - logit(without)) / y
		}
		got, err := Map(AblationCAM, f, h)
		if want := Combine(f, w); err != nil || far(got, want) > 1e-9 {
			t.Errorf("ablation, ReLU %v: %v, want %v (%v)", relu, got, want, err)
		}
	}
}

// TestFEMAndEigen: properties that hold whatever the numbers.
func TestFEMAndEigen(t *testing.T) {
	f := Features{C: 2, H: 4, W: 5, A: make([]float32, 40)}
	f.A[7], f.A[27] = 10, 4 // one bright place in both channels
	m, err := Map(FEM, f, Head{})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range m {
		want := 0.0
		if i == 7 {
			want = (10 + 4) / 20.0 // one place of twenty is marked in each
		}
		if math.Abs(v-want) > 1e-12 {
			t.Errorf("FEM at %d: %v", i, v)
		}
	}
	e, err := Map(EigenCAM, f, Head{})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range e {
		if (v > 0) != (i == 7) {
			t.Errorf("EigenCAM must be positive where the map is bright: %v", e)
			break
		}
	}
	// More channels than places and fewer give the same component.
	rng := rand.New(rand.NewPCG(2, 2))
	wide := Features{C: 30, H: 3, W: 3, A: make([]float32, 270)}
	for i := range wide.A {
		wide.A[i] = rng.Float32()
	}
	tall := Features{C: 60, H: 3, W: 3, A: append(append([]float32(nil), wide.A...), make([]float32, 270)...)}
	narrow := Features{C: 4, H: 3, W: 3, A: wide.A[:36]}
	a, _ := Map(EigenCAM, wide, Head{})
	b, _ := Map(EigenCAM, tall, Head{})
	if far(a, b) > 1e-9 {
		t.Errorf("channels of zeros change EigenCAM: %v, %v", a, b)
	}
	if _, err := Map(EigenCAM, narrow, Head{}); err != nil {
		t.Error(err)
	}
	zero, err := Map(EigenCAM, Features{C: 3, H: 2, W: 2, A: make([]float32, 12)}, Head{})
	if err != nil || zero[0] != 0 {
		t.Errorf("%v %v", zero, err)
	}
	nan := Features{C: 1, H: 1, W: 2, A: []float32{float32(math.NaN()), 1}}
	for _, method := range Methods() {
		if method == ScoreCAM {
			continue
		}
		m, err := Map(method, nan, Head{Weight: []float32{1}, Scale: 0.5})
		if err != nil {
			t.Errorf("%s: %v", method, err)
			continue
		}
		Normalise(m)
		if m[0] != 0 || m[1] != 0 {
			t.Errorf("%s: NaN became %v", method, m)
		}
	}
	if _, err := Map(CAM, f, Head{Weight: []float32{1}}); err == nil {
		t.Error("a head of another size: no error")
	}
}
