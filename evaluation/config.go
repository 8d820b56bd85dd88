// Package evaluation runs a classifier over samples and keeps what it gives: a
// Classifier is a model with its preprocessing and device, Samples are what it is
// run on, and a Pass is one run of the one over the other, with its records.
package evaluation

import (
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/runtime"
)

// ModelConfig says which model is evaluated, and how its pixels are prepared.
type ModelConfig struct {
	Model   string // ONNX file, or a name in models.lock
	Output  string // output with the class scores; empty: found
	Recipe  string // named preprocessing; empty: the model's own
	File    string // file with the preprocessing, of any kind that recipes reads; empty: the model's own
	Changes Changes
	Exact   *imageproc.Recipe // all of the preprocessing, where it is known; nil otherwise
	Layout  *imageproc.Layout // of a flat colour input, whose shape does not say it; nil: the usual one
}

// Changes are preprocessing flags that were given; nil ones were not.
type Changes struct {
	Resize, Crop  *imageproc.Size
	BothSides     bool // Resize was given as HEIGHTxWIDTH
	Fit           *imageproc.Fit
	Interpolation *imageproc.Filter
	Resizer       *imageproc.Backend
	Fill          *[3]uint8
	Mean, Std     *[3]float32
	Color         *Color
	Range         *int
	Exif          *bool
}

// Color says which channels a picture gives, and in which order.
type Color string

// The colours.
const (
	RGB  Color = "rgb"
	BGR  Color = "bgr"
	Grey Color = "grey"
)

// Running says on what a classifier runs, and whose reports it is for.
type Running struct {
	Device  runtime.Device
	Threads int    // of the model; 0 is automatic
	Workers int    // decoding; 0 is automatic
	Batch   int    // samples per run of the model; 0 is automatic
	Library string // ONNX Runtime's file or folder; empty: searched
	Install runtime.Progress
	Tool    report.Tool
}

// DataConfig says which images a classifier is run on.
type DataConfig struct {
	Path   string // folder, tar file, list, CIFAR file, or scenes[:SPLIT]
	Format datasets.Format
	Labels string // label file or class map
	// LabelColumn is the column of a table that holds the labels: its name or number; empty: found.
	LabelColumn string
	Root        string // folder that a list's paths are relative to
	Split       string
	Prefer      string // split to take where Split names none and there are several
	// Order is the order in which classes are outputs; empty: found.
	Order  datasets.ClassOrder
	Subset string // file with the names of the images to use; empty: all
	Limit  int    // class-balanced subset of them; 0 is all
	Seed   uint64 // of the subset, and of everything else that is random
	// Unlabelled says that labels of the data do not matter.
	Unlabelled bool
}

// Defaults: what runs when no flags are given.
const (
	DefaultModel = "scenes-cutmix"
	DefaultData  = "scenes"
)

// DefaultModelConfig is the embedded CutMix model.
func DefaultModelConfig() ModelConfig { return ModelConfig{Model: DefaultModel} }

// DefaultDataConfig is the embedded test scenes.
func DefaultDataConfig() DataConfig { return DataConfig{Path: DefaultData, Format: datasets.Auto} }

// DefaultRunning is the CPU, with everything else automatic.
func DefaultRunning() Running { return Running{Device: runtime.CPU} }
