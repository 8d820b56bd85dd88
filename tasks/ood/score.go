// Package ood measures how well a classifier knows what it does not know: every
// post-hoc score that needs no gradient, from one pass of the network, with metrics in
// both conventions, and a threshold that can be deployed.
package ood

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/metrics"
)

// Need is what a score looks at beside the logits.
type Need uint

// The needs.
const (
	Features   Need = 1 << iota // penultimate vectors
	HeadOf                      // weights of the head
	Validation                  // logits, and features where those are needed, of ID validation images
	Training                    // features, and logits, of labelled ID training images
)

// Set is the outputs of a model for some images, row by row.
type Set struct {
	N, C, D  int
	Logits   []float32 // N x C
	Features []float32 // N x D; nil where they are not known
	Labels   []int     // model outputs; nil without labels
}

func (s *Set) logits(i int) []float32   { return s.Logits[i*s.C : (i+1)*s.C] }
func (s *Set) features(i int) []float32 { return s.Features[i*s.D : (i+1)*s.D] }

// Head is the last linear layer: logits = Weight . features + Bias, row-major C x D.
type Head struct {
	C, D         int
	Weight, Bias []float32
}

func (h *Head) row(c int) []float32 { return h.Weight[c*h.D : (c+1)*h.D] }

// Given is what scores are fitted with; nil is what is not there.
type Given struct {
	Head              *Head
	Validation, Train *Set
}

// Image is what a score is computed from, in float64. It is not changed.
type Image struct {
	Z    []float64 // logits
	F    []float64 // features
	P    []float64 // softmax(Z)
	Q    []float64 // 1 - P, without cancellation
	LSE  float64   // log sum exp(Z)
	Pred int       // largest logit, the lowest index on a tie
}

// NewImage prepares an image; f may be nil.
func NewImage(z, f []float32) *Image {
	im := &Image{Z: widen(z), F: widen(f), Pred: metrics.Argmax(z)}
	im.P, im.Q, im.LSE = softmax(im.Z)
	return im
}

func widen(v []float32) []float64 {
	if v == nil {
		return nil
	}
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// softmax gives p, 1 - p summed from the other classes (a difference would lose all
// digits of a confident class), and log sum exp.
func softmax(z []float64) (p, q []float64, lse float64) {
	top := slices.Max(z)
	p, q = make([]float64, len(z)), make([]float64, len(z))
	sum := 0.0
	for k, v := range z {
		p[k] = math.Exp(v - top)
		sum += p[k]
	}
	for k := range p {
		rest := 0.0
		if p[k] > 0.5*sum {
			for j, v := range p {
				if j != k {
					rest += v
				}
			}
		} else {
			rest = sum - p[k]
		}
		q[k] = rest / sum
	}
	for k := range p {
		p[k] /= sum
	}
	return p, q, top + math.Log(sum)
}

func logSumExp(z []float64) float64 {
	top := slices.Max(z)
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

// Func scores an image; larger means in-distribution. Safe for concurrent use.
type Func func(*Image) float64

// Score is a score with its parameters.
type Score struct {
	Name    string // as the field calls it, with its parameters where there are several
	Needs   Need
	Summary string // what it is, for people
	Fit     func(Given) (Func, error)
}

// Missing names what a score needs and is not there, empty if nothing.
func (s Score) Missing(g Given) string {
	switch {
	case s.Needs&HeadOf != 0 && g.Head == nil:
		return "a linear head"
	case s.Needs&Validation != 0 && g.Validation == nil:
		return "ID validation images (--val)"
	case s.Needs&Training != 0 && g.Train == nil:
		return "ID training images (--train)"
	}
	return ""
}

// apply computes Weight . f + Bias.
func (h *Head) apply(f []float64) []float64 {
	out := make([]float64, h.C)
	for c := range out {
		sum := float64(h.Bias[c])
		for d, w := range h.row(c) {
			sum += float64(w) * f[d]
		}
		out[c] = sum
	}
	return out
}

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

// kept is the number of features that are kept when percent are pruned, rounded half to
// even as OpenOOD does.
func kept(d int, percent float64) int {
	return d - int(math.RoundToEven(float64(d)*percent/100))
}

// largest marks the k largest features of f and sums them.
func largest(f []float64, k int) (in []bool, sum float64) {
	order := make([]int, len(f))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmp.Compare(f[a], f[b]) })
	in = make([]bool, len(f))
	for _, i := range order[:k] {
		in[i] = true
		sum += f[i]
	}
	return in, sum
}

func total(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum
}

func norm(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// fixed is a score without anything to fit.
func fixed(f Func) func(Given) (Func, error) {
	return func(Given) (Func, error) { return f, nil }
}

// ofHead is a score that is the energy of changed features.
func ofHead(change func(f []float64) []float64) func(Given) (Func, error) {
	return func(g Given) (Func, error) {
		return func(im *Image) float64 { return logSumExp(g.Head.apply(change(im.F))) }, nil
	}
}

// number writes a parameter in a score's name.
func number(v float64) string { return fmt.Sprint(v) }
