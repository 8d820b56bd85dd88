package evaluation

import (
	"cutmix-eval/datasets"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
)

// Samples are what a classifier is run on: images, or anything else that fills its input.
// They are not changed after they were made; reading is safe from several goroutines.
type Samples interface {
	Len() int // all, whether selected or not
	// Selected are those to evaluate, ascending; nil is all.
	Selected() []int
	ID(i int) string
	// Label is an index into Classes, or datasets.Unlabelled.
	Label(i int) int
	Classes() []string
	// Align matches classes to the outputs of a model, which may name them; Orders are
	// other numberings, to explain a bad match.
	Align(outputs int, names []string) (datasets.Alignment, error)
	Orders(outputs int, names []string) []datasets.Order
	// Identity is what determines the tensors and labels of the samples.
	Identity() Identity
	// Filler returns a function that fills tensors, for one goroutine.
	Filler() (pipeline.Filler, error)
	// Describe writes the samples' part of a report: data, preprocessing, options and how
	// they were selected.
	Describe(h *report.Head)
}

// Identity is what determines the tensors and labels of samples.
type Identity struct {
	Data          string // fingerprint of classes, paths, labels and file sizes
	Preprocessing string // fingerprint of recipe and decoder
	Limit         int    // that chose the selected ones; 0 is all
	Seed          uint64
}

// className is the name of sample i's class; "" without a label.
func className(s Samples, i int) string {
	if l := s.Label(i); l >= 0 && l < len(s.Classes()) {
		return s.Classes()[l]
	}
	return ""
}
