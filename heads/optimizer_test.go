package heads

import (
	"math"
	"slices"
	"testing"
)

// gradient is that of sum((p a + b)^2) + sum(sin 3p) b, a function with nothing special to
// it: parameters p0 to p2 and the bias b.
func gradient(at []float64) []float64 {
	a := []float64{1, 0.5, 2}
	g := make([]float64, 4)
	for i, w := range a {
		r := at[i]*w + at[3]
		g[i] += 2*r*w + 3*math.Cos(3*at[i])*at[3]
		g[3] += 2*r + math.Sin(3*at[i])
	}
	return g
}

// TestOptimizers: four steps of each, against torch.optim (1.13, float64), and the same
// from a state in the middle.
func TestOptimizers(t *testing.T) {
	for name, c := range map[string]struct {
		make func() Optimizer
		want []float64
	}{
		"sgd, nesterov": {func() Optimizer { return &SGD{Momentum: 0.9, Nesterov: true, Decay: 0.1, Decayed: 3} }, []float64{0.2584786243315719, -1.2620883259448414, 0.254800207853896, -0.3907420170482517}},
		"sgd, momentum": {func() Optimizer { return &SGD{Momentum: 0.9, Decay: 0.1, Decayed: 3} }, []float64{0.3000351647661929, -1.5044047768613726, -0.14379798995009646, -0.5342377302884593}},
		"sgd":           {func() Optimizer { return &SGD{Decay: 0.1, Decayed: 3} }, []float64{0.6540162328726992, -1.7941187458625827, 0.10719233531392716, -0.18135623810783896}},
		"adamw":         {func() Optimizer { return &AdamW{Decay: 0.1, Decayed: 3} }, []float64{0.7818857418961549, -1.9911365431364423, 0.2936649485910864, 0.10234643134016591}},
	} {
		start := []float64{1, -2, 0.5, 0.3}
		at := slices.Clone(start)
		o := c.make()
		var half []float64
		var state [][]float64
		for k := range 4 {
			if k == 2 {
				half = slices.Clone(at)
				for _, s := range o.State() {
					state = append(state, slices.Clone(s))
				}
			}
			o.Step(at, gradient(at), 0.05)
		}
		for i, w := range c.want {
			if math.Abs(at[i]-w) > 1e-12 {
				t.Errorf("%s: parameter %d is %v, want %v", name, i, at[i], w)
			}
		}
		again := c.make()
		if err := again.Restore(state, 4); err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][][]float64{nil, {{1}}, {{1}, {2}, {3}}, {{1}, {1, 2, 3, 4}, {1}}, {{1, 2, 3}}, make([][]float64, 7)} {
			if c.make().Restore(bad, 4) == nil {
				t.Errorf("%s: the state %v is taken", name, bad)
			}
		}
		for range 2 {
			again.Step(half, gradient(half), 0.05)
		}
		if !slices.Equal(half, at) {
			t.Errorf("%s: from the middle on %v, not %v", name, half, at)
		}
	}
}

func TestSchedule(t *testing.T) {
	for _, c := range []struct {
		s         Schedule
		step, all int
		want      float64
	}{
		{Schedule{"constant", 0}, 99, 100, 1}, {Schedule{"cosine", 0}, 0, 100, 1}, {Schedule{"cosine", 0}, 50, 100, 0.5},
		{Schedule{"step", 0}, 49, 100, 1}, {Schedule{"step", 0}, 50, 100, 0.1}, {Schedule{"step", 0}, 75, 100, 0.01},
		{Schedule{"cosine", 0.1}, 0, 100, 1. / 11}, {Schedule{"cosine", 0.1}, 9, 100, 10. / 11}, {Schedule{"cosine", 0.1}, 10, 100, 1}, {Schedule{"cosine", 0.1}, 55, 100, 0.5},
	} {
		if got := c.s.Rate(c.step, c.all); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v at step %d: %v, want %v", c.s, c.step, got, c.want)
		}
	}
	for _, bad := range []Schedule{{"linear", 0}, {"cosine", 1}, {"cosine", -0.1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v makes sense", bad)
		}
	}
}
