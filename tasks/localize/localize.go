// Package localize measures where a classifier looks: class activation maps from the
// ONNX file alone, boxes from the maps, and the metrics of weakly supervised
// localization, beside what no model at all would reach.
package localize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
)

// Name is the task's name in run directories and reports.
const Name = "localize"

// Config holds what the task can be told.
type Config struct {
	Method  cam.Method `json:"method"`
	Post    cam.Post   `json:"post"`
	Target  Target     `json:"target"`
	Enlarge int        `json:"enlarge"` // times that the feature map is made twice as large: 0, 1, 2
	// Threshold cuts the map for the CutMix paper's box, as a share of its maximum.
	Threshold  float64  `json:"threshold"`
	Interval   float64  `json:"interval"`  // between the thresholds of the sweep
	At         *float64 `json:"at"`        // one threshold of the sweep to report by itself
	Replicates int      `json:"bootstrap"` // 0 leaves those intervals out
	// Maps is a folder with maps made elsewhere, IMAGE.npy for each image, to be measured
	// in place of the method's.
	Maps string `json:"maps,omitempty"`
	// Corrupted says what was done to the images before, empty for nothing.
	Corrupted string `json:"corrupted,omitempty"`
	// By are the groupings to report, Worst the number of images with the least overlap
	// to list.
	By    []string `json:"by"`
	Worst int      `json:"worst"`
}

// Target is the class whose map is drawn.
type Target string

// The targets.
const (
	Truth      Target = "gt"   // the label: GT-known localization
	Prediction Target = "pred" // the class with the largest score
)

// ParseTarget reads a name.
func ParseTarget(s string) (Target, error) {
	if t := Target(s); t == Truth || t == Prediction {
		return t, nil
	}
	return "", fmt.Errorf("target %q is not one of gt, pred", s)
}

// DefaultConfig is what the command line starts from: CAM of the label's class, and
// the CutMix paper's threshold of 0.15 (Yun et al., ICCV 2019, appendix B).
func DefaultConfig() Config {
	return Config{Method: cam.CAM, Post: cam.WSOL, Target: Truth, Threshold: 0.15, Interval: 0.01, Replicates: 1000, By: []string{"object"}}
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Enlarge < 0 || c.Enlarge > 2:
		return fmt.Errorf("the feature map can be enlarged 0, 1 or 2 times, not %d", c.Enlarge)
	case !(c.Threshold >= 0 && c.Threshold < 1):
		return fmt.Errorf("threshold %v is not from 0 to below 1", c.Threshold)
	case c.At != nil && !(*c.At >= 0 && *c.At < 1):
		return fmt.Errorf("threshold %v is not from 0 to below 1", *c.At)
	case !(c.Interval >= 0.001 && c.Interval <= 0.5):
		return fmt.Errorf("interval %v is not from 0.001 to 0.5", c.Interval)
	case c.Replicates < 0 || c.Replicates > 0 && c.Replicates < 100:
		return fmt.Errorf("%d bootstrap replicates: 0 for none, or at least 100", c.Replicates)
	case c.Worst < 0:
		return fmt.Errorf("%d worst images", c.Worst)
	}
	for _, kind := range c.By {
		if !slices.Contains(Groupings(), kind) {
			return fmt.Errorf("grouping %q is not one of %v", kind, Groupings())
		}
	}
	return nil
}

// recorded is the part of the configuration that records depend on.
type recorded struct {
	Method    cam.Method `json:"method"`
	Post      cam.Post   `json:"post"`
	Target    Target     `json:"target"`
	Enlarge   int        `json:"enlarge"`
	Threshold float64    `json:"threshold"`
	Interval  float64    `json:"interval"`
	Seed      uint64     `json:"seed"` // of the random maps
	Maps      string     `json:"maps"` // fingerprint of maps made elsewhere
	Corrupted string     `json:"corrupted,omitempty"`
}

// Record is what one image gave. Boxes are in pixels of the frame: the picture as
// the model sees it.
type Record struct {
	results.Row
	Label      int32   `parquet:"label"`
	Prediction int32   `parquet:"prediction"`
	Rank       int32   `parquet:"rank"`
	Confidence float64 `parquet:"confidence"`
	Truth      []int32 `parquet:"truth,list"` // true boxes: x0, y0, x1, y1 and so on, inclusive
	Hidden     int32   `parquet:"hidden"`     // true boxes of which the frame shows nothing
	Box        []int32 `parquet:"box,list"`   // of the largest region above the threshold; empty without one
	IoU        float64 `parquet:"iou"`        // of Box, with the true box it fits best
}

