package classify

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
)

// Groupings are the kinds of groups that accuracy can be given by.
func Groupings() []string { return []string{"class", "predicted", "size", "confidence"} }

// groups gives the accuracy of every group of a kind, in the order of the kind.
func (res *Result) groups(kind string, a About) []report.Group {
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
	switch kind {
	case "class":
		byName(a.Names)
		of = func(i int, _ *Record) int { return res.class[i] }
	case "predicted":
		for o := range a.Outputs {
			groups = append(groups, tally{name: a.outputName(o)})
		}
		of = func(_ int, r *Record) int { return int(r.Prediction) }
	case "size": // of the picture, by powers of two
		for k := range 33 {
			groups = append(groups, tally{name: fmt.Sprintf("shorter side %d to %d", 1<<k>>1, 1<<k-1)})
		}
		of = func(_ int, r *Record) int { return bits.Len32(uint32(max(min(r.Width, r.Height), 0))) }
	case "confidence":
		for k := range 10 {
			groups = append(groups, tally{name: fmt.Sprintf("%d to %d %%", 10*k, 10*k+10)})
		}
		of = func(_ int, r *Record) int { return min(int(10*r.Confidence), 9) }
	default:
		panic("classify: no grouping " + kind)
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
	var out []report.Group
	share := func(name string, hits, n int) report.Metric {
		iv := metrics.Wilson(hits, n)
		return report.Metric{Name: name, Value: float64(hits) / float64(n), Unit: report.Fraction, N: n, Interval: &iv, HigherIsBetter: true}
	}
	for _, g := range groups {
		if g.n == 0 {
			continue
		}
		ms := []report.Metric{share("top1", g.hits, g.n)}
		if kind != "class" && res.Outputs > 5 {
			ms = append(ms, share("top5", g.top5, g.n))
		}
		out = append(out, report.Group{Kind: kind, Name: g.name, Metrics: ms})
	}
	return out
}

// worst tables the images that were got wrong with most confidence.
func (res *Result) worst(n int, a About) report.Table {
	t := report.Table{Name: "worst", Title: "wrong with most confidence", Columns: []string{"image", "class", "taken for", "confidence", "label's probability"}}
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
		t.Rows = append(t.Rows, []string{r.ID, r.Class, a.outputName(int(r.Prediction)), percent(r.Confidence), percent(math.Exp(-r.Loss))})
	}
	return t
}

func percent(p float64) string { return report.Percent(p) + " %" }
