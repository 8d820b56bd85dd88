package cam

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// TestScore: with a model whose score is the sum of its input, a channel's weight is the
// softmax of the sums of its mask, by hand.
func TestScore(t *testing.T) {
	f := Features{C: 3, H: 2, W: 2, A: []float32{0, 1, 0, 1, 5, 5, 5, 5, 0, 0, 0, 2}}
	sum := func(in [][]float32) ([]float64, error) {
		var out []float64
		for _, x := range in {
			s := 0.0
			for _, v := range x {
				s += float64(v)
			}
			out = append(out, s)
		}
		return out, nil
	}
	for _, channels := range []int{1, 3} {
		input := slices.Repeat([]float32{0.1}, channels*3*3)
		// At 3 x 3: columns 0, 0.5, 1; nothing; corner products 0, 0.25, 0.5, 1.
		masks := []float64{3 * 1.5, 0, 0.25 + 2*0.5 + 1}
		total := 0.0
		for k := range masks {
			masks[k] = math.Exp(float64(channels) * 0.1 * masks[k])
			total += masks[k]
		}
		want := Combine(f, []float64{masks[0] / total, masks[1] / total, masks[2] / total})
		for _, batch := range []int{1, 2, 3, 8} {
			for _, last := range []bool{false, true} {
				got, err := Score(f, input, 3, 3, last, batch, sum)
				if err != nil || far(got, want) > 1e-6 { // float32 masks
					t.Errorf("%d channels, batches of %d: %v, want %v (%v)", channels, batch, got, want, err)
				}
			}
		}
	}
	bad := errors.New("no")
	if _, err := Score(f, make([]float32, 27), 3, 3, false, 2, func([][]float32) ([]float64, error) { return nil, bad }); !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
}