// Arrays that the records come with.
const (
	ofLargest       = "iou_largest"        // by level: best IoU of the largest contour's box
	ofAll           = "iou_all"            // of any contour's box
	ofLargestRandom = "iou_largest_random" // the same of a random map
	ofAllRandom     = "iou_all_random"
	pixelsIn        = "pixels_in"  // by bin of scores: pixels of the object
	pixelsOut       = "pixels_out" // pixels of the background
)

// About is what a report needs beside the records.
type About struct {
	Classify classify.About `json:"classify"` // classes, outputs, the report's common part
	Config   Config         `json:"config"`
	Frame    [2]int         `json:"frame"` // width and height
	Boxes    bool           `json:"boxes"` // there are true boxes
	Masks    bool           `json:"masks"`
	Before   *Before        `json:"before,omitempty"`
}

// Before is what the enlarged map changed in the scores of some images.
type Before struct {
	Map        string  `json:"map"` // size of the larger one
	N          int     `json:"n"`
	Top1Before int     `json:"top1_hits_before"`
	Top1After  int     `json:"top1_hits_after"`
	Same       int     `json:"same_prediction"`
	Difference float64 `json:"mean_absolute_logit_difference"`
}

// item is one image on its way from the model to its record.
type item struct {
	record   Record
	features cam.Features
	head     cam.Head
	raw      []float64 // the map before post-processing, rawH x rawW
	rawH     int
	rawW     int
	truth    []boxes.Box
	pixels   []byte // boxes.Truth, nil without masks
	arrays   map[string][]float32
	kept     map[string][]float32 // logits and features
}

// mapper turns feature maps into boxes and overlaps. It is used by one goroutine.
type mapper struct {
	config Config
	seed   uint64
	w, h   int  // of the frame
	keep   bool // maps before post-processing
	tracer boxes.Tracer
}

// finish makes an image's map and everything that is computed from it.
func (m *mapper) finish(it *item) error {
	heat, err := m.frame(it)
	if err != nil || heat == nil {
		return err
	}
	m.cut(it, heat)
	if it.arrays == nil {
		it.arrays = map[string][]float32{}
	}
	m.sweep(it, heat, ofLargest, ofAll)
	f := it.features
	rng := rand.New(rand.NewPCG(m.seed, uint64(it.record.Index)))
	weights := make([]float64, f.C)
	for k := range weights {
		weights[k] = 2*rng.Float64() - 1
	}
	m.sweep(it, m.config.Post.Apply(cam.Combine(f, weights), f.H, f.W, m.h, m.w), ofLargestRandom, ofAllRandom)
	if it.pixels != nil {
		th := metrics.Thresholds(m.config.Interval)
		in, out := make([]float32, len(th)+2), make([]float32, len(th)+2)
		for i, v := range heat {
			switch it.pixels[i] {
			case boxes.Object:
				in[metrics.PixelBin(th, v)]++
			case boxes.Background:
				out[metrics.PixelBin(th, v)]++
			}
		}
		it.arrays[pixelsIn], it.arrays[pixelsOut] = in, out
	}
	return nil
}

// frame is an image's map at the size of the frame, 0..1; nil for a bad image.
func (m *mapper) frame(it *item) ([]float64, error) {
	if it.record.Status != results.OK {
		return nil, nil
	}
	if it.raw == nil { // otherwise it was made elsewhere
		v, err := cam.Map(m.config.Method, it.features, it.head)
		if err != nil {
			return nil, err
		}
		it.raw, it.rawH, it.rawW = v, it.features.H, it.features.W
	}
	if m.keep {
		small := make([]float32, len(it.raw))
		for i, v := range it.raw {
			small[i] = float32(v)
		}
		it.arrays = map[string][]float32{evaluation.Maps: small}
	}
	return m.config.Post.Apply(it.raw, it.rawH, it.rawW, m.h, m.w), nil
}

// cut draws the box at the fixed threshold.
func (m *mapper) cut(it *item, heat []float64) {
	if top := slices.Max(heat); top > 0 {
		if b, _, ok := boxes.Region(heat, m.w, m.h, m.config.Threshold*top); ok {
			it.record.Box = flat([]boxes.Box{b})
			it.record.IoU = boxes.Best(b, it.truth)
		}
	}
}

func (m *mapper) sweep(it *item, frame []float64, largest, all string) {
	l, a := make([]float32, boxes.Levels), make([]float32, boxes.Levels)
	m.tracer.Sweep(cam.Bytes(frame), m.w, m.h, it.truth, l, a)
	it.arrays[largest], it.arrays[all] = l, a
}

func flat(v []boxes.Box) []int32 {
	var out []int32
	for _, b := range v {
		out = append(out, int32(b.X0), int32(b.Y0), int32(b.X1), int32(b.Y1))
	}
	return out
}

func unflat(v []int32) []boxes.Box {
	var out []boxes.Box
	for i := 0; i+3 < len(v); i += 4 {
		out = append(out, boxes.Box{X0: int(v[i]), Y0: int(v[i+1]), X1: int(v[i+2]), Y1: int(v[i+3])})
	}
	return out
}

