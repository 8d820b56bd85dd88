package heads

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func numbers(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// TestNetworkGradient: the gradient is that of the loss, with and without a hidden layer,
// dropout and scaling, for both criteria.
func TestNetworkGradient(t *testing.T) {
	x := []float32{1, 2, -1, 0.5, 3, -2, 0, 1, 4, 4, 0.3, -0.7}
	y := []float64{1, 0, 0, 0, 1, 0, 0.25, 0.25, 0.5, 0, 0, 1}
	for _, c := range []struct {
		hidden    int
		dropout   float64
		criterion Criterion
	}{{0, 0, Softmax}, {0, 0.4, Softmax}, {5, 0, Softmax}, {5, 0.4, Softmax}, {5, 0.4, Sigmoid}} {
		n := NewNetwork(3, c.hidden, 3, c.dropout, c.criterion, numbers(1))
		n.Scale = Scaling{[]float64{0.5, -1, 0.25}, []float64{2, 0.5, 1}}
		rng := numbers(3)
		for i := range n.Params {
			n.Params[i] += 0.3 * rng.NormFloat64()
		}
		grad, other := make([]float64, len(n.Params)), make([]float64, len(n.Params))
		n.Gradient(grad, x, y, numbers(4))
		differ := 0
		for i, v := range n.Params {
			const h = 1e-6
			n.Params[i] = v + h
			up := n.Gradient(other, x, y, numbers(4))
			n.Params[i] = v - h
			down := n.Gradient(other, x, y, numbers(4))
			n.Params[i] = v
			if d := (up - down) / (2 * h); math.Abs(d-grad[i]) > 1e-8 { // h squared times third derivatives, and rounding
				t.Errorf("%+v: parameter %d: gradient %v, difference %v", c, i, grad[i], d)
			}
		}
		n.Gradient(other, x, y, numbers(5))
		for i := range grad {
			if grad[i] != other[i] {
				differ++
			}
		}
		if (differ > 0) != (c.dropout > 0) {
			t.Errorf("%+v: other random numbers change %d of the gradient", c, differ)
		}
		// The file's float32 layers, for features as they are, are the same network.
		want, got := n.Scores(x), n.Written().Scores(x)
		for i := range want {
			if math.Abs(float64(want[i]-got[i])) > 1e-5 { // logits are about 1
				t.Errorf("%+v: the file would give %v, not %v", c, got[i], want[i])
			}
		}
		if layers := n.Layers(); len(layers) != min(c.hidden, 1)+1 {
			t.Errorf("%+v: %d layers", c, len(layers))
		}
	}
	// A head that is given for features as they are does the same on scaled ones.
	n := NewNetwork(3, 0, 2, 0, Softmax, nil)
	n.Set([]float64{1, 2, 3, -1, 0, 1}, []float64{0.5, -0.5})
	want := n.Scores(x)
	n = NewNetwork(3, 0, 2, 0, Softmax, nil)
	n.Scale = Scaling{[]float64{0.5, -1, 0.25}, []float64{2, 0.5, 1}}
	n.Set([]float64{1, 2, 3, -1, 0, 1}, []float64{0.5, -0.5})
	if got := n.Scores(x); !slices.Equal(got, want) {
		t.Errorf("scaled: %v, want %v", got, want)
	}
}

// TestRate: half of one over the largest eigenvalue, and of the inputs' sum.
func TestRate(t *testing.T) {
	// Inputs (1, 2) and (1, -2), with 1: second moments diag(1, 4) with one of 1 beside 1, so
	// eigenvalues 0, 2 and 4.
	x := []float32{1, 2, 1, -2}
	n := NewNetwork(2, 0, 3, 0, Softmax, nil)
	if got := n.SGDRate(x); math.Abs(got-0.125) > 1e-9 {
		t.Errorf("SGD: %v", got)
	}
	if got := n.AdamWRate(x); math.Abs(got-0.125) > 1e-15 { // 1 + 2 + 1
		t.Errorf("AdamW: %v", got)
	}
	n.Scale = Scaling{[]float64{1, 0}, []float64{1, 0.5}} // (0, 1) and (0, -1): eigenvalue 1, twice
	if got := n.SGDRate(x); math.Abs(got-0.5) > 1e-9 {
		t.Errorf("scaled: %v", got)
	}
	big := make([]float32, 0, 20000)
	for i := range 10000 { // more rows than are looked at
		big = append(big, x[i%2*2:i%2*2+2]...)
	}
	n.Scale = plain(2)
	if got := n.SGDRate(big); math.Abs(got-0.125) > 1e-4 { // the rows that are looked at are not quite half of each
		t.Errorf("many: %v", got)
	}
	sig := NewNetwork(2, 0, 3, 0, Sigmoid, nil)
	if got := sig.SGDRate(x); math.Abs(got-0.75) > 1e-9 { // 3 classes over 4
		t.Errorf("sigmoids: %v", got)
	}
	deep := NewNetwork(2, 2, 3, 0, Softmax, numbers(1))
	copy(deep.Params, []float64{1, 0, 0, -2}) // W of the first layer
	copy(deep.Params[deep.Weights():], []float64{1, 0})
	// The hidden layer's outputs with 1: a = (2, 0, 1), b = (2, 4, 1): (a a' + b b')/2 has the
	// eigenvalues of the Gram matrix (5, 5; 5, 21)/2, the larger (26 + sqrt(16*16 + 100))/4.
	if got, want := deep.SGDRate(x), 0.5/((26+math.Sqrt(356))/4); math.Abs(got-want) > 1e-9 {
		t.Errorf("hidden layer: %v, want %v", got, want)
	}
}
