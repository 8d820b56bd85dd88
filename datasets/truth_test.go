package datasets

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestTruth: of one label and of several, and which samples have one.
func TestTruth(t *testing.T) {
	d := &Dataset{Classes: []string{"cat", "dog"}, Samples: []Sample{{Label: 1}, {Label: Unlabelled}, {Label: 0}}}
	one, unknown := d.Truth([]string{"bird", "cat", "dog"}, map[string]int{"bird": 0, "cat": 1, "dog": 2})
	if len(unknown) > 0 {
		t.Errorf("unknown: %v", unknown)
	}
	if _, unknown := d.Truth([]string{"cat"}, map[string]int{"cat": 0}); !cmp.Equal([]string{"dog"}, unknown) {
		t.Errorf("unknown: %v", unknown)
	}
	m := &MultiLabels{Classes: []string{"cat", "dog"}, Of: [][]int8{{0, 1}, nil, {-1, 0}}}
	nan := math.NaN()
	for name, c := range map[string]struct {
		of    *Truth
		rows  [][]float64
		class []int
	}{
		"one":     {one, [][]float64{{0, 0, 1}, {0, 0, 0}, {0, 1, 0}}, []int{2, -1, 1}},
		"several": {m.Truth(d), [][]float64{{0, 1}, {0, 0}, {nan, 0}}, []int{1, -1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, want := range c.rows {
				got := make([]float64, len(c.of.Classes))
				if class := c.of.Row(got, i); class != c.class[i] {
					t.Errorf("sample %d: class %d, want %d", i, class, c.class[i])
				}
				if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
					t.Errorf("sample %d: %s", i, d)
				}
			}
			if d := cmp.Diff([]int{0, 2}, c.of.Labelled()); d != "" {
				t.Error(d)
			}
		})
	}
	d.Samples = d.Samples[:1]
	if at := m.Truth(d).Labelled(); at != nil {
		t.Errorf("all: %v", at)
	}
}
