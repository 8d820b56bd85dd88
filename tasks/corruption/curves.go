package corruption

import (
	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/variants"
)

// curve is an experiment over levels, in equal steps from nothing to all.
type curve struct {
	Config
	level string // what it is
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

// report writes the mean of what holds over the curve, and the errors at every level, with
// more cells behind them.
func (c curve) report(g *grid, r *report.Report, mean string, holds func(outcome) bool,
	titles []string, more func(k int, at report.Keys) []report.Cell) {
	r.AddMain(c.area(g, holds).number(mean, report.Fraction, 0, 1).Noted("mean over the curve, trapezoid"))
	view := report.View{
		Title:   string(c.Experiment) + ", percent; level: " + c.level,
		Columns: append([]string{"level", "top-1 error", "", "top-5 error"}, titles...),
	}
	for k, v := range g.about.Variants {
		at := c.keys(v)
		e, e5 := r.Add(g.share("error", k, wrong, at...)), r.Add(g.share("top5_error", k, wrong5, at...))
		row := report.Row(report.Word(v.Digits()), e.Bare(), e.Range(), e5.Bare())
		view.Rows = append(view.Rows, append(row, more(k, at)...))
	}
	r.ShowPublished()
	r.Show(view)
}

// keys are those of the numbers at a level.
func (c curve) keys(v variants.Variant) report.Keys {
	return report.Keys{report.KeyExperiment.Is(string(c.Experiment)), report.KeyLevel.Is(v.Digits())}
}

// compared are the errors at every level.
func (c curve) compared(g *grid) []compared {
	var out []compared
	for k, v := range g.about.Variants {
		m := compare.Metric{Name: "error", At: c.keys(v), Label: "error " + v.String()}
		out = append(out, compared{m, g.mean(wrong, k)})
	}
	return out
}

// occlusion hides the middle of images, or all but the middle.
type occlusion struct{ curve }

func (o occlusion) report(g *grid, r *report.Report) {
	o.curve.report(g, r, "mean_error", wrong, nil, func(int, report.Keys) []report.Cell { return nil })
}

// between mixes images of two classes: blends them, or pastes the middle of one.
type between struct{ curve }

func (b between) report(g *grid, r *report.Report) {
	titles := []string{"neither class", "", "second class"}
	b.curve.report(g, r, "mean_neither", neither, titles, func(k int, at report.Keys) []report.Cell {
		n := r.Add(g.share("neither", k, neither, at...).Noted("predicted is neither image's class"))
		other := g.share("second", k, second, at...).Noted("predicted is the second image's class")
		other.Better = report.Neither
		return report.Row(n.Bare(), n.Range(), r.Add(other).Bare())
	})
}
