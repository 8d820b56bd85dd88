package localize

import (
	"fmt"

	"cutmix-eval/report"
)

// Groupings are the kinds of groups that results can be given by: the class of the
// label, and the share of the frame that the largest true box takes.
func Groupings() []string { return []string{string(report.KeyClass), string(report.KeyObject)} }

// shares are the lower ends of the groups of object sizes.
var shares = []float64{0, 0.1, 0.3, 0.6}

// groups adds localization by group.
func (res *result) groups(kind string, r *report.Report) report.List {
	names, of := res.grouping(kind)
	count, known, top1 := make([]int, len(names)), make([]int, len(names)), make([]int, len(names))
	fixed := res.numbers[ofModel].fixed
	for i := range res.images {
		g := of(&res.images[i])
		count[g]++
		if fixed[i] {
			known[g]++
			if res.images[i].classified(1) {
				top1[g]++
			}
		}
	}
	out := report.List{By: report.KeyName(kind)}
	for g, n := range count {
		if n == 0 {
			continue
		}
		key := out.By.Is(names[g])
		out.Numbers = append(out.Numbers, r.Add(report.Share(res.known(), known[g], n, report.Higher, key)),
			r.Add(report.Share("top1_loc", top1[g], n, report.Higher, key)))
	}
	return out
}

// grouping names the groups of a kind, and says which an image belongs to.
func (res *result) grouping(kind string) (names []string, of func(im *located) int) {
	switch report.KeyName(kind) {
	case report.KeyClass:
		names = res.about.Classify.Names
		index := map[string]int{}
		for i, n := range names {
			index[n] = i
		}
		return names, func(im *located) int { return index[im.Class] }
	case report.KeyObject:
		for i, s := range shares {
			to := 1.0
			if i+1 < len(shares) {
				to = shares[i+1]
			}
			names = append(names, fmt.Sprintf("%.0f to %.0f %% of the frame", 100*s, 100*to))
		}
		frame := float64(res.about.Frame[0] * res.about.Frame[1])
		return names, func(im *located) int {
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
	}
	panic("localize: no grouping " + kind)
}
