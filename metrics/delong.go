package metrics

import (
	"cmp"
	"math"
	"slices"
)

// delong is the 95 % interval of an AUROC (DeLong et al., 1988), cut at 0 and 1. Where
// the sets do not overlap it has no width, and Wilson's of the smaller set is taken.
func delong(auc, v10, v01, n, m float64) Interval {
	if (auc == 0 || auc == 1) && min(n, m) > 1 {
		k := int(min(n, m))
		iv := Wilson(int(auc)*k, k)
		iv.Method = "Wilson, of the smaller set: DeLong's has no width"
		return iv
	}
	if n < 2 || m < 2 {
		return Interval{0, 1, 0.95, "none: one image tells nothing of the spread"}
	}
	variance := (v10-n*auc*auc)/(n-1)/n + (v01-m*auc*auc)/(m-1)/m
	half := z95 * math.Sqrt(max(variance, 0))
	return Interval{max(0, auc-half), min(1, auc+half), 0.95, "DeLong"}
}

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
// nothing varies the interval is as wide as Wilson's of the smallest set. It panics without
// terms, without images, and where terms are not of the same ID images, or those of one Set not
// of the same OOD images, as far as their numbers tell.
func Combine(terms []Term) (value float64, iv Interval, p float64) {
	if len(terms) == 0 {
		panic("metrics: Combine of no terms")
	}
	id := make([]float64, len(terms[0].ID))
	sets := map[int][]float64{}
	var names []int // in the order they appear, so that sums are the same every time
	high, low, least := 0.0, 0.0, len(terms[0].ID)
	for _, t := range terms {
		if s := sets[t.Set]; len(t.ID) == 0 || len(t.OOD) == 0 || len(t.ID) != len(id) || s != nil && len(s) != len(t.OOD) {
			panic("metrics: Combine of no images, or of different ones")
		}
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
