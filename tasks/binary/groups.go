package binary

import (
	"cmp"
	"math"
	"slices"

	"cutmix-eval/report"
	"cutmix-eval/tasks"
)

// Groupings are the keys that accuracy can be given by.
func Groupings() []string {
	return []string{string(report.KeyClass), string(report.KeyPredicted), string(report.KeySize), string(report.KeyConfidence)}
}

// groups gives the accuracy for every value of a key that occurs, in order.
func (res *result) groups(by report.KeyName, a About) []report.Number {
	groups := tasks.Groups{By: by, Metrics: []string{"accuracy"}}
	class := func(positive bool) tasks.Value {
		name := a.class(positive)
		return tasks.Value{At: slices.Index(a.Names, name), Name: name}
	}
	for i := range res.records {
		var v tasks.Value
		switch r := &res.records[i]; by {
		case report.KeyClass:
			v = class(r.Positive)
		case report.KeyPredicted:
			v = class(res.of.Taken(i))
		case report.KeySize:
			v = tasks.SizeOf(r.Width, r.Height)
		case report.KeyConfidence:
			p := res.of.P(i)
			v = tasks.ConfidenceOf(max(p, 1-p))
		default:
			panic("binary: no grouping by " + string(by))
		}
		groups.Add(v, res.of.Right(i))
	}
	return groups.Numbers()
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
