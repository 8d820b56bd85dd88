package localize

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// located is a good record with its overlaps.
type located struct {
	Record
	truth                                  []boxes.Box
	largest, all, largestRandom, allRandom []float32
	in, out                                []float32
}

// classified says whether the label is among the k best scores.
func (im *located) classified(k int32) bool { return im.Rank < k }

// result is what a run's records say.
type result struct {
	about   About
	images  []located
	bad     []report.BadImage
	hidden  int // images of which the frame shows no true box
	numbers map[string]*numbers
}

// numbers are one way of making boxes: the model's, or a floor's.
type numbers struct {
	largest, all *metrics.Sweep
	fixed        []bool // IoU above 0.5 at the fixed threshold
}

// evaluate reads the records of a run.
func evaluate(ctx context.Context, a About, run *results.Run) (*result, error) {
	if err := a.Config.Validate(); err != nil {
		return nil, err
	}
	res := &result{about: a, numbers: map[string]*numbers{}}
	names := []string{ofLargest, ofAll, ofLargestRandom, ofAllRandom}
	if a.Masks {
		names = append(names, pixelsIn, pixelsOut)
	}
	all := 0
	err := results.Each[Record](ctx, run, names, func(r *Record, v [][]float32) error {
		all++
		if r.Status != results.OK {
			res.bad = append(res.bad, report.BadImage{ID: r.ID, Reason: r.Error})
			return nil
		}
		if int(r.Label) >= a.Classify.Outputs || len(r.Truth)%4 != 0 {
			return fmt.Errorf("the record of %s does not belong to this run", r.ID)
		}
		im := located{Record: *r, truth: unflat(r.Truth)}
		im.largest, im.all = slices.Clone(v[0]), slices.Clone(v[1])
		im.largestRandom, im.allRandom = slices.Clone(v[2]), slices.Clone(v[3])
		if a.Masks {
			im.in, im.out = slices.Clone(v[4]), slices.Clone(v[5])
		}
		if len(im.truth) == 0 && r.Hidden > 0 {
			res.hidden++
		}
		res.images = append(res.images, im)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(res.images) == 0 {
		return nil, fmt.Errorf("%w: all %d are bad", errNothing, all)
	}
	res.sweeps()
	return res, nil
}

var errNothing = errors.New("not one image could be localized")

// floors are what needs no model: the centre of the picture, all of it, a random
// mixture of the feature map's channels.
var floors = []string{"centre", "whole", "random"}

const ofModel = "model"

// sweeps prepares the numbers of the model and of the floors.
func (res *result) sweeps() {
	n, c := len(res.images), res.about.Config
	w, h := res.about.Frame[0], res.about.Frame[1]
	add := func(name string, largest, all func(i int) []float32, fixed func(i int) bool) {
		v := &numbers{fixed: make([]bool, n)}
		v.largest = metrics.NewSweep(n, c.Interval, largest)
		v.all = metrics.NewSweep(n, c.Interval, all)
		for i := range v.fixed {
			v.fixed[i] = fixed(i)
		}
		res.numbers[name] = v
	}
	add(ofModel, func(i int) []float32 { return res.images[i].largest }, func(i int) []float32 { return res.images[i].all },
		func(i int) bool { return res.images[i].IoU > 0.5 })
	add("random", func(i int) []float32 { return res.images[i].largestRandom }, func(i int) []float32 { return res.images[i].allRandom },
		// The contour at the same threshold: a random map's region is not recorded.
		func(i int) bool { return res.images[i].largestRandom[metrics.Level(c.Threshold)] > 0.5 })

	centre := cam.Centre(w, h)
	var tracer boxes.Tracer
	atLevel := make([]boxes.Box, boxes.Levels)
	tracer.Each(cam.Bytes(centre), w, h, func(level int, v []boxes.Contour) {
		if len(v) > 0 {
			atLevel[level] = boxes.Largest(v).Box
		}
	})
	overlaps := make([][]float32, n)
	for i, im := range res.images {
		overlaps[i] = make([]float32, boxes.Levels)
		for level, b := range atLevel {
			overlaps[i][level] = float32(boxes.Best(b, im.truth))
		}
	}
	region, _, _ := boxes.Region(centre, w, h, c.Threshold)
	add("centre", func(i int) []float32 { return overlaps[i] }, func(i int) []float32 { return overlaps[i] },
		func(i int) bool { return boxes.Best(region, res.images[i].truth) > 0.5 })

	whole := boxes.Box{X1: w - 1, Y1: h - 1}
	every := make([]float32, boxes.Levels)
	overlap := func(i int) []float32 {
		v := float32(boxes.Best(whole, res.images[i].truth))
		for l := range every {
			every[l] = v
		}
		return every
	}
	add("whole", overlap, overlap, func(i int) bool { return boxes.Best(whole, res.images[i].truth) > 0.5 })
}
