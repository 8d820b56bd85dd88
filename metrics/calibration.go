package metrics

import (
	"cmp"
	"fmt"
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

// maxBins bounds the bins of a reliability table.
const maxBins = 10_000

// CheckBins says whether so many bins make sense for a calibration error, of which some need at
// least least.
func CheckBins(n, least int) error {
	switch {
	case n < least:
		return fmt.Errorf("%d bins: at least %d are needed", n, least)
	case n > maxBins:
		return fmt.Errorf("%d bins: at most %d", n, maxBins)
	}
	return nil
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
// predictions are sorted by confidence, highest first, and the error rates of
// the first 1, 2, … n are averaged. Among equal confidences errors count as
// spread evenly, so that the order of the data does not matter. optimal is the
// least value that the same number of errors allows; the difference is the
// excess (E-AURC).
func AURC(v []Confident) (aurc, optimal float64) {
	s := slices.Clone(v)
	slices.SortStableFunc(s, func(a, b Confident) int { return cmp.Compare(a.Confidence, b.Confidence) })
	return riskCoverage(s, nil)
}

// riskCoverage is AURC of predictions in ascending order, each counted count[i]
// times (once where count is nil).
func riskCoverage(sorted []Confident, count []uint16) (aurc, optimal float64) {
	times := func(i int) int {
		if count == nil {
			return 1
		}
		return int(count[i])
	}
	wrong, at := 0, 0
	for end := len(sorted); end > 0; {
		start, m, w := end, 0, 0 // a group of equal confidences
		for start > 0 && sorted[start-1].Confidence == sorted[end-1].Confidence {
			start--
			m += times(start)
			if !sorted[start].Correct {
				w += times(start)
			}
		}
		for j := 1; j <= m; j++ {
			aurc += (float64(wrong) + float64(w)*float64(j)/float64(m)) / float64(at+j)
		}
		wrong, at, end = wrong+w, at+m, start
	}
	n := float64(at)
	// Sum over i of (i-right)/i for i = right+1 … n.
	right := n - float64(wrong)
	optimal = float64(wrong) - right*(harmonic(n)-harmonic(right))
	return aurc / n, max(0, optimal) / n
}

// harmonic is the harmonic number H(n), to about 1e-14: by its asymptotic
// series from 20 on, summed below.
func harmonic(n float64) float64 {
	if n < 20 {
		h := 0.0
		for i := 1.0; i <= n; i++ {
			h += 1 / i
		}
		return h
	}
	const gamma = 0.57721566490153286
	n2 := n * n
	return math.Log(n) + gamma + 1/(2*n) - 1/(12*n2) + 1/(120*n2*n2) - 1/(252*n2*n2*n2)
}
