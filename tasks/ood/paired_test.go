package ood

import (
	"math"
	"math/rand/v2"
	"testing"

	"cutmix-eval/metrics"
)

// TestPaired: numbers under bootstrap counts are those of the images that the counts
// repeat.
func TestPaired(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	p := &Paired{scores: []string{"a"}, sets: []string{"x", "y"}, id: map[int]int{}, out: []map[int]int{{}, {}}, values: [][][]float64{{nil}, {nil}, {nil}}}
	var at []int
	for i := range 90 { // 40 ID images, 30 of x, 20 of y; one of each is not shared
		set := min(i/40, 1) + max(0, i-70+1)/20
		if i >= 70 {
			set = 2
		}
		places := p.id
		if set > 0 {
			places = p.out[set-1]
		}
		places[i] = len(places)
		p.values[set][0] = append(p.values[set][0], float64(rng.IntN(25))-3*float64(set))
		if i != 3 && i != 50 && i != 89 {
			at = append(at, i)
		}
	}
	sample := p.At(at)
	for range 20 {
		count := make([]uint16, len(at))
		for range at {
			count[rng.IntN(len(at))]++
		}
		got := sample.Evaluate(count)
		for k := range p.sets {
			var id, out []float64
			for i, index := range at {
				for range count[i] {
					if place, ok := p.id[index]; ok {
						id = append(id, p.values[0][0][place])
					} else if place, ok := p.out[k][index]; ok {
						out = append(out, p.values[k+1][0][place])
					}
				}
			}
			want, err := metrics.Separate(id, out)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got[2*k]-want.AUROC) > 1e-12 || math.Abs(got[2*k+1]-want.FPRIDPositive.FPR) > 1e-12 {
				t.Errorf("set %d: %v, want %v %v", k, got[2*k:2*k+2], want.AUROC, want.FPRIDPositive.FPR)
			}
		}
	}
}
