package heads

import (
	"context"
	"errors"
	"math"
	"testing"

	"cutmix-eval/internal/golden"
)

type target struct {
	Loss     float64 `json:"loss_optimum"`
	Accuracy float64 `json:"test_accuracy"`
}

// TestOptimumGolden: the heads of least loss on CIFAR-10 features, for hard and smoothed
// labels and for labels of Feature CutMix, against SciPy's, refined by Newton steps.
func TestOptimumGolden(t *testing.T) {
	var want struct {
		Lambda  float64 `json:"lambda_"`
		Results map[string]target
	}
	golden.JSON(t, &want, "golden", "headtune", "expected.json")
	file := func(name string) []float64 { return golden.NPY(t, "golden", "headtune", name).F64 }
	labels := golden.NPY(t, "golden", "headtune", "train_labels.npy").Ints()
	soft := func(smoothing float64) []float64 {
		var y []float64
		for _, l := range labels {
			for c := range 10 {
				v := smoothing / 10
				if c == l {
					v += 1 - smoothing
				}
				y = append(y, v)
			}
		}
		return y
	}
	test, testLabels := file("test_features.npy"), golden.NPY(t, "golden", "headtune", "test_labels.npy").Ints()
	for name, p := range map[string]Problem{
		"hard":                {X: single(file("train_features.npy")), Y: soft(0)},
		"label_smoothing_0.1": {X: single(file("train_features.npy")), Y: soft(0.1)},
		"feature_cutmix_soft": {X: single(file("mixed_features.npy")), Y: file("mixed_soft_labels.npy")},
	} {
		p.N, p.C, p.D, p.L2 = 2000, 10, 64, want.Lambda
		h, fit, err := p.Optimum(context.Background(), Exact, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		loss, err := p.Loss(h)
		if err != nil || math.Abs(loss-want.Results[name].Loss) > 1e-6*want.Results[name].Loss {
			t.Errorf("%s: loss %v, want %v (%v)", name, loss, want.Results[name].Loss, err)
		}
		worst := 0.0
		for i, w := range file(name + "_W.npy") {
			worst = max(worst, math.Abs(w-h.W[i]))
		}
		for i, b := range file(name + "_b.npy") {
			worst = max(worst, math.Abs(b-h.B[i]))
		}
		// The largest weight is 5; the loss is flat at its least: weights are known to the root of
		// its rounding error.
		if worst > 1e-4 {
			t.Errorf("%s: weights differ by %v", name, worst)
		}
		hits := 0
		for i, l := range testLabels {
			best, at := math.Inf(-1), 0
			for c := range 10 {
				z := h.B[c]
				for d := range 64 {
					z += h.W[c*64+d] * test[i*64+d]
				}
				if z > best {
					best, at = z, c
				}
			}
			if at == l {
				hits++
			}
		}
		if got := float64(hits) / float64(len(testLabels)); math.Abs(got-want.Results[name].Accuracy) > 1e-9 {
			t.Errorf("%s: test accuracy %v, want %v", name, got, want.Results[name].Accuracy)
		}
		t.Logf("%s: %s, loss %v, weights within %.1e", name, fit, loss, worst)
	}
}

// TestGradient: the gradient is that of the loss, weights of classes, targets that are not
// known and regularizer included.
func TestGradient(t *testing.T) {
	for _, k := range []Criterion{Softmax, Sigmoid} {
		testGradient(t, k)
	}
}

func testGradient(t *testing.T, k Criterion) {
	p := Problem{N: 5, C: 3, D: 2, L2: 0.3, X: []float32{1, 2, -1, 0.5, 3, -2, 0, 1, 4, 4}, Criterion: k,
		Y: []float64{1, 0, 0, 0, 1, 0, 0.25, 0.25, 0.5, 0, 0, 1, 1.8, 0.2, 0}}
	if k == Sigmoid {
		p.Y[4] = math.NaN()
	}
	s := scalingOf(p.X, p.D, 0)
	at := []float64{0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, -0.8, 0.9}
	grad := make([]float64, len(at))
	p.loss(s, at, grad)
	for i := range at {
		const h = 1e-6
		v := at[i]
		at[i] = v + h
		up := p.loss(s, at, nil)
		at[i] = v - h
		down := p.loss(s, at, nil)
		at[i] = v
		if d := (up - down) / (2 * h); math.Abs(d-grad[i]) > 1e-8 {
			t.Errorf("parameter %d: gradient %v, difference %v", i, grad[i], d)
		}
	}
	for _, bad := range []Problem{{}, {N: 1, C: 2, D: 1, X: []float32{float32(math.NaN())}, Y: []float64{1, 0}}, {N: 1, C: 2, D: 1, X: []float32{1}, Y: []float64{1}}, {N: 1, C: 2, D: 1, X: []float32{1}, Y: []float64{1, 0}, L2: -1}} {
		if h, _, err := bad.Optimum(context.Background(), Exact, nil); err == nil {
			t.Errorf("%+v has the optimum %+v", bad, h)
		}
	}
}

// TestOptimumStops: after the steps that are allowed, with what was reached, and where its
// context ends.
func TestOptimumStops(t *testing.T) {
	rng := numbers(9)
	p := Problem{N: 90, C: 3, D: 4}
	for i := range p.N {
		for k := range p.D {
			v := rng.NormFloat64()
			if k == i%3 {
				v += 2
			}
			p.X = append(p.X, float32(v))
		}
		for c := range p.C {
			p.Y = append(p.Y, map[bool]float64{true: 1}[c == i%3])
		}
	}
	var steps []int
	h, fit, err := p.Optimum(context.Background(), Stop{1e-12, 3}, func(n int) { steps = append(steps, n) })
	if err != nil || fit.Steps != 3 || len(steps) == 0 || !(fit.Gradient > 1e-12 && fit.Gradient < 0.5) || len(h.W) != 12 {
		t.Errorf("%+v after %v: %v", fit, steps, err)
	}
	if _, fit, err := p.Optimum(context.Background(), Stop{1e-4, 1000}, nil); err != nil || fit.Gradient > 1e-4 || fit.Steps >= 1000 {
		t.Errorf("%+v: %v", fit, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, _, err := p.Optimum(ctx, Exact, func(int) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestScaling: mean 0 and deviation 1; what is constant but for rounding does not grow.
func TestScaling(t *testing.T) {
	x := []float32{1, 0.3, 0, 5, 0.3, 0, 3, 0.30000001, 0}
	s := ScalingOf(x, 3)
	got := make([]float64, 3)
	sum, square := 0.0, 0.0
	for i := range 3 {
		s.apply(got, x[i*3:i*3+3])
		sum, square = sum+got[0], square+got[0]*got[0]
		if math.Abs(got[1]) > 1e-6 || got[2] != 0 {
			t.Errorf("row %d: constants became %v", i, got[1:])
		}
	}
	if math.Abs(sum) > 1e-12 || math.Abs(square/3-1) > 1e-12 {
		t.Errorf("sum %v, squares %v", sum, square)
	}
}
