package metrics

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// MultiLabel are scores of images of which each can be of several classes, prepared for
// evaluating many resamples, each in linear time. Safe for concurrent use.
type MultiLabel struct {
	classes []ranked
	all     func() *ranked // images and classes in one ranking
}

// ranked are the images of which it is known whether they are of a class, by descending score.
type ranked struct {
	image    []int
	positive []bool
	tied     []bool // with the next
}

// NewMultiLabel prepares scores, one per class in each row, and truths: 1 of the class, 0 not, NaN
// not known. It keeps both.
func NewMultiLabel(scores []float32, truth []float64, classes int) *MultiLabel {
	if classes < 1 || len(scores) != len(truth) || len(scores)%classes != 0 {
		panic("metrics: NewMultiLabel of lengths that disagree")
	}
	m := &MultiLabel{classes: make([]ranked, classes)}
	var own []int // places in scores
	for c := range m.classes {
		own = own[:0]
		for at := c; at < len(scores); at += classes {
			if !math.IsNaN(truth[at]) {
				own = append(own, at)
			}
		}
		m.classes[c] = rank(own, scores, truth, classes)
	}
	m.all = sync.OnceValue(func() *ranked {
		var all []int
		for at, y := range truth {
			if !math.IsNaN(y) {
				all = append(all, at)
			}
		}
		r := rank(all, scores, truth, classes)
		return &r
	})
	return m
}

// rank sorts the places at.
func rank(at []int, scores []float32, truth []float64, classes int) ranked {
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	var r ranked
	for k, i := range at {
		r.image = append(r.image, i/classes)
		r.positive = append(r.positive, truth[i] == 1)
		r.tied = append(r.tied, k+1 < len(at) && scores[i] == scores[at[k+1]])
	}
	return r
}

// Evaluate returns the mean average precision over the classes that have a positive image,
// then the average precision of every class, NaN without one: the sum over thresholds of
// precision times the rise in recall, as scikit-learn's average_precision_score, not
// interpolated. Image i counts count[i] times.
func (m *MultiLabel) Evaluate(count []uint16) []float64 {
	out := make([]float64, 1+len(m.classes))
	n := 0.0
	for c := range m.classes {
		p := m.classes[c].precision(count)
		if out[1+c] = p.average; p.positives > 0 {
			out[0] += p.average
			n++
		}
	}
	out[0] /= n
	return out
}

// AveragePrecisions are the average precisions of classes and their means over the classes that have
// a positive image; NaN without one.
type AveragePrecisions struct {
	Mean float64 // as Evaluate's
	// VOC07 is the mean over classes of the interpolated precision at the eleven recalls 0, 0.1, …,
	// 1: the best one at that recall or above (Everingham et al., IJCV 2010, section 4.2).
	VOC07 float64
	// Micro is the average precision of all images and classes in one ranking, Weighted the mean over
	// classes by the number of their positive images, both as in scikit-learn.
	Micro, Weighted float64
	Classes         []float64
}

// AveragePrecisions computes them; image i counts count[i] times.
func (m *MultiLabel) AveragePrecisions(count []uint16) AveragePrecisions {
	out := AveragePrecisions{Classes: make([]float64, len(m.classes))}
	n, weights := 0.0, 0.0
	for c := range m.classes {
		p := m.classes[c].precision(count)
		if out.Classes[c] = p.average; p.positives > 0 {
			out.Mean += p.average
			out.VOC07 += p.interpolated
			out.Weighted += p.positives * p.average
			n, weights = n+1, weights+p.positives
		}
	}
	out.Mean, out.VOC07, out.Weighted = out.Mean/n, out.VOC07/n, out.Weighted/weights
	out.Micro = m.all().precision(count).average
	return out
}

// precisions are average precisions of a ranking; NaN without a positive image.
type precisions struct{ positives, average, interpolated float64 }

func (r *ranked) precision(count []uint16) precisions {
	var p precisions
	for k, i := range r.image {
		if r.positive[k] {
			p.positives += float64(count[i])
		}
	}
	if p.positives == 0 {
		p.average, p.interpolated = math.NaN(), math.NaN()
		return p
	}
	var best [11]float64 // precision at each recall or above
	seen, all, fresh := 0.0, 0.0, 0.0
	for k, i := range r.image {
		all += float64(count[i])
		if r.positive[k] {
			fresh += float64(count[i])
		}
		if !r.tied[k] && fresh > 0 {
			seen += fresh
			precision := seen / all
			p.average += fresh / p.positives * precision
			for t := 0; t <= 10 && 10*seen >= float64(t)*p.positives; t++ {
				best[t] = max(best[t], precision)
			}
			fresh = 0
		}
	}
	for _, b := range best {
		p.interpolated += b / 11
	}
	return p
}
