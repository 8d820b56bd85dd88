// Package linear is one linear layer, as the packages that find, train, replace and score
// classifier heads share it.
package linear

import "fmt"

// Layer computes y = Weight . x + Bias. Weight is row-major, Out x In: a row holds the weights of
// one output. Bias has Out values. Its methods change nothing and are safe for concurrent use.
type Layer struct {
	In, Out      int
	Weight, Bias []float32
}

// Validate reports sizes that disagree.
func (l Layer) Validate() error {
	if l.In < 1 || l.Out < 1 || len(l.Weight) != l.Out*l.In || len(l.Bias) != l.Out {
		return fmt.Errorf("a layer of %d inputs and %d outputs needs %d weights and %d biases, not %d and %d",
			l.In, l.Out, l.Out*l.In, l.Out, len(l.Weight), len(l.Bias))
	}
	return nil
}

// Row is the weights of output o: a view of Weight, In values.
func (l Layer) Row(o int) []float32 { return l.Weight[o*l.In : (o+1)*l.In] }

// Apply writes the layer's outputs for x, summed in float64 from the bias on, to dst. It panics
// unless x has In values and dst has Out.
func (l Layer) Apply(dst, x []float32) {
	if len(x) != l.In || len(dst) != l.Out {
		panic("linear: Apply to vectors of the wrong length")
	}
	for o := range dst {
		sum := float64(l.Bias[o])
		for i, w := range l.Row(o) {
			sum += float64(w) * float64(x[i])
		}
		dst[o] = float32(sum)
	}
}
