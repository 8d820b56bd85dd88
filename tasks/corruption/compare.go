package corruption

import (
	"context"

	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"
)

// compared is a number that runs are compared by.
type compared struct {
	compare.Metric
	values perImage
}

// paired is a run's numbers, for comparison with others.
type paired struct {
	description compare.Description
	images      []int
	place       map[int]int // of an image among them
	numbers     []compared
}

// Source reads the numbers of the run.
func (l *loaded) Source(ctx context.Context) (compare.Source, error) {
	g, err := read(ctx, l.about, l.run)
	if err != nil {
		return nil, err
	}
	p := pair(g)
	p.description = compare.Description{Head: l.about.Report.Head, Key: l.run.Manifest.Key}
	return p, nil
}

func pair(g *grid) *paired {
	p := &paired{images: g.images, place: map[int]int{}, numbers: g.about.Config.experiment().compared(g)}
	for k, image := range g.images {
		p.place[image] = k
	}
	return p
}

// Metrics are errors: all fractions of which less is better.
func (p *paired) Metrics() []compare.Metric {
	var out []compare.Metric
	for _, n := range p.numbers {
		n.Unit, n.Better = report.Fraction, report.Lower
		out = append(out, n.Metric)
	}
	return out
}

// Good are the images with a result in every variant.
func (p *paired) Good() []int { return p.images }

// Describe is the run's part of a report.
func (p *paired) Describe() compare.Description { return p.description }

// At prepares images.
func (p *paired) At(images []int) compare.Sample {
	values := make([]perImage, len(p.numbers))
	for k, n := range p.numbers {
		for _, i := range images {
			values[k] = append(values[k], n.values[p.place[i]])
		}
	}
	return compare.Sample{Evaluate: func(count []uint16) []float64 {
		out, n := make([]float64, len(values)), 0.0
		for _, c := range count {
			n += float64(c)
		}
		for k, v := range values {
			for i, c := range count {
				out[k] += float64(c) * v[i] / n
			}
		}
		return out
	}}
}
