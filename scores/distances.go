package scores

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// conditionLimit is up to where a covariance is inverted by its Cholesky factor: ten of
// float64's sixteen digits are left for what follows at worst.
const conditionLimit = 1e6

// whitening gives W, transposed, with |W' x|^2 = x' S^+ x. Where S is well conditioned
// W is the inverse of its Cholesky factor; otherwise S^+ is the pseudo-inverse, of which
// directions are left out whose eigenvalue is rounding error beside the largest, as in
// scipy's pinvh.
func whitening(s *mat.SymDense) (*mat.Dense, error) {
	n := s.SymmetricDim()
	var ch mat.Cholesky
	if ch.Factorize(s) && ch.Cond() < conditionLimit {
		var u, inverse mat.TriDense
		ch.UTo(&u) // S = U'U, so W' = U^-1
		if err := inverse.InverseTri(&u); err == nil {
			return mat.DenseCopyOf(&inverse), nil
		}
	}
	values, vectors, err := eigen(s)
	if err != nil {
		return nil, err
	}
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
	w := mat.NewDense(n, len(keep), nil)
	for k, i := range keep {
		for d := range n {
			w.Set(d, k, vectors.At(d, i)/math.Sqrt(values[i]))
		}
	}
	return w, nil
}

// eigen finds eigenvalues, ascending, and eigenvectors in columns.
func eigen(s *mat.SymDense) ([]float64, *mat.Dense, error) {
	var e mat.EigenSym
	if !e.Factorize(s, true) {
		return nil, nil, errors.New("a covariance has no eigenvalues")
	}
	var v mat.Dense
	e.VectorsTo(&v)
	return e.Values(nil), &v, nil
}

// whitened is (x - centre) w, row by row.
func whitened(x *mat.Dense, centre []float64, w *mat.Dense) *mat.Dense {
	n, d := x.Dims()
	moved := mat.NewDense(n, d, nil)
	for i := range n {
		row := moved.RawRowView(i)
		for k, v := range x.RawRowView(i) {
			row[k] = v - centre[k]
		}
	}
	var out mat.Dense
	out.Mul(moved, w)
	return &out
}

// mds is the Mahalanobis distance to the nearest class (Lee et al., NeurIPS 2018, without
// its input perturbation), RMDS that less the distance to the whole set (Ren et al.,
// 2021).
func mds(relative bool) Score {
	s := Score{Needs: NeedFeatures | NeedTraining, Summary: "Mahalanobis distance to the nearest class"}
	s.parts = []Part{{"within", byFeature, byRank}, {"mean", 1, byFeature}, {"centres", byClass, byRank}}
	if relative {
		s.parts = append(s.parts, Part{"whole", byFeature, byRank})
		s.Summary = "Mahalanobis distance to the nearest class, less that to the whole set"
	}
	s.learn = func(d Data) (State, error) {
		t := d.Training
		w, err := t.withinWhitening()
		if err != nil {
			return nil, err
		}
		mean := t.mean()
		var centres []float64
		for _, m := range means(t.sum, t.count) {
			centres = append(centres, m...)
		}
		st := State{"within": w, "mean": vector(mean), "centres": whitened(mat.NewDense(len(centres)/t.width, t.width, centres), mean, w)}
		if relative {
			if st["whole"], err = whitening(t.about(mean)); err != nil {
				return nil, err
			}
		}
		return st, nil
	}
	s.apply = func(st State, h *Head) (Func, error) {
		mean, err := st.vector("mean", h.In)
		if err != nil {
			return nil, err
		}
		w, err := st.get("within", h.In, 0)
		if err != nil {
			return nil, err
		}
		_, r := w.Dims()
		centres, err := st.get("centres", 0, r)
		if err != nil {
			return nil, err
		}
		var whole *mat.Dense
		if relative {
			if whole, err = st.get("whole", h.In, 0); err != nil {
				return nil, err
			}
		}
		classes, _ := centres.Dims()
		lengths := make([]float64, classes)
		for c := range lengths {
			lengths[c] = dot(centres.RawRowView(c), centres.RawRowView(c))
		}
		return func(b *Block, out []float64) {
			x := whitened(b.features, mean, w)
			var inner, y mat.Dense
			inner.Mul(x, centres.T())
			if relative {
				y = *whitened(b.features, mean, whole)
			}
			for i := range out {
				row, best := inner.RawRowView(i), math.Inf(1)
				for c, l := range lengths {
					best = min(best, l-2*row[c])
				}
				best += dot(x.RawRowView(i), x.RawRowView(i))
				if out[i] = -best; relative {
					out[i] += dot(y.RawRowView(i), y.RawRowView(i))
				}
			}
		}, nil
	}
	return s
}

