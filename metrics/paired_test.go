package metrics

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
)

// Values of scipy 1.10.1: binomtest(min, n, 0.5).pvalue.
func TestMcNemar(t *testing.T) {
	for _, c := range []struct {
		a, b int
		want float64
	}{{0, 0, 1}, {5, 5, 1}, {1, 9, 0.021484375}, {74, 71, 0.8681591543092657}, {151, 316, 1.729490721423407e-14}, {0, 30, 1.862645149230957e-09}} {
		if got := McNemar(c.a, c.b); math.Abs(got-c.want) > 1e-10*c.want {
			t.Errorf("McNemar(%d, %d) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var a, b []Outcome
	for range 800 {
		z, y := make([]float32, 6), make([]float32, 6)
		for k := range z {
			z[k] = float32(rng.NormFloat64())
			y[k] = z[k]
		}
		label := rng.IntN(6)
		y[label] += 1 // b is better on the same images
		oa, _ := Score(z, label, 1)
		ob, _ := Score(y, label, 1)
		a, b = append(a, oa), append(b, ob)
	}
	p, err := Compare(context.Background(), a, b, 15, 300, 1)
	if err != nil {
		t.Fatal(err)
	}
	ca, cb := Evaluate(a, 15), Evaluate(b, 15)
	near(t, "top1", p.Top1.Value, cb.Top1-ca.Top1)
	near(t, "top5", p.Top5.Value, cb.Top5-ca.Top5)
	near(t, "nll", p.NLL.Value, cb.NLL-ca.NLL)
	near(t, "brier", p.Brier.Value, cb.Brier-ca.Brier)
	near(t, "ece", p.ECE.Value, cb.Width.ECE-ca.Width.ECE)
	near(t, "aurc", p.AURC.Value, cb.AURC-ca.AURC)
	if p.Top1.Interval.Low <= 0 || p.NLL.Interval.High >= 0 || p.Top1.P > 1e-6 || p.OnlyB <= p.OnlyA {
		t.Errorf("%+v", p)
	}
	// Pairing must count: the difference is known better than each number.
	iv, err := EvaluateIntervals(context.Background(), ca, a, 15, 300, 1)
	if err != nil {
		t.Fatal(err)
	}
	if w := p.NLL.Interval.High - p.NLL.Interval.Low; w > iv.NLL.High-iv.NLL.Low {
		t.Errorf("paired interval of width %v, single one of %v", w, iv.NLL.High-iv.NLL.Low)
	}
	same, err := Compare(context.Background(), a, a, 15, 100, 1)
	if err != nil || same.Top1.Value != 0 || same.Top1.Interval.High != 0 || same.Top1.P != 1 || same.NLL.P != 1 {
		t.Errorf("a model against itself: %+v", same)
	}
}
