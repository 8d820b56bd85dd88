// Package ood measures how well a classifier knows what it does not know: every
// post-hoc score that needs no gradient, from one pass of the network, with metrics in
// both conventions, and a threshold that can be deployed.
package ood

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Need is what a score looks at beside the logits.
type Need uint

// The needs.
const (
	Features   Need = 1 << iota // penultimate vectors
	HeadOf                      // weights of the head
	Validation                  // logits, and features where those are needed, of ID validation images
	Training                    // logits and features of labelled ID training images
)

// Given is what scores are fitted with.
type Given struct {
	Head       *Head
	Validation *Set      // nil where there is none
	Train      *TrainSet // the same
}

// State is what a score has learned, by name: enough, with the head, to compute it.
type State map[string]*mat.Dense

// Func scores the images of a block; larger means in-distribution. Safe for concurrent
// use with different blocks.
type Func func(b *Block, out []float64)

// Score is a score with its parameters.
type Score struct {
	Name    string // as the field calls it, with its parameters where there are several
	Needs   Need
	Summary string // what it is, for people
	// learn fits it; nil where there is nothing to fit. with makes the function.
	learn func(Given) (State, error)
	with  func(State, *Head) (Func, error)
}

// Missing names what a score needs and is not there, empty if nothing.
func (s Score) Missing(g Given) string {
	switch {
	case s.Needs&HeadOf != 0 && g.Head.Weight == nil:
		return "a linear head"
	case s.Needs&Features != 0 && g.Head.D == 0:
		return "features"
	case s.Needs&Validation != 0 && g.Validation == nil:
		return "ID validation images (--val)"
	case s.Needs&Training != 0 && g.Train == nil:
		return "ID training images (--train)"
	}
	return ""
}

// Fit fits the score. What it needs must be there.
func (s Score) Fit(g Given) (Func, State, error) {
	st := State{}
	if s.learn != nil {
		var err error
		if st, err = s.learn(g); err != nil {
			return nil, nil, err
		}
	}
	f, err := s.with(st, g.Head)
	return f, st, err
}

// With makes the function of a score that was fitted before. A state or a head that is
// not the score's is an error.
func (s Score) With(st State, h *Head) (Func, error) {
	if missing := s.Missing(Given{Head: h, Validation: &Set{}, Train: &TrainSet{}}); missing != "" {
		return nil, fmt.Errorf("score %s needs %s", s.Name, missing)
	}
	return s.with(st, h)
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

// percentile interpolates linearly between order statistics, as numpy does; p is in
// percent. v is sorted.
func percentile(v []float64, p float64) float64 {
	at := p / 100 * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
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
