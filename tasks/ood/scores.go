package ood

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"

	"cutmix-eval/metrics"

	"gonum.org/v1/gonum/mat"
)

// MSP is the largest softmax probability (Hendrycks and Gimpel, ICLR 2017).
func MSP() Score {
	return Score{Name: "msp", Summary: "largest softmax probability", with: plain(func(im *Image) float64 { return im.P[im.Pred] })}
}

// MaxLogit is the largest logit (Hendrycks et al., ICML 2022).
func MaxLogit() Score {
	return Score{Name: "mls", Summary: "largest logit", with: plain(func(im *Image) float64 { return im.Z[im.Pred] })}
}

// Energy is log sum exp of the logits (Liu et al., NeurIPS 2020, T = 1).
func Energy() Score {
	return Score{Name: "energy", Summary: "log sum exp of the logits", with: plain(func(im *Image) float64 { return im.LSE })}
}

// Entropy is the negative entropy of the softmax.
func Entropy() Score {
	return Score{Name: "entropy", Summary: "negative entropy of the softmax", with: plain(func(im *Image) float64 { return negativeEntropy(im.P) })}
}

func negativeEntropy(p []float64) float64 {
	sum := 0.0
	for _, x := range p {
		if x > 0 {
			sum += x * math.Log(x)
		}
	}
	return sum
}

// TempScaling is the largest softmax probability at the temperature that fits the
// validation set best (Guo et al., ICML 2017).
func TempScaling() Score {
	return Score{
		Name: "temp_scaling", Needs: Validation, Summary: "largest probability at the temperature fitted on the validation set",
		learn: func(g Given) (State, error) {
			v := g.Validation
			if v.Labels == nil {
				return nil, errors.New("the validation images have no labels")
			}
			t, err := metrics.FitTemperature(func() iter.Seq2[[]float32, int] {
				return func(yield func([]float32, int) bool) {
					for i := range v.N {
						if !yield(v.logits(i), v.Labels[i]) {
							return
						}
					}
				}
			}())
			return State{"temperature": number(t.Value)}, err
		},
		with: func(st State, _ *Head) (Func, error) {
			t, err := st.number("temperature")
			return each(atTemperature(t)), err
		},
	}
}

func atTemperature(t float64) func(*Image) float64 {
	return func(im *Image) float64 {
		top, sum := im.Z[im.Pred], 0.0
		for _, z := range im.Z {
			sum += math.Exp((z - top) / t)
		}
		return 1 / sum
	}
}

// ODIN is the temperature part of ODIN (Liang et al., ICLR 2018): without gradients the
// input is not changed.
func ODIN(t float64) Score {
	return Score{Name: "odin_T" + text(t), Summary: "largest probability at temperature " + text(t) + " (ODIN without its input perturbation)", with: plain(atTemperature(t))}
}

// GEN is the generalised entropy of the m largest probabilities (Liu et al., CVPR 2023).
func GEN(gamma float64, m int) Score {
	return Score{Name: fmt.Sprintf("gen_g%s_M%d", text(gamma), m), Summary: "generalised entropy of the largest probabilities", with: plain(func(im *Image) float64 {
		at := falling(im.P)[:min(m, len(im.P))]
		slices.Sort(at)
		sum := 0.0
		for _, k := range at {
			sum -= math.Pow(im.P[k], gamma) * math.Pow(im.Q[k], gamma)
		}
		return sum
	})}
}

// GradNorm is the 1-norm of the gradient, with respect to the head's weights, of the
// cross entropy with a uniform target (Huang et al., NeurIPS 2021), in closed form.
func GradNorm() Score {
	return Score{Name: "gradnorm", Needs: Features, Summary: "1-norm of the gradient of the head's weights, in closed form", with: plain(func(im *Image) float64 {
		c, sum := float64(len(im.P)), 0.0
		for k, p := range im.P {
			d := c*p - 1
			if p > 0.5 { // c p - 1 = (c - 1) - c (1 - p)
				d = (c - 1) - c*im.Q[k]
			}
			sum += math.Abs(d)
		}
		return absolute(im.F) * sum
	})}
}

func absolute(f []float64) float64 {
	sum := 0.0
	for _, v := range f {
		sum += math.Abs(v)
	}
	return sum
}

