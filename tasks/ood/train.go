package ood

import (
	"errors"
	"fmt"
	"sync"

	"cutmix-eval/metrics"

	"gonum.org/v1/gonum/mat"
)

// bankValues is how many features are kept of a set whose images are too many to keep
// all: 128 MiB as float32, 256 MiB where a score widens them.
const bankValues = 1 << 25

// Set is the outputs of a model for some images, row by row.
type Set struct {
	N, C, D  int
	Logits   []float32 // N x C
	Features []float32 // N x D; nil where they are not known
	Labels   []int     // model outputs; nil without labels
	Of       int       // images it was drawn from

	ascending []float64
}

func (s *Set) logits(i int) []float32   { return s.Logits[i*s.C : (i+1)*s.C] }
func (s *Set) features(i int) []float32 { return s.Features[i*s.D : (i+1)*s.D] }

// add appends an image; f may be nil.
func (s *Set) add(label int, z, f []float32) {
	s.N++
	s.Logits = append(s.Logits, z...)
	s.Features = append(s.Features, f...)
	s.Labels = append(s.Labels, label)
}

// thin chooses at most keep of n images, evenly over their order: image i is kept where
// i * keep / n, rounded down, changes.
type thin struct{ n, keep, seen int }

func newThin(n, width int) thin {
	return thin{n: n, keep: min(n, max(bankValues/max(width, 1), 1))}
}

func (t *thin) next() bool {
	i := t.seen
	t.seen++
	if t.keep >= t.n {
		return true
	}
	return i == 0 || i*t.keep/t.n != (i-1)*t.keep/t.n
}

// rule says which images are kept, empty if all.
func (t *thin) rule() string {
	if t.keep >= t.n {
		return ""
	}
	return fmt.Sprintf("%d of %d images, evenly over their order", t.keep, t.n)
}

// TrainSet is what is known of the training images: sums over all of them, in one pass and
// memory that does not grow with their number, and the outputs of some.
type TrainSet struct {
	N, C, D    int
	Count      []int       // images of each class
	Sum        [][]float64 // of their features; nil for a class without
	RightCount []int       // those that are classified rightly
	RightSum   [][]float64
	Second     *mat.SymDense // sum of f f'
	Bank       *Set          // some images, evenly over their order; all where they are few

	dark    int // images whose features are all 0
	pick    thin
	pending []float64 // rows for Second
	once    sync.Once
	unit    *mat.Dense
	probs   *mat.Dense
	space   sync.Once
	null    *mat.Dense // eigenvectors, ascending, of ViM's moment
	centre  []float64
	failed  error
	white   sync.Once
	inner   *mat.Dense // whitening within classes
	dull    error      // why there is none
}

// NewTrainSet begins a pass over n training images.
func NewTrainSet(n, c, d int) *TrainSet {
	t := &TrainSet{
		C: c, D: d, Count: make([]int, c), Sum: make([][]float64, c), RightCount: make([]int, c), RightSum: make([][]float64, c),
		Bank: &Set{C: c, D: d, Of: n}, pick: newThin(n, max(c, d)),
	}
	if d > 0 {
		t.Second = mat.NewSymDense(d, nil)
	}
	return t
}

const secondRows = 256 // rows of a product of matrices instead of many of vectors

// Add takes an image in. The label is a model output.
func (t *TrainSet) Add(label int, z, f []float32) {
	t.N++
	if t.pick.next() {
		t.Bank.add(label, z, f)
	}
	x := widen(f)
	if len(x) > 0 && norm(x) == 0 {
		t.dark++
	}
	add := func(count []int, sum [][]float64) {
		if count[label]++; sum[label] == nil {
			sum[label] = make([]float64, t.D)
		}
		for d, v := range x {
			sum[label][d] += v
		}
	}
	add(t.Count, t.Sum)
	if metrics.Argmax(z) == label {
		add(t.RightCount, t.RightSum)
	}
	if t.pending = append(t.pending, x...); len(t.pending) == secondRows*t.D {
		t.flush()
	}
}

func (t *TrainSet) flush() {
	if len(t.pending) == 0 {
		return
	}
	x := mat.NewDense(len(t.pending)/t.D, t.D, t.pending)
	var part mat.SymDense
	part.SymOuterK(1, x.T())
	t.Second.AddSym(t.Second, &part)
	t.pending = t.pending[:0]
}

// Done ends the pass.
func (t *TrainSet) Done() { t.flush() }

// Mean is the mean feature vector.
func (t *TrainSet) Mean() []float64 {
	out := make([]float64, t.D)
	for _, s := range t.Sum {
		for d, v := range s {
			out[d] += v
		}
	}
	for d := range out {
		out[d] /= float64(t.N)
	}
	return out
}

// means divides sums by counts; nil for a class without images.
func means(sum [][]float64, count []int) [][]float64 {
	out := make([][]float64, len(sum))
	for c, s := range sum {
		for _, v := range s {
			out[c] = append(out[c], v/float64(count[c]))
		}
	}
	return out
}

// within is the covariance (1/N) of the features less their classes' means.
func (t *TrainSet) within() *mat.SymDense {
	s := mat.NewSymDense(t.D, nil)
	s.CopySym(t.Second)
	for c, m := range means(t.Sum, t.Count) {
		if m != nil {
			s.SymRankOne(s, -float64(t.Count[c]), mat.NewVecDense(t.D, m))
		}
	}
	s.ScaleSym(1/float64(t.N), s)
	return s
}

// about is the second moment (1/N) of the features less u.
func (t *TrainSet) about(u []float64) *mat.SymDense {
	s := mat.NewSymDense(t.D, nil)
	s.ScaleSym(1/float64(t.N), t.Second)
	mean := mat.NewVecDense(t.D, t.Mean())
	// (f - u)(f - u)' = ff' - (mean mean') + (mean - u)(mean - u)' on average.
	away := mat.NewVecDense(t.D, nil)
	away.SubVec(mean, mat.NewVecDense(t.D, u))
	s.SymRankOne(s, -1, mean)
	s.SymRankOne(s, 1, away)
	return s
}

// lit are the images whose features are not all 0.
func (s *Set) lit() []int {
	var at []int
	for i := range s.N {
		if norm(widen(s.features(i))) > 0 {
			at = append(at, i)
		}
	}
	return at
}

// errDark says that no training image has features to compare with.
var errDark = errors.New("the features of all training images are 0")

// units are the bank's features of unit length, an image a row, and probabilities its
// softmax, an image a column: products with the longer rows are faster. Scores share them.
func (t *TrainSet) units() *mat.Dense {
	t.prepare()
	return t.unit
}

func (t *TrainSet) probabilities() *mat.Dense {
	t.prepare()
	return t.probs
}

func (t *TrainSet) prepare() {
	t.once.Do(func() {
		b := t.Bank
		at := b.lit()
		if len(at) == 0 {
			return
		}
		t.unit, t.probs = mat.NewDense(len(at), b.D, nil), mat.NewDense(b.C, len(at), nil)
		for k, i := range at {
			unit(widen(b.features(i)), t.unit.RawRowView(k))
			p, _, _ := softmax(widen(b.logits(i)))
			t.probs.SetCol(k, p)
		}
	})
}

// finite says whether all of a matrix's values are.
func finite(m *mat.Dense) bool {
	for _, v := range m.RawMatrix().Data {
		if !metrics.Finite(v) {
			return false
		}
	}
	return true
}
