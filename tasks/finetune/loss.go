package finetune

import "math"

// criterion is a loss of one image: its logits and its targets.
type criterion int

// The criteria: cross entropy of softmax probabilities, and the mean over classes of the
// binary cross entropy of sigmoids.
const (
	softmax criterion = iota
	sigmoid
)

// of returns the loss of logits z with targets y, and leaves its gradient in z. Targets of
// softmax are shares of classes, which class weights may have changed; those of sigmoid are 0
// to 1, or NaN where it is not known whether the image is of the class.
func (k criterion) of(z, y []float64) float64 {
	if k == sigmoid {
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
