package metrics

import (
	"cmp"
	"math"
	"slices"
)

// MultiLabel are scores of images of which each can be of several classes, prepared for
// evaluating many resamples, each in linear time. Safe for concurrent use.
type MultiLabel struct {
	classes []ranked
}

// ranked are the images of which it is known whether they are of a class, by descending score.
type ranked struct {
	image    []int
	positive []bool
	tied     []bool // with the next
}

// NewMultiLabel prepares scores, one per class in each row, and truths: 1 of the class, 0 not, NaN
// not known.
func NewMultiLabel(scores []float32, truth []float64, classes int) *MultiLabel {
	if classes < 1 || len(scores) != len(truth) || len(scores)%classes != 0 {
		panic("metrics: NewMultiLabel of lengths that disagree")
	}
	m := &MultiLabel{make([]ranked, classes)}
	for c := range m.classes {
		r := &m.classes[c]
		for i := range len(scores) / classes {
			if !math.IsNaN(truth[i*classes+c]) {
				r.image = append(r.image, i)
			}
		}
		score := func(i int) float32 { return scores[i*classes+c] }
		slices.SortStableFunc(r.image, func(a, b int) int { return cmp.Compare(score(b), score(a)) })
		for k, i := range r.image {
			r.positive = append(r.positive, truth[i*classes+c] == 1)
			r.tied = append(r.tied, k+1 < len(r.image) && score(i) == score(r.image[k+1]))
		}
	}
	return m
}

// Evaluate returns the mean average precision over the classes that have a positive image,
// then the average precision of every class, NaN without one: the sum over thresholds of
// precision times the rise in recall, as scikit-learn's average_precision_score, not
// interpolated. Image i counts count[i] times.
func (m *MultiLabel) Evaluate(count []uint16) []float64 {
	out := make([]float64, 1+len(m.classes))
	n := 0.0
	for c, r := range m.classes {
		positives, seen, all, area := 0.0, 0.0, 0.0, 0.0
		for k, i := range r.image {
			if r.positive[k] {
				positives += float64(count[i])
			}
		}
		fresh := 0.0
		for k, i := range r.image {
			all += float64(count[i])
			if r.positive[k] {
				fresh += float64(count[i])
			}
			if !r.tied[k] && fresh > 0 {
				seen += fresh
				area += fresh / positives * (seen / all)
				fresh = 0
			}
		}
		if out[1+c] = math.NaN(); positives > 0 {
			out[1+c] = area
			out[0] += area
			n++
		}
	}
	out[0] /= n
	return out
}
