package scores

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// weibull is a two-parameter Weibull distribution.
type weibull struct{ Shape, Scale float64 }

// cdf is the share below x; 0 for x <= 0.
func (w weibull) cdf(x float64) float64 {
	if x <= 0 {
		return 0
	}
	return -math.Expm1(-math.Pow(x/w.Scale, w.Shape))
}

// fitWeibull finds the distribution under which positive values are likeliest. Its shape
// k solves sum(x^k ln x) / sum(x^k) - 1/k = mean(ln x), the left side of which rises in k.
func fitWeibull(x []float64) (weibull, error) {
	if len(x) < 2 || slices.Min(x) <= 0 || slices.Min(x) == slices.Max(x) {
		return weibull{}, errors.New("no Weibull distribution fits: there are fewer than two different positive values")
	}
	mean, top := 0.0, math.Log(slices.Max(x))
	for _, v := range x {
		mean += math.Log(v) / float64(len(x))
	}
	// Powers relative to the largest value, so that none overflows.
	moments := func(k float64) (s0, s1 float64) {
		for _, v := range x {
			l := math.Log(v) - top
			p := math.Exp(k * l)
			s0, s1 = s0+p, s1+p*l
		}
		return s0, s1
	}
	f := func(k float64) float64 {
		s0, s1 := moments(k)
		return s1/s0 - 1/k - (mean - top)
	}
	lo, hi := 1e-3, 1.0
	for f(hi) < 0 && hi < 1e9 {
		lo, hi = hi, 2*hi
	}
	for range 200 {
		if mid := lo + (hi-lo)/2; f(mid) < 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	k := lo + (hi-lo)/2
	s0, _ := moments(k)
	return weibull{k, math.Exp(top + math.Log(s0/float64(len(x)))/k)}, nil
}

// openMax is minus the probability of an unknown class (Bendale and Boult, CVPR 2016):
// the logits of the alpha largest classes lose what a Weibull distribution, fitted to the
// tail largest distances of a class's correctly classified training logits from their
// mean, says of the image's distance, the more the higher they rank; the unknown class
// gains it. Distances are moved so that the smallest of the tail is 1. A class without
// such images, or whose distances do not differ, loses nothing. Of very many training
// images some are looked at.
func openMax(tail, alpha int) Score {
	return Score{
		Needs: NeedTraining, Summary: "probability of an unknown class, by distances of logits",
		parts: []Part{{"mean", byClass, byClass}, {"weibull", byClass, 3}},
		learn: func(d Data) (State, error) {
			b := d.Training.bank
			mean, count := mat.NewDense(b.classes, b.classes, nil), make([]float64, b.classes)
			right := func(f func(c int, z []float64)) {
				for i := range b.n {
					im := newImage(b.logitRow(i), nil)
					if im.pred == b.labels[i] {
						f(im.pred, im.logits)
					}
				}
			}
			right(func(c int, z []float64) {
				count[c]++
				for k, v := range z {
					mean.RawRowView(c)[k] += v
				}
			})
			for c, n := range count {
				for k := range b.classes {
					mean.Set(c, k, mean.At(c, k)/max(n, 1))
				}
			}
			away := make([][]float64, b.classes)
			right(func(c int, z []float64) { away[c] = append(away[c], math.Sqrt(squared(z, mean.RawRowView(c)))) })
			// A row per class: shape, scale, and what is added to a distance; a shape of 0 is none.
			fits, some := mat.NewDense(b.classes, 3, nil), false
			for c, d := range away {
				slices.Sort(d)
				d = d[max(len(d)-tail, 0):]
				if len(d) == 0 {
					continue
				}
				move := 1 - d[0]
				for i := range d {
					d[i] += move
				}
				if w, err := fitWeibull(d); err == nil {
					fits.SetRow(c, []float64{w.Shape, w.Scale, move})
					some = true
				}
			}
			if !some {
				return nil, errors.New("no class has training images that are classified correctly and differ")
			}
			return State{"mean": mean, "weibull": fits}, nil
		},
		apply: func(st State, h *Head) (Func, error) {
			mean, err := st.get("mean", h.Out, h.Out)
			if err != nil {
				return nil, err
			}
			fits, err := st.get("weibull", h.Out, 3)
			if err != nil {
				return nil, err
			}
			return each(func(im *image) float64 {
				unknown := 0.0
				z := slices.Clone(im.logits)
				for rank, k := range falling(im.logits)[:min(alpha, len(z))] {
					f := fits.RawRowView(k)
					if f[0] == 0 {
						continue
					}
					w := weibull{f[0], f[1]}.cdf(math.Sqrt(squared(im.logits, mean.RawRowView(k))) + f[2])
					lost := im.logits[k] * w * float64(alpha-rank) / float64(alpha)
					z[k] -= lost
					unknown += lost
				}
				return -math.Exp(unknown - logSumExp(append(z, unknown)))
			}), nil
		},
	}
}
