package augment

import (
	"slices"
	"testing"
)

func TestPlanar(t *testing.T) {
	// Three places of two channels.
	if got := Planar(nil, []float32{1, 10, 2, 20, 3, 30}, 2); !slices.Equal(got, []float32{1, 2, 3, 10, 20, 30}) {
		t.Error(got)
	}
}

func TestMeansDiffer(t *testing.T) {
	m := []float32{1, 3, 10, 30}
	if c, _ := MeansDiffer(m, []float32{2, 20}); c != -1 {
		t.Errorf("feature %d is said to differ", c)
	}
	if c, mean := MeansDiffer(m, []float32{2, 20.1}); c != 1 || mean != 20 {
		t.Errorf("feature %d, mean %v", c, mean)
	}
}
