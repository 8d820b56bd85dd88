package scores

import (
	"errors"
	"math"
	"slices"

	"cutmix-eval/metrics"

	"gonum.org/v1/gonum/mat"
)

// klm is the least divergence from a class's mean softmax, over classes as predicted on
// the validation set (Hendrycks et al., ICML 2022). A class that is never predicted has
// its own corner.
func klm() Score {
	return Score{
		Needs: NeedValidation, Summary: "least divergence from a class's mean softmax",
		parts: []Part{{"mean", byClass, byClass}},
		learn: func(d Data) (State, error) {
			v := d.Validation
			mean := mat.NewDense(v.classes, v.classes, nil)
			count := make([]int, v.classes)
			for i := range v.n {
				k := metrics.Argmax(v.logitRow(i))
				count[k]++
				p, _, _ := softmax(widen(v.logitRow(i)))
				row := mean.RawRowView(k)
				for j, x := range p {
					row[j] += x
				}
			}
			for c, n := range count {
				row := mean.RawRowView(c)
				if n == 0 {
					row[c] = 1
					continue
				}
				sum := total(row)
				for k := range row {
					row[k] /= sum
				}
			}
			return State{"mean": mean}, nil
		},
		apply: func(st State, h *Head) (Func, error) {
			mean, err := st.get("mean", h.Out, h.Out)
			if err != nil {
				return nil, err
			}
			// Where a mean is 0 the divergence is infinite but for a p of 0: a logarithm that no
			// other sum can reach stands for that.
			const never = -1e300
			logs := mat.DenseCopyOf(mean)
			logs.Apply(func(_, _ int, v float64) float64 {
				if v == 0 {
					return never
				}
				return math.Log(v)
			}, logs)
			across := mat.DenseCopyOf(logs.T())
			return func(b *Block, out []float64) {
				cross := b.times(b.probabilities(), across)
				for i, im := range b.images {
					// The largest cross term is the least divergence.
					best := slices.Max(cross.RawRowView(i))
					if out[i] = best - negativeEntropy(im.p); best < -1e200 {
						out[i] = math.Inf(-1)
					}
				}
			}, nil
		},
	}
}

// she is the inner product with the mean feature of the correctly classified training
// images of the predicted class (Zhang et al., ICLR 2023). Where a class has none, its
// images score by the largest of the other classes' products.
func she() Score {
	return Score{
		Needs: NeedFeatures | NeedTraining, Summary: "inner product with the mean feature of the predicted class",
		parts: []Part{{"mean", byClass, byFeature}, {"count", 1, byClass}},
		learn: func(d Data) (State, error) {
			t := d.Training
			if slices.Max(t.rightCount) == 0 {
				return nil, errors.New("no training image is classified correctly")
			}
			mean, count := mat.NewDense(t.classes, t.width, nil), mat.NewDense(1, t.classes, nil)
			for c, m := range means(t.rightSum, t.rightCount) {
				if m != nil {
					mean.SetRow(c, m)
				}
				count.Set(0, c, float64(t.rightCount[c]))
			}
			return State{"mean": mean, "count": count}, nil
		},
		apply: func(st State, h *Head) (Func, error) {
			count, err := st.vector("count", h.Out)
			if err != nil {
				return nil, err
			}
			mean, err := st.get("mean", h.Out, h.In)
			if err != nil {
				return nil, err
			}
			return each(func(im *image) float64 {
				if count[im.pred] > 0 {
					return dot(im.features, mean.RawRowView(im.pred))
				}
				best := math.Inf(-1)
				for c, n := range count {
					if n > 0 {
						best = max(best, dot(im.features, mean.RawRowView(c)))
					}
				}
				return best
			}), nil
		},
	}
}

// fdbd is the mean distance to the decision boundaries, by the distance from the mean
// training feature, or by the feature's own norm (Liu and Qin, ICML 2024).
func fdbd(distance bool) Score {
	s := Score{Needs: NeedFeatures | NeedHead, Summary: "distance to the decision boundaries"}
	if distance {
		s.Needs |= NeedTraining
		s.parts = []Part{{"mean", 1, byFeature}}
		s.learn = func(d Data) (State, error) { return State{"mean": vector(d.Training.mean())}, nil }
	}
	s.apply = func(st State, h *Head) (Func, error) {
		from := make([]float64, h.In) // the feature's own norm is its distance from 0
		if distance {
			var err error
			if from, err = st.vector("mean", h.In); err != nil {
				return nil, err
			}
		}
		between := h.distances()
		return each(func(im *image) float64 {
			sum := 0.0
			row := between.RawRowView(im.pred)
			for c, z := range im.logits {
				if c != im.pred {
					sum += math.Abs(z-im.logits[im.pred]) / row[c]
				}
			}
			return sum / math.Sqrt(squared(im.features, from))
		}), nil
	}
	return s
}

// nci is the cosine between the predicted class's weights and the feature less the
// training mean, times the weights' length, with the feature's 1-norm (Liu and Qin, CVPR
// 2025).
func nci(alpha float64) Score {
	return Score{
		Needs: NeedFeatures | NeedHead | NeedTraining, Summary: "closeness to the predicted class's weights",
		parts: []Part{{"mean", 1, byFeature}},
		learn: func(d Data) (State, error) { return State{"mean": vector(d.Training.mean())}, nil },
		apply: func(st State, h *Head) (Func, error) {
			mean, err := st.vector("mean", h.In)
			if err != nil {
				return nil, err
			}
			return each(func(im *image) float64 {
				sum := 0.0
				for d, w := range h.Row(im.pred) {
					sum += float64(w) * (im.features[d] - mean[d])
				}
				return sum/math.Sqrt(squared(im.features, mean)) + alpha*absolute(im.features)
			}), nil
		},
	}
}
