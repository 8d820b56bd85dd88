package scores

import (
	"cmp"
	"math"
	"slices"

	"cutmix-eval/metrics"

	"gonum.org/v1/gonum/mat"
)

// image is what a score is computed from, in float64. Scores do not change it; it is for one
// goroutine.
type image struct {
	logits   []float64
	features []float64 // nil where they are not known
	p        []float64 // softmax of the logits
	q        []float64 // 1 - p, without cancellation
	lse      float64   // log sum exp of the logits
	pred     int       // largest logit, the lowest index on a tie

	falling []int // indices of features from the largest on, the lowest first on a tie
}

func newImage(z []float32, f []float64) *image {
	im := &image{logits: widen(z), features: f, pred: metrics.Argmax(z)}
	im.p, im.q, im.lse = softmax(im.logits)
	return im
}

// largest lists the k largest features' indices and their sum.
func (im *image) largest(k int) (at []int, sum float64) {
	if im.falling == nil {
		im.falling = falling(im.features)
	}
	for _, i := range im.falling[:k] {
		sum += im.features[i]
	}
	return im.falling[:k], sum
}

// falling is the indices of v from the largest value on, the lowest index first on a tie.
func falling(v []float64) []int {
	at := make([]int, len(v))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return -cmp.Compare(v[a], v[b]) })
	return at
}

// Block is images that are scored together, so that scores share what they compute of them and products
// are of matrices. The zero value is an empty block. It is for one goroutine, which best reuses it.
type Block struct {
	images   []*image
	features *mat.Dense // row by row; nil where they are not known

	units, probs *mat.Dense
	products     map[*mat.Dense]*product
}

// product is a product with a matrix, whose memory the next block can use.
type product struct {
	mat.Dense
	valid bool
}

// Reset fills the block with other images: their logits, and their features row by row, d values each,
// or nil where they are not known. It keeps features. It panics unless there are d for every image.
func (b *Block) Reset(logits [][]float32, features []float64, d int) {
	b.images, b.features, b.units, b.probs = b.images[:0], nil, nil, nil
	for _, p := range b.products {
		p.valid = false
	}
	if features != nil && len(logits) > 0 {
		b.features = mat.NewDense(len(logits), d, features)
	}
	for i, z := range logits {
		var f []float64
		if b.features != nil {
			f = b.features.RawRowView(i)
		}
		b.images = append(b.images, newImage(z, f))
	}
}

// times is x . w, computed once per block for every w; x must be a function of the block.
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
		n, d := b.features.Dims()
		b.units = mat.NewDense(n, d, nil)
		for i := range n {
			unit(b.features.RawRowView(i), b.units.RawRowView(i))
		}
	}
	return b.units
}

// probabilities are the images' softmax, row by row.
func (b *Block) probabilities() *mat.Dense {
	if b.probs == nil {
		b.probs = mat.NewDense(len(b.images), len(b.images[0].p), nil)
		for i, im := range b.images {
			copy(b.probs.RawRowView(i), im.p)
		}
	}
	return b.probs
}

// similar are the inner products of the unit features with the rows of a bank; scores
// with the same bank share them.
func (b *Block) similar(bank *mat.Dense) *mat.Dense {
	return b.product(b.unitFeatures(), bank.T(), bank)
}

// weighted is the head's logits of the features without the biases, which scores share.
func (b *Block) weighted(h *Head) *mat.Dense { return b.times(b.features, h.matrix()) }

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
