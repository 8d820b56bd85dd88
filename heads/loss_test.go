package heads

import (
	"math"
	"slices"
	"testing"
)

// TestSigmoid: loss and gradient of torch 1.13's binary_cross_entropy_with_logits, averaged over
// classes, in float64; a class that is not known is left out, and counts in the mean.
func TestSigmoid(t *testing.T) {
	for _, c := range []struct {
		z, y, grad []float64
		loss       float64
	}{
		{[]float64{0.3, -1.2, 2.5}, []float64{1, 0, 0.7}, []float64{-0.14185249439611364, 0.07715840550032746, 0.07471393999291887}, 0.548842482033036},
		{[]float64{-0.4, 0.8, -3}, []float64{0.25, 1, 0}, []float64{0.05043744662918266, -0.10334183962412916, 0.015808624392522258}, 0.3442344233071574},
	} {
		z := slices.Clone(c.z)
		if loss := Sigmoid.Of(z, c.y); math.Abs(loss-c.loss) > 1e-15 {
			t.Errorf("loss %v, want %v", loss, c.loss)
		}
		for i, g := range c.grad {
			if math.Abs(z[i]-g) > 1e-15 {
				t.Errorf("gradient %v, want %v", z, c.grad)
			}
		}
	}
	z := []float64{0.3, 5}
	if loss, want := Sigmoid.Of(z, []float64{1, math.NaN()}), math.Log1p(math.Exp(-0.3))/2; math.Abs(loss-want) > 1e-15 || z[1] != 0 {
		t.Errorf("a class that is not known: loss %v, want %v, gradient %v", loss, want, z)
	}
	// Far from 0 nothing overflows.
	z = []float64{1000, -1000}
	if loss := Sigmoid.Of(z, []float64{0, 1}); math.Abs(loss-1000) > 1e-9 {
		t.Errorf("loss %v", loss)
	}
}
