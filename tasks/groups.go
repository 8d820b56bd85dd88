package tasks

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"cutmix-eval/report"
)

// Groups counts hits among images by the value of a key.
type Groups struct {
	By      report.KeyName
	Metrics []string // names of the shares of hits
	groups  []*group // sorted by at
}

// group are the images of one value.
type group struct {
	Value
	n    int
	hits []int // by metric
}

// Value is a value of a key, and its place among the others.
type Value struct {
	At   int
	Name string
}

// SizeOf is the range of a picture's shorter side, by powers of two.
func SizeOf(width, height int32) Value {
	k := bits.Len32(uint32(max(min(width, height), 0)))
	return Value{k, fmt.Sprintf("shorter side %d to %d", 1<<k>>1, 1<<k-1)}
}

// ConfidenceOf is the tenth in which a probability lies; 1 lies in the last.
func ConfidenceOf(p float64) Value {
	k := min(int(10*p), 9)
	return Value{k, fmt.Sprintf("%d to %d %%", 10*k, 10*k+10)}
}

// Add counts an image: whether it is a hit of each of the metrics.
func (g *Groups) Add(v Value, hits ...bool) {
	k, found := slices.BinarySearchFunc(g.groups, v.At, func(g *group, at int) int { return cmp.Compare(g.At, at) })
	if !found {
		g.groups = slices.Insert(g.groups, k, &group{Value: v, hits: make([]int, len(g.Metrics))})
	}
	g.groups[k].n++
	for m, hit := range hits[:len(g.Metrics)] {
		if hit {
			g.groups[k].hits[m]++
		}
	}
}

// Numbers are the shares of each value that occurs, in order.
func (g *Groups) Numbers() []report.Number {
	var out []report.Number
	for _, of := range g.groups {
		for m, name := range g.Metrics {
			out = append(out, report.Share(name, of.hits[m], of.n, report.Higher, g.By.Is(of.Name)))
		}
	}
	return out
}
