package heads

import (
	"maps"
	"math"
	"slices"
)

// Split divides rows into those that train and those that are held out: of every class the share
// trains, rounded, and at least one row. Rows of equal content stay on one side. class is of each
// row; of several, the first. Both lists are ascending.
func Split(class []int, content []int64, share float64, seed uint64) (train, held []int) {
	groups := map[int64][]int{} // rows by content
	byClass := map[int][]int64{}
	for i, c := range content {
		if _, seen := groups[c]; !seen {
			byClass[class[i]] = append(byClass[class[i]], c)
		}
		groups[c] = append(groups[c], i)
	}
	for _, k := range slices.Sorted(maps.Keys(byClass)) {
		contents, n := byClass[k], 0
		Splitting.Rand(seed, k, 0).Shuffle(len(contents), func(i, j int) { contents[i], contents[j] = contents[j], contents[i] })
		for _, c := range contents {
			n += len(groups[c])
		}
		want, have := max(int(math.Round(share*float64(n))), 1), 0
		for _, c := range contents {
			if have < want {
				train = append(train, groups[c]...)
				have += len(groups[c])
			} else {
				held = append(held, groups[c]...)
			}
		}
	}
	slices.Sort(train)
	slices.Sort(held)
	return train, held
}
