package binary

import (
	"context"
	"fmt"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// source is a run's scores, for comparison with others.
type source struct {
	*loaded
	good   []int // samples
	record map[int]Record
}

func newSource(ctx context.Context, l *loaded) (*source, error) {
	s := &source{loaded: l, record: map[int]Record{}}
	var all []Record
	err := results.Each[Record](ctx, l.run, nil, func(r *Record, _ [][]float32) error {
		i := int(r.Index)
		if _, twice := s.record[i]; twice {
			return fmt.Errorf("the run has two records of %s", r.ID)
		}
		if r.Status == results.OK {
			s.good, s.record[i], all = append(s.good, i), *r, append(all, *r)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		return s, err
	}
	own := *l
	own.about.Scale = l.about.prepare(all).scale // that of all samples, whichever are compared
	s.loaded = &own
	return s, nil
}

// Describe says what the run is.
func (s *source) Describe() compare.Description {
	return s.about.Describe(s.run)
}

// Metrics are the numbers that compare.
func (s *source) Metrics() []compare.Metric {
	share := func(name string) compare.Metric {
		return compare.Metric{Name: name, Unit: report.Fraction, Better: report.Higher}
	}
	return []compare.Metric{
		share("accuracy"), share("auroc"), share("average_precision"),
		{Name: "nll", Unit: report.Nats, Better: report.Lower}, {Name: "brier", Better: report.Lower},
		share("balanced_accuracy"), share("recall"), share("specificity"), share("f1"), {Name: "mcc", Better: report.Higher},
		{Name: "ece", Unit: report.Fraction, Better: report.Lower, Untested: "binning raises it by an amount that differs between models"},
	}
}

// Good are the samples with a score.
func (s *source) Good() []int { return s.good }

// At prepares samples.
func (s *source) At(at []int) compare.Sample {
	var records []Record
	for _, i := range at {
		r, ok := s.record[i]
		if !ok {
			panic("binary: no score of a sample")
		}
		records = append(records, r)
	}
	of := s.about.prepare(records).of
	out := compare.Sample{
		Evaluate: func(count []uint16) []float64 {
			n := of.Evaluate(count)
			return []float64{
				n.Accuracy, n.AUROC, n.AveragePrecision, n.NLL, n.Brier, n.Balanced, n.Recall, n.Specificity, n.F1, n.MCC, n.ECE,
			}
		},
		Right: map[string]func(int) bool{"accuracy": of.Right},
	}
	positive, negative := of.Split()
	if min(len(positive), len(negative)) > 0 {
		out.Placements = map[string]metrics.Placements{"auroc": metrics.Place(positive, negative)}
	}
	return out
}
