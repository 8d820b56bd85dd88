package classify

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
	groups := tasks.Groups{By: by, Metrics: []string{"top1", "top5"}}
	if by == report.KeyClass || res.Outputs <= 5 {
		groups.Metrics = groups.Metrics[:1]
	}
	for i, at := range res.Good {
		var v tasks.Value
		r := &res.Records[at]
		switch by {
		case report.KeyClass:
			v = tasks.Value{At: res.class[i], Name: a.className(res.class[i])}
		case report.KeyPredicted:
			v = tasks.Value{At: int(r.Prediction), Name: a.outputName(int(r.Prediction))}
		case report.KeySize:
			v = tasks.SizeOf(r.Width, r.Height)
		case report.KeyConfidence:
			v = tasks.ConfidenceOf(r.Confidence)
		default:
			panic("classify: no grouping by " + string(by))
		}
		groups.Add(v, r.Rank < 1, r.Rank < 5)
	}
	return groups.Numbers()
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
		t.Rows = append(t.Rows, report.Row(report.Word(r.ID), report.Word(a.outputName(int(r.Label))), report.Word(a.outputName(int(r.Prediction))),
			report.Plain(r.Confidence, report.Fraction).Full(), report.Plain(math.Exp(-r.Loss), report.Fraction).Full()))
	}
	return t
}
