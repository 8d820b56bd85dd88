package corrupt

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPairVector: the vector code gives the values of the code in Go, to the bit.
func TestPairVector(t *testing.T) {
	if !fast {
		t.Skip("this processor has no AVX2")
	}
	defer func() { fast = true }()
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 40 {
		acc, a, b := make([]float64, n), make([]float64, n), make([]float64, n)
		x, y := make([]int32, n), make([]int32, n)
		for i := range n {
			acc[i], a[i], b[i], x[i], y[i] = rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64(), rng.Int32N(2000)-1000, rng.Int32N(2000)
		}
		k := rng.Float64()
		var got [2][2][]float64
		for v := range 2 {
			fast = v == 1
			got[v] = [2][]float64{slices.Clone(acc), slices.Clone(acc)}
			pair(got[v][0], a, b, k)
			pairs(got[v][1], x, y, k)
		}
		if !slices.Equal(got[0][0], got[1][0]) || !slices.Equal(got[0][1], got[1][1]) {
			t.Errorf("%d values differ", n)
		}
	}
}
