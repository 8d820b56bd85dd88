package corruption

import (
	"image"
	"math"

	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
)

// occlusion hides the middle of images, or all but the middle.
type occlusion struct{ curve }

func (occlusion) partners(*datasets.Dataset, uint64) []int { return nil }

// apply paints over the hidden part, with what becomes 0.
func (o occlusion) apply(m *maker, _ int, v Variant, clean imageproc.Image) (imageproc.Image, error) {
	out := m.copy(clean)
	border := o.name == Boundary
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
	what := "hole in the middle"
	if o.name == Boundary {
		what = "border hidden"
	}
	o.curve.report(g, r, what, o.area(g, wrong).number("mean_error", report.Fraction, 0, 1), errorsCounted())
}

// errorsCounted are the shares of every curve.
func errorsCounted() []counted {
	return []counted{
		{name: "error", title: "top-1 error", holds: wrong, interval: true, better: report.Lower},
		{name: "top5_error", title: "top-5 error", holds: wrong5, better: report.Lower},
	}
}
