package predictions

import (
	"fmt"
	"math"
	"slices"
)

// numbers takes one number per row: of a class, counted from 0, or the score of a single output.
func (t *Table) numbers(v []float64) error {
	if slices.ContainsFunc(v, fraction) {
		t.N, t.Classes = len(v), 1
		t.Scores = make([]float32, len(v))
		for i, x := range v {
			t.Scores[i] = float32(x)
		}
		return nil
	}
	t.N, t.Hard = len(v), true
	for i, c := range v {
		if c >= maxClasses {
			return fmt.Errorf("%s is %v: with one whole number per row that is the number of a class, from 0, and there are at most %d", t.Place(i), c, maxClasses)
		}
		t.Classes = max(t.Classes, int(c)+1)
	}
	if t.N*t.Classes > maxSize/4 {
		return fmt.Errorf("its class numbers go up to %d, too many classes for %d rows", t.Classes-1, t.N)
	}
	t.Scores = make([]float32, t.N*t.Classes)
	for i, c := range v {
		t.Scores[i*t.Classes+int(c)] = 1
	}
	return nil
}

// fraction says that a number is none of a class.
func fraction(x float64) bool { return x != math.Trunc(x) || x < 0 || math.IsInf(x, 0) }

// classes takes the name of the predicted class of each row.
func (t *Table) classes(v []string) error {
	t.N, t.Hard = len(v), true
	t.Names = slices.Compact(slices.Sorted(slices.Values(v)))
	t.Classes = len(t.Names)
	if t.N*t.Classes > maxSize/4 {
		return fmt.Errorf("its %d rows predict %d different classes, too many", t.N, t.Classes)
	}
	t.Scores = make([]float32, t.N*t.Classes)
	for i, name := range v {
		if name == "" {
			return fmt.Errorf("%s has no predicted class", t.Place(i))
		}
		k, _ := slices.BinarySearch(t.Names, name)
		t.Scores[i*t.Classes+k] = 1
	}
	return nil
}

// Predicted is the predicted class of each row: the one with the largest score, the first of several.
func (t *Table) Predicted() []int {
	out := make([]int, t.N)
	for i := range out {
		for k, v := range t.Row(i) {
			if v > t.Row(i)[out[i]] {
				out[i] = k
			}
		}
	}
	return out
}

// With is a table of predicted classes with other classes, of which class k is now place[k]. names
// name them; nil for none.
func (t *Table) With(classes int, names []string, place func(k int) int) *Table {
	out := *t
	out.Classes, out.Names, out.Headers = classes, names, nil
	out.Scores = make([]float32, t.N*classes)
	for i, k := range t.Predicted() {
		out.Scores[i*classes+place(k)] = 1
	}
	return &out
}
