// Package metrics holds the numbers of an evaluation as pure functions over
// slices: top-k accuracy, proper scores, calibration, selective prediction, and
// the intervals that go with them.
//
// Shares are fractions (0..1), never percent. Functions panic, with this
// package's name, on lengths that disagree, because that is a programming
// error; bad data is an error. Everything is safe for concurrent use.
package metrics

import (
	"fmt"
	"math"
)

// Outcome is what one image contributes: the scores of its logits against its
// label.
type Outcome struct {
	Label, Pred int     // class indices; Pred is the largest logit, the lowest index on a tie
	Rank        int     // classes that come before the label: 0 is a top-1 hit
	Confidence  float64 // softmax probability of Pred
	NLL         float64 // -ln of the label's softmax probability, natural log
	Brier       float64 // sum over classes of (p - [class is label])^2, range 0..2
}

// Correct says whether the prediction is the label.
func (o Outcome) Correct() bool { return o.Pred == o.Label }

// Score scores one row of logits (one value per class) divided by the given
// temperature. Ties are broken towards the lower class index, for the
// prediction as for the rank. NaN or infinite logits and a label outside
// 0..len(logits)-1 are errors.
func Score(logits []float32, label int, temperature float64) (Outcome, error) {
	if label < 0 || label >= len(logits) {
		return Outcome{}, fmt.Errorf("label %d is outside 0..%d", label, len(logits)-1)
	}
	if i := NotFinite(logits); i >= 0 {
		return Outcome{}, fmt.Errorf("logit of class %d is %v", i, logits[i])
	}
	o := Outcome{Label: label, Pred: Argmax(logits), Rank: Rank(logits, label)}
	top := float64(logits[o.Pred])
	var sum, sumSq float64
	for _, z := range logits {
		e := math.Exp((float64(z) - top) / temperature)
		sum += e
		sumSq += e * e
	}
	zl := (float64(logits[label]) - top) / temperature
	pl := math.Exp(zl) / sum
	o.Confidence = 1 / sum
	o.NLL = math.Log(sum) - zl
	o.Brier = max(0, sumSq/(sum*sum)-2*pl+1)
	return o, nil
}

// Finite says whether v is a number.
func Finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// NotFinite returns the index of the first NaN or infinity, -1 if there is none.
func NotFinite(v []float32) int {
	for i, x := range v {
		if d := x - x; d != 0 { // NaN for both
			return i
		}
	}
	return -1
}

// Argmax returns the index of the largest value, the lowest one on a tie, -1
// for an empty slice. NaN is never the largest.
func Argmax(v []float32) int {
	best := -1
	for i, x := range v {
		if best < 0 && x == x || best >= 0 && x > v[best] {
			best = i
		}
	}
	return best
}

// Rank counts the classes that come before class: larger values, and equal ones
// of lower index. Top-k holds when the rank is below k.
func Rank(v []float32, class int) int {
	r, own := 0, v[class]
	for i, x := range v {
		if x > own || x == own && i < class {
			r++
		}
	}
	return r
}

// TopK returns the indices of the k largest values, best first, lower index
// first on a tie; all of them when there are fewer.
func TopK(v []float32, k int) []int {
	k = min(k, len(v))
	out := make([]int, 0, k+1)
	for i, x := range v {
		at := len(out)
		for at > 0 && x > v[out[at-1]] {
			at--
		}
		if at == k {
			continue
		}
		out = append(out, 0)
		copy(out[at+1:], out[at:])
		out[at] = i
		if len(out) > k {
			out = out[:k]
		}
	}
	return out
}

// Softmax writes the probabilities of logits to dst, which has the same length.
func Softmax(dst []float64, logits []float32) {
	if len(dst) != len(logits) {
		panic("metrics: Softmax of slices of different lengths")
	}
	top := math.Inf(-1)
	for _, z := range logits {
		top = max(top, float64(z))
	}
	sum := 0.0
	for i, z := range logits {
		dst[i] = math.Exp(float64(z) - top)
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
}
