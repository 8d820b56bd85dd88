package metrics

import (
	"errors"
	"iter"
	"math"
)

// ErrNoTemperature says that the likelihood grows without end as the
// temperature goes to zero or infinity, as it does when every prediction is
// right.
var ErrNoTemperature = errors.New("no finite temperature fits best (all predictions right, or labels unrelated to logits)")

// Limits between which a temperature is looked for.
const (
	minTemperature = 1e-3
	maxTemperature = 1e3
)

// Temperature is the maximum-likelihood temperature of a softmax (Guo et al.,
// ICML 2017) with its 95 % interval.
type Temperature struct {
	Value    float64
	Interval Interval
}

// FitTemperature minimises the mean NLL of logits/T over T. rows yields every
// row of logits with its label and is run through several times. In 1/T the
// problem is convex; the result is exact to about 1e-12 relative. The interval
// comes from the sandwich variance of the estimate, on the log scale.
func FitTemperature(rows iter.Seq2[[]float32, int]) (Temperature, error) {
	lo, hi := 1/maxTemperature, 1/minTemperature
	beta := 1.0
	var g gradient
	for i := range 200 {
		g = gradientAt(rows, beta)
		if g.n == 0 {
			return Temperature{}, errors.New("no rows to fit a temperature on")
		}
		if math.IsNaN(g.first) {
			return Temperature{}, errors.New("logits that are not finite")
		}
		if g.first > 0 {
			hi = beta
		} else {
			lo = beta
		}
		next := beta - g.first/g.second
		// Bisect on the log scale where Newton leads out, and now and then while
		// the bracket is wide: towards infinity Newton's steps are short.
		if g.second <= 0 || !(next > lo && next < hi) || i%3 == 2 && hi/lo > 2 {
			next = math.Sqrt(lo * hi)
		}
		if math.Abs(next-beta) <= 1e-13*beta || hi/lo < 1+1e-13 {
			beta = next
			break
		}
		beta = next
	}
	if beta < 1.001/maxTemperature || beta > 0.999/minTemperature {
		return Temperature{}, ErrNoTemperature
	}
	t := Temperature{Value: 1 / beta}
	// Var(beta) = B/A^2; ln T = -ln beta, so its standard error is that of beta
	// divided by beta.
	se := math.Sqrt(g.square) / g.second / beta
	t.Interval = Interval{
		Low: t.Value * math.Exp(-z95*se), High: t.Value * math.Exp(z95*se),
		Level: 0.95, Method: "sandwich",
	}
	return t, nil
}

// gradient holds derivatives of the summed NLL with respect to beta = 1/T.
type gradient struct {
	first, second float64
	square        float64 // sum of the squared first derivatives of single rows
	n             int
}

func gradientAt(rows iter.Seq2[[]float32, int], beta float64) gradient {
	var g gradient
	for z, label := range rows {
		top := math.Inf(-1)
		for _, v := range z {
			top = max(top, float64(v))
		}
		var s0, s1, s2 float64
		for _, v := range z {
			d := float64(v) - top
			e := math.Exp(d * beta)
			s0 += e
			s1 += e * d
			s2 += e * d * d
		}
		mean := s1 / s0
		d := mean - (float64(z[label]) - top)
		g.first += d
		g.second += s2/s0 - mean*mean
		g.square += d * d
		g.n++
	}
	return g
}
