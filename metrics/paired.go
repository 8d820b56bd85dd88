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
// kept. NaN is the p-value of what was not tested: it stays, and does not count
// among the tests.
func Holm(p []float64) []float64 {
	out := slices.Clone(p)
	var order []int // of the tests, by ascending p-value
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	least := 0.0
	for k, i := range order {
		least = max(least, min(1, float64(len(order)-k)*p[i]))
		out[i] = least
	}
	return out
}

// Paired computes b's numbers less a's, with percentile intervals and p-values of a
// paired bootstrap: each resample takes the same images of both. a and b are the
// numbers of n images each, the same ones in the same order. The only error is ctx's.
func Paired(ctx context.Context, n, replicates int, seed uint64, a, b Statistic) ([]Difference, error) {
	diff := func(count []uint16) []float64 {
		x, y := a(count), b(count)
		for k := range y {
			y[k] -= x[k]
		}
		return y
	}
	ones := make([]uint16, n)
	for i := range ones {
		ones[i] = 1
	}
	out := []Difference{}
	for _, v := range diff(ones) {
		out = append(out, Difference{Value: v, Test: "paired bootstrap"})
	}
	boot, err := Bootstrap(ctx, n, replicates, seed, diff)
	if err != nil {
		return nil, err
	}
	for k := range out {
		out[k].Interval, out[k].P = Percentile(boot[k]), BootstrapP(boot[k])
		out[k].Interval.Method = "paired bootstrap percentile"
	}
	return out, nil
}

// Discordant counts the images that only a and only b gets right, of n.
func Discordant(n int, a, b func(i int) bool) (onlyA, onlyB int) {
	for i := range n {
		switch x, y := a(i), b(i); {
		case x && !y:
			onlyA++
		case y && !x:
			onlyB++
		}
	}
	return onlyA, onlyB
}
