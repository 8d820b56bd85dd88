package evaluation

import (
	"fmt"
	"math"
	"slices"

	"cutmix-eval/imageproc"
)

// Mean and deviation of the samples of photographs, of 0 to 1: ImageNet's, over all channels.
const (
	photoMean = 0.45
	photoStd  = 0.26
)

// doubts are what speaks against the classifier's preprocessing, whatever comes out of it.
func (c *Classifier) doubts() []string {
	var out []string
	for _, d := range []string{c.otherRange(), c.twice()} {
		if d != "" {
			out = append(out, d)
		}
	}
	return out
}

// otherRange says that mean and std are in units of the other range than samples have; empty where they
// are not.
func (c *Classifier) otherRange() string {
	r := c.Recipe
	mean, std := slices.Max(r.Mean[:]), slices.Max(r.Std[:])
	other := 0
	switch {
	case r.Range == 1 && (mean > 1 || std > 2): // a photograph's deviation is a quarter of the range
		other = 255
	case r.Range == 255 && mean <= 1 && std < 1: // which makes samples of up to 255 even larger
		other = 1
	default:
		return ""
	}
	return fmt.Sprintf("mean and std (%s; %s) look like those of samples of 0..%d: give --range 0..%d, or other --mean and --std, unless the model was trained so", r, c.RecipeSource, other, other)
}

// twice says that the graph normalises its input itself, for other samples than those that the
// preprocessing makes; empty where it does not.
//
// Normalised samples of photographs have a mean near 0 and a deviation near 1. Where the graph brings raw
// samples of 0..1 or 0..255 much nearer to that than what it is given, it is meant for them.
func (c *Classifier) twice() string {
	if c.Recipe.Range == 0 {
		return "" // no pictures
	}
	inside := c.Model.Normalisation()
	if inside == nil {
		return ""
	}
	off := func(r imageproc.Recipe) float64 {
		worst := 0.0
		for k := range 3 {
			top, m, s := float64(r.Range), float64(r.Mean[k]), float64(r.Std[k])
			mean := ((photoMean*top-m)/s - inside.Mean[k]) / inside.Std[k]
			std := photoStd * top / s / math.Abs(inside.Std[k])
			worst = max(worst, math.Abs(mean)+math.Abs(math.Log(std)))
		}
		return worst
	}
	// A graph that only divides by 255 leaves 0.45 and 0.26, which is 1.8 off. Of two recipes that are
	// this near to each other, nobody can say which one was meant.
	const near, apart = 2, 0.4
	raw := func(top int) imageproc.Recipe {
		r := c.Recipe
		r.Range, r.Mean, r.Std = top, [3]float32{}, [3]float32{1, 1, 1}
		return r
	}
	meant := raw(1)
	if off(raw(255)) < off(meant) {
		meant = raw(255)
	}
	if d := off(meant); d > near || off(c.Recipe)-d < apart {
		return ""
	}
	zero, one := "0,0,0", "1,1,1"
	if c.Recipe.Grey {
		zero, one = "0", "1"
	}
	return fmt.Sprintf("the model normalises its input itself (%s), which suits samples of 0..%d without mean and std, not those of the preprocessing (%s; %s): give --range 0..%d --mean %s --std %s, unless it was trained so",
		inside, meant.Range, c.Recipe, c.RecipeSource, meant.Range, zero, one)
}
