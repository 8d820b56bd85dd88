package ood

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"cutmix-eval/metrics"
)

// MSP is the largest softmax probability (Hendrycks and Gimpel, ICLR 2017).
func MSP() Score {
	return Score{"msp", 0, "largest softmax probability", fixed(func(im *Image) float64 { return im.P[im.Pred] })}
}

// MaxLogit is the largest logit (Hendrycks et al., ICML 2022).
func MaxLogit() Score {
	return Score{"mls", 0, "largest logit", fixed(func(im *Image) float64 { return im.Z[im.Pred] })}
}

// Energy is log sum exp of the logits (Liu et al., NeurIPS 2020, T = 1).
func Energy() Score {
	return Score{"energy", 0, "log sum exp of the logits", fixed(func(im *Image) float64 { return im.LSE })}
}

// Entropy is the negative entropy of the softmax.
func Entropy() Score {
	return Score{"entropy", 0, "negative entropy of the softmax", fixed(func(im *Image) float64 {
		sum := 0.0
		for _, p := range im.P {
			if p > 0 {
				sum += p * math.Log(p)
			}
		}
		return sum
	})}
}

// TempScaling is the largest softmax probability at the temperature that fits the
// validation set best (Guo et al., ICML 2017).
func TempScaling() Score {
	return Score{"temp_scaling", Validation, "largest probability at the temperature fitted on the validation set", func(g Given) (Func, error) {
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
		if err != nil {
			return nil, err
		}
		return atTemperature(t.Value), nil
	}}
}

func atTemperature(t float64) Func {
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
	return Score{"odin_T" + number(t), 0, "largest probability at temperature " + number(t) + " (ODIN without its input perturbation)", fixed(atTemperature(t))}
}

// GEN is the generalised entropy of the m largest probabilities (Liu et al., CVPR 2023).
func GEN(gamma float64, m int) Score {
	return Score{fmt.Sprintf("gen_g%s_M%d", number(gamma), m), 0, "generalised entropy of the largest probabilities", fixed(func(im *Image) float64 {
		order := make([]int, len(im.P))
		for i := range order {
			order[i] = i
		}
		if m < len(order) {
			in, _ := largest(im.P, m)
			order = slices.DeleteFunc(order, func(i int) bool { return !in[i] })
		}
		sum := 0.0
		for _, k := range order {
			sum -= math.Pow(im.P[k], gamma) * math.Pow(im.Q[k], gamma)
		}
		return sum
	})}
}

// GradNorm is the 1-norm of the gradient, with respect to the head's weights, of the
// cross entropy with a uniform target (Huang et al., NeurIPS 2021), in closed form.
func GradNorm() Score {
	return Score{"gradnorm", Features, "1-norm of the gradient of the head's weights, in closed form", fixed(func(im *Image) float64 {
		c, sum := float64(len(im.P)), 0.0
		for k, p := range im.P {
			d := c*p - 1
			if p > 0.5 { // c p - 1 = (c - 1) - c (1 - p)
				d = (c - 1) - c*im.Q[k]
			}
			sum += math.Abs(d)
		}
		ones := 0.0
		for _, f := range im.F {
			ones += math.Abs(f)
		}
		return ones * sum
	})}
}

// sortedFeatures are all entries of the validation features, sorted.
func sortedFeatures(s *Set) []float64 {
	v := widen(s.Features)
	slices.Sort(v)
	return v
}

// ReAct cuts features off at a percentile of the validation features (Sun et al.,
// NeurIPS 2021).
func ReAct(percent float64) Score {
	return Score{"react_p" + number(percent), Features | HeadOf | Validation, "energy of features cut off above", func(g Given) (Func, error) {
		c := percentile(sortedFeatures(g.Validation), percent)
		return ofHead(func(f []float64) []float64 {
			out := slices.Clone(f)
			for i := range out {
				out[i] = min(out[i], c)
			}
			return out
		})(g)
	}}
}

// VRA clips features to two percentiles of the validation features (Xu et al., NeurIPS
// 2023).
func VRA(high, low float64) Score {
	return Score{fmt.Sprintf("vra_p%s_p%s", number(high), number(low)), Features | HeadOf | Validation, "energy of features clipped on both sides", func(g Given) (Func, error) {
		v := sortedFeatures(g.Validation)
		lo, hi := percentile(v, low), percentile(v, high)
		return ofHead(func(f []float64) []float64 {
			out := slices.Clone(f)
			for i := range out {
				out[i] = min(max(out[i], lo), hi)
			}
			return out
		})(g)
	}}
}

// ASH prunes all but the largest features (Djurisic et al., ICLR 2023): variant b sets
// those that are kept to equal shares of the sum, p keeps them, s scales them.
func ASH(variant string, percent float64) Score {
	return Score{fmt.Sprintf("ash_%s_p%s", variant, number(percent)), Features | HeadOf, "energy of pruned features", ofHead(func(f []float64) []float64 {
		k := kept(len(f), percent)
		in, sum := largest(f, k)
		all := total(f)
		out := make([]float64, len(f))
		for i := range out {
			if !in[i] {
				continue
			}
			switch variant {
			case "b":
				out[i] = all / float64(k)
			case "p":
				out[i] = f[i]
			default:
				out[i] = f[i] * math.Exp(all/sum)
			}
		}
		return out
	})}
}

// SCALE scales features by the share that the largest have of their sum (Xu et al.,
// ICLR 2024).
func SCALE(percent float64) Score {
	return Score{"scale_p" + number(percent), Features | HeadOf, "energy of scaled features", ofHead(func(f []float64) []float64 {
		_, sum := largest(f, kept(len(f), percent))
		r := math.Exp(total(f) / sum)
		out := slices.Clone(f)
		for i := range out {
			out[i] *= r
		}
		return out
	})}
}

