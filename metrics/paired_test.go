package metrics

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
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

// TestHolmNaN: p-values of Holm's procedure by hand; what was not tested changes nothing.
func TestHolmNaN(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct{ p, want []float64 }{
		"all tested":  {[]float64{0.01, 0.04, 0.03, 0.005}, []float64{0.03, 0.06, 0.06, 0.02}},
		"some tested": {[]float64{nan, 0.01, 0.04, nan, 0.03, 0.005}, []float64{nan, 0.03, 0.06, nan, 0.06, 0.02}},
		"at most 1":   {[]float64{0.6, 0.7}, []float64{1, 1}},
		"none":        {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Holm(c.p)
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for i, want := range c.want {
				if v := got[i]; math.IsNaN(v) != math.IsNaN(want) || math.Abs(v-want) > 1e-15 {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}

// TestPreconditions: what no caller may do panics with the package's name.
func TestPreconditions(t *testing.T) {
	two, one := Placements{[]float64{1, 0}, []float64{1, 0}}, Placements{[]float64{1}, []float64{1}}
	for name, f := range map[string]func(){
		"threshold of nothing": func() { ThresholdAt(nil, 0.95) },
		"sum of nothing":       func() { Combine(nil) },
		"other ID images":      func() { Combine([]Term{{1, two, 0}, {-1, one, 1}}) },
		"other OOD images":     func() { Combine([]Term{{1, two, 0}, {-1, Placements{two.ID, one.OOD}, 0}}) },
		"no OOD images":        func() { Combine([]Term{{1, Placements{ID: two.ID}, 0}}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "metrics: ") {
					t.Errorf("panics with %q", text)
				}
			}()
			f()
		})
	}
}

func TestCheckReplicates(t *testing.T) {
	for n, ok := range map[int]bool{-1: false, 0: false, 99: false, 100: true} {
		if err := CheckReplicates(n); (err == nil) != ok {
			t.Errorf("%d replicates: %v", n, err)
		}
	}
}