func squared(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		d := x - b[i]
		sum += d * d
	}
	return sum
}

// knn is minus the squared distance to the k-th nearest training feature, all of unit
// length (Sun et al., ICML 2022). Of very many training images some are looked at.
func knn(k int) Score {
	return Score{
		Needs: NeedFeatures | NeedTraining, Summary: "distance to the k-th nearest training feature",
		parts: []Part{{"bank", byImage, byFeature}},
		learn: func(d Data) (State, error) {
			bank := d.Training.units()
			if bank == nil {
				return nil, errNoDirection
			}
			if n, _ := bank.Dims(); n < k {
				return nil, fmt.Errorf("%d training images are fewer than %d neighbours", n, k)
			}
			return State{"bank": bank}, nil
		},
		apply: func(st State, h *Head) (Func, error) {
			bank, err := st.get("bank", 0, h.In)
			if err != nil {
				return nil, err
			}
			n, _ := bank.Dims()
			if n < k {
				return nil, fmt.Errorf("bank of the state has %d rows", n)
			}
			lengths := make([]float64, n)
			for i := range lengths {
				lengths[i] = dot(bank.RawRowView(i), bank.RawRowView(i))
			}
			return func(b *Block, out []float64) {
				inner, units := b.similar(bank), b.unitFeatures()
				near := nearest{k: k}
				for i := range out {
					near.v = near.v[:0]
					for j, s := range inner.RawRowView(i) {
						if d := lengths[j] - 2*s; len(near.v) < k || d < near.v[k-1] {
							near.see(d)
						}
					}
					x := units.RawRowView(i)
					out[i] = -max(near.v[k-1]+dot(x, x), 0)
				}
			}, nil
		},
	}
}

// principalState is the state of outside for the first dim principal components.
func principalState(d Data, dim int) (State, error) {
	if dim >= d.Head.In {
		return nil, fmt.Errorf("%d dimensions leave nothing of %d features", dim, d.Head.In)
	}
	if d.Training.n <= dim {
		return nil, fmt.Errorf("%d training images do not span %d principal components", d.Training.n, dim)
	}
	u, v, err := d.Training.principal(d.Head)
	if err != nil {
		return nil, err
	}
	return State{"origin": vector(u), "null": mat.DenseCopyOf(v.Slice(0, d.Head.In, 0, d.Head.In-dim))}, nil
}

// outside is the length of every feature's part outside of the principal components. The state's
// "null" is a basis of that space, in columns.
func (st State) outside(h *Head) (func(f *mat.Dense) []float64, error) {
	u, err := st.vector("origin", h.In)
	if err != nil {
		return nil, err
	}
	basis, err := st.get("null", h.In, 0)
	if err != nil {
		return nil, err
	}
	return func(f *mat.Dense) []float64 {
		x := whitened(f, u, basis)
		n, _ := x.Dims()
		out := make([]float64, n)
		for i := range out {
			out[i] = norm(x.RawRowView(i))
		}
		return out
	}, nil
}

// residual is minus the length of a feature's part outside of the first principal components
// of the training features (Wang et al., CVPR 2022).
func residual(dim int) Score {
	return Score{
		Needs: NeedFeatures | NeedHead | NeedTraining, Summary: "what lies outside of the principal components",
		parts: []Part{{"origin", 1, byFeature}, {"null", byFeature, byRank}},
		learn: func(d Data) (State, error) { return principalState(d, dim) },
		apply: func(st State, h *Head) (Func, error) {
			outside, err := st.outside(h)
			return func(b *Block, out []float64) {
				for i, v := range outside(b.features) {
					out[i] = -v
				}
			}, err
		},
	}
}

