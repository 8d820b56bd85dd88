package corruption

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cutmix-eval/corrupt"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/ood"
	"cutmix-eval/variants"
)

// grid is the outcomes of a run, of the images that have a result in every variant.
type grid struct {
	about    About
	images   []int             // ascending
	outcomes [][]outcome       // by variant, then image
	others   []ood.Confidences // sets that the images are told from
	without  int               // images that lack a result in some variant
	bad      []report.BadImage // those of them that could not be made or read in some variant
}

// outcome is what is kept of a record.
type outcome struct {
	there      bool
	wrong      bool // the prediction is not the label
	wrong5     bool // nor are the next four
	second     bool // the prediction is the class of the image that was mixed in
	confidence float64
	loss       float64
}

// read reads the outcomes of a run.
func read(ctx context.Context, a About, run *results.Run) (*grid, error) {
	g := &grid{about: a, outcomes: make([][]outcome, len(a.Variants))}
	all, bad := map[int][]outcome{}, map[int]bool{}
	err := results.Each[Record](ctx, run, nil, func(r *Record, _ [][]float32) error {
		i, k := int(r.Image), int(r.Variant)
		if k < 0 || k >= len(a.Variants) || i < 0 || i >= a.Images {
			return fmt.Errorf("the record of %s does not belong to this run", r.ID)
		}
		if all[i] == nil {
			all[i] = make([]outcome, len(a.Variants))
		}
		if r.Status == results.OK {
			all[i][k] = outcome{true, r.Prediction != r.Label, r.Rank >= 5, r.Prediction == r.Second, r.Confidence, r.Loss}
		} else if !bad[i] { // once, not for every variant
			bad[i] = true
			g.bad = append(g.bad, report.BadImage{ID: a.image(r), Reason: r.Error})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, i := range slices.Sorted(maps.Keys(all)) {
		if slices.ContainsFunc(all[i], func(o outcome) bool { return !o.there }) {
			g.without++
			continue
		}
		g.images = append(g.images, i)
		for k, o := range all[i] {
			g.outcomes[k] = append(g.outcomes[k], o)
		}
		delete(all, i) // there can be millions of outcomes
	}
	switch {
	case len(g.images) > 0:
		return g, nil
	case len(g.bad) > 0:
		return nil, fmt.Errorf("no image has a result in every variant; of %s: %s", g.bad[0].ID, g.bad[0].Reason)
	}
	return nil, errors.New("no image has a result in every variant")
}

// of is the index of a variant; -1 where it was not evaluated.
func (g *grid) of(v variants.Variant) int { return slices.Index(g.about.Variants, v) }

// at is the index of a corruption at a severity; -1 where it was not evaluated.
func (g *grid) at(n corrupt.Name, severity int) int {
	return g.of(variants.Variant{Name: string(n), Level: float64(severity)})
}

// severities are the indices of a corruption's variants.
func (g *grid) severities(n corrupt.Name) (out []int) {
	for k, v := range g.about.Variants {
		if v.Name == string(n) {
			out = append(out, k)
		}
	}
	return out
}

// complete says whether a corruption has all severities.
func (g *grid) complete(n corrupt.Name) bool {
	for s := 1; s <= corrupt.Severities; s++ {
		if g.at(n, s) < 0 {
			return false
		}
	}
	return true
}

// allComplete says whether all of them have all severities.
func (g *grid) allComplete(names []corrupt.Name) bool {
	return !slices.ContainsFunc(names, func(n corrupt.Name) bool { return !g.complete(n) })
}

// What of an outcome is counted.
func wrong(o outcome) bool   { return o.wrong }
func wrong5(o outcome) bool  { return o.wrong5 }
func second(o outcome) bool  { return o.second }
func neither(o outcome) bool { return o.wrong && !o.second }

// share is the share of images of which something holds in variant k.
func (g *grid) share(name string, k int, holds func(outcome) bool, at ...report.Key) report.Number {
	hits := 0
	for _, o := range g.outcomes[k] {
		if holds(o) {
			hits++
		}
	}
	return report.Share(name, hits, len(g.images), report.Lower, at...)
}

// confidences are the largest probabilities of the images in variant k.
func (g *grid) confidences(k int) []float64 {
	out := make([]float64, len(g.images))
	for i, o := range g.outcomes[k] {
		out[i] = o.confidence
	}
	return out
}

// ece is the mean of the expected calibration errors of variants.
func (g *grid) ece(at []int) (ece float64) {
	v := make([]metrics.Confident, len(g.images))
	for _, k := range at {
		for i, o := range g.outcomes[k] {
			v[i] = metrics.Confident{Confidence: o.confidence, Correct: !o.wrong}
		}
		// Sums are in the order of metrics.Evaluate, so that a variant's number is that of classify.
		slices.SortStableFunc(v, func(a, b metrics.Confident) int { return cmp.Compare(a.Confidence, b.Confidence) })
		ece += metrics.Errors(metrics.EqualWidth(v, g.about.Config.Bins)).ECE / float64(len(at))
	}
	return ece
}

// perImage is a number that is a sum over images, divided by how many there are: what every
// image adds to the sum. Numbers of this kind need no resampling for an interval.
type perImage []float64

func (g *grid) perImage() perImage { return make(perImage, len(g.images)) }

// add adds weight for the images of which something holds in variant k.
func (g *grid) add(to perImage, k int, holds func(outcome) bool, weight float64) {
	for i, o := range g.outcomes[k] {
		if holds(o) {
			to[i] += weight
		}
	}
}

// mean is the share of images of which something holds, as a mean over variants.
func (g *grid) mean(holds func(outcome) bool, variants ...int) perImage {
	out := g.perImage()
	for _, k := range variants {
		g.add(out, k, holds, 1/float64(len(variants)))
	}
	return out
}

// errors is the mean error over corruptions, of each over the severities that there are.
func (g *grid) errors(names ...corrupt.Name) perImage {
	var all []perImage
	for _, n := range names {
		all = append(all, g.mean(wrong, g.severities(n)...))
	}
	return average(all)
}

// loss is the mean negative log likelihood of variants.
func (g *grid) loss(at []int) perImage {
	out := g.perImage()
	for _, k := range at {
		for i, o := range g.outcomes[k] {
			out[i] += o.loss / float64(len(at))
		}
	}
	return out
}

// average is the mean of numbers.
func average(of []perImage) perImage {
	out := make(perImage, len(of[0]))
	for _, v := range of {
		for i, x := range v {
			out[i] += x / float64(len(of))
		}
	}
	return out
}

// number is the number for a report. Its interval is cut off where it leaves low to high,
// the values that the number can have.
func (p perImage) number(name string, unit report.Unit, low, high float64, at ...report.Key) report.Number {
	v, iv := metrics.Mean(p)
	iv.Low, iv.High = max(iv.Low, low), min(iv.High, high)
	return report.Number{Name: name, At: at, Value: v, Unit: unit, N: len(p), Interval: &iv, Better: report.Lower}
}
