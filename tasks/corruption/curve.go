package corruption

import (
	"image"
	"math"

	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"
)

// curve is an experiment over levels, in equal steps from nothing to all.
type curve struct {
	name  Experiment
	steps int
}

func (c curve) variants() []Variant {
	out := []Variant{{}}
	for k := 1; k <= c.steps; k++ {
		out = append(out, Variant{string(c.name), float64(k) / float64(c.steps)})
	}
	return out
}

// middle is a box in the middle of w x h pixels that has this share of the sides.
func middle(share float64, w, h int) image.Rectangle {
	bw, bh := int(math.Round(share*float64(w))), int(math.Round(share*float64(h)))
	at := image.Pt((w-bw)/2, (h-bh)/2)
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(bw, bh))}
}

// area is the mean over the curve of the share of images of which something holds, by the
// trapezoid rule.
func (c curve) area(g *grid, holds func(outcome) bool) perImage {
	out, last := g.perImage(), len(g.about.Variants)-1
	for k := range g.about.Variants {
		weight := 1 / float64(last)
		if k == 0 || k == last {
			weight /= 2
		}
		g.add(out, k, holds, weight)
	}
	return out
}

// counted is a share of images that a curve is drawn of.
type counted struct {
	name, title string // for programs, for people
	note        string
	holds       func(outcome) bool
	interval    bool // is shown
	better      report.Better
}

// report writes the mean over the curve, and shares at every level. what says in words what
// the level is.
func (c curve) report(g *grid, r *report.Report, what string, mean report.Number, shares []counted) {
	r.AddMain(mean.Noted("mean over the curve, trapezoid"))
	view := report.View{Title: string(c.name) + ", percent; level: " + what, Columns: []string{"level"}}
	for _, s := range shares {
		view.Columns = append(view.Columns, s.title)
		if s.interval {
			view.Columns = append(view.Columns, "")
		}
	}
	for k, v := range g.about.Variants {
		row := report.Row(report.Word(v.level()))
		for _, s := range shares {
			n := g.share(s.name, k, s.holds, c.keys(v)...).Noted(s.note)
			n.Better = s.better
			at := r.Add(n)
			row = append(row, at.Bare())
			if s.interval {
				row = append(row, at.Range())
			}
		}
		view.Rows = append(view.Rows, row)
	}
	r.ShowPublished()
	r.Show(view)
}

// keys are those of the numbers at a level.
func (c curve) keys(v Variant) report.Keys {
	return report.Keys{report.KeyExperiment.Is(string(c.name)), report.KeyLevel.Is(v.level())}
}

// compared are the errors at every level.
func (c curve) compared(g *grid) []compared {
	var out []compared
	for k, v := range g.about.Variants {
		m := compare.Metric{Name: "error", At: c.keys(v), Label: "error " + v.String()}
		out = append(out, compared{m, g.count(k, wrong)})
	}
	return out
}
