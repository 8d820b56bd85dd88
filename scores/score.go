// Package scores computes how much an image looks like those a classifier was trained on: every
// post-hoc out-of-distribution (OOD) score that needs no gradient, from the logits of images and,
// where the classifier ends in one linear layer, the features that enter it. A larger score means
// in-distribution (ID).
//
// Scores are found by name, which holds their parameters (Parse, All, Choose), fitted to what they
// need (Score.Fit), and applied to blocks of images (Block). Everything is computed in float64 from
// float32 outputs; nothing reads a file.
package scores

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Need is a set of what a score looks at beside the logits.
type Need uint

// The needs.
const (
	NeedFeatures   Need = 1 << iota // the vectors that enter the head
	NeedHead                        // the head's weights
	NeedValidation                  // logits, and features with NeedFeatures, of ID validation images
	NeedTraining                    // the same of labelled ID training images
)

// String names the first need of the set in words, "" for none.
func (n Need) String() string {
	switch {
	case n&NeedHead != 0:
		return "a linear head"
	case n&NeedFeatures != 0:
		return "features"
	case n&NeedValidation != 0:
		return "ID validation images"
	case n&NeedTraining != 0:
		return "ID training images"
	}
	return ""
}

// Data is what scores are fitted to.
type Data struct {
	Head       *Head
	Validation *Sample      // nil where there is none
	Training   *TrainingSet // nil where there is none
}

// State is what a score has learned, by name: enough, with the head, to compute it.
type State map[string]*mat.Dense

// Func writes the score of every image of a block to out, which has as many values. It is safe for
// concurrent use with different blocks. A score can be infinite or NaN where logits or features are
// extreme.
type Func func(b *Block, out []float64)

// Score is a score with its parameters. Those of this package's functions are the only ones there are.
type Score struct {
	Name    string // the family's name and the parameters: knn_K50
	Family  string // the name without parameters: knn
	Needs   Need
	Summary string // what it is, in words

	parts []Part
	learn func(Data) (State, error) // nil where there is nothing to fit
	apply func(State, *Head) (Func, error)
}

// Missing is what the score needs and d does not have.
func (s Score) Missing(d Data) Need {
	var have Need
	if d.Head.Weight != nil {
		have |= NeedHead
	}
	if d.Head.In > 0 {
		have |= NeedFeatures
	}
	if d.Validation != nil {
		have |= NeedValidation
	}
	if d.Training != nil {
		have |= NeedTraining
	}
	return s.Needs &^ have
}

// Fit fits the score. Nothing that it needs may be missing. It is not safe for concurrent use with the
// same data.
func (s Score) Fit(d Data) (Func, State, error) {
	st := State{}
	if s.learn != nil {
		var err error
		if st, err = s.learn(d); err != nil {
			return nil, nil, err
		}
	}
	f, err := s.apply(st, d.Head)
	return f, st, err
}

// With is the function of a score that was fitted before. A state that is not the score's, or of a
// head of other sizes, is an error.
func (s Score) With(st State, h *Head) (Func, error) {
	if missing := s.Missing(Data{Head: h, Validation: &Sample{}, Training: &TrainingSet{}}); missing != 0 {
		return nil, fmt.Errorf("score %s needs %v", s.Name, missing)
	}
	return s.apply(st, h)
}

// get reads a matrix of a state; a dimension of 0 is not checked.
func (st State) get(name string, rows, cols int) (*mat.Dense, error) {
	m, ok := st[name]
	if !ok {
		return nil, fmt.Errorf("the state has no %s", name)
	}
	if r, c := m.Dims(); r != rows && rows != 0 || c != cols && cols != 0 {
		return nil, fmt.Errorf("%s of the state is %d x %d", name, r, c)
	}
	return m, nil
}

// number reads a number of a state.
func (st State) number(name string) (float64, error) {
	m, err := st.get(name, 1, 1)
	if err != nil {
		return 0, err
	}
	return m.At(0, 0), nil
}

// vector reads a vector of a state; a length of 0 is not checked.
func (st State) vector(name string, n int) ([]float64, error) {
	m, err := st.get(name, 1, n)
	if err != nil {
		return nil, err
	}
	return m.RawRowView(0), nil
}

func number(v float64) *mat.Dense   { return mat.NewDense(1, 1, []float64{v}) }
func vector(v []float64) *mat.Dense { return mat.NewDense(1, len(v), v) }

// each is a score of one image by itself.
func each(f func(*image) float64) Func {
	return func(b *Block, out []float64) {
		for i, im := range b.images {
			out[i] = f(im)
		}
	}
}

// unfitted is a score of one image by itself for which nothing is fitted.
func unfitted(f func(*image) float64) func(State, *Head) (Func, error) {
	return func(State, *Head) (Func, error) { return each(f), nil }
}

// nearest keeps the k smallest of the values it is shown, ascending.
type nearest struct {
	k int
	v []float64
}

func (n *nearest) see(x float64) {
	if len(n.v) == n.k && x >= n.v[n.k-1] {
		return
	}
	at, _ := slices.BinarySearch(n.v, x)
	if len(n.v) == n.k {
		n.v = n.v[:n.k-1]
	}
	n.v = slices.Insert(n.v, at, x)
}
