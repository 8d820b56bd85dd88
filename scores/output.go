package scores

import (
	"errors"
	"iter"
	"math"
	"slices"

	"cutmix-eval/metrics"
)

// msp is the largest softmax probability (Hendrycks and Gimpel, ICLR 2017).
func msp() Score {
	return Score{Summary: "largest softmax probability", apply: unfitted(func(im *image) float64 { return im.p[im.pred] })}
}

// maxLogit is the largest logit (Hendrycks et al., ICML 2022).
func maxLogit() Score {
	return Score{Summary: "largest logit", apply: unfitted(func(im *image) float64 { return im.logits[im.pred] })}
}

// energy is log sum exp of the logits (Liu et al., NeurIPS 2020, T = 1).
func energy() Score {
	return Score{Summary: "log sum exp of the logits", apply: unfitted(func(im *image) float64 { return im.lse })}
}

// entropy is the negative entropy of the softmax.
func entropy() Score {
	return Score{Summary: "negative entropy of the softmax", apply: unfitted(func(im *image) float64 { return negativeEntropy(im.p) })}
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

// tempScaling is the largest softmax probability at the temperature that fits the
// validation set best (Guo et al., ICML 2017).
func tempScaling() Score {
	return Score{
		Needs: NeedValidation, Summary: "largest probability at the temperature fitted on the validation set",
		parts: []Part{{"temperature", 1, 1}},
		learn: func(d Data) (State, error) {
			v := d.Validation
			if v.unlabelled {
				return nil, errors.New("the validation images have no labels")
			}
			t, err := metrics.FitTemperature(func() iter.Seq2[[]float32, int] {
				return func(yield func([]float32, int) bool) {
					for i := range v.n {
						if !yield(v.logitRow(i), v.labels[i]) {
							return
						}
					}
				}
			}())
			return State{"temperature": number(t.Value)}, err
		},
		apply: func(st State, _ *Head) (Func, error) {
			t, err := st.number("temperature")
			return each(atTemperature(t)), err
		},
	}
}

func atTemperature(t float64) func(*image) float64 {
	return func(im *image) float64 {
		top, sum := im.logits[im.pred], 0.0
		for _, z := range im.logits {
			sum += math.Exp((z - top) / t)
		}
		return 1 / sum
	}
}

// odin is the temperature part of ODIN (Liang et al., ICLR 2018): without gradients the
// input is not changed.
func odin(t float64) Score {
	return Score{
		Summary: "largest probability at temperature " + written(t) + " (ODIN without its input perturbation)",
		apply:   unfitted(atTemperature(t)),
	}
}

// gen is the generalised entropy of the m largest probabilities (Liu et al., CVPR 2023).
func gen(gamma float64, m int) Score {
	return Score{Summary: "generalised entropy of the largest probabilities", apply: unfitted(func(im *image) float64 {
		at := falling(im.p)[:min(m, len(im.p))]
		slices.Sort(at)
		sum := 0.0
		for _, k := range at {
			sum -= math.Pow(im.p[k], gamma) * math.Pow(im.q[k], gamma)
		}
		return sum
	})}
}

// gradNorm is the 1-norm of the gradient, with respect to the head's weights, of the
// cross entropy with a uniform target (Huang et al., NeurIPS 2021), in closed form.
func gradNorm() Score {
	f := func(im *image) float64 {
		c, sum := float64(len(im.p)), 0.0
		for k, p := range im.p {
			d := c*p - 1
			if p > 0.5 { // c p - 1 = (c - 1) - c (1 - p)
				d = (c - 1) - c*im.q[k]
			}
			sum += math.Abs(d)
		}
		return absolute(im.features) * sum
	}
	return Score{Needs: NeedFeatures, Summary: "1-norm of the gradient of the head's weights, in closed form", apply: unfitted(f)}
}

func absolute(f []float64) float64 {
	sum := 0.0
	for _, v := range f {
		sum += math.Abs(v)
	}
	return sum
}
