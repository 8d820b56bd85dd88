package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestRanking: a ranking gives what Separate gives for images that are repeated as often as
// they count, ties and images that do not count included.
func TestRanking(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 7))
	for range 50 {
		n := 5 + rng.IntN(60)
		v, isID, image, count := make([]float64, n), make([]bool, n), make([]int, n), make([]uint16, n)
		var id, ood []float64
		for i := range n {
			v[i], isID[i], image[i], count[i] = float64(rng.IntN(12)), rng.IntN(2) == 0, i, uint16(rng.IntN(4))
			for range count[i] {
				if isID[i] {
					id = append(id, v[i])
				} else {
					ood = append(ood, v[i])
				}
			}
		}
		auroc, fpr := NewRanking(v, isID, image).Evaluate(count)
		if len(id) == 0 || len(ood) == 0 {
			if !math.IsNaN(auroc) {
				t.Errorf("AUROC %v of one kind of image", auroc)
			}
			continue
		}
		want, err := Separate(id, ood)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(auroc-want.AUROC) > 1e-12 { // sums in another order
			t.Errorf("AUROC %v, want %v", auroc, want.AUROC)
		}
		if fpr != want.FPRIDPositive.FPR {
			t.Errorf("FPR95 %v, want %v", fpr, want.FPRIDPositive.FPR)
		}
	}
}
