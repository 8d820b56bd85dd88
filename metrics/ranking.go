package metrics

import (
	"cmp"
	"slices"
)

// Ranking is ID and OOD images by falling score, to compute how well the score separates
// them again and again over resampled images. It is not changed after it was made.
type Ranking struct {
	image []int // of a resample's counts
	id    []bool
	last  []bool // of those with the same score
}

// NewRanking ranks images by their scores, which are finite: id says which are ID images, image
// where each is counted.
func NewRanking(scores []float64, id []bool, image []int) *Ranking {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	r := &Ranking{}
	for n, o := range order {
		r.image, r.id = append(r.image, image[o]), append(r.id, id[o])
		r.last = append(r.last, n+1 == len(order) || scores[order[n+1]] != scores[o])
	}
	return r
}

// Evaluate computes AUROC, and the share of OOD images that pass the highest threshold at
// which 95 % of the ID images do, image i counting count[i] times. Both are NaN where a kind
// of image has none. It is safe for concurrent use.
func (r *Ranking) Evaluate(count []uint16) (auroc, fpr95 float64) {
	var ids, outs int64
	for i, at := range r.image {
		if r.id[i] {
			ids += int64(count[at])
		} else {
			outs += int64(count[at])
		}
	}
	n, m := float64(ids), float64(outs)
	var above, passed, equalID, equalOut int64
	twice := int64(0) // pairs that are in order, in halves
	found := false
	for i, at := range r.image {
		c := int64(count[at])
		if r.id[i] {
			equalID += c
		} else {
			equalOut += c
		}
		if !r.last[i] {
			continue
		}
		twice += equalOut * (2*above + equalID)
		above, passed = above+equalID, passed+equalOut
		equalID, equalOut = 0, 0
		if !found && float64(above)/n >= 0.95 {
			fpr95, found = float64(passed)/m, true
		}
	}
	return float64(twice) / 2 / n / m, fpr95
}
