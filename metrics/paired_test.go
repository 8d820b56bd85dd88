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

func TestPaired(t *testing.T) {
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
	statistic := func(v []Outcome) Statistic {
		s := NewSample(v, 15)
		return func(count []uint16) []float64 {
			c := s.Evaluate(count)
			return []float64{c.Top1, c.NLL, c.Width.ECE, c.AURC}
		}
	}
	p, err := Paired(context.Background(), len(a), 300, 1, statistic(a), statistic(b))
	if err != nil {
		t.Fatal(err)
	}
	ca, cb := Evaluate(a, 15), Evaluate(b, 15)
	for k, want := range []float64{cb.Top1 - ca.Top1, cb.NLL - ca.NLL, cb.Width.ECE - ca.Width.ECE, cb.AURC - ca.AURC} {
		near(t, "difference", p[k].Value, want)
	}
	onlyA, onlyB := Discordant(len(a), func(i int) bool { return a[i].Correct() }, func(i int) bool { return b[i].Correct() })
	if p[0].Interval.Low <= 0 || p[1].Interval.High >= 0 || McNemar(onlyA, onlyB) > 1e-6 || p[1].P != 2.0/301 || onlyB <= onlyA {
		t.Errorf("%+v", p)
	}
	// Pairing must count: the difference is known better than each number.
	iv, err := EvaluateIntervals(context.Background(), ca, a, 15, 300, 1)
	if err != nil {
		t.Fatal(err)
	}
	if w := p[1].Interval.High - p[1].Interval.Low; w > iv.NLL.High-iv.NLL.Low {
		t.Errorf("paired interval of width %v, single one of %v", w, iv.NLL.High-iv.NLL.Low)
	}
	same, err := Paired(context.Background(), len(a), 100, 1, statistic(a), statistic(a))
	if err != nil || same[0].Value != 0 || same[0].Interval.High != 0 || same[1].P != 1 {
		t.Errorf("a model against itself: %+v", same)
	}
}
