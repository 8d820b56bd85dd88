// Package localize measures where a classifier looks: class activation maps from the
// ONNX file alone, boxes from the maps, and the metrics of weakly supervised
// localization, beside what no model at all would reach.
package localize

import (
	"cmp"
	"fmt"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
)

// Name is the task's name in run directories and reports.
const Name = "localize"

// Config holds the options of the task.
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
	case c.Worst < 0:
		return fmt.Errorf("%d worst images", c.Worst)
	}
	return tasks.CheckReport(c.Replicates, c.By, Groupings())
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
	Enlarged *Enlarged      `json:"before,omitempty"`
}

// Enlarged is what the enlarged map changed in the scores of some images.
type Enlarged struct {
	Map        string  `json:"map"` // size of the larger one
	N          int     `json:"n"`
	Top1Before int     `json:"top1_hits_before"`
	Top1After  int     `json:"top1_hits_after"`
	Same       int     `json:"same_prediction"`
	Difference float64 `json:"mean_absolute_logit_difference"`
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

// Valid says what makes no sense in it.
func (a About) Valid() error {
	if min(a.Frame[0], a.Frame[1]) < 1 || max(a.Frame[0], a.Frame[1]) > maxFrame {
		return fmt.Errorf("a frame of %d x %d pixels has no sides of 1 to %d", a.Frame[0], a.Frame[1], maxFrame)
	}
	return cmp.Or(a.Classify.Valid(), a.Config.Validate())
}

// maxFrame bounds the sides of what a model sees, as imageproc does.
const maxFrame = 16384

// readAbout reads what describes a run of this task.
func readAbout(run *results.Run) (About, error) { return results.About[About](run, Name) }
