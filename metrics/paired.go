package metrics

import (
	"context"
	"math"
)

// McNemar is the exact two-sided test of whether two classifiers that saw the
// same images are right equally often (McNemar, 1947; binomial form). onlyA and
// onlyB count the images that only one of them gets right. It returns the
// p-value, 1 where there are none.
func McNemar(onlyA, onlyB int) float64 {
	n, k := onlyA+onlyB, min(onlyA, onlyB)
	if n == 0 {
		return 1
	}
	// Twice the lower tail of Binomial(n, 1/2), summed in logarithms.
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	p := 0.0
	for i := 0; i <= k; i++ {
		p += math.Exp(lg(n) - lg(i) - lg(n-i) - float64(n)*math.Ln2)
	}
	return min(1, 2*p)
}

// Difference is a paired difference, b less a, with its interval.
type Difference struct {
	Value    float64
	Interval Interval
}

// Paired holds the paired differences of two classifiers' numbers on the same
// images in the same order.
type Paired struct {
	Top1, Top5, NLL, Brier, ECE, AURC Difference
	OnlyA, OnlyB                      int // images that only one gets right
	P                                 float64
}

// Compare computes b's numbers less a's, with percentile intervals of a paired
// bootstrap: each resample takes the same images of both. Both must have the
// same images in the same order. The only error is ctx's.
func Compare(ctx context.Context, a, b []Outcome, bins, replicates int, seed uint64) (Paired, error) {
	if len(a) != len(b) || len(a) == 0 {
		panic("metrics: Compare of different numbers of images")
	}
	var p Paired
	for i := range a {
		switch ca, cb := a[i].Correct(), b[i].Correct(); {
		case ca && !cb:
			p.OnlyA++
		case cb && !ca:
			p.OnlyB++
		}
	}
	p.P = McNemar(p.OnlyA, p.OnlyB)
	sa, sb := newSample(a, bins), newSample(b, bins)
	diff := func(count []uint16) []float64 {
		x, y := sa.evaluate(count), sb.evaluate(count)
		return []float64{y.Top1 - x.Top1, y.Top5 - x.Top5, y.NLL - x.NLL, y.Brier - x.Brier, y.Width.ECE - x.Width.ECE, y.AURC - x.AURC}
	}
	ones := make([]uint16, len(a))
	for i := range ones {
		ones[i] = 1
	}
	at := diff(ones)
	boot, err := Bootstrap(ctx, len(a), replicates, seed, diff)
	if err != nil {
		return p, err
	}
	for k, d := range []*Difference{&p.Top1, &p.Top5, &p.NLL, &p.Brier, &p.ECE, &p.AURC} {
		*d = Difference{at[k], Percentile(boot[k])}
		d.Interval.Method = "paired bootstrap percentile"
	}
	return p, nil
}
