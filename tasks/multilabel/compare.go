package multilabel

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/tasks/compare"
)

// source is a run's scores, for comparison with others.
type source struct {
	*loaded
	scored  *Scored
	metrics []compare.Metric
	place   []int // of a metric among the numbers of the whole
}

func newSource(ctx context.Context, l *loaded) (*source, error) {
	scored, err := Read(ctx, l.run, l.about.Output)
	if err != nil {
		return nil, err
	}
	if len(scored.At) == 0 {
		return nil, errors.New("it has no image with a result")
	}
	own := *l
	if own.about.Scale == evaluation.Automatic {
		own.about.Scale = evaluation.ScaleOf(scored.Scores) // of all samples, whichever are compared
	}
	s := &source{loaded: &own, scored: scored}
	whole, _, _ := s.prepared(scored.At).numbers(slices.Repeat([]uint16{1}, len(scored.At)))
	for k, n := range whole {
		if !math.IsNaN(n.value) && compared(n.name) {
			s.metrics, s.place = append(s.metrics, compare.Metric{Name: n.name, Unit: n.unit, Better: n.better}), append(s.place, k)
		}
	}
	return s, nil
}

// compared says whether runs are compared by a number: of the highest three classes by F1 alone, which
// sums up precision and recall.
func compared(name string) bool {
	_, of, _ := strings.Cut(name, "_")
	return of != "exactly3" && (of != "top3" || strings.Contains(name, "f1"))
}

// Describe says what the run is.
func (s *source) Describe() compare.Description {
	return s.about.Describe(s.run)
}

// Metrics are the numbers of the whole.
func (s *source) Metrics() []compare.Metric { return s.metrics }

// Good are the samples with scores.
func (s *source) Good() []int { return s.scored.At }

// prepared makes samples ready.
func (s *source) prepared(at []int) *samples {
	var scores []float32
	var truth []float64
	c := len(s.about.Classes)
	for _, i := range at {
		k, ok := slices.BinarySearch(s.scored.At, i)
		if !ok {
			panic("multilabel: no scores of a sample")
		}
		scores, truth = append(scores, s.scored.Scores[k*c:(k+1)*c]...), append(truth, s.scored.Truth[k*c:(k+1)*c]...)
	}
	return s.about.prepare(scores, truth)
}

// At prepares samples.
func (s *source) At(at []int) compare.Sample {
	of := s.prepared(at)
	return compare.Sample{
		Evaluate: func(count []uint16) []float64 {
			whole, _, _ := of.numbers(count)
			var out []float64
			for _, k := range s.place {
				out = append(out, whole[k].value)
			}
			return out
		},
		Right: map[string]func(int) bool{"subset_accuracy": of.sets[0].Right},
	}
}
