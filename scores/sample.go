package scores

import (
	"fmt"
	"slices"
)

// sampleValues bounds the features, or logits, that a Sample keeps: 128 MiB as float32, 256 MiB where a
// score widens them.
const sampleValues = 1 << 25

// Sample is the outputs of a model for images: of all of them, or, of very many, for some that lie evenly
// over their order.
type Sample struct {
	n, classes, width int
	logits            []float32 // n x classes
	features          []float32 // n x width; empty where they are not known
	labels            []int     // model outputs; -1 where there is none
	unlabelled        bool      // a label is -1
	thin              thinning

	ascending []float64
}

// NewSample begins a sample of n images, of a model with as many classes and, or 0, features.
func NewSample(n, classes, features int) *Sample {
	return &Sample{classes: classes, width: features, thin: newThinning(n, max(classes, features))}
}

// Add takes the next image, or passes over it where there are very many: its label as a model output, or -1,
// its logits, and its features, nil where they are not known. It copies both.
func (s *Sample) Add(label int, logits, features []float32) {
	if !s.thin.next() {
		return
	}
	s.n++
	s.logits = append(s.logits, logits...)
	s.features = append(s.features, features...)
	s.labels = append(s.labels, label)
	s.unlabelled = s.unlabelled || label < 0
}

// Rule says which images the sample keeps, "" for all.
func (s *Sample) Rule() string { return s.thin.rule() }

func (s *Sample) logitRow(i int) []float32   { return s.logits[i*s.classes : (i+1)*s.classes] }
func (s *Sample) featureRow(i int) []float32 { return s.features[i*s.width : (i+1)*s.width] }

// sorted is all entries of the features, ascending. Scores share them.
func (s *Sample) sorted() []float64 {
	if s.ascending == nil {
		s.ascending = widen(s.features)
		slices.Sort(s.ascending)
	}
	return s.ascending
}

// nonzero lists the images whose features are not all 0.
func (s *Sample) nonzero() []int {
	var at []int
	for i := range s.n {
		if norm(widen(s.featureRow(i))) > 0 {
			at = append(at, i)
		}
	}
	return at
}

// thinning chooses at most keep of n images, evenly over their order: image i is kept where
// i * keep / n, rounded down, changes.
type thinning struct{ n, keep, seen int }

func newThinning(n, width int) thinning {
	return thinning{n: n, keep: min(n, max(sampleValues/max(width, 1), 1))}
}

func (t *thinning) next() bool {
	i := t.seen
	t.seen++
	if t.keep >= t.n {
		return true
	}
	return i == 0 || i*t.keep/t.n != (i-1)*t.keep/t.n
}

// rule says which images are kept, "" for all.
func (t *thinning) rule() string {
	if t.keep >= t.n {
		return ""
	}
	return fmt.Sprintf("%d of %d images, evenly over their order", t.keep, t.n)
}
