package heads

// Set is rows of features with their targets.
type Set struct {
	Targets
	Features int       // values of a row
	X        []float32 // row by row
}

// N is the number of rows.
func (s *Set) N() int { return len(s.Class) }

// Only is some of the rows.
func (s *Set) Only(at []int) Set {
	out := Set{Targets: s.Targets.Only(at), Features: s.Features, X: make([]float32, 0, len(at)*s.Features)}
	for _, i := range at {
		out.X = append(out.X, s.X[i*s.Features:(i+1)*s.Features]...)
	}
	return out
}

// Problem is that of the best linear head for targets y, which can be the set's own.
func (s *Set) Problem(y *Targets, decay float64, k Criterion) *Problem {
	return &Problem{N: s.N(), C: s.Classes, D: s.Features, X: s.X, Y: y.Rows(), L2: decay, Criterion: k}
}

// Measure is the mean loss of a network on the set's own targets, and the network's scores.
func (s *Set) Measure(n *Network) (loss float64, scores []float32) {
	scores = n.Scores(s.X)
	z, y := make([]float64, s.Classes), make([]float64, s.Classes)
	for i := range s.N() {
		for k, v := range scores[i*s.Classes : (i+1)*s.Classes] {
			z[k] = float64(v)
		}
		s.Row(y, i)
		loss += n.Of(z, y)
	}
	return loss / float64(s.N()), scores
}
