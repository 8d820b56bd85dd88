package localize

import (
	"context"

	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"
)

// source is a run's results, for comparison with others.
type source struct {
	*loaded
	res  *result
	good []int
	at   map[int]int // place in res.images by sample
}

func newSource(ctx context.Context, l *loaded) (*source, error) {
	res, err := evaluate(ctx, l.about, l.run)
	if err != nil {
		return nil, err
	}
	s := &source{loaded: l, res: res, at: map[int]int{}}
	for i := range res.images {
		index := int(res.images[i].Index)
		s.good, s.at[index] = append(s.good, index), i
	}
	return s, nil
}

// Describe says what was run on what.
func (s *source) Describe() compare.Description {
	return s.about.Classify.Describe(s.run)
}

// Metrics are the localization metrics: shares at the fixed threshold, and those of the
// sweep.
func (s *source) Metrics() []compare.Metric {
	var names []string
	if s.about.Boxes {
		names = append([]string{"top1_loc", s.res.known()}, sweptNames...)
	}
	if s.about.Masks {
		names = append(names, "px_ap")
	}
	var out []compare.Metric
	for _, n := range names {
		out = append(out, compare.Metric{Name: n, Unit: report.Fraction, Better: report.Higher})
	}
	return out
}

// Good are the samples with a result.
func (s *source) Good() []int { return s.good }

// At prepares samples.
func (s *source) At(at []int) compare.Sample {
	part := &result{about: s.about, numbers: map[string]*numbers{}}
	for _, index := range at {
		part.images = append(part.images, s.res.images[s.at[index]])
	}
	part.sweeps()
	var right []func(i int) bool
	out := compare.Sample{Right: map[string]func(i int) bool{}}
	if s.about.Boxes {
		known := func(i int) bool { return part.images[i].IoU > 0.5 }
		top1 := func(i int) bool { return known(i) && part.images[i].classified(1) }
		right = append(right, top1, known)
		out.Right["top1_loc"], out.Right[part.known()] = top1, known
	}
	out.Evaluate = func(count []uint16) []float64 {
		values := make([]float64, len(right))
		for i := range part.images {
			for k := range right {
				if right[k](i) {
					values[k] += float64(count[i]) / float64(len(part.images))
				}
			}
		}
		if s.about.Boxes {
			values = append(values, part.swept(part.numbers[ofModel], count)...)
		}
		if s.about.Masks {
			values = append(values, part.pxap(count))
		}
		return values
	}
	return out
}