// clip is the score that is the energy of features between two numbers of the state.
func clip(st State, h *Head) (Func, error) {
	lo, err := st.number("low")
	if err != nil {
		return nil, err
	}
	hi, err := st.number("high")
	if err != nil {
		return nil, err
	}
	return changed(func(im *Image, out []float64) {
		for i, v := range im.F {
			out[i] = min(max(v, lo), hi)
		}
	})(st, h)
}

// sorted are all entries of the features, sorted. Scores share them.
func (s *Set) sorted() []float64 {
	if s.ascending == nil {
		s.ascending = widen(s.Features)
		slices.Sort(s.ascending)
	}
	return s.ascending
}

// ReAct cuts features off at a percentile of the validation features (Sun et al.,
// NeurIPS 2021).
func ReAct(percent float64) Score {
	return Score{
		Name: "react_p" + text(percent), Needs: Features | HeadOf | Validation, Summary: "energy of features cut off above", with: clip,
		learn: func(g Given) (State, error) {
			return State{"low": number(-math.MaxFloat64), "high": number(percentile(g.Validation.sorted(), percent))}, nil
		},
	}
}

// VRA clips features to two percentiles of the validation features (Xu et al., NeurIPS
// 2023).
func VRA(high, low float64) Score {
	return Score{
		Name: fmt.Sprintf("vra_p%s_p%s", text(high), text(low)), Needs: Features | HeadOf | Validation, Summary: "energy of features clipped on both sides", with: clip,
		learn: func(g Given) (State, error) {
			v := g.Validation.sorted()
			return State{"low": number(percentile(v, low)), "high": number(percentile(v, high))}, nil
		},
	}
}

// kept is the number of features that are kept when percent are pruned, rounded half to
// even as OpenOOD does.
func kept(d int, percent float64) int {
	return max(d-int(math.RoundToEven(float64(d)*percent/100)), 1)
}

// ASH prunes all but the largest features (Djurisic et al., ICLR 2023): variant b sets
// those that are kept to equal shares of the sum, p keeps them, s scales them.
func ASH(variant string, percent float64) Score {
	return Score{Name: fmt.Sprintf("ash_%s_p%s", variant, text(percent)), Needs: Features | HeadOf, Summary: "energy of pruned features", with: changed(func(im *Image, out []float64) {
		k := kept(len(im.F), percent)
		at, sum := im.largest(k)
		all := total(im.F)
		for _, i := range at {
			switch variant {
			case "b":
				out[i] = all / float64(k)
			case "p":
				out[i] = im.F[i]
			default:
				out[i] = im.F[i] * math.Exp(all/sum)
			}
		}
	})}
}

// SCALE scales all features by what the largest are of their sum (Xu et al., ICLR 2024).
func SCALE(percent float64) Score {
	return Score{Name: "scale_p" + text(percent), Needs: Features | HeadOf, Summary: "energy of scaled features", with: func(_ State, h *Head) (Func, error) {
		return func(b *Block, out []float64) {
			z := b.linear(h)
			row := make([]float64, h.C)
			for i, im := range b.Images {
				_, sum := im.largest(kept(h.D, percent))
				r := math.Exp(total(im.F) / sum)
				for c, v := range z.RawRowView(i) {
					row[c] = r*v + float64(h.Bias[c])
				}
				out[i] = logSumExp(row)
			}
		}, nil
	}}
}

// DICE keeps the weights that contribute most on training images (Sun and Li, ECCV
// 2022).
func DICE(percent float64) Score {
	return Score{
		Name: "dice_p" + text(percent), Needs: Features | HeadOf | Training, Summary: "energy of a head with few weights",
		learn: func(g Given) (State, error) { return State{"mean": vector(g.Train.Mean())}, nil },
		with: func(st State, h *Head) (Func, error) {
			mean, err := st.vector("mean", h.D)
			if err != nil {
				return nil, err
			}
			all := make([]float64, 0, h.C*h.D)
			for c := range h.C {
				for d, w := range h.row(c) {
					all = append(all, mean[d]*float64(w))
				}
			}
			limit := percentile(slices.Sorted(slices.Values(all)), percent)
			w := mat.DenseCopyOf(h.matrix())
			for i, v := range all {
				if !(v > limit) {
					w.Set(i%h.D, i/h.D, 0)
				}
			}
			return func(b *Block, out []float64) { h.energies(b.times(b.F, w), out) }, nil
		},
	}
}

