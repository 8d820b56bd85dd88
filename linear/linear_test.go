package linear

import (
	"slices"
	"testing"
)

func TestApply(t *testing.T) {
	l := Layer{In: 3, Out: 2, Weight: []float32{1, 2, 3, -1, 0, 0.5}, Bias: []float32{10, 0}}
	got := make([]float32, 2)
	l.Apply(got, []float32{1, 1, 2})
	if want := []float32{19, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := l.Row(1), []float32{-1, 0, 0.5}; !slices.Equal(got, want) {
		t.Errorf("row 1 is %v, want %v", got, want)
	}
	// 1e8 and 1 cannot be added in float32, in which a sum of terms would lose the 1.
	l = Layer{In: 3, Out: 1, Weight: []float32{1e8, 1, -1e8}, Bias: []float32{0}}
	if l.Apply(got[:1], []float32{1, 1, 1}); got[0] != 1 {
		t.Errorf("the sum is %v, want 1", got[0])
	}
}

func TestApplyPanics(t *testing.T) {
	l := Layer{In: 2, Out: 1, Weight: []float32{1, 1}, Bias: []float32{0}}
	for name, sizes := range map[string][2]int{"input": {1, 3}, "output": {2, 2}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			l.Apply(make([]float32, sizes[0]), make([]float32, sizes[1]))
		})
	}
}

func TestValidate(t *testing.T) {
	weights, biases := make([]float32, 6), make([]float32, 2)
	if err := (Layer{3, 2, weights, biases}).Validate(); err != nil {
		t.Error(err)
	}
	for name, l := range map[string]Layer{
		"no inputs":        {0, 2, nil, biases},
		"no outputs":       {3, 0, nil, nil},
		"a weight missing": {3, 2, weights[1:], biases},
		"a bias missing":   {3, 2, weights, biases[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			if l.Validate() == nil {
				t.Error("it is valid")
			}
		})
	}
}
