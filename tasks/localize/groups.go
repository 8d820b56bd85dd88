package localize

import (
	"fmt"

	"cutmix-eval/report"
	"cutmix-eval/tasks"
)

// Groupings are the kinds of groups that results can be given by: the class of the
// label, and the share of the frame that the largest true box takes.
func Groupings() []string { return []string{string(report.KeyClass), string(report.KeyObject)} }

// shares are the lower ends of the groups of object sizes.
var shares = []float64{0, 0.1, 0.3, 0.6}

// groups adds localization by group.
func (res *result) groups(kind string, r *report.Report) report.List {
	by := report.KeyName(kind)
	of := res.grouping(by)
	groups := tasks.Groups{By: by, Metrics: []string{res.known(), "top1_loc"}}
	fixed := res.numbers[ofModel].fixed
	for i := range res.images {
		im := &res.images[i]
		groups.Add(of(im), fixed[i], fixed[i] && im.classified(1))
	}
	out := report.List{By: by}
	for _, n := range groups.Numbers() {
		out.Numbers = append(out.Numbers, r.Add(n))
	}
	return out
}

// grouping says to which group of a key an image belongs.
func (res *result) grouping(by report.KeyName) func(im *located) tasks.Value {
	switch by {
	case report.KeyClass:
		index := map[string]int{}
		for i, n := range res.about.Classify.Names {
			index[n] = i
		}
		return func(im *located) tasks.Value { return tasks.Value{At: index[im.Class], Name: im.Class} }
	case report.KeyObject:
		frame := float64(res.about.Frame[0] * res.about.Frame[1])
		return func(im *located) tasks.Value {
			area := 0.0
			for _, b := range im.truth {
				area = max(area, float64((b.X1-b.X0+1)*(b.Y1-b.Y0+1))/frame)
			}
			at := len(shares) - 1
			for at > 0 && area < shares[at] {
				at--
			}
			to := 1.0
			if at+1 < len(shares) {
				to = shares[at+1]
			}
			return tasks.Value{At: at, Name: fmt.Sprintf("%.0f to %.0f %% of the frame", 100*shares[at], 100*to)}
		}
	}
	panic("localize: no grouping by " + string(by))
}
