package classify

import (
	"context"
	"fmt"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// Scored is a run's outcomes by sample index, and what describes it.
type Scored struct {
	About   About
	Class   map[int]string // class name of every record, bad ones included
	Outcome map[int]metrics.Outcome
}

// Load reads the outcomes of a run.
func Load(ctx context.Context, run *results.Run) (*Scored, error) {
	a, err := Read(run)
	if err != nil {
		return nil, err
	}
	s := &Scored{About: a, Class: map[int]string{}, Outcome: map[int]metrics.Outcome{}}
	return s, results.Each[Record](ctx, run, nil, func(r *Record, _ [][]float32) error {
		i := int(r.Index)
		if _, twice := s.Class[i]; twice {
			return fmt.Errorf("the run has two records of %s", r.ID)
		}
		s.Class[i] = r.Class
		if r.Status == results.OK {
			s.Outcome[i] = r.Outcome()
		}
		return nil
	})
}

// At are the outcomes of the samples at, in that order; all must be there.
func (s *Scored) At(at []int) []metrics.Outcome {
	out := make([]metrics.Outcome, len(at))
	for i, v := range at {
		o, ok := s.Outcome[v]
		if !ok {
			panic("classify: no outcome of a sample")
		}
		out[i] = o
	}
	return out
}

// Compared are the metrics that two runs are compared by: a run's number, and the
// paired difference.
var Compared = []struct {
	Name           string
	Unit           string
	HigherIsBetter bool
	// Judged says whether more or less of it is better at all.
	Judged     bool
	Value      func(metrics.Classification) float64
	Difference func(metrics.Paired) metrics.Difference
}{
	{"top1", report.Fraction, true, true, func(c metrics.Classification) float64 { return c.Top1 }, func(p metrics.Paired) metrics.Difference { return p.Top1 }},
	{"top5", report.Fraction, true, true, func(c metrics.Classification) float64 { return c.Top5 }, func(p metrics.Paired) metrics.Difference { return p.Top5 }},
	{"balanced_accuracy", report.Fraction, true, true, func(c metrics.Classification) float64 { return c.BalancedAccuracy }, func(p metrics.Paired) metrics.Difference { return p.Balanced }},
	{"mean_confidence", report.Fraction, true, false, func(c metrics.Classification) float64 { return c.MeanConfidence }, func(p metrics.Paired) metrics.Difference { return p.Confidence }},
	{"nll", report.Nats, false, true, func(c metrics.Classification) float64 { return c.NLL }, func(p metrics.Paired) metrics.Difference { return p.NLL }},
	{"brier", report.None, false, true, func(c metrics.Classification) float64 { return c.Brier }, func(p metrics.Paired) metrics.Difference { return p.Brier }},
	{"ece", report.Fraction, false, true, func(c metrics.Classification) float64 { return c.Width.ECE }, func(p metrics.Paired) metrics.Difference { return p.ECE }},
	{"aurc", report.Fraction, false, true, func(c metrics.Classification) float64 { return c.AURC }, func(p metrics.Paired) metrics.Difference { return p.AURC }},
}