// vim is the energy less that length, scaled to the logits (Wang et al., CVPR 2022). Of
// very many training images the scale is taken from some.
func vim(dim int) Score {
	return Score{
		Needs: NeedFeatures | NeedHead | NeedTraining, Summary: "energy less what lies outside of the principal components",
		parts: []Part{{"origin", 1, byFeature}, {"null", byFeature, byRank}, {"alpha", 1, 1}},
		learn: func(d Data) (State, error) {
			st, err := principalState(d, dim)
			if err != nil {
				return nil, err
			}
			outside, err := st.outside(d.Head)
			if err != nil {
				return nil, err
			}
			bank := d.Training.bank
			tops, lengths := 0.0, 0.0
			for at := 0; at < bank.n; at += secondRows {
				n := min(secondRows, bank.n-at)
				x := mat.NewDense(n, bank.width, widen(bank.features[at*bank.width:(at+n)*bank.width]))
				lengths += total(outside(x))
				var z mat.Dense
				z.Mul(x, d.Head.matrix())
				for i := range n {
					top := math.Inf(-1)
					for c, v := range z.RawRowView(i) {
						top = max(top, v+float64(d.Head.Bias[c]))
					}
					tops += top
				}
			}
			if lengths == 0 {
				return nil, errors.New("the training features lie in their first principal components entirely")
			}
			st["alpha"] = number(tops / lengths)
			return st, nil
		},
		apply: func(st State, h *Head) (Func, error) {
			alpha, err := st.number("alpha")
			if err != nil {
				return nil, err
			}
			outside, err := st.outside(h)
			return func(b *Block, out []float64) {
				h.energies(b.weighted(h), out)
				for i, v := range outside(b.features) {
					out[i] -= alpha * v
				}
			}, err
		},
	}
}

// nnGuide is the energy guided by the similarity to a bank of training features, which
// are weighted by their own energies (Park et al., ICCV 2023). The bank is a share of the
// training images, evenly over their order: the first ones, which OpenOOD takes from
// shuffled data, would be of a few classes.
func nnGuide(k int, share float64) Score {
	return Score{
		Needs: NeedFeatures | NeedTraining, Summary: "energy times the similarity to confident training features",
		parts: []Part{{"bank", byImage, byFeature}},
		learn: func(d Data) (State, error) {
			all := d.Training.bank
			nonzero := all.nonzero()
			n := min(int(float64(d.Training.n-d.Training.zeros)*share), len(nonzero))
			if n < k {
				return nil, fmt.Errorf("a bank of %d training images is smaller than %d neighbours", n, k)
			}
			bank := mat.NewDense(n, all.width, nil)
			for i := range n {
				at := nonzero[i*len(nonzero)/n]
				e := logSumExp(widen(all.logitRow(at)))
				row := bank.RawRowView(i)
				unit(widen(all.featureRow(at)), row)
				for d := range row {
					row[d] *= e
				}
			}
			return State{"bank": bank}, nil
		},
		apply: func(st State, h *Head) (Func, error) {
			bank, err := st.get("bank", 0, h.In)
			if err != nil {
				return nil, err
			}
			if n, _ := bank.Dims(); n < k {
				return nil, fmt.Errorf("bank of the state has %d rows", n)
			}
			return func(b *Block, out []float64) {
				inner := b.similar(bank)
				near := nearest{k: k}
				for i, im := range b.images {
					near.v = near.v[:0]
					for _, s := range inner.RawRowView(i) {
						near.see(-s)
					}
					out[i] = -im.lse * total(near.v) / float64(k)
				}
			}, nil
		},
	}
}

// relation sums the similarities in feature and softmax to all training images (Kim et
// al., NeurIPS 2023), those above a threshold of 0.03. Of very many training images some
// are looked at.
func relation(power float64) Score {
	return Score{
		Needs: NeedFeatures | NeedTraining, Summary: "similarity to all training images",
		parts: []Part{{"bank", byImage, byFeature}, {"softmax", byClass, byImage}},
		learn: func(d Data) (State, error) {
			if d.Training.units() == nil {
				return nil, errNoDirection
			}
			return State{"bank": d.Training.units(), "softmax": d.Training.probabilities()}, nil
		},
		apply: func(st State, h *Head) (Func, error) {
			bank, err := st.get("bank", 0, h.In)
			if err != nil {
				return nil, err
			}
			n, _ := bank.Dims()
			probs, err := st.get("softmax", h.Out, n)
			if err != nil {
				return nil, err
			}
			return func(b *Block, out []float64) {
				alike, inner := b.times(b.probabilities(), probs), b.similar(bank)
				for i := range out {
					sum, q := 0.0, alike.RawRowView(i)
					for j, s := range inner.RawRowView(i) {
						if k := max(s, 0) * q[j]; k > 0.03 {
							if power == 1 {
								sum += k
							} else {
								sum += math.Pow(k, power)
							}
						}
					}
					out[i] = sum
				}
			}, nil
		},
	}
}
