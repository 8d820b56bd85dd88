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
	ones := make([]uint16, len(v))
	for i := range ones {
		ones[i] = 1
	}
	return NewSample(v, bins).Evaluate(ones)
}

// Sample is a set of outcomes prepared for evaluating many resamples of it, each
// in linear time. Safe for concurrent use.
type Sample struct {
	v       []Outcome
	order   []int // by ascending confidence
	conf    []Confident
	bin     []int
	bins    int
	classes int
}

// NewSample prepares at least one outcome.
func NewSample(v []Outcome, bins int) *Sample {
	s := &Sample{v: v, bins: bins, order: make([]int, len(v)), conf: make([]Confident, len(v)), bin: make([]int, len(v))}
	for i, o := range v {
		s.order[i] = i
		s.classes = max(s.classes, o.Label+1)
	}
	slices.SortStableFunc(s.order, func(a, b int) int { return cmp.Compare(v[a].Confidence, v[b].Confidence) })
	for k, i := range s.order {
		s.conf[k] = Confident{v[i].Confidence, v[i].Correct()}
		s.bin[k] = widthBin(v[i].Confidence, bins)
	}
	return s
}

// Evaluate computes the numbers of the resample in which outcome i counts count[i]
// times.
func (s *Sample) Evaluate(count []uint16) Classification {
	var c Classification
	sorted := make([]uint16, len(count))
	width := make([]Bin, s.bins)
	hits, counts := make([]int, s.classes), make([]int, s.classes)
	for k, i := range s.order {
		m := int(count[i])
		sorted[k] = count[i]
		if m == 0 {
			continue
		}
		f, o := float64(m), &s.v[i]
		c.N += m
		counts[o.Label] += m
		if o.Correct() {
			hits[o.Label] += m
		}
		if o.Rank < 1 {
			c.Top1Hits += m
		}
		if o.Rank < 5 {
			c.Top5Hits += m
		}
		c.NLL += f * o.NLL
		c.Brier += f * o.Brier
		c.MeanConfidence += f * o.Confidence
		add(&width[s.bin[k]], s.conf[k], m)
	}
	n := float64(c.N)
	c.Top1, c.Top5 = float64(c.Top1Hits)/n, float64(c.Top5Hits)/n
	c.NLL /= n
	c.Brier /= n
	c.MeanConfidence /= n
	c.Width = Errors(means(width))
	c.Mass = Errors(massBins(s.conf, sorted, c.N, s.bins))
	aurc, optimal := riskCoverage(s.conf, sorted)
	c.AURC, c.EAURC = aurc, aurc-optimal
	c.BalancedAccuracy = balanced(hits, counts)
	return c
}

// balanced is the mean of the accuracies of the classes that occur.
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
	s := NewSample(v, bins)
	b, err := Bootstrap(ctx, len(v), replicates, seed, func(count []uint16) []float64 {
		c := s.Evaluate(count)
		return []float64{c.NLL, c.Brier, c.Width.ECE, c.Width.MCE, c.Width.RMSCE, c.Mass.ECE, c.AURC, c.EAURC, c.BalancedAccuracy, c.MeanConfidence}
	})
	if err != nil {
		return Intervals{}, err
	}
	return Intervals{
		Top1: Wilson(c.Top1Hits, c.N), Top5: Wilson(c.Top5Hits, c.N),
		NLL: Percentile(b[0]), Brier: Percentile(b[1]),
		ECE: Basic(c.Width.ECE, b[2]), MCE: Basic(c.Width.MCE, b[3]), RMSCE: Basic(c.Width.RMSCE, b[4]),
		ECEMass: Basic(c.Mass.ECE, b[5]), AURC: Percentile(b[6]), EAURC: Percentile(b[7]), Balanced: Percentile(b[8]),
		Confidence: Percentile(b[9]),
	}, nil
}
