package classify

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
	type tally struct {
		name    string
		n, hits int
		top5    int
	}
	var groups []tally
	var of func(i int, r *Record) int // index of the group
	byName := func(names []string) {
		for _, name := range names {
			groups = append(groups, tally{name: name})
		}
	}
	switch by {
	case report.KeyClass:
		byName(a.Names)
		of = func(i int, _ *Record) int { return res.class[i] }
	case report.KeyPredicted:
		for o := range a.Outputs {
			groups = append(groups, tally{name: a.outputName(o)})
		}
		of = func(_ int, r *Record) int { return int(r.Prediction) }
	case report.KeySize: // of the picture, by powers of two
		for k := range 33 {
			groups = append(groups, tally{name: fmt.Sprintf("shorter side %d to %d", 1<<k>>1, 1<<k-1)})
		}
		of = func(_ int, r *Record) int { return bits.Len32(uint32(max(min(r.Width, r.Height), 0))) }
	case report.KeyConfidence:
		for k := range 10 {
			groups = append(groups, tally{name: fmt.Sprintf("%d to %d %%", 10*k, 10*k+10)})
		}
		of = func(_ int, r *Record) int { return min(int(10*r.Confidence), 9) }
	default:
		panic("classify: no grouping by " + string(by))
	}
	for i, at := range res.Good {
		r := &res.Records[at]
		g := &groups[of(i, r)]
		g.n++
		if r.Rank < 1 {
			g.hits++
		}
		if r.Rank < 5 {
			g.top5++
		}
	}
	var out []report.Number
	for _, g := range groups {
		if g.n == 0 {
			continue
		}
		out = append(out, report.Share("top1", g.hits, g.n, report.Higher, by.Is(g.name)))
		if by != report.KeyClass && res.Outputs > 5 {
			out = append(out, report.Share("top5", g.top5, g.n, report.Higher, by.Is(g.name)))
		}
	}
	return out
}

// worst tables the images that were got wrong with most confidence.
func (res *result) worst(n int, a About) report.Table {
	t := report.Table{Name: "worst", Title: "wrong with most confidence", Columns: []report.Column{
		{Name: "image", Head: "image"}, {Name: "class", Head: "class"}, {Name: "taken_for", Head: "taken for"},
		{Name: "confidence", Head: "confidence"}, {Name: "label_probability", Head: "label's probability"},
	}}
	var wrong []*Record
	for _, at := range res.Good {
		if r := &res.Records[at]; !r.Correct {
			wrong = append(wrong, r)
		}
	}
	slices.SortFunc(wrong, func(a, b *Record) int {
		return cmp.Or(-cmp.Compare(a.Confidence, b.Confidence), -cmp.Compare(a.Loss, b.Loss), cmp.Compare(a.Index, b.Index))
	})
	for _, r := range wrong[:min(n, len(wrong))] {
		t.Rows = append(t.Rows, report.Row(report.Word(r.ID), report.Word(r.Class), report.Word(a.outputName(int(r.Prediction))),
			report.Plain(r.Confidence, report.Fraction).Full(), report.Plain(math.Exp(-r.Loss), report.Fraction).Full()))
	}
	return t
}
