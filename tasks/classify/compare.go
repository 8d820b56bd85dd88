package classify

import (
	"context"
	"fmt"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// source is a run's outcomes, for comparison with others.
type source struct {
	*loaded
	good    []int // samples
	outcome map[int]metrics.Outcome
}

func newSource(ctx context.Context, l *loaded) (*source, error) {
	s := &source{loaded: l, outcome: map[int]metrics.Outcome{}}
	return s, results.Each[Record](ctx, l.run, nil, func(r *Record, _ [][]float32) error {
		if r.Status != results.OK {
			return nil
		}
		i := int(r.Index)
		if _, twice := s.outcome[i]; twice {
			return fmt.Errorf("the run has two records of %s", r.ID)
		}
		s.good, s.outcome[i] = append(s.good, i), r.Outcome()
		return nil
	})
}

// Describe says what the run is.
func (s *source) Describe() compare.Description {
	return s.about.Describe(s.run)
}

// Metrics are top-1 and top-5, and the scores and errors of the probabilities.
func (s *source) Metrics() []compare.Metric {
	m := []compare.Metric{{Name: "top1", Unit: report.Fraction, Better: report.Higher}}
	if s.top5() {
		m = append(m, compare.Metric{Name: "top5", Unit: report.Fraction, Better: report.Higher})
	}
	m = append(m, compare.Metric{Name: "balanced_accuracy", Unit: report.Fraction, Better: report.Higher})
	if s.about.Hard {
		return m
	}
	return append(m,
		compare.Metric{Name: "mean_confidence", Unit: report.Fraction, Better: report.Neither},
		compare.Metric{Name: "nll", Unit: report.Nats, Better: report.Lower},
		compare.Metric{Name: "brier", Better: report.Lower},
		compare.Metric{Name: "aurc", Unit: report.Fraction, Better: report.Lower},
		compare.Metric{
			Name: "ece", Unit: report.Fraction, Better: report.Lower, Untested: "binning raises it by an amount that differs between models",
		},
	)
}

// top5 says whether so many outputs compete that top-5 means something.
func (s *source) top5() bool {
	return len(s.about.contest().Outputs) > 5 && !s.about.Hard
}

// Good are the samples with an outcome.
func (s *source) Good() []int { return s.good }

// At prepares samples.
func (s *source) At(at []int) compare.Sample {
	v := make([]metrics.Outcome, len(at))
	for i, index := range at {
		o, ok := s.outcome[index]
		if !ok {
			panic("classify: no outcome of a sample")
		}
		v[i] = o
	}
	sample, top5 := metrics.NewSample(v, s.about.Config.Bins), s.top5()
	out := compare.Sample{
		Evaluate: func(count []uint16) []float64 {
			c := sample.Evaluate(count)
			out := []float64{c.Top1}
			if top5 {
				out = append(out, c.Top5)
			}
			if out = append(out, c.BalancedAccuracy); s.about.Hard {
				return out
			}
			return append(out, c.MeanConfidence, c.NLL, c.Brier, c.AURC, c.Width.ECE)
		},
		Right: map[string]func(int) bool{"top1": func(i int) bool { return v[i].Correct() }},
	}
	if top5 {
		out.Right["top5"] = func(i int) bool { return v[i].Rank < 5 }
	}
	return out
}
