package metrics

import (
	"cmp"
	"math"
	"slices"
)

// Overlaps are the overlaps (IoU) at which MaxBoxAccV2 counts a box as right (Choe
// et al., CVPR 2020).
var Overlaps = [3]float64{0.3, 0.5, 0.7}

// Thresholds are those of a sweep: 0, interval, 2 interval … below 1, as numpy's
// arange has them.
func Thresholds(interval float64) []float64 {
	n := int(math.Ceil(1 / interval))
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(i) * interval
	}
	return out
}

// Level is where a threshold (0 to below 1) cuts a map of bytes whose largest is
// 255: pixels above the level are in.
func Level(threshold float64) int { return int(threshold * 255) }

// Sweep holds, for images cut at many thresholds, whether their boxes are right.
// Safe for concurrent use.
type Sweep struct {
	Thresholds []float64
	n          int
	hits       [len(Overlaps)][]uint8 // [image*thresholds + threshold], 0 or 1
}

// NewSweep prepares n images; overlap(i) is image i's best IoU by Level (255 of
// them). IoUs are compared in float32, which tells all ratios of pixel counts apart
// from the limits at up to a million pixels a map.
func NewSweep(n int, interval float64, overlap func(i int) []float32) *Sweep {
	s := &Sweep{Thresholds: Thresholds(interval), n: n}
	for d := range s.hits {
		s.hits[d] = make([]uint8, n*len(s.Thresholds))
	}
	for i := range n {
		v := overlap(i)
		for k, t := range s.Thresholds {
			for d, least := range Overlaps {
				if v[Level(t)] >= float32(least) {
					s.hits[d][i*len(s.Thresholds)+k] = 1
				}
			}
		}
	}
	return s
}

// Right counts the images whose boxes are right at Overlaps[d], by threshold. Image
// i counts count[i] times; nil is once each.
func (s *Sweep) Right(d int, count []uint16) []int {
	t := len(s.Thresholds)
	out := make([]int, t)
	for i := range s.n {
		m := 1
		if count != nil {
			if m = int(count[i]); m == 0 {
				continue
			}
		}
		for k, h := range s.hits[d][i*t : (i+1)*t] {
			out[k] += m * int(h)
		}
	}
	return out
}

// Best is the largest share of right images over the thresholds at Overlaps[d], and
// the first threshold that has it. Chosen on the data it is measured on, it is what
// a perfectly chosen threshold would give (MaxBoxAcc).
func (s *Sweep) Best(d int, count []uint16) (accuracy, threshold float64) {
	right := s.Right(d, count)
	most := slices.Max(right)
	return float64(most) / float64(s.n), s.Thresholds[slices.Index(right, most)]
}

// MaxBoxAccV2 is the mean of Best over the Overlaps.
func (s *Sweep) MaxBoxAccV2(count []uint16) float64 {
	sum := 0.0
	for d := range Overlaps {
		a, _ := s.Best(d, count)
		sum += a
	}
	return sum / float64(len(Overlaps))
}

// PixelBins is the number of bins of the score histograms behind PxAP at an
// interval: those between the thresholds, from 1 to 2, and from 2 to 3.
func PixelBins(interval float64) int { return len(Thresholds(interval)) + 2 }

// PixelBin is the bin of a score in 0..1: the one whose lower edge is the largest
// threshold that is not above it.
func PixelBin(thresholds []float64, score float64) int {
	if score >= 1 {
		return len(thresholds)
	}
	i, exact := slices.BinarySearchFunc(thresholds, score, cmp.Compare)
	if !exact {
		i--
	}
	return max(i, 0)
}

// PxAP is the area under the precision-recall curve of pixels whose scores fall into
// bins, positive and negative ones (Choe et al., CVPR 2020): the sum over bins, from
// the highest scores down, of precision times the gain in recall. NaN without
// positive pixels.
func PxAP(positive, negative []float64) float64 {
	all := 0.0
	for _, v := range positive {
		all += v
	}
	var tp, fp, area, recall float64
	for i := len(positive) - 1; i >= 0; i-- {
		tp, fp = tp+positive[i], fp+negative[i]
		r := tp / all
		if i < len(positive)-1 && tp+fp > 0 {
			area += tp / (tp + fp) * (r - recall)
		}
		recall = r
	}
	if all == 0 {
		return math.NaN()
	}
	return area
}
