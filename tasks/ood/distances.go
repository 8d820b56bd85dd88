package ood

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// centred is X'X / N of the training features less centre(i), and which side features
// lie on: the second moment.
func (s *Set) moment(centre func(i int) []float64) *mat.SymDense {
	sum := mat.NewSymDense(s.D, nil)
	const block = 256 // rows at once: one product of matrices instead of many of vectors
	x := mat.NewDense(block, s.D, nil)
	var part mat.SymDense
	for at := 0; at < s.N; at += block {
		n := min(block, s.N-at)
		rows := x.Slice(0, n, 0, s.D).(*mat.Dense)
		for i := range n {
			c := centre(at + i)
			for d, v := range s.features(at + i) {
				rows.Set(i, d, float64(v)-c[d])
			}
		}
		part.SymOuterK(1, rows.T())
		sum.AddSym(sum, &part)
	}
	sum.ScaleSym(1/float64(s.N), sum)
	return sum
}

// whitening gives W with |W x|^2 = x' S^+ x, S^+ the pseudo-inverse: directions whose
// eigenvalue is rounding error beside the largest are left out, as scipy's pinvh does.
func whitening(s *mat.SymDense) (*mat.Dense, error) {
	n := s.SymmetricDim()
	var e mat.EigenSym
	if !e.Factorize(s, true) {
		return nil, errors.New("the covariance has no eigenvalues")
	}
	values := e.Values(nil)
	var v mat.Dense
	e.VectorsTo(&v)
	top := 0.0
	for _, x := range values {
		top = max(top, math.Abs(x))
	}
	limit := top * float64(n) * 0x1p-52
	var keep []int
	for i, x := range values {
		if x > limit {
			keep = append(keep, i)
		}
	}
	if len(keep) == 0 {
		return nil, errors.New("the training features do not vary")
	}
	w := mat.NewDense(len(keep), n, nil)
	for r, i := range keep {
		for d := range n {
			w.Set(r, d, v.At(d, i)/math.Sqrt(values[i]))
		}
	}
	return w, nil
}

func times(w *mat.Dense, x []float64) []float64 {
	r, _ := w.Dims()
	out := mat.NewVecDense(r, nil)
	out.MulVec(w, mat.NewVecDense(len(x), x))
	return out.RawVector().Data
}

// classMeans are the mean features of the classes' images that are wanted, nil for a
// class without, and how many those are.
func (s *Set) classMeans(wanted func(i int) bool) (means [][]float64, count []int) {
	means, count = make([][]float64, s.C), make([]int, s.C)
	for i := range s.N {
		if !wanted(i) {
			continue
		}
		c := s.Labels[i]
		if means[c] == nil {
			means[c] = make([]float64, s.D)
		}
		count[c]++
		for d, v := range s.features(i) {
			means[c][d] += float64(v)
		}
	}
	for c, n := range count {
		for d := range means[c] {
			means[c][d] /= float64(n)
		}
	}
	return means, count
}

// MDS is the Mahalanobis distance to the nearest class (Lee et al., NeurIPS 2018, without
// its input perturbation), RMDS that less the distance to the whole set (Ren et al.,
// 2021).
func MDS(relative bool) Score {
	name, what := "mds", "Mahalanobis distance to the nearest class"
	if relative {
		name, what = "rmds", "Mahalanobis distance to the nearest class, less that to the whole set"
	}
	return Score{name, Features | Training, what, func(g Given) (Func, error) {
		t := g.Train
		means, _ := t.classMeans(func(int) bool { return true })
		within, err := whitening(t.moment(func(i int) []float64 { return means[t.Labels[i]] }))
		if err != nil {
			return nil, err
		}
		var centres [][]float64
		for _, m := range means {
			if m != nil {
				centres = append(centres, times(within, m))
			}
		}
		var whole *mat.Dense
		var middle []float64
		if relative {
			mean := t.mean()
			if whole, err = whitening(t.moment(func(int) []float64 { return mean })); err != nil {
				return nil, err
			}
			middle = times(whole, mean)
		}
		return func(im *Image) float64 {
			x, best := times(within, im.F), math.Inf(1)
			for _, c := range centres {
				best = min(best, squared(x, c))
			}
			if relative {
				return squared(times(whole, im.F), middle) - best
			}
			return -best
		}, nil
	}}
}

func squared(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		d := x - b[i]
		sum += d * d
	}
	return sum
}

// unit is f by its length, with OpenOOD's 1e-10 added to every entry.
func unit(f []float64) []float64 {
	n := norm(f)
	out := make([]float64, len(f))
	for i, v := range f {
		out[i] = v/n + 1e-10
	}
	return out
}

// units are the training features of unit length, row by row.
func (s *Set) units() []float64 {
	out := make([]float64, 0, s.N*s.D)
	for i := range s.N {
		out = append(out, unit(widen(s.features(i)))...)
	}
	return out
}

// KNN is minus the squared distance to the k-th nearest training feature, all of unit
// length (Sun et al., ICML 2022).
func KNN(k int) Score {
	return Score{fmt.Sprintf("knn_K%d", k), Features | Training, "distance to the k-th nearest training feature", func(g Given) (Func, error) {
		t := g.Train
		if t.N < k {
			return nil, fmt.Errorf("%d training images are fewer than %d neighbours", t.N, k)
		}
		bank := t.units()
		return func(im *Image) float64 {
			x := unit(im.F)
			near := make([]float64, 0, k+1) // ascending
			for i := range t.N {
				d := squared(x, bank[i*t.D:(i+1)*t.D])
				if len(near) == k && d >= near[k-1] {
					continue
				}
				at, _ := slices.BinarySearch(near, d)
				near = slices.Insert(near, at, d)
				if len(near) > k {
					near = near[:k]
				}
			}
			return -near[k-1]
		}, nil
	}}
}

