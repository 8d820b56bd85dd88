package localize

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
)

// Groupings are the kinds of groups that results can be given by: the class of the
// label, and the share of the frame that the largest true box takes.
func Groupings() []string { return []string{"class", "object"} }

// shares are the lower ends of the groups of object sizes.
var shares = []float64{0, 0.1, 0.3, 0.6}

// groups gives localization by group.
func (res *Result) groups(kind string) []report.Group {
	var names []string
	var of func(im *located) int
	switch kind {
	case "class":
		names = res.About.Classify.Names
		index := map[string]int{}
		for i, n := range names {
			index[n] = i
		}
		of = func(im *located) int { return index[im.Class] }
	case "object":
		for i, s := range shares {
			to := 1.0
			if i+1 < len(shares) {
				to = shares[i+1]
			}
			names = append(names, fmt.Sprintf("%.0f to %.0f %% of the frame", 100*s, 100*to))
		}
		frame := float64(res.About.Frame[0] * res.About.Frame[1])
		of = func(im *located) int {
			area := 0.0
			for _, b := range im.truth {
				area = max(area, float64((b.X1-b.X0+1)*(b.Y1-b.Y0+1))/frame)
			}
			at := 0
			for i, s := range shares {
				if area >= s {
					at = i
				}
			}
			return at
		}
	default:
		panic("localize: no grouping " + kind)
	}
	count, known, top1 := make([]int, len(names)), make([]int, len(names)), make([]int, len(names))
	fixed := res.numbers[ofModel].fixed
	for i := range res.Images {
		g := of(&res.Images[i])
		count[g]++
		if fixed[i] {
			known[g]++
			if res.Images[i].classified(1) {
				top1[g]++
			}
		}
	}
	var out []report.Group
	for g, n := range count {
		if n == 0 {
			continue
		}
		share := func(name string, hits int) report.Metric {
			iv := metrics.Wilson(hits, n)
			return report.Metric{Name: name, Value: float64(hits) / float64(n), Unit: report.Fraction, N: n, Interval: &iv, HigherIsBetter: true}
		}
		out = append(out, report.Group{Kind: kind, Name: names[g], Metrics: []report.Metric{share(res.known(), known[g]), share("top1_loc", top1[g])}})
	}
	return out
}

// worst tables the images whose boxes overlap the true ones least, the classes that
// were right first.
func (res *Result) worst(n int) report.Table {
	t := report.Table{Name: "worst", Title: "least overlap", Columns: []string{"image", "class", "overlap", "class right", "box", "true boxes"}}
	var all []*located
	for i := range res.Images {
		all = append(all, &res.Images[i])
	}
	slices.SortStableFunc(all, func(a, b *located) int {
		return cmp.Or(cmp.Compare(a.IoU, b.IoU), cmp.Compare(a.Rank, b.Rank))
	})
	for _, im := range all[:min(n, len(all))] {
		t.Rows = append(t.Rows, []string{im.ID, im.Class, strconv.FormatFloat(im.IoU, 'f', 3, 64), strconv.FormatBool(im.classified(1)), fmt.Sprint(im.Box), fmt.Sprint(im.Truth)})
	}
	return t
}
