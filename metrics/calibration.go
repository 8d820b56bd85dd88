package metrics

import (
	"cmp"
	"math"
	"slices"
)

// Confident is a prediction's confidence and whether it was right: all that
// calibration and selective prediction look at.
type Confident struct {
	Confidence float64 // 0..1
	Correct    bool
}

// Bin is one bin of a reliability table. Accuracy and Confidence are means and
// 0 where Count is 0.
type Bin struct {
	Count                int
	Accuracy, Confidence float64
}

// EqualWidth sorts predictions into bins of equal width, closed on the right:
// bin k holds k/bins < confidence <= (k+1)/bins, and 0 goes to the first (Guo
// et al., ICML 2017).
func EqualWidth(v []Confident, bins int) []Bin {
	out := make([]Bin, bins)
	for _, c := range v {
		add(&out[widthBin(c.Confidence, bins)], c, 1)
	}
	return means(out)
}

func widthBin(conf float64, bins int) int {
	b := float64(bins)
	k := min(max(int(math.Ceil(conf*b))-1, 0), bins-1)
	for k > 0 && conf <= float64(k)/b { // the product may round across an edge
		k--
	}
	for k < bins-1 && conf > float64(k+1)/b {
		k++
	}
	return k
}

// EqualMass sorts predictions by confidence (stable) and cuts them into parts
// of equal size; the first n mod bins parts have one more.
func EqualMass(v []Confident, bins int) []Bin {
	s := slices.Clone(v)
	slices.SortStableFunc(s, func(a, b Confident) int { return cmp.Compare(a.Confidence, b.Confidence) })
	return massBins(s, nil, len(s), bins)
}

// massBins cuts sorted predictions, each counted count[i] times (once where
// count is nil), n in all.
func massBins(sorted []Confident, count []uint16, n, bins int) []Bin {
	out := make([]Bin, bins)
	k, room := -1, 0
	for i, c := range sorted {
		m := 1
		if count != nil {
			m = int(count[i])
		}
		for m > 0 {
			for room == 0 {
				k++
				room = n / bins
				if k < n%bins {
					room++
				}
			}
			take := min(m, room)
			add(&out[k], c, take)
			m -= take
			room -= take
		}
	}
	return means(out)
}

// add sums c into b times over; means makes means of the sums.
func add(b *Bin, c Confident, times int) {
	b.Count += times
	b.Confidence += float64(times) * c.Confidence
	if c.Correct {
		b.Accuracy += float64(times)
	}
}

func means(bins []Bin) []Bin {
	for i := range bins {
		if n := float64(bins[i].Count); n > 0 {
			bins[i].Accuracy /= n
			bins[i].Confidence /= n
		}
	}
	return bins
}

// CalibrationErrors are the usual summaries of a reliability table.
type CalibrationErrors struct {
	ECE   float64 // mean gap between accuracy and confidence, weighted by count
	MCE   float64 // largest gap of a bin that is not empty
	RMSCE float64 // root of the mean squared gap, weighted by count
}

// Errors summarises bins.
func Errors(bins []Bin) CalibrationErrors {
	var e CalibrationErrors
	n := 0
	for _, b := range bins {
		n += b.Count
	}
	for _, b := range bins {
		if b.Count == 0 {
			continue
		}
		gap := math.Abs(b.Accuracy - b.Confidence)
		w := float64(b.Count) / float64(n)
		e.ECE += w * gap
		e.RMSCE += w * gap * gap
		e.MCE = max(e.MCE, gap)
	}
	e.RMSCE = math.Sqrt(e.RMSCE)
	return e
}

// AURC is the area under the risk-coverage curve (Geifman and El-Yaniv, 2017):
// predictions are sorted by confidence, highest first, equal ones in their
// given order, and the error rates of the first 1, 2, … n are averaged. optimal
// is the least value that the same number of errors allows; the difference is
// the excess (E-AURC).
func AURC(v []Confident) (aurc, optimal float64) {
	s := slices.Clone(v)
	slices.SortStableFunc(s, func(a, b Confident) int { return cmp.Compare(b.Confidence, a.Confidence) })
	wrong := 0
	for i, c := range s {
		if !c.Correct {
			wrong++
		}
		aurc += float64(wrong) / float64(i+1)
	}
	n := len(v)
	for i := n - wrong; i < n; i++ {
		optimal += float64(i-(n-wrong)+1) / float64(i+1)
	}
	return aurc / float64(n), optimal / float64(n)
}
