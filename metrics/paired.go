package metrics

import (
	"cmp"
	"context"
	"math"
	"slices"
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

// Difference is a paired difference, b less a, with its interval and the p-value
// of there being none.
type Difference struct {
	Value    float64
	Interval Interval
	P        float64
	Test     string // what P is of
}

// Paired holds the paired differences of two classifiers' numbers on the same
// images in the same order.
type Paired struct {
	Top1, Top5, NLL, Brier, ECE, AURC, Balanced, Confidence Difference
	OnlyA, OnlyB                                            int // images that only one gets right
}

// BootstrapP is the two-sided p-value of a difference being 0, from sorted
// bootstrap replicates of it: twice the share of replicates on the other side of 0,
// with one added to both counts so that it is never 0.
func BootstrapP(sorted []float64) float64 {
	below, above := 0, 0
	for _, d := range sorted {
		if d <= 0 {
			below++
		}
		if d >= 0 {
			above++
		}
	}
	return min(1, 2*float64(min(below, above)+1)/float64(len(sorted)+1))
}

// Holm adjusts p-values of several tests so that the chance of even one false
// finding stays at the level they are compared with (Holm, 1979). The order is
// kept.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	out, least := make([]float64, len(p)), 0.0
	for k, i := range order {
		least = max(least, min(1, float64(len(p)-k)*p[i]))
		out[i] = least
	}
	return out
}

// Compare computes b's numbers less a's, with percentile intervals of a paired
// bootstrap: each resample takes the same images of both. Both must have the
// same images in the same order. The only error is ctx's.
func Compare(ctx context.Context, a, b []Outcome, bins, replicates int, seed uint64) (Paired, error) {
	if len(a) != len(b) || len(a) == 0 {
		panic("metrics: Compare of different numbers of images")
	}
	var p Paired
	only5A, only5B := 0, 0
	for i := range a {
		count(&p.OnlyA, &p.OnlyB, a[i].Rank < 1, b[i].Rank < 1)
		count(&only5A, &only5B, a[i].Rank < 5, b[i].Rank < 5)
	}
	sa, sb := newSample(a, bins), newSample(b, bins)
	diff := func(times []uint16) []float64 {
		x, y := sa.evaluate(times), sb.evaluate(times)
		return []float64{y.Top1 - x.Top1, y.Top5 - x.Top5, y.NLL - x.NLL, y.Brier - x.Brier, y.Width.ECE - x.Width.ECE, y.AURC - x.AURC, y.BalancedAccuracy - x.BalancedAccuracy, y.MeanConfidence - x.MeanConfidence}
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
	for k, d := range []*Difference{&p.Top1, &p.Top5, &p.NLL, &p.Brier, &p.ECE, &p.AURC, &p.Balanced, &p.Confidence} {
		*d = Difference{at[k], Percentile(boot[k]), BootstrapP(boot[k]), "paired bootstrap"}
		d.Interval.Method = "paired bootstrap percentile"
	}
	p.Top1.P, p.Top1.Test = McNemar(p.OnlyA, p.OnlyB), "McNemar, exact"
	p.Top5.P, p.Top5.Test = McNemar(only5A, only5B), "McNemar, exact"
	return p, nil
}

// count counts an image that only one gets right.
func count(onlyA, onlyB *int, a, b bool) {
	switch {
	case a && !b:
		*onlyA++
	case b && !a:
		*onlyB++
	}
}