// located is a good record with its overlaps.
type located struct {
	Record
	truth                                  []boxes.Box
	largest, all, largestRandom, allRandom []float32
	in, out                                []float32
}

// Result is what a run's records say.
type Result struct {
	About   About
	Images  []located
	Bad     []report.BadImage
	Hidden  int // images of which the frame shows no true box
	numbers map[string]*numbers
}

// numbers are one way of making boxes: the model's, or a floor's.
type numbers struct {
	largest, all *metrics.Sweep
	fixed        []bool // IoU above 0.5 at the fixed threshold
}

// Evaluate reads the records of a run.
func Evaluate(ctx context.Context, a About, run *results.Run) (*Result, error) {
	if err := a.Config.Validate(); err != nil {
		return nil, err
	}
	res := &Result{About: a, numbers: map[string]*numbers{}}
	names := []string{ofLargest, ofAll, ofLargestRandom, ofAllRandom}
	if a.Masks {
		names = append(names, pixelsIn, pixelsOut)
	}
	all := 0
	err := results.Each[Record](ctx, run, names, func(r *Record, v [][]float32) error {
		all++
		if r.Status != results.OK {
			res.Bad = append(res.Bad, report.BadImage{ID: r.ID, Reason: r.Error})
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
			res.Hidden++
		}
		res.Images = append(res.Images, im)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(res.Images) == 0 {
		return nil, fmt.Errorf("%w: all %d are bad", errNothing, all)
	}
	res.sweeps()
	return res, nil
}

var errNothing = errors.New("not one image could be localized")

// Floors are what needs no model: the centre of the picture, all of it, a random
// mixture of the feature map's channels.
var floors = []string{"centre", "whole", "random"}

const ofModel = "model"

// sweeps prepares the numbers of the model and of the floors.
func (res *Result) sweeps() {
	n, c := len(res.Images), res.About.Config
	w, h := res.About.Frame[0], res.About.Frame[1]
	add := func(name string, largest, all func(i int) []float32, fixed func(i int) bool) {
		v := &numbers{fixed: make([]bool, n)}
		v.largest = metrics.NewSweep(n, c.Interval, largest)
		v.all = metrics.NewSweep(n, c.Interval, all)
		for i := range v.fixed {
			v.fixed[i] = fixed(i)
		}
		res.numbers[name] = v
	}
	add(ofModel, func(i int) []float32 { return res.Images[i].largest }, func(i int) []float32 { return res.Images[i].all },
		func(i int) bool { return res.Images[i].IoU > 0.5 })
	add("random", func(i int) []float32 { return res.Images[i].largestRandom }, func(i int) []float32 { return res.Images[i].allRandom },
		// The contour at the same threshold: a random map's region is not recorded.
		func(i int) bool { return res.Images[i].largestRandom[metrics.Level(c.Threshold)] > 0.5 })

	centre := Centre(w, h)
	var tracer boxes.Tracer
	atLevel := make([]boxes.Box, boxes.Levels)
	tracer.Each(cam.Bytes(centre), w, h, func(level int, v []boxes.Contour) {
		if len(v) > 0 {
			atLevel[level] = boxes.Largest(v).Box
		}
	})
	overlaps := make([][]float32, n)
	for i, im := range res.Images {
		overlaps[i] = make([]float32, boxes.Levels)
		for level, b := range atLevel {
			overlaps[i][level] = float32(boxes.Best(b, im.truth))
		}
	}
	region, _, _ := boxes.Region(centre, w, h, c.Threshold)
	add("centre", func(i int) []float32 { return overlaps[i] }, func(i int) []float32 { return overlaps[i] },
		func(i int) bool { return boxes.Best(region, res.Images[i].truth) > 0.5 })

	whole := boxes.Box{X1: w - 1, Y1: h - 1}
	every := make([]float32, boxes.Levels)
	overlap := func(i int) []float32 {
		v := float32(boxes.Best(whole, res.Images[i].truth))
		for l := range every {
			every[l] = v
		}
		return every
	}
	add("whole", overlap, overlap, func(i int) bool { return boxes.Best(whole, res.Images[i].truth) > 0.5 })
}

// Centre is a map without a model: a round bump in the middle, 1 there and 0 in the
// corners, so that a sweep over thresholds tries every size of a centred box.
func Centre(w, h int) []float64 {
	m := make([]float64, w*h)
	for y := range h {
		for x := range w {
			dx, dy := (float64(x)+0.5)/float64(w)-0.5, (float64(y)+0.5)/float64(h)-0.5
			m[y*w+x] = math.Exp(-(dx*dx + dy*dy) / (2 * 0.25 * 0.25))
		}
	}
	cam.Normalise(m)
	return m
}
