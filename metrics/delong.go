package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Placements are what DeLong's variance of an AUROC is made of, image by image.
type Placements struct {
	ID  []float64 // share of OOD images with a smaller score, ties half
	OOD []float64 // share of ID images with a larger score, ties half
}

// Place compares every ID image's score with the OOD images', and the other way round.
// Scores must be finite and neither set empty.
func Place(id, ood []float64) Placements {
	p := Placements{make([]float64, len(id)), make([]float64, len(ood))}
	a, b := order(id), order(ood)
	n, m := float64(len(id)), float64(len(ood))
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		var v float64
		switch {
		case i == len(a):
			v = ood[b[j]]
		case j == len(b):
			v = id[a[i]]
		default:
			v = min(id[a[i]], ood[b[j]])
		}
		ni, nj := i, j
		for ni < len(a) && id[a[ni]] == v {
			ni++
		}
		for nj < len(b) && ood[b[nj]] == v {
			nj++
		}
		for k := i; k < ni; k++ {
			p.ID[a[k]] = (float64(j) + float64(nj-j)/2) / m
		}
		for k := j; k < nj; k++ {
			p.OOD[b[k]] = (n - float64(i) - float64(ni-i)/2) / n
		}
		i, j = ni, nj
	}
	return p
}

// order is the indices of v by ascending value.
func order(v []float64) []int {
	at := make([]int, len(v))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
	return at
}

// Term is an AUROC in a weighted sum of several.
type Term struct {
	Weight float64
	Placements
	Set int // terms of the same OOD images, in the same order, have the same number
}

// Combine is a weighted sum of AUROCs that share their ID images, in the same order,
// with its 95 % interval and the two-sided p-value of its being 0 (DeLong et al., 1988):
// a mean over OOD sets, or, with weights 1 and -1, the difference of two scores. One image
// of a kind tells nothing of the spread: the interval is then all that is possible. Where
// nothing varies the interval is as wide as Wilson's of the smallest set.
func Combine(terms []Term) (value float64, iv Interval, p float64) {
	id := make([]float64, len(terms[0].ID))
	sets := map[int][]float64{}
	var names []int // in the order they appear, so that sums are the same every time
	high, low, least := 0.0, 0.0, len(terms[0].ID)
	for _, t := range terms {
		high, low, least = high+max(t.Weight, 0), low+min(t.Weight, 0), min(least, len(t.OOD))
		for i, v := range t.ID {
			id[i] += t.Weight * v
		}
		if sets[t.Set] == nil {
			sets[t.Set] = make([]float64, len(t.OOD))
			names = append(names, t.Set)
		}
		for i, v := range t.OOD {
			sets[t.Set][i] += t.Weight * v
		}
	}
	value, variance := spread(id)
	for _, s := range names {
		_, v := spread(sets[s])
		variance += v
	}
	half, method := z95*math.Sqrt(variance), "DeLong"
	switch {
	case variance > 0:
		p = math.Erfc(math.Abs(value) / math.Sqrt(2*variance))
	case value == 0 && low < 0: // two equal scores
		p = 1
	default:
		p = min(1, math.Exp2(1-float64(least)))
		half, method = (1-Wilson(least, least).Low)*max(high, -low), "Wilson, of the smallest set: DeLong's has no width"
	}
	return value, Interval{max(value-half, low), min(value+half, high), 0.95, method}, p
}

// spread is the mean and the variance of the mean; infinite for one value.
func spread(v []float64) (mean, variance float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += x
	}
	mean /= n
	if n < 2 {
		return mean, math.Inf(1)
	}
	for _, x := range v {
		variance += (x - mean) * (x - mean)
	}
	return mean, variance / (n - 1) / n
}

// Logit95 is the 95 % interval of an area under a precision-recall curve with the given
// number of positives, from the normal approximation of its logit (Boyd, Eng and Page,
// ECML 2013).
func Logit95(area float64, positives int) Interval {
	iv := Interval{area, area, 0.95, "logit (Boyd et al., 2013)"}
	if !(area > 0 && area < 1) {
		// The formula has no width there; Wilson's has.
		w := Wilson(int(math.Round(area*float64(positives))), positives)
		iv.Low, iv.High = w.Low, w.High
		return iv
	}
	at := math.Log(area / (1 - area))
	half := z95 / math.Sqrt(float64(positives)*area*(1-area))
	iv.Low, iv.High = 1/(1+math.Exp(half-at)), 1/(1+math.Exp(-half-at))
	return iv
}

// Share is a proportion with its interval's ends.
type Share struct{ Value, Low, High float64 }

// WilsonShare is hits of n with Wilson's ends.
func WilsonShare(hits, n int) Share {
	iv := Wilson(hits, n)
	return Share{float64(hits) / float64(n), iv.Low, iv.High}
}

// MeanOfShares is the mean of independent proportions with the interval that their own
// intervals give together (Newcombe, 1998).
func MeanOfShares(s []Share) (float64, Interval) {
	mean, low, high := 0.0, 0.0, 0.0
	k := float64(len(s))
	for _, x := range s {
		mean += x.Value / k
		low += (x.Value - x.Low) * (x.Value - x.Low)
		high += (x.High - x.Value) * (x.High - x.Value)
	}
	return mean, Interval{max(0, mean-math.Sqrt(low)/k), min(1, mean+math.Sqrt(high)/k), 0.95, "Newcombe, of Wilson's"}
}

// CCR is the share of ID images that are classified rightly and score above the
// threshold that at most the share fpr of OOD images, rounded up to whole images, reach
// (correct classification rate at a false positive rate, Dhamija et al., NeurIPS 2018, as
// OpenOOD counts it).
func CCR(id []float64, right []bool, ood []float64, fpr float64) (Interval, float64, error) {
	if len(right) != len(id) {
		panic("metrics: CCR of other images")
	}
	k := int(math.Ceil(fpr * float64(len(ood))))
	if k < 1 || k > len(ood) || fpr*float64(len(ood)) < 1 {
		return Interval{}, 0, fmt.Errorf("%v of %d OOD images is less than one", fpr, len(ood))
	}
	at := order(ood)
	limit := ood[at[len(at)-k]]
	hits := 0
	for i, s := range id {
		if right[i] && s > limit {
			hits++
		}
	}
	iv := Wilson(hits, len(id))
	iv.Method = "Wilson, the threshold as found"
	return iv, float64(hits) / float64(len(id)), nil
}
