package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Separation holds how well a score tells in-distribution (ID) images from others
// (OOD). Larger scores mean ID. Shares are fractions.
type Separation struct {
	ID, OOD int // numbers of images

	AUROC         float64  // area under the ROC curve: chance that an ID image scores higher, ties half
	AUROCInterval Interval // DeLong
	// Areas under precision-recall curves, with ID or OOD images as the positives, by
	// the trapezoid rule (OpenOOD) and as average precision (steps).
	AUPRIn, AUPROut, APIn, APOut float64
	// FPROODPositive is the share of ID images that are flagged where at least 95 % of the
	// OOD ones are (score <= Threshold); FPRIDPositive the share of OOD images that pass
	// where at least 95 % of the ID ones do (score >= Threshold).
	FPROODPositive, FPRIDPositive Operating
	// TNRAtTPR95 and Accuracy are those of the CutMix paper's table: the share of OOD images
	// rejected where the share of ID images accepted is nearest to 0.95 (images leave one
	// by one, ID first among equals), and the largest mean of both shares (equals move
	// together).
	TNRAtTPR95, Accuracy float64
	// BestTPR and BestTNR are the shares of ID images accepted and of OOD images rejected
	// whose mean is Accuracy.
	BestTPR, BestTNR float64
	Ties             int // pairs of an ID and an OOD image with equal scores
}

// Operating is a point at which 95 % of the positives are found.
type Operating struct {
	FPR       float64
	Threshold float64
	TPR       float64 // reached
}

// SeparationError says what is wrong with scores.
type SeparationError struct {
	Set   string // ID or OOD
	Index int    // of the image, -1 for the whole set
	Why   string
}

func (e *SeparationError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("the %s scores: %s", e.Set, e.Why)
	}
	return fmt.Sprintf("%s score %d %s", e.Set, e.Index, e.Why)
}

// ThresholdAt is the largest threshold that at least the share tpr of the scores reach, and
// how many do. There must be a score, and none may be NaN.
func ThresholdAt(scores []float64, tpr float64) (threshold float64, reached int) {
	if len(scores) == 0 {
		panic("metrics: ThresholdAt of no scores")
	}
	v := slices.Sorted(slices.Values(scores))
	slices.Reverse(v)
	k := 1
	for k < len(v) && float64(k)/float64(len(v)) < tpr {
		k++
	}
	for k < len(v) && v[k] == v[k-1] {
		k++
	}
	return v[k-1], k
}

// step is the images that share a score.
type step struct {
	score   float64
	id, ood int
}

// Separate compares the scores of ID and OOD images. An empty set, NaN and infinite
// scores are a *SeparationError.
func Separate(id, ood []float64) (Separation, error) {
	for _, set := range []struct {
		name   string
		scores []float64
	}{{"ID", id}, {"OOD", ood}} {
		if len(set.scores) == 0 {
			return Separation{}, &SeparationError{set.name, -1, "there are none"}
		}
		for i, s := range set.scores {
			if !Finite(s) {
				return Separation{}, &SeparationError{set.name, i, fmt.Sprintf("is %v", s)}
			}
		}
	}
	steps := group(id, ood)
	n, m := float64(len(id)), float64(len(ood))
	d := Separation{ID: len(id), OOD: len(ood)}
	// From the lowest score up: what lies below each step.
	belowID, belowOOD := 0, 0
	pairs, v10, v01 := 0.0, 0.0, 0.0 // wins in half pairs; sums of squares of DeLong's components
	for _, s := range steps {
		lower := (float64(belowOOD) + float64(s.ood)/2) / m // of OOD, for an ID image here
		upper := (n - float64(belowID) - float64(s.id)/2) / n
		pairs += float64(s.id) * lower
		v10 += float64(s.id) * lower * lower
		v01 += float64(s.ood) * upper * upper
		d.Ties += s.id * s.ood
		belowID, belowOOD = belowID+s.id, belowOOD+s.ood
	}
	d.AUROC = pairs / n
	d.AUROCInterval = delong(d.AUROC, v10, v01, n, m)
	d.AUPROut, d.APOut = precisionRecall(steps, func(s step) (int, int) { return s.ood, s.id }, len(ood))
	d.FPROODPositive = operating(steps, func(s step) (int, int) { return s.ood, s.id }, len(ood), len(id))
	slices.Reverse(steps)
	d.AUPRIn, d.APIn = precisionRecall(steps, func(s step) (int, int) { return s.id, s.ood }, len(id))
	d.FPRIDPositive = operating(steps, func(s step) (int, int) { return s.id, s.ood }, len(id), len(ood))
	tp, fp := 0, 0
	d.Accuracy, d.BestTNR = 0.5, 1 // nothing accepted
	for _, s := range steps {
		tp, fp = tp+s.id, fp+s.ood
		if tpr, tnr := float64(tp)/n, 1-float64(fp)/m; 0.5*(tpr+tnr) > d.Accuracy {
			d.Accuracy, d.BestTPR, d.BestTNR = 0.5*(tpr+tnr), tpr, tnr
		}
	}
	d.TNRAtTPR95 = tnr95(id, ood)
	return d, nil
}

// group lists distinct scores, ascending.
func group(id, ood []float64) []step {
	all := make([]step, 0, len(id)+len(ood))
	for _, s := range id {
		all = append(all, step{s, 1, 0})
	}
	for _, s := range ood {
		all = append(all, step{s, 0, 1})
	}
	slices.SortFunc(all, func(a, b step) int { return cmp.Compare(a.score, b.score) })
	out := all[:0]
	for _, s := range all {
		if k := len(out) - 1; k >= 0 && out[k].score == s.score {
			out[k].id, out[k].ood = out[k].id+s.id, out[k].ood+s.ood
		} else {
			out = append(out, s)
		}
	}
	return out
}

// precisionRecall walks the steps from the most positive on.
func precisionRecall(steps []step, of func(step) (pos, neg int), all int) (trapezoid, average float64) {
	tp, fp, recall, precision := 0, 0, 0.0, 1.0
	for _, s := range steps {
		pos, neg := of(s)
		tp, fp = tp+pos, fp+neg
		r, p := float64(tp)/float64(all), float64(tp)/float64(tp+fp)
		trapezoid += (r - recall) * (p + precision) / 2
		average += (r - recall) * p
		recall, precision = r, p
	}
	return trapezoid, average
}

// operating is the first step at which 95 % of the positives are found.
func operating(steps []step, of func(step) (pos, neg int), positives, negatives int) Operating {
	tp, fp := 0, 0
	for _, s := range steps {
		pos, neg := of(s)
		tp, fp = tp+pos, fp+neg
		if tpr := float64(tp) / float64(positives); tpr >= 0.95 {
			return Operating{float64(fp) / float64(negatives), s.score, tpr}
		}
	}
	panic("metrics: not all positives are positive")
}

// tnr95 lets images leave from the lowest score up, an ID image before an OOD one of
// the same score, and looks where the share of ID images left is nearest to 0.95.
func tnr95(id, ood []float64) float64 {
	a, b := slices.Sorted(slices.Values(id)), slices.Sorted(slices.Values(ood))
	i, j := 0, 0
	best, at := math.Inf(1), 0
	for {
		if d := math.Abs(float64(len(a)-i)/float64(len(a)) - 0.95); d < best {
			best, at = d, j
		}
		switch {
		case i == len(a) && j == len(b):
			return float64(at) / float64(len(b))
		case i == len(a) || j < len(b) && b[j] < a[i]:
			j++
		default:
			i++
		}
	}
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
