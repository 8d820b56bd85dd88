package classify

import (
	"context"
	"fmt"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// Scored is a run's outcomes, for comparison with others.
type Scored struct {
	about   About
	key     results.Key
	good    []int // samples
	outcome map[int]metrics.Outcome
}

// Load reads the outcomes of a run.
func Load(ctx context.Context, run *results.Run) (*Scored, error) {
	a, err := Read(run)
	if err != nil {
		return nil, err
	}
	s := &Scored{about: a, key: run.Manifest.Key, outcome: map[int]metrics.Outcome{}}
	return s, results.Each[Record](ctx, run, nil, func(r *Record, _ [][]float32) error {
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

// Metrics are top-1 and top-5, and the scores and errors of the probabilities.
func (s *Scored) Metrics() []compare.Metric {
	m := []compare.Metric{{Name: "top1", Unit: report.Fraction, HigherIsBetter: true, Kind: compare.McNemar}}
	if compete, _ := s.about.competing(); len(compete) > 5 {
		m = append(m, compare.Metric{Name: "top5", Unit: report.Fraction, HigherIsBetter: true, Kind: compare.McNemar})
	}
	return append(m,
		compare.Metric{Name: "balanced_accuracy", Unit: report.Fraction, HigherIsBetter: true},
		compare.Metric{Name: "mean_confidence", Unit: report.Fraction, HigherIsBetter: true, Neutral: true},
		compare.Metric{Name: "nll", Unit: report.Nats},
		compare.Metric{Name: "brier"},
		compare.Metric{Name: "aurc", Unit: report.Fraction},
		compare.Metric{Name: "ece", Unit: report.Fraction, Kind: compare.Untested, Note: "binning raises it by an amount that differs between models"},
	)
}

// Key is the run's.
func (s *Scored) Key() results.Key { return s.key }

// Good are the samples with an outcome.
func (s *Scored) Good() []int { return s.good }

// Describe is the run's part of a report.
func (s *Scored) Describe() *report.Report { return &s.about.Report }

// At prepares samples.
func (s *Scored) At(at []int) compare.Sample {
	v := make([]metrics.Outcome, len(at))
	for i, index := range at {
		o, ok := s.outcome[index]
		if !ok {
			panic("classify: no outcome of a sample")
		}
		v[i] = o
	}
	return scoredSample{metrics.NewSample(v, s.about.Config.Bins), v, len(s.Metrics()) > 7}
}

type scoredSample struct {
	sample   *metrics.Sample
	outcomes []metrics.Outcome
	top5     bool
}

func (s scoredSample) Evaluate(count []uint16) []float64 {
	c := s.sample.Evaluate(count)
	out := []float64{c.Top1}
	if s.top5 {
		out = append(out, c.Top5)
	}
	return append(out, c.BalancedAccuracy, c.MeanConfidence, c.NLL, c.Brier, c.AURC, c.Width.ECE)
}

// Right is by top-1 for metric 0, by top-5 for metric 1.
func (s scoredSample) Right(k, i int) bool { return s.outcomes[i].Rank < 1+4*k }
