package heads

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSplit: shares by class, at least one row that trains, equal content on one side, the same
// for a seed.
func TestSplit(t *testing.T) {
	var class []int
	var content []int64
	add := func(c, n int, of func(i int) int64) {
		for i := range n {
			class, content = append(class, c), append(content, of(i))
		}
	}
	next := int64(0)
	fresh := func(int) int64 { next++; return next }
	add(0, 100, fresh)
	add(1, 10, fresh)
	add(2, 1, fresh)
	add(3, 3, func(int) int64 { return -1 })                  // one picture, three times
	add(4, 40, func(i int) int64 { return -10 - int64(i/2) }) // every picture twice
	add(1, 1, func(int) int64 { return 1 })                   // a picture of class 0, labelled 1, too
	train, held := Split(class, content, 0.8, 7)

	t.Run("seed", func(t *testing.T) {
		if again, _ := Split(class, content, 0.8, 7); !slices.Equal(train, again) {
			t.Error("the same seed gives another split")
		}
		if other, _ := Split(class, content, 0.8, 8); slices.Equal(train, other) {
			t.Error("another seed gives the same split")
		}
	})
	t.Run("whole", func(t *testing.T) {
		var want []int
		for i := range class {
			want = append(want, i)
		}
		if got := slices.Sorted(slices.Values(slices.Concat(train, held))); !slices.Equal(got, want) {
			t.Errorf("%d and %d of %d rows", len(train), len(held), len(class))
		}
		if !slices.IsSorted(train) || !slices.IsSorted(held) {
			t.Error("a side is not ascending")
		}
	})
	t.Run("content", func(t *testing.T) {
		trains := map[int64]bool{}
		for _, i := range train {
			trains[content[i]] = true
		}
		for _, i := range held {
			if trains[content[i]] {
				t.Errorf("content %d is on both sides", content[i])
			}
		}
	})
	t.Run("shares", func(t *testing.T) {
		count := make([]int, 5)
		for _, i := range train {
			count[class[i]]++
		}
		// The picture with two labels goes with class 0, and counts for both: 80 or 81, and 8 or 9.
		count[0], count[1] = min(count[0], 80), min(count[1], 8)
		if d := cmp.Diff([]int{80, 8, 1, 3, 32}, count); d != "" {
			t.Error(d)
		}
	})
	t.Run("one row per class", func(t *testing.T) {
		train, held := Split([]int{0, 1}, []int64{1, 2}, 0.8, 0)
		if d := cmp.Diff([][]int{{0, 1}, nil}, [][]int{train, held}); d != "" {
			t.Error(d)
		}
	})
}
