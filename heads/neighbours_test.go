package heads

import (
	"math"
	"slices"
	"testing"
)

// TestNeighbours: votes are those of the plain way, whatever the block that a row is in.
func TestNeighbours(t *testing.T) {
	rng := numbers(2)
	const d, classes, k = 5, 3, 4
	var train, rows []float32
	var labels []int
	for i := range 40 {
		for range d {
			train = append(train, float32(rng.NormFloat64()))
		}
		labels = append(labels, i%classes)
	}
	train = append(train, train[:d]...) // the first one again: of equal ones the earlier counts
	labels = append(labels, 2)
	train = append(train, make([]float32, d)...) // no direction
	labels = append(labels, 1)
	for range 300 { // more than a block
		for range d {
			rows = append(rows, float32(rng.NormFloat64()))
		}
	}
	copy(rows, train[:d])
	got := Neighbours(train, labels, rows, d, classes, k)
	cosine := func(a, b []float32) float64 {
		ab, aa, bb := 0.0, 0.0, 0.0
		for i := range a {
			ab, aa, bb = ab+float64(a[i])*float64(b[i]), aa+float64(a[i])*float64(a[i]), bb+float64(b[i])*float64(b[i])
		}
		if aa == 0 || bb == 0 {
			return 0
		}
		return ab / math.Sqrt(aa) / math.Sqrt(bb)
	}
	for r := range 300 {
		type pair struct {
			sim float64
			row int
		}
		var all []pair
		for i := range labels {
			all = append(all, pair{cosine(rows[r*d:(r+1)*d], train[i*d:(i+1)*d]), i})
		}
		slices.SortStableFunc(all, func(a, b pair) int {
			if math.Abs(a.sim-b.sim) < 1e-12 {
				return 0
			}
			if a.sim > b.sim {
				return -1
			}
			return 1
		})
		want := make([]float64, classes)
		for _, p := range all[:k] {
			want[labels[p.row]] += math.Exp((p.sim - 1) / 0.07)
		}
		for c, w := range want {
			if g := float64(got[r*classes+c]); math.Abs(g-w) > 1e-5*max(1e-3, w) { // float32 sums
				t.Errorf("row %d, class %d: %v, want %v", r, c, g, w)
			}
		}
	}
	if v := Neighbours(train, labels, rows[:d], d, classes, 1); v[0] < 0.99 || v[2] != 0 {
		t.Errorf("one neighbour: %v", v)
	}
	if v := Neighbours(train, labels, rows[:d], d, classes, 1000); len(v) != classes {
		t.Errorf("more neighbours than there are: %v", v)
	}
}
