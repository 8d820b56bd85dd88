package scores

import (
	"errors"
	"slices"
	"sync"

	"cutmix-eval/metrics"

	"gonum.org/v1/gonum/mat"
)

// TrainingSet is what is known of labelled training images: sums over all of them, in one pass and memory
// that does not grow with their number, and a sample of their outputs.
type TrainingSet struct {
	n, classes, width int
	count             []int       // images of each class
	sum               [][]float64 // of their features; nil for a class without
	rightCount        []int       // images of each class that are classified correctly
	rightSum          [][]float64
	squares           *mat.SymDense // sum of f f'
	pending           []float64     // features that are not yet in squares
	zeros             int           // images whose features are all 0
	bank              *Sample

	// What scores share.
	withinWhitening func() (*mat.Dense, error) // that of the features within classes
	normalizing     sync.Once
	unitFeatures    *mat.Dense // of the bank, an image per row
	softmaxes       *mat.Dense // of the bank, an image per column
	decomposing     sync.Once
	components      principal
}

// principal is the coordinates of ViM's decomposition: the origin, and in columns the eigenvectors of
// the features' second moments around it, by ascending eigenvalue; or why there are none.
type principal struct {
	origin  []float64
	vectors *mat.Dense
	err     error
}

// NewTrainingSet begins a pass over n training images of a model with as many classes and, or 0, features.
func NewTrainingSet(n, classes, features int) *TrainingSet {
	t := &TrainingSet{
		classes: classes, width: features, count: make([]int, classes), sum: make([][]float64, classes),
		rightCount: make([]int, classes), rightSum: make([][]float64, classes), bank: NewSample(n, classes, features),
	}
	if features > 0 {
		t.squares = mat.NewSymDense(features, nil)
	}
	t.withinWhitening = sync.OnceValues(func() (*mat.Dense, error) { return whitening(t.within()) })
	return t
}

const secondRows = 256 // rows of a product of matrices in place of many of vectors

// Add takes an image: its label as a model output, its logits, and its features, nil where they are not
// known. It copies both.
func (t *TrainingSet) Add(label int, logits, features []float32) {
	t.n++
	t.bank.Add(label, logits, features)
	x := widen(features)
	if len(x) > 0 && norm(x) == 0 {
		t.zeros++
	}
	add := func(count []int, sum [][]float64) {
		if count[label]++; sum[label] == nil {
			sum[label] = make([]float64, t.width)
		}
		for d, v := range x {
			sum[label][d] += v
		}
	}
	add(t.count, t.sum)
	if metrics.Argmax(logits) == label {
		add(t.rightCount, t.rightSum)
	}
	if t.pending = append(t.pending, x...); len(t.pending) == secondRows*t.width {
		t.flush()
	}
}

func (t *TrainingSet) flush() {
	if len(t.pending) == 0 {
		return
	}
	x := mat.NewDense(len(t.pending)/t.width, t.width, t.pending)
	var part mat.SymDense
	part.SymOuterK(1, x.T())
	t.squares.AddSym(t.squares, &part)
	t.pending = t.pending[:0]
}

// Done ends the pass; scores can then be fitted.
func (t *TrainingSet) Done() { t.flush() }

// Rule says which images are compared with one by one, "" for all.
func (t *TrainingSet) Rule() string { return t.bank.Rule() }

// Kept is how many images those are.
func (t *TrainingSet) Kept() int { return t.bank.n }

// Zeros is how many of all images have features that are all 0, which have no direction.
func (t *TrainingSet) Zeros() int { return t.zeros }

// mean is the mean feature vector.
func (t *TrainingSet) mean() []float64 {
	out := make([]float64, t.width)
	for _, s := range t.sum {
		for d, v := range s {
			out[d] += v
		}
	}
	for d := range out {
		out[d] /= float64(t.n)
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

// within is the covariance (1/n) of the features less their classes' means.
func (t *TrainingSet) within() *mat.SymDense {
	s := mat.NewSymDense(t.width, nil)
	s.CopySym(t.squares)
	for c, m := range means(t.sum, t.count) {
		if m != nil {
			s.SymRankOne(s, -float64(t.count[c]), mat.NewVecDense(t.width, m))
		}
	}
	s.ScaleSym(1/float64(t.n), s)
	return s
}

// about is the second moment (1/n) of the features less u.
func (t *TrainingSet) about(u []float64) *mat.SymDense {
	s := mat.NewSymDense(t.width, nil)
	s.ScaleSym(1/float64(t.n), t.squares)
	mean := mat.NewVecDense(t.width, t.mean())
	// (f - u)(f - u)' = ff' - (mean mean') + (mean - u)(mean - u)' on average.
	away := mat.NewVecDense(t.width, nil)
	away.SubVec(mean, mat.NewVecDense(t.width, u))
	s.SymRankOne(s, -1, mean)
	s.SymRankOne(s, 1, away)
	return s
}

// principal decomposes the features around the origin -pinv(W) b of a head, the same at every call.
func (t *TrainingSet) principal(h *Head) (origin []float64, vectors *mat.Dense, err error) {
	t.decomposing.Do(func() { t.components = t.decompose(h) })
	return t.components.origin, t.components.vectors, t.components.err
}

func (t *TrainingSet) decompose(h *Head) (p principal) {
	w, b := mat.NewDense(h.Out, h.In, widen(h.Weight)), mat.NewVecDense(h.Out, widen(h.Bias))
	var svd mat.SVD
	if !svd.Factorize(w, mat.SVDThin) {
		p.err = errors.New("the head's weights have no singular values")
		return p
	}
	var left, right mat.Dense
	svd.UTo(&left)
	svd.VTo(&right)
	values := svd.Values(nil)
	var y, x mat.VecDense
	y.MulVec(left.T(), b)
	for i, v := range values {
		if v > values[0]*1e-15*float64(max(h.Out, h.In)) {
			y.SetVec(i, -y.AtVec(i)/v)
		} else {
			y.SetVec(i, 0)
		}
	}
	x.MulVec(&right, &y)
	p.origin = slices.Clone(x.RawVector().Data)
	_, p.vectors, p.err = eigen(t.about(p.origin))
	return p
}

// errNoDirection says that no training image has features to compare with.
var errNoDirection = errors.New("the features of all training images are 0")

// units is the bank's features of unit length, an image per row, and probabilities its softmax, an image per
// column: products with the longer rows are faster. Images whose features are all 0 are left out; both are nil
// where none is left.
func (t *TrainingSet) units() *mat.Dense {
	t.normalize()
	return t.unitFeatures
}

func (t *TrainingSet) probabilities() *mat.Dense {
	t.normalize()
	return t.softmaxes
}

func (t *TrainingSet) normalize() {
	t.normalizing.Do(func() {
		b := t.bank
		at := b.nonzero()
		if len(at) == 0 {
			return
		}
		t.unitFeatures, t.softmaxes = mat.NewDense(len(at), b.width, nil), mat.NewDense(b.classes, len(at), nil)
		for k, i := range at {
			unit(widen(b.featureRow(i)), t.unitFeatures.RawRowView(k))
			p, _, _ := softmax(widen(b.logitRow(i)))
			t.softmaxes.SetCol(k, p)
		}
	})
}
