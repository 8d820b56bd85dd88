package datasets

import (
	"math/rand/v2"
	"slices"
)

// Pick chooses n samples, with the classes as even as they can be: classes take
// turns, each giving its images in an order that seed decides. It returns their
// indices, ascending; nil is all samples, for n of 0 or too large. Larger limits
// with the same seed hold the smaller ones. Where some samples have labels, those
// without come last.
func (d *Dataset) Pick(n int, seed uint64) []int { return d.PickOf(nil, n, seed) }

// PickOf is Pick from some samples, ascending indices; nil is all.
func (d *Dataset) PickOf(from []int, n int, seed uint64) []int {
	if n <= 0 || n >= len(d.Samples) || from != nil && n >= len(from) {
		return from
	}
	if from == nil {
		for i := range d.Samples {
			from = append(from, i)
		}
	}
	byClass := map[int][]int{}
	var labels []int
	for _, i := range from {
		s := d.Samples[i]
		if _, ok := byClass[s.Label]; !ok {
			labels = append(labels, s.Label)
		}
		byClass[s.Label] = append(byClass[s.Label], i)
	}
	slices.Sort(labels)
	for _, l := range labels {
		rng := rand.New(rand.NewPCG(seed, uint64(l)))
		v := byClass[l]
		rng.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
	}
	var pick []int
	var last []int
	if labels[0] == Unlabelled {
		labels, last = labels[1:], byClass[Unlabelled]
	}
	for round := 0; len(pick) < min(n, len(from)-len(last)); round++ {
		for _, l := range labels {
			if round < len(byClass[l]) && len(pick) < n {
				pick = append(pick, byClass[l][round])
			}
		}
	}
	pick = append(pick, last[:n-len(pick)]...)
	slices.Sort(pick)
	return pick
}