// residual finds ViM's null space: u = -pinv(W) b, and the eigenvectors of the features
// less u behind the first dim, as rows.
func residual(h *Head, s *Set, dim int) (u []float64, null *mat.Dense, err error) {
	if dim >= h.D {
		return nil, nil, fmt.Errorf("%d dimensions leave nothing of %d features", dim, h.D)
	}
	w, b := mat.NewDense(h.C, h.D, widen(h.Weight)), mat.NewVecDense(h.C, widen(h.Bias))
	var svd mat.SVD
	if !svd.Factorize(w, mat.SVDThin) {
		return nil, nil, errors.New("the head's weights have no singular values")
	}
	var left, right mat.Dense
	svd.UTo(&left)
	svd.VTo(&right)
	values := svd.Values(nil)
	var y mat.VecDense
	y.MulVec(left.T(), b)
	for i, v := range values {
		if v > values[0]*1e-15*float64(max(h.C, h.D)) {
			y.SetVec(i, -y.AtVec(i)/v)
		} else {
			y.SetVec(i, 0)
		}
	}
	var x mat.VecDense
	x.MulVec(&right, &y)
	u = slices.Clone(x.RawVector().Data)
	var e mat.EigenSym
	if !e.Factorize(s.moment(func(int) []float64 { return u }), true) {
		return nil, nil, errors.New("the features have no principal components")
	}
	var v mat.Dense
	e.VectorsTo(&v) // ascending
	n := h.D - dim
	null = mat.NewDense(n, h.D, nil)
	for r := range n {
		for d := range h.D {
			null.Set(r, d, v.At(d, r))
		}
	}
	return u, null, nil
}

func outside(null *mat.Dense, u, f []float64) float64 {
	x := make([]float64, len(f))
	for d := range x {
		x[d] = f[d] - u[d]
	}
	return norm(times(null, x))
}

// Residual is minus the length of what of a feature lies outside of the first principal
// components of the training features (Wang et al., CVPR 2022).
func Residual(dim int) Score {
	return Score{fmt.Sprintf("residual_dim%d", dim), Features | HeadOf | Training, "what lies outside of the principal components", func(g Given) (Func, error) {
		u, null, err := residual(g.Head, g.Train, dim)
		if err != nil {
			return nil, err
		}
		return func(im *Image) float64 { return -outside(null, u, im.F) }, nil
	}}
}

// ViM is the energy less that length, scaled to the logits (Wang et al., CVPR 2022).
func ViM(dim int) Score {
	return Score{fmt.Sprintf("vim_dim%d", dim), Features | HeadOf | Training, "energy less what lies outside of the principal components", func(g Given) (Func, error) {
		u, null, err := residual(g.Head, g.Train, dim)
		if err != nil {
			return nil, err
		}
		t := g.Train
		tops, lengths := 0.0, 0.0
		for i := range t.N {
			f := widen(t.features(i))
			tops += slices.Max(g.Head.apply(f))
			lengths += outside(null, u, f)
		}
		if lengths == 0 {
			return nil, errors.New("the training features lie in their first principal components entirely")
		}
		alpha := tops / lengths
		return func(im *Image) float64 { return logSumExp(g.Head.apply(im.F)) - alpha*outside(null, u, im.F) }, nil
	}}
}

// NNGuide is the energy guided by the similarity to a bank of training features, which
// are weighted by their own energies (Park et al., ICCV 2023). The bank is the first share
// of the training images.
func NNGuide(k int, share float64) Score {
	return Score{fmt.Sprintf("nnguide_K%d_a%s", k, number(share)), Features | Training, "energy times the similarity to confident training features", func(g Given) (Func, error) {
		t := g.Train
		n := int(float64(t.N) * share)
		if n < k {
			return nil, fmt.Errorf("a bank of %d training images is smaller than %d neighbours", n, k)
		}
		bank := make([][]float64, n)
		for i := range bank {
			bank[i] = unit(widen(t.features(i)))
			e := NewImage(t.logits(i), nil).LSE
			for d := range bank[i] {
				bank[i][d] *= e
			}
		}
		return func(im *Image) float64 {
			x := unit(im.F)
			top := make([]float64, 0, k+1) // ascending
			for _, b := range bank {
				s := dot(x, b)
				if len(top) == k && s <= top[0] {
					continue
				}
				at, _ := slices.BinarySearch(top, s)
				top = slices.Insert(top, at, s)
				if len(top) > k {
					top = top[1:]
				}
			}
			return im.LSE * total(top) / float64(k)
		}, nil
	}}
}

// Relation sums the similarities in feature and softmax to all training images (Kim et
// al., NeurIPS 2023), those above a threshold of 0.03.
func Relation(power float64) Score {
	return Score{"relation_pow" + number(power), Features | Training, "similarity to all training images", func(g Given) (Func, error) {
		t := g.Train
		bank := t.units()
		probs := make([][]float64, t.N)
		for i := range probs {
			probs[i] = NewImage(t.logits(i), nil).P
		}
		return func(im *Image) float64 {
			x, sum := unit(im.F), 0.0
			for i := range t.N {
				k := max(dot(x, bank[i*t.D:(i+1)*t.D]), 0) * dot(im.P, probs[i])
				if k > 0.03 {
					sum += math.Pow(k, power)
				}
			}
			return sum
		}, nil
	}}
}
