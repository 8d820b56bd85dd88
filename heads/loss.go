// Package heads trains classifier heads on features: softmax or sigmoid regression, with a
// hidden layer or without, by gradient descent or to the optimum; and classifies by nearest
// neighbours.
//
// Features are float32, row by row; everything is computed in float64. All is a function of
// its arguments: what is random is drawn from the generator that is given.
package heads

import "math"

// Criterion is a loss of one image: its logits and its targets.
type Criterion int

// The criteria: cross entropy of softmax probabilities, and the mean over classes of the
// binary cross entropy of sigmoids.
const (
	Softmax Criterion = iota
	Sigmoid
)

// Of returns the loss of logits z with targets y, and leaves its gradient in z. Targets of
// softmax are shares of classes, which class weights may have changed; those of sigmoid are 0
// to 1, or NaN where it is not known whether the image is of the class.
func (k Criterion) Of(z, y []float64) float64 {
	if k == Sigmoid {
		total := 0.0
		for c, v := range z {
			if math.IsNaN(y[c]) {
				z[c] = 0
				continue
			}
			total += max(v, 0) - v*y[c] + math.Log1p(math.Exp(-math.Abs(v)))
			z[c] = (1/(1+math.Exp(-v)) - y[c]) / float64(len(z))
		}
		return total / float64(len(z))
	}
	top := math.Inf(-1)
	for _, v := range z {
		top = max(top, v)
	}
	sum, dot, share := 0.0, 0.0, 0.0
	for c, v := range z {
		dot += y[c] * (v - top)
		share += y[c]
		z[c] = math.Exp(v - top)
		sum += z[c]
	}
	for c := range z {
		z[c] = share*z[c]/sum - y[c]
	}
	return share*math.Log(sum) - dot
}
