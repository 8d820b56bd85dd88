package localize

import (
	"context"

	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// Source is a run's results, for comparison with others.
type Source struct {
	key  results.Key
	res  *Result
	good []int
	at   map[int]int // place in res.Images by sample
}

// Load reads the results of a run.
func Load(ctx context.Context, run *results.Run) (*Source, error) {
	a, err := Read(run)
	if err != nil {
		return nil, err
	}
	res, err := Evaluate(ctx, a, run)
	if err != nil {
		return nil, err
	}
	s := &Source{res: res, key: run.Manifest.Key, at: map[int]int{}}
	for i := range res.Images {
		index := int(res.Images[i].Index)
		s.good, s.at[index] = append(s.good, index), i
	}
	return s, nil
}

// Metrics are the localization metrics: shares at the fixed threshold, and those of
// the sweep.
func (s *Source) Metrics() []compare.Metric {
	share := func(name string) compare.Metric {
		return compare.Metric{Name: name, Unit: report.Fraction, HigherIsBetter: true, Kind: compare.McNemar}
	}
	var out []compare.Metric
	if s.res.About.Boxes {
		out = append(out, share("top1_loc"), share(s.res.known()))
		for _, name := range sweptNames {
			out = append(out, compare.Metric{Name: name, Unit: report.Fraction, HigherIsBetter: true})
		}
	}
	if s.res.About.Masks {
		out = append(out, compare.Metric{Name: "px_ap", Unit: report.Fraction, HigherIsBetter: true})
	}
	return out
}

// Key is the run's.
func (s *Source) Key() results.Key { return s.key }

// Good are the samples with a result.
func (s *Source) Good() []int { return s.good }

// Describe is the run's part of a report.
func (s *Source) Describe() *report.Report { return &s.res.About.Classify.Report }

// At prepares samples.
func (s *Source) At(at []int) compare.Sample {
	part := &Result{About: s.res.About, numbers: map[string]*numbers{}}
	for _, index := range at {
		part.Images = append(part.Images, s.res.Images[s.at[index]])
	}
	part.sweeps()
	return sample{part}
}

type sample struct{ res *Result }

func (s sample) Right(k, i int) bool {
	im := &s.res.Images[i]
	return im.IoU > 0.5 && (k == 1 || im.classified(1))
}

func (s sample) Evaluate(count []uint16) []float64 {
	var out []float64
	if s.res.About.Boxes {
		out = make([]float64, 2)
		for i := range s.res.Images {
			for k := range out {
				if s.Right(k, i) {
					out[k] += float64(count[i]) / float64(len(s.res.Images))
				}
			}
		}
		out = append(out, s.res.swept(s.res.numbers[ofModel], count)...)
	}
	if s.res.About.Masks {
		out = append(out, s.res.pxap(count))
	}
	return out
}
