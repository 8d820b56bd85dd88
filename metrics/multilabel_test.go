package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestMultiLabel: average precisions as scikit-learn 1.2's average_precision_score gives them,
// ties and images that are not known included, and counts that repeat images.
func TestMultiLabel(t *testing.T) {
	nan := math.NaN()
	scores := []float32{0.1, 0.9, 0.4, 0.8, 0.35, 0.7, 0.8, 0.6, 0.2, 0.5}
	truth := []float64{0, 1, 0, 1, 1, 0, 1, nan, 0, 1}
	one := func(scores []float32, truth []float64, c int) []float64 {
		count := make([]uint16, len(scores)/c)
		for i := range count {
			count[i] = 1
		}
		return NewMultiLabel(scores, truth, c).Evaluate(count)
	}
	// Without the eighth: y_true 0 1 0 1 1 0 1 0 1 with the scores 0.1 0.9 0.4 0.8 0.35 0.7 0.8 0.2 0.5.
	if got := one(scores, truth, 1); math.Abs(got[0]-0.9028571428571429) > 1e-12 || got[0] != got[1] {
		t.Errorf("average precision %v", got)
	}
	// Two classes, of which the second has no positive image.
	if got := one([]float32{1, 0, 0, 1, 0.5, 1}, []float64{1, 0, 0, 0, 1, 0}, 2); got[0] != 1 || got[1] != 1 || !math.IsNaN(got[2]) {
		t.Errorf("%v", got)
	}
	// All tied: the share of positives.
	if got := one([]float32{1, 1, 1, 1}, []float64{1, 0, 0, 0}, 1); got[0] != 0.25 {
		t.Errorf("%v", got)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const n, c = 40, 3
	s, y := make([]float32, n*c), make([]float64, n*c)
	count := make([]uint16, n)
	var rs []float32
	var ry []float64
	for i := range n {
		for k := range c {
			s[i*c+k], y[i*c+k] = float32(rng.IntN(15)), float64(rng.IntN(2))
		}
		count[i] = uint16(rng.IntN(4))
		for range count[i] {
			rs, ry = append(rs, s[i*c:(i+1)*c]...), append(ry, y[i*c:(i+1)*c]...)
		}
	}
	want, got := one(rs, ry, c), NewMultiLabel(s, y, c).Evaluate(count)
	for k := range want {
		if math.Abs(want[k]-got[k]) > 1e-12 {
			t.Errorf("number %d with counts %v, with copies %v", k, got[k], want[k])
		}
	}
}
