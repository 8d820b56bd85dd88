package corruption

import (
	"errors"
	"fmt"
	"image"
	"math"
	"math/rand/v2"

	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"
)

// curve is an experiment over levels, in equal steps from nothing to all.
type curve struct {
	Config
	level string // what it is
}

func (c curve) variants() []Variant {
	out := []Variant{{}}
	for k := 1; k <= c.Steps; k++ {
		out = append(out, Variant{string(c.Experiment), float64(k) / float64(c.Steps)})
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
		row := report.Row(report.Word(v.level()), e.Bare(), e.Range(), e5.Bare())
		view.Rows = append(view.Rows, append(row, more(k, at)...))
	}
	r.ShowPublished()
	r.Show(view)
}

// keys are those of the numbers at a level.
func (c curve) keys(v Variant) report.Keys {
	return report.Keys{report.KeyExperiment.Is(string(c.Experiment)), report.KeyLevel.Is(v.level())}
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

func (occlusion) partners(*datasets.Dataset, uint64) []int { return nil }

// apply paints over the hidden part, with what becomes 0.
func (o occlusion) apply(m *maker, _ int, v Variant, clean imageproc.Image) (imageproc.Image, error) {
	out := m.copy(clean)
	border := o.Experiment == Boundary
	share := v.Level
	if border {
		share = 1 - share
	}
	box, hidden := middle(share, out.W, out.H), zero(m.recipe)
	for y := range out.H {
		for x := range out.W {
			if image.Pt(x, y).In(box) != border {
				copy(out.Pix[3*(y*out.W+x):][:3], hidden[:])
			}
		}
	}
	return out, nil
}

// zero is the pixel that a recipe makes zeros of, but for rounding.
func zero(r imageproc.Recipe) [3]byte {
	scale := 255.0
	if r.Range == 255 {
		scale = 1
	}
	var out [3]byte
	for channel, mean := range r.Mean {
		if r.BGR {
			channel = 2 - channel
		}
		out[channel] = byte(math.Round(min(max(float64(mean)*scale, 0), 255)))
	}
	return out
}

func (o occlusion) report(g *grid, r *report.Report) {
	o.curve.report(g, r, "mean_error", wrong, nil, func(int, report.Keys) []report.Cell { return nil })
}

// between mixes images of two classes: blends them, or pastes the middle of one.
type between struct{ curve }

// partners pairs every image with one of another class: in a random order of all images,
// with the next one of another class.
func (between) partners(d *datasets.Dataset, seed uint64) []int {
	n := len(d.Samples)
	order := rand.New(rand.NewPCG(seed, 0x1be7)).Perm(n)
	out := make([]int, n)
	for k, i := range order {
		out[i] = i
		for step := 1; step < n; step++ {
			if o := order[(k+step)%n]; d.Samples[o].Label != d.Samples[i].Label && d.Samples[o].Label >= 0 {
				out[i] = o
				break
			}
		}
	}
	return out
}

func (b between) apply(m *maker, i int, v Variant, clean imageproc.Image) (imageproc.Image, error) {
	other, err := m.load(m.partner[i])
	if err == nil && len(other.Pix) != len(clean.Pix) {
		err = errors.New("it has another size")
	}
	if err != nil {
		return clean, fmt.Errorf("its partner %s: %w", m.data.Samples[m.partner[i]].ID, err)
	}
	out := m.copy(clean)
	if b.Experiment == Mixup {
		for k, p := range clean.Pix {
			out.Pix[k] = byte(math.Round(float64(float64(p)*(1-v.Level)) + float64(float64(other.Pix[k])*v.Level)))
		}
		return out, nil
	}
	box := middle(v.Level, out.W, out.H)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		from, to := 3*(y*out.W+box.Min.X), 3*(y*out.W+box.Max.X)
		copy(out.Pix[from:to], other.Pix[from:to])
	}
	return out, nil
}

func (b between) report(g *grid, r *report.Report) {
	titles := []string{"neither class", "", "second class"}
	b.curve.report(g, r, "mean_neither", neither, titles, func(k int, at report.Keys) []report.Cell {
		n := r.Add(g.share("neither", k, neither, at...).Noted("predicted is neither image's class"))
		other := g.share("second", k, second, at...).Noted("predicted is the second image's class")
		other.Better = report.Neither
		return report.Row(n.Bare(), n.Range(), r.Add(other).Bare())
	})
}
