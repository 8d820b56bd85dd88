package finetune

import (
	"maps"
	"math"
	"slices"
)

// split divides images into those that train and those held out: of every class the share,
// rounded, but at least one image trains. Images of equal content stay on one side. Both
// lists are ascending. class is of each image; of several, the first.
func split(class []int, content []int64, share float64, seed uint64) (train, held []int) {
	groups := map[int64][]int{} // images by content
	byClass := map[int][]int64{}
	for i, c := range content {
		if _, seen := groups[c]; !seen {
			byClass[class[i]] = append(byClass[class[i]], c)
		}
		groups[c] = append(groups[c], i)
	}
	for _, k := range slices.Sorted(maps.Keys(byClass)) {
		v := byClass[k]
		rng := random(seed, splitting, k, 0)
		rng.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
		n := 0
		for _, c := range v {
			n += len(groups[c])
		}
		want, have := max(int(math.Round(share*float64(n))), 1), 0
		for _, c := range v {
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
