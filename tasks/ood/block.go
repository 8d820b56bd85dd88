package ood

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"cutmix-eval/metrics"

	"gonum.org/v1/gonum/mat"
)

// Image is what a score is computed from, in float64. Scores do not change it; it is
// for one goroutine.
type Image struct {
	Z    []float64 // logits
	F    []float64 // features; nil where they are not known
	P    []float64 // softmax(Z)
	Q    []float64 // 1 - P, without cancellation
	LSE  float64   // log sum exp(Z)
	Pred int       // largest logit, the lowest index on a tie

	falling []int // indices of F from the largest on, the lowest first on a tie
}

func newImage(z []float32, f []float64) *Image {
	im := &Image{Z: widen(z), F: f, Pred: metrics.Argmax(z)}
	im.P, im.Q, im.LSE = softmax(im.Z)
	return im
}

// largest lists the k largest features' indices and their sum.
func (im *Image) largest(k int) (at []int, sum float64) {
	if im.falling == nil {
		im.falling = falling(im.F)
	}
	for _, i := range im.falling[:k] {
		sum += im.F[i]
	}
	return im.falling[:k], sum
}

func falling(v []float64) []int {
	at := make([]int, len(v))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return -cmp.Compare(v[a], v[b]) })
	return at
}

// Block is some images, prepared together so that what is a product of matrices is one.
// It is for one goroutine.
type Block struct {
	Images []*Image
	F      *mat.Dense // features row by row; nil where they are not known

	units, probs *mat.Dense
	products     map[*mat.Dense]*product
}

// product is a product with a matrix, whose memory the next block can use.
type product struct {
	mat.Dense
	valid bool
}

// Set makes the block one of other images, from their logits and features row by row of
// width d (nil where they are not known), which it keeps.
func (b *Block) Set(logits [][]float32, features []float64, d int) {
	b.Images, b.F, b.units, b.probs = b.Images[:0], nil, nil, nil
	for _, p := range b.products {
		p.valid = false
	}
	if features != nil && len(logits) > 0 {
		b.F = mat.NewDense(len(logits), d, features)
	}
	for i, z := range logits {
		var f []float64
		if b.F != nil {
			f = b.F.RawRowView(i)
		}
		b.Images = append(b.Images, newImage(z, f))
	}
}

// times is x . w, computed once a block for every w; x must be a function of the block.
func (b *Block) times(x, w *mat.Dense) *mat.Dense { return b.product(x, w, w) }

// product is the same with a key of its own for w.
func (b *Block) product(x *mat.Dense, w mat.Matrix, key *mat.Dense) *mat.Dense {
	p := b.products[key]
	if p == nil {
		if b.products == nil {
			b.products = map[*mat.Dense]*product{}
		}
		p = &product{}
		b.products[key] = p
	}
	if !p.valid {
		p.Reset()
		p.Mul(x, w)
		p.valid = true
	}
	return &p.Dense
}

// unit is f by its length, with OpenOOD's 1e-10 added to every entry.
func unit(f, out []float64) {
	n := norm(f)
	for i, v := range f {
		out[i] = v/n + 1e-10
	}
}

// unitFeatures are the features of unit length, row by row.
func (b *Block) unitFeatures() *mat.Dense {
	if b.units == nil {
		n, d := b.F.Dims()
		b.units = mat.NewDense(n, d, nil)
		for i := range n {
			unit(b.F.RawRowView(i), b.units.RawRowView(i))
		}
	}
	return b.units
}

// probabilities are the images' softmax, row by row.
func (b *Block) probabilities() *mat.Dense {
	if b.probs == nil {
		b.probs = mat.NewDense(len(b.Images), len(b.Images[0].P), nil)
		for i, im := range b.Images {
			copy(b.probs.RawRowView(i), im.P)
		}
	}
	return b.probs
}

// similar are the inner products of the unit features with the rows of a bank; scores
// with the same bank share them.
func (b *Block) similar(bank *mat.Dense) *mat.Dense {
	return b.product(b.unitFeatures(), bank.T(), bank)
}

// linear is the head's logits of the features less the biases, in float64, shared by
// scores.
func (b *Block) linear(h *Head) *mat.Dense { return b.times(b.F, h.matrix()) }

// each is a score of one image by itself.
func each(f func(*Image) float64) Func {
	return func(b *Block, out []float64) {
		for i, im := range b.Images {
			out[i] = f(im)
		}
	}
}

// plain is a score without anything to fit.
func plain(f func(*Image) float64) func(State, *Head) (Func, error) {
	return func(State, *Head) (Func, error) { return each(f), nil }
}

// Head is the last linear layer, of C classes and D features: logits = Weight . features
// + Bias, row-major C x D. Weight is nil, and D may be 0, for a model of which no such
// layer is known. It is not changed; safe for concurrent use.
type Head struct {
	C, D         int
	Weight, Bias []float32

	once      sync.Once
	transpose *mat.Dense // D x C
	between   sync.Once
	distance  *mat.Dense
}

func (h *Head) row(c int) []float32 { return h.Weight[c*h.D : (c+1)*h.D] }

func (h *Head) matrix() *mat.Dense {
	h.once.Do(func() {
		h.transpose = mat.NewDense(h.D, h.C, nil)
		for c := range h.C {
			for d, w := range h.row(c) {
				h.transpose.Set(d, c, float64(w))
			}
		}
	})
	return h.transpose
}

// energies writes the log sum exp of every row of z with the biases.
func (h *Head) energies(z *mat.Dense, out []float64) {
	row := make([]float64, h.C)
	for i := range out {
		for c, v := range z.RawRowView(i) {
			row[c] = v + float64(h.Bias[c])
		}
		out[i] = logSumExp(row)
	}
}

// distances are the lengths of the differences of the classes' weights, C x C.
func (h *Head) distances() *mat.Dense {
	h.between.Do(func() {
		h.distance = mat.NewDense(h.C, h.C, nil)
		for a := range h.C {
			x := h.row(a)
			for b := range a {
				sum := 0.0
				for d, w := range h.row(b) {
					e := float64(x[d]) - float64(w)
					sum += e * e
				}
				h.distance.Set(a, b, math.Sqrt(sum))
				h.distance.Set(b, a, math.Sqrt(sum))
			}
		}
	})
	return h.distance
}

// changed is the score that is the energy of changed features.
func changed(change func(im *Image, out []float64)) func(State, *Head) (Func, error) {
	return func(_ State, h *Head) (Func, error) {
		return func(b *Block, out []float64) {
			n, d := b.F.Dims()
			x := mat.NewDense(n, d, nil)
			for i, im := range b.Images {
				change(im, x.RawRowView(i))
			}
			var z mat.Dense
			z.Mul(x, h.matrix()) // zeros of x cost nothing
			h.energies(&z, out)
		}, nil
	}
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
