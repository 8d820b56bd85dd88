package scores

import (
	"math"
	"sync"

	"cutmix-eval/linear"

	"gonum.org/v1/gonum/mat"
)

// Head is the classifier's last linear layer, from features (In) to the logits of classes (Out). Where
// no such layer is known, Weight is nil and only Out is set. It is not changed, and must not be copied
// after its first use; safe for concurrent use.
type Head struct {
	linear.Layer

	transposing sync.Once
	transposed  *mat.Dense // In x Out
	measuring   sync.Once
	gaps        *mat.Dense // Out x Out
}

// matrix is the weights in float64, In x Out.
func (h *Head) matrix() *mat.Dense {
	h.transposing.Do(func() {
		h.transposed = mat.NewDense(h.In, h.Out, nil)
		for c := range h.Out {
			for d, w := range h.Row(c) {
				h.transposed.Set(d, c, float64(w))
			}
		}
	})
	return h.transposed
}

// energies writes the log sum exp of every row of z with the biases.
func (h *Head) energies(z *mat.Dense, out []float64) {
	row := make([]float64, h.Out)
	for i := range out {
		for c, v := range z.RawRowView(i) {
			row[c] = v + float64(h.Bias[c])
		}
		out[i] = logSumExp(row)
	}
}

// distances are the lengths of the differences of the classes' weights, Out x Out.
func (h *Head) distances() *mat.Dense {
	h.measuring.Do(func() {
		h.gaps = mat.NewDense(h.Out, h.Out, nil)
		for a := range h.Out {
			x := h.Row(a)
			for b := range a {
				sum := 0.0
				for d, w := range h.Row(b) {
					e := float64(x[d]) - float64(w)
					sum += e * e
				}
				h.gaps.Set(a, b, math.Sqrt(sum))
				h.gaps.Set(b, a, math.Sqrt(sum))
			}
		}
	})
	return h.gaps
}
