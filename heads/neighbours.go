package heads

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Neighbours classifies rows by the k training rows of the largest cosine similarity, each of
// which votes with exp(similarity/0.07) (Wu et al., CVPR 2018): the votes, a row for each.
// Of equal similarities the earlier training row counts.
func Neighbours(train []float32, labels []int, rows []float32, d, classes, k int) []float32 {
	const temperature, block = 0.07, 256
	unit := func(x []float32) *mat.Dense {
		m := mat.NewDense(len(x)/d, d, nil)
		for i := range len(x) / d {
			sum := 0.0
			for j, v := range x[i*d : (i+1)*d] {
				m.RawRowView(i)[j] = float64(v)
				sum += float64(v) * float64(v)
			}
			if sum > 0 {
				for j := range d {
					m.RawRowView(i)[j] /= math.Sqrt(sum)
				}
			}
		}
		return m
	}
	of := unit(train)
	k = min(k, len(labels))
	out := make([]float32, len(rows)/d*classes)
	var sim mat.Dense
	type neighbour struct {
		row int
		sim float64
	}
	before := func(a, b neighbour) int { return cmp.Or(cmp.Compare(b.sim, a.sim), cmp.Compare(a.row, b.row)) }
	for from := 0; from < len(rows)/d; from += block {
		n := min(block, len(rows)/d-from)
		sim.Reset()
		sim.Mul(unit(rows[from*d:(from+n)*d]), of.T())
		for i := range n {
			near := make([]neighbour, 0, k+1)
			for j, s := range sim.RawRowView(i) {
				v := neighbour{j, s}
				if len(near) == k && before(near[k-1], v) < 0 {
					continue
				}
				at, _ := slices.BinarySearchFunc(near, v, before)
				if near = slices.Insert(near, at, v); len(near) > k {
					near = near[:k]
				}
			}
			for _, v := range near {
				out[(from+i)*classes+labels[v.row]] += float32(math.Exp((v.sim - 1) / temperature))
			}
		}
	}
	return out
}
