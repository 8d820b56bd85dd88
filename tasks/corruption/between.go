package corruption

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
)

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
	if b.name == Mixup {
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
	what := "second image's share"
	if b.name == CutMix {
		what = "second image in the middle"
	}
	shares := append(errorsCounted(),
		counted{
			name: "neither", title: "neither class", note: "predicted is neither image's class",
			holds: neither, interval: true, better: report.Lower,
		},
		counted{
			name: "second", title: "second class", note: "predicted is the second image's class",
			holds: second, better: report.Neither,
		})
	b.curve.report(g, r, what, b.area(g, neither).number("mean_neither", report.Fraction, 0, 1), shares)
}