// DICE keeps the weights that contribute most on training images (Sun and Li, ECCV
// 2022).
func DICE(percent float64) Score {
	return Score{"dice_p" + number(percent), Features | HeadOf | Training, "energy of a head with few weights", func(g Given) (Func, error) {
		mean := g.Train.mean()
		h := *g.Head
		all := make([]float64, 0, h.C*h.D)
		for c := range h.C {
			for d, w := range h.row(c) {
				all = append(all, mean[d]*float64(w))
			}
		}
		limit := percentile(slices.Sorted(slices.Values(all)), percent)
		h.Weight = slices.Clone(h.Weight)
		for i, v := range all {
			if !(v > limit) {
				h.Weight[i] = 0
			}
		}
		return func(im *Image) float64 { return logSumExp(h.apply(im.F)) }, nil
	}}
}

// mean is the mean feature vector.
func (s *Set) mean() []float64 {
	out := make([]float64, s.D)
	for i := range s.N {
		for d, v := range s.features(i) {
			out[d] += float64(v)
		}
	}
	for d := range out {
		out[d] /= float64(s.N)
	}
	return out
}

// KLM is the least divergence from a class's mean softmax, over classes as predicted on
// the validation set (Hendrycks et al., ICML 2022). A class that is never predicted has
// its own corner.
func KLM() Score {
	return Score{"klm", Validation, "least divergence from a class's mean softmax", func(g Given) (Func, error) {
		v := g.Validation
		mean, count := make([][]float64, v.C), make([]int, v.C)
		for c := range mean {
			mean[c] = make([]float64, v.C)
		}
		for i := range v.N {
			im := NewImage(v.logits(i), nil)
			count[im.Pred]++
			for k, p := range im.P {
				mean[im.Pred][k] += p
			}
		}
		for c, n := range count {
			if n == 0 {
				mean[c][c] = 1
				continue
			}
			sum := total(mean[c])
			for k := range mean[c] {
				mean[c][k] /= sum
			}
		}
		return func(im *Image) float64 {
			best := math.Inf(1)
			for _, d := range mean {
				kl := 0.0
				for k, p := range im.P {
					switch {
					case p == 0:
					case d[k] == 0:
						kl = math.Inf(1)
					default:
						kl += p * math.Log(p/d[k])
					}
				}
				best = min(best, kl)
			}
			return -best
		}, nil
	}}
}

// SHE is the inner product with the mean feature of the correctly classified training
// images of the predicted class (Zhang et al., ICLR 2023). Where a class has none, its
// images score by the largest of the other classes' products.
func SHE() Score {
	return Score{"she", Features | Training, "inner product with the mean feature of the predicted class", func(g Given) (Func, error) {
		t := g.Train
		means, count := t.classMeans(func(i int) bool { return metrics.Argmax(t.logits(i)) == t.Labels[i] })
		if slices.Max(count) == 0 {
			return nil, errors.New("no training image is classified correctly")
		}
		return func(im *Image) float64 {
			if m := means[im.Pred]; m != nil {
				return dot(im.F, m)
			}
			best := math.Inf(-1)
			for _, m := range means {
				if m != nil {
					best = max(best, dot(im.F, m))
				}
			}
			return best
		}, nil
	}}
}

// FDBD is the mean distance to the decision boundaries, by the distance from the mean
// training feature, or by the feature's own norm (Liu and Qin, ICML 2024).
func FDBD(distance bool) Score {
	name, needs := "fdbd_norm", Features|HeadOf
	if distance {
		name, needs = "fdbd_distance", Features|HeadOf|Training
	}
	return Score{name, needs, "distance to the decision boundaries", func(g Given) (Func, error) {
		var mean []float64
		if distance {
			mean = g.Train.mean()
		}
		between := make([][]float64, g.Head.C) // distances of weights
		for a := range between {
			between[a] = make([]float64, g.Head.C)
			x := g.Head.row(a)
			for b := range a {
				sum := 0.0
				for d, w := range g.Head.row(b) {
					e := float64(x[d]) - float64(w)
					sum += e * e
				}
				between[a][b], between[b][a] = math.Sqrt(sum), math.Sqrt(sum)
			}
		}
		return func(im *Image) float64 {
			sum := 0.0
			for c, z := range im.Z {
				if c != im.Pred {
					sum += math.Abs(z-im.Z[im.Pred]) / between[c][im.Pred]
				}
			}
			if !distance {
				return sum / norm(im.F)
			}
			away := 0.0
			for d, f := range im.F {
				away += (f - mean[d]) * (f - mean[d])
			}
			return sum / math.Sqrt(away)
		}, nil
	}}
}

// NCI is the cosine between the predicted class's weights and the feature less the
// training mean, times the weights' length, with the feature's 1-norm (Liu and Qin, CVPR
// 2025).
func NCI(alpha float64) Score {
	return Score{"nci_a" + number(alpha), Features | HeadOf | Training, "closeness to the predicted class's weights", func(g Given) (Func, error) {
		mean := g.Train.mean()
		return func(im *Image) float64 {
			sum, away, ones := 0.0, 0.0, 0.0
			w := g.Head.row(im.Pred)
			for d, f := range im.F {
				e := f - mean[d]
				sum += float64(w[d]) * e
				away += e * e
				ones += math.Abs(f)
			}
			return sum/math.Sqrt(away) + alpha*ones
		}, nil
	}}
}
