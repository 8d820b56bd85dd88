package binary

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"cutmix-eval/report"
)

// Groupings are the keys that accuracy can be given by.
func Groupings() []string {
	return []string{string(report.KeyClass), string(report.KeyPredicted), string(report.KeySize), string(report.KeyConfidence)}
}

// groups gives the accuracy for every value of a key that occurs, in order.
func (res *result) groups(by report.KeyName, a About) []report.Number {
	type group struct {
		at      int
		name    string
		n, hits int
	}
	classes := func(positive bool) (int, string) {
		name := a.class(positive)
		return slices.Index(a.Names, name), name
	}
	of := func(i int) (at int, name string) {
		r := &res.records[i]
		switch by {
		case report.KeyClass:
			return classes(r.Positive)
		case report.KeyPredicted:
			return classes(res.of.Taken(i))
		case report.KeySize: // of the picture, by powers of two
			k := bits.Len32(uint32(max(min(r.Width, r.Height), 0)))
			return k, fmt.Sprintf("shorter side %d to %d", 1<<k>>1, 1<<k-1)
		case report.KeyConfidence:
			p := res.of.P(i)
			k := min(int(10*max(p, 1-p)), 9)
			return k, fmt.Sprintf("%d to %d %%", 10*k, 10*k+10)
		}
		panic("binary: no grouping by " + string(by))
	}
	var groups []*group
	for i := range res.records {
		at, name := of(i)
		k := slices.IndexFunc(groups, func(g *group) bool { return g.at == at })
		if k < 0 {
			k = len(groups)
			groups = append(groups, &group{at: at, name: name})
		}
		if groups[k].n++; res.of.Right(i) {
			groups[k].hits++
		}
	}
	slices.SortFunc(groups, func(a, b *group) int { return cmp.Compare(a.at, b.at) })
	var out []report.Number
	for _, g := range groups {
		out = append(out, report.Share("accuracy", g.hits, g.n, report.Higher, by.Is(g.name)))
	}
	return out
}

// worst tables the images whose probability is farthest on the wrong side of the threshold.
func (res *result) worst(n int, a About) report.Table {
	t := report.Table{Name: "worst", Title: "wrong by most", Columns: []report.Column{
		{Name: "image", Head: "image"}, {Name: "class", Head: "class"}, {Name: "probability", Head: "probability of " + a.class(true)},
	}}
	var wrong []int
	for i := range res.records {
		if !res.of.Right(i) {
			wrong = append(wrong, i)
		}
	}
	off := func(i int) float64 { return math.Abs(res.of.P(i) - a.Config.Threshold) }
	slices.SortStableFunc(wrong, func(i, j int) int { return cmp.Compare(off(j), off(i)) })
	for _, i := range wrong[:min(n, len(wrong))] {
		r := &res.records[i]
		t.Rows = append(t.Rows, report.Row(report.Word(r.ID), report.Word(r.Class), report.Plain(res.of.P(i), report.Fraction).Full()))
	}
	return t
}
