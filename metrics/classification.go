package metrics

import (
	"cmp"
	"context"
	"slices"
)

// Classification holds the numbers of a classifier over n images; shares are
// fractions.
type Classification struct {
	N                int
	Top1, Top5       float64
	Top1Hits         int
	Top5Hits         int
	NLL, Brier       float64
	MeanConfidence   float64
	Width            CalibrationErrors // equal-width bins
	Mass             CalibrationErrors // equal-mass bins
	AURC, EAURC      float64
	BalancedAccuracy float64 // mean of the accuracies of the classes that occur
}

// Evaluate computes all numbers of outcomes, in bins bins. It needs at least
// one outcome.
func Evaluate(v []Outcome, bins int) Classification {
	if len(v) == 0 {
		panic("metrics: Evaluate of nothing")
	}
	c := Classification{N: len(v)}
	conf := make([]Confident, len(v))
	for i, o := range v {
		conf[i] = Confident{o.Confidence, o.Correct()}
		if o.Rank < 1 {
			c.Top1Hits++
		}
		if o.Rank < 5 {
			c.Top5Hits++
		}
		c.NLL += o.NLL
		c.Brier += o.Brier
		c.MeanConfidence += o.Confidence
	}
	n := float64(len(v))
	c.Top1, c.Top5 = float64(c.Top1Hits)/n, float64(c.Top5Hits)/n
	c.NLL /= n
	c.Brier /= n
	c.MeanConfidence /= n
	c.Width = Errors(EqualWidth(conf, bins))
	c.Mass = Errors(EqualMass(conf, bins))
	aurc, optimal := AURC(conf)
	c.AURC, c.EAURC = aurc, aurc-optimal
	hits, counts := ByClass(v)
	c.BalancedAccuracy = balanced(hits, counts)
	return c
}

// ByClass counts hits and images per label, up to the largest label.
func ByClass(v []Outcome) (hits, counts []int) {
	for _, o := range v {
		for len(counts) <= o.Label {
			hits, counts = append(hits, 0), append(counts, 0)
		}
		counts[o.Label]++
		if o.Correct() {
			hits[o.Label]++
		}
	}
	return hits, counts
}

func balanced(hits, counts []int) float64 {
	sum, classes := 0.0, 0
	for i, n := range counts {
		if n > 0 {
			sum += float64(hits[i]) / float64(n)
			classes++
		}
	}
	return sum / float64(classes)
}

// Intervals of Classification's numbers, under the same names.
type Intervals struct {
	Top1, Top5, NLL, Brier, ECE, MCE, RMSCE, ECEMass, AURC, EAURC, Balanced, Confidence Interval
}

// EvaluateIntervals gives 95 % intervals: Wilson for the shares, the seeded
// bootstrap over images for the rest. The only error is ctx's.
func EvaluateIntervals(ctx context.Context, c Classification, v []Outcome, bins, replicates int, seed uint64) (Intervals, error) {
	// Sorted once; a resample is a count per image, so each is linear.
	s := slices.Clone(v)
	slices.SortStableFunc(s, func(a, b Outcome) int { return cmp.Compare(a.Confidence, b.Confidence) })
	conf := make([]Confident, len(s))
	bin := make([]int, len(s))
	classes := 0
	for i, o := range s {
		conf[i] = Confident{o.Confidence, o.Correct()}
		bin[i] = widthBin(o.Confidence, bins)
		classes = max(classes, o.Label+1)
	}
	n := float64(len(s))
	b, err := Bootstrap(ctx, len(s), replicates, seed, func(count []uint16) []float64 {
		var nll, brier, mean float64
		width := make([]Bin, bins)
		hits, counts := make([]int, classes), make([]int, classes)
		for i, m := range count {
			if m == 0 {
				continue
			}
			o := &s[i]
			nll += float64(m) * o.NLL
			brier += float64(m) * o.Brier
			mean += float64(m) * o.Confidence
			add(&width[bin[i]], conf[i], int(m))
			counts[o.Label] += int(m)
			if conf[i].Correct {
				hits[o.Label] += int(m)
			}
		}
		we := Errors(means(width))
		me := Errors(massBins(conf, count, len(s), bins))
		aurc, optimal := riskCoverage(conf, count)
		return []float64{nll / n, brier / n, we.ECE, we.MCE, we.RMSCE, me.ECE, aurc, aurc - optimal, balanced(hits, counts), mean / n}
	})
	if err != nil {
		return Intervals{}, err
	}
	return Intervals{
		Top1: Wilson(c.Top1Hits, c.N), Top5: Wilson(c.Top5Hits, c.N),
		NLL: Percentile(b[0]), Brier: Percentile(b[1]),
		ECE: Basic(c.Width.ECE, b[2]), MCE: Basic(c.Width.MCE, b[3]), RMSCE: Basic(c.Width.RMSCE, b[4]),
		ECEMass: Basic(c.Mass.ECE, b[5]), AURC: Percentile(b[6]), EAURC: Percentile(b[7]), Balanced: Percentile(b[8]), Confidence: Percentile(b[9]),
	}, nil
}