// KLM is the least divergence from a class's mean softmax, over classes as predicted on
// the validation set (Hendrycks et al., ICML 2022). A class that is never predicted has
// its own corner.
func KLM() Score {
	return Score{
		Name: "klm", Needs: Validation, Summary: "least divergence from a class's mean softmax",
		learn: func(g Given) (State, error) {
			v := g.Validation
			mean := mat.NewDense(v.C, v.C, nil)
			count := make([]int, v.C)
			for i := range v.N {
				k := metrics.Argmax(v.logits(i))
				count[k]++
				p, _, _ := softmax(widen(v.logits(i)))
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
		with: func(st State, h *Head) (Func, error) {
			mean, err := st.get("mean", h.C, h.C)
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
				for i, im := range b.Images {
					// The largest cross term is the least divergence.
					best := slices.Max(cross.RawRowView(i))
					if out[i] = best - negativeEntropy(im.P); best < -1e200 {
						out[i] = math.Inf(-1)
					}
				}
			}, nil
		},
	}
}

// SHE is the inner product with the mean feature of the correctly classified training
// images of the predicted class (Zhang et al., ICLR 2023). Where a class has none, its
// images score by the largest of the other classes' products.
func SHE() Score {
	return Score{
		Name: "she", Needs: Features | Training, Summary: "inner product with the mean feature of the predicted class",
		learn: func(g Given) (State, error) {
			t := g.Train
			if slices.Max(t.RightCount) == 0 {
				return nil, errors.New("no training image is classified correctly")
			}
			mean, count := mat.NewDense(t.C, t.D, nil), mat.NewDense(1, t.C, nil)
			for c, m := range means(t.RightSum, t.RightCount) {
				if m != nil {
					mean.SetRow(c, m)
				}
				count.Set(0, c, float64(t.RightCount[c]))
			}
			return State{"mean": mean, "count": count}, nil
		},
		with: func(st State, h *Head) (Func, error) {
			count, err := st.vector("count", h.C)
			if err != nil {
				return nil, err
			}
			mean, err := st.get("mean", h.C, h.D)
			if err != nil {
				return nil, err
			}
			return each(func(im *Image) float64 {
				if count[im.Pred] > 0 {
					return dot(im.F, mean.RawRowView(im.Pred))
				}
				best := math.Inf(-1)
				for c, n := range count {
					if n > 0 {
						best = max(best, dot(im.F, mean.RawRowView(c)))
					}
				}
				return best
			}), nil
		},
	}
}

// FDBD is the mean distance to the decision boundaries, by the distance from the mean
// training feature, or by the feature's own norm (Liu and Qin, ICML 2024).
func FDBD(distance bool) Score {
	s := Score{Name: "fdbd_norm", Needs: Features | HeadOf, Summary: "distance to the decision boundaries"}
	if distance {
		s.Name, s.Needs = "fdbd_distance", s.Needs|Training
		s.learn = func(g Given) (State, error) { return State{"mean": vector(g.Train.Mean())}, nil }
	}
	s.with = func(st State, h *Head) (Func, error) {
		from := make([]float64, h.D) // the feature's own norm is its distance from 0
		if distance {
			var err error
			if from, err = st.vector("mean", h.D); err != nil {
				return nil, err
			}
		}
		between := h.distances()
		return each(func(im *Image) float64 {
			sum := 0.0
			row := between.RawRowView(im.Pred)
			for c, z := range im.Z {
				if c != im.Pred {
					sum += math.Abs(z-im.Z[im.Pred]) / row[c]
				}
			}
			return sum / math.Sqrt(squared(im.F, from))
		}), nil
	}
	return s
}

// NCI is the cosine between the predicted class's weights and the feature less the
// training mean, times the weights' length, with the feature's 1-norm (Liu and Qin, CVPR
// 2025).
func NCI(alpha float64) Score {
	return Score{
		Name: "nci_a" + text(alpha), Needs: Features | HeadOf | Training, Summary: "closeness to the predicted class's weights",
		learn: func(g Given) (State, error) { return State{"mean": vector(g.Train.Mean())}, nil },
		with: func(st State, h *Head) (Func, error) {
			mean, err := st.vector("mean", h.D)
			if err != nil {
				return nil, err
			}
			return each(func(im *Image) float64 {
				sum := 0.0
				for d, w := range h.row(im.Pred) {
					sum += float64(w) * (im.F[d] - mean[d])
				}
				return sum/math.Sqrt(squared(im.F, mean)) + alpha*absolute(im.F)
			}), nil
		},
	}
}

// text writes a parameter in a score's name.
func text(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
