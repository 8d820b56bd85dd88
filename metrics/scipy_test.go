package metrics

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// paired.json is computed with Debian 12's python3-statsmodels and python3-scipy.
//go:generate python3 testdata/make_paired.py

// lcg is the generator of testdata/make_paired.py.
type lcg uint64

func (g *lcg) float() float64 {
	*g = 6364136223846793005**g + 1442695040888963407
	return float64(*g>>11) / (1 << 53)
}

// McNemar's exact test against statsmodels, paired intervals against scipy.
func TestAgainstScipy(t *testing.T) {
	data, err := os.ReadFile("testdata/paired.json")
	if err != nil {
		t.Fatal(err)
	}
	type interval struct {
		Value, Low, High float64
		SE               float64 `json:"standard_error"`
	}
	var want struct {
		Tables []struct {
			OnlyA int `json:"only_a"`
			OnlyB int `json:"only_b"`
			P     float64
		}
		Sets []struct {
			N         int
			Seed      uint64
			P         float64 `json:"mcnemar_p"`
			Top1, NLL interval
		}
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Tables) != 8 || len(want.Sets) != 3 {
		t.Fatal("the file lacks values")
	}
	for _, c := range want.Tables {
		// Sums of a few thousand terms by logarithms of factorials.
		if p := McNemar(c.OnlyA, c.OnlyB); math.Abs(p-c.P) > 1e-10*max(c.P, 1e-3) {
			t.Errorf("McNemar(%d, %d) = %v, statsmodels %v", c.OnlyA, c.OnlyB, p, c.P)
		}
	}
	for _, c := range want.Sets {
		var a, b []Outcome
		rng := lcg(c.Seed)
		for range c.N {
			easy, x, y := rng.float(), rng.float(), rng.float()
			rng.float()
			one := func(right bool, u float64) Outcome {
				o := Outcome{Pred: 1, Rank: 1, Confidence: 0.5, NLL: -math.Log(0.05 + 0.95*easy*u)}
				if right {
					o.Pred, o.Rank = 0, 0
				}
				return o
			}
			a, b = append(a, one(x < 0.5+0.5*easy, x)), append(b, one(y < 0.55+0.45*easy, y))
		}
		statistic := func(v []Outcome) Statistic {
			s := NewSample(v, 15)
			return func(count []uint16) []float64 {
				c := s.Evaluate(count)
				return []float64{c.Top1, c.NLL}
			}
		}
		p, err := Paired(context.Background(), c.N, 5000, 1, statistic(a), statistic(b))
		if err != nil {
			t.Fatal(err)
		}
		if m := McNemar(Discordant(c.N, func(i int) bool { return a[i].Correct() }, func(i int) bool { return b[i].Correct() })); math.Abs(m-c.P) > 1e-10 {
			t.Errorf("n = %d: p %v, statsmodels %v", c.N, m, c.P)
		}
		for name, d := range map[string]struct {
			got  Difference
			want interval
		}{"top1": {p[0], c.Top1}, "nll": {p[1], c.NLL}} {
			if math.Abs(d.got.Value-d.want.Value) > 1e-12 {
				t.Errorf("n = %d: %s differs by %v, scipy %v", c.N, name, d.got.Value, d.want.Value)
			}
			// An end is the 2.5 % quantile of 5,000 replicates: its own standard error is
			// sqrt(0.025*0.975/5000)/density = 0.038 of the statistic's; scipy's, of
			// 20,000, 0.019. Four times both together, and one image's step for top-1.
			tol := 4*0.042*d.want.SE + 1/float64(c.N)
			if math.Abs(d.got.Interval.Low-d.want.Low) > tol || math.Abs(d.got.Interval.High-d.want.High) > tol {
				t.Errorf("n = %d: %s %+v, scipy %+v", c.N, name, d.got.Interval, d.want)
			}
		}
	}
}

func TestHolm(t *testing.T) {
	// By hand: sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1, then made monotone.
	got := Holm([]float64{0.03, 0.01, 0.5, 0.02})
	for i, want := range []float64{0.06, 0.04, 0.5, 0.06} {
		if math.Abs(got[i]-want) > 1e-15 {
			t.Errorf("%v", got)
		}
	}
	if p := BootstrapP([]float64{-1, 1, 2, 3}); p != 2*2.0/5 {
		t.Errorf("%v", p)
	}
	if p := BootstrapP([]float64{1, 2, 3}); p != 2*1.0/4 {
		t.Errorf("%v", p)
	}
	if p := BootstrapP([]float64{0, 0, 0}); p != 1 {
		t.Errorf("%v", p)
	}
}
