package scores

import (
	"math"
	"slices"

	"cutmix-eval/metrics"

	"gonum.org/v1/gonum/mat"
)

// changed is the score that is the energy of changed features.
func changed(change func(im *image, out []float64)) func(State, *Head) (Func, error) {
	return func(_ State, h *Head) (Func, error) {
		return func(b *Block, out []float64) {
			n, d := b.features.Dims()
			x := mat.NewDense(n, d, nil)
			for i, im := range b.images {
				change(im, x.RawRowView(i))
			}
			var z mat.Dense
			z.Mul(x, h.matrix()) // zeros of x cost nothing
			h.energies(&z, out)
		}, nil
	}
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
	return changed(func(im *image, out []float64) {
		for i, v := range im.features {
			out[i] = min(max(v, lo), hi)
		}
	})(st, h)
}

// reAct cuts features off at a percentile of the validation features (Sun et al.,
// NeurIPS 2021).
func reAct(percent float64) Score {
	return Score{
		Needs: NeedFeatures | NeedHead | NeedValidation, Summary: "energy of features cut off above", apply: clip,
		parts: []Part{{"low", 1, 1}, {"high", 1, 1}},
		learn: func(d Data) (State, error) {
			return State{"low": number(-math.MaxFloat64), "high": number(metrics.Quantile(d.Validation.sorted(), percent/100))}, nil
		},
	}
}

// vra clips features to two percentiles of the validation features (Xu et al., NeurIPS
// 2023).
func vra(high, low float64) Score {
	return Score{
		Needs: NeedFeatures | NeedHead | NeedValidation, Summary: "energy of features clipped on both sides", apply: clip,
		parts: []Part{{"low", 1, 1}, {"high", 1, 1}},
		learn: func(d Data) (State, error) {
			v := d.Validation.sorted()
			return State{"low": number(metrics.Quantile(v, low/100)), "high": number(metrics.Quantile(v, high/100))}, nil
		},
	}
}

// kept is the number of features that are kept when percent are pruned, rounded half to
// even as OpenOOD does.
func kept(d int, percent float64) int {
	return max(d-int(math.RoundToEven(float64(d)*percent/100)), 1)
}

// ash prunes all but the largest features (Djurisic et al., ICLR 2023): variant b sets
// those that are kept to equal shares of the sum, p keeps them, s scales them.
func ash(variant string, percent float64) Score {
	return Score{Needs: NeedFeatures | NeedHead, Summary: "energy of pruned features", apply: changed(func(im *image, out []float64) {
		k := kept(len(im.features), percent)
		at, sum := im.largest(k)
		all := total(im.features)
		for _, i := range at {
			switch variant {
			case "b":
				out[i] = all / float64(k)
			case "p":
				out[i] = im.features[i]
			default:
				out[i] = im.features[i] * math.Exp(all/sum)
			}
		}
	})}
}

// scale scales all features by what the largest are of their sum (Xu et al., ICLR 2024).
func scale(percent float64) Score {
	return Score{Needs: NeedFeatures | NeedHead, Summary: "energy of scaled features", apply: func(_ State, h *Head) (Func, error) {
		return func(b *Block, out []float64) {
			z := b.weighted(h)
			row := make([]float64, h.Out)
			for i, im := range b.images {
				_, sum := im.largest(kept(h.In, percent))
				r := math.Exp(total(im.features) / sum)
				for c, v := range z.RawRowView(i) {
					row[c] = r*v + float64(h.Bias[c])
				}
				out[i] = logSumExp(row)
			}
		}, nil
	}}
}

// dice keeps the weights that contribute most on training images (Sun and Li, ECCV
// 2022).
func dice(percent float64) Score {
	return Score{
		Needs: NeedFeatures | NeedHead | NeedTraining, Summary: "energy of a head with few weights",
		parts: []Part{{"mean", 1, byFeature}},
		learn: func(d Data) (State, error) { return State{"mean": vector(d.Training.mean())}, nil },
		apply: func(st State, h *Head) (Func, error) {
			mean, err := st.vector("mean", h.In)
			if err != nil {
				return nil, err
			}
			all := make([]float64, 0, h.Out*h.In)
			for c := range h.Out {
				for d, w := range h.Row(c) {
					all = append(all, mean[d]*float64(w))
				}
			}
			limit := metrics.Quantile(slices.Sorted(slices.Values(all)), percent/100)
			w := mat.DenseCopyOf(h.matrix())
			for i, v := range all {
				if !(v > limit) {
					w.Set(i%h.In, i/h.In, 0)
				}
			}
			return func(b *Block, out []float64) { h.energies(b.times(b.features, w), out) }, nil
		},
	}
}
