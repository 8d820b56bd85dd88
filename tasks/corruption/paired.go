package corruption

import (
	"context"

	"cutmix-eval/corrupt"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// Source is a run's numbers, for comparison with others.
type Source struct {
	g       *grid
	key     results.Key
	report  *report.Report
	names   []compare.Metric
	numbers []linear
	place   map[int]int // of an image
}

// Load reads a run.
func Load(ctx context.Context, run *results.Run) (*Source, error) {
	g, err := read(ctx, run)
	if err != nil {
		return nil, err
	}
	s := &Source{g: g, key: run.Manifest.Key, place: map[int]int{}}
	if s.report, err = Report(ctx, run, nil); err != nil {
		return nil, err
	}
	for n, i := range g.images {
		s.place[i] = n
	}
	add := func(name string, l linear) {
		s.names = append(s.names, compare.Metric{Name: name, Unit: report.Fraction})
		s.numbers = append(s.numbers, l)
	}
	marked := func(m []bool) linear {
		l := g.linear()
		l.add(m, 1)
		return l
	}
	if g.about.Config.Experiment != Corruptions {
		for k, v := range g.about.Variants {
			add("error "+v.String(), marked(g.wrong[k]))
		}
		return s, nil
	}
	if k := g.of(Variant{}); k >= 0 {
		add("clean_error", marked(g.wrong[k]))
	}
	var errs, ces []linear
	for _, n := range corrupt.Benchmark() {
		if !g.complete(n) {
			continue
		}
		errs = append(errs, g.errorOf(n))
		if b := g.about.Config.Baseline; b != nil {
			if l, ok := g.ce(n, *b, false); ok {
				ces = append(ces, l)
			}
		}
	}
	if len(errs) == len(corrupt.Benchmark()) {
		add("error", averaged(errs))
	}
	if len(ces) == len(corrupt.Benchmark()) {
		add("mce", averaged(ces))
	}
	for _, n := range corrupt.All() {
		if len(g.severities(n)) > 0 {
			add("error "+string(n), g.errorOf(n))
		}
	}
	return s, nil
}

// Metrics are the errors: clean, mean, mCE, and of every corruption or level.
func (s *Source) Metrics() []compare.Metric { return s.names }

// Good are the images with a result in every variant.
func (s *Source) Good() []int { return s.g.images }

// Key is the run's.
func (s *Source) Key() results.Key { return s.key }

// Describe is the run's report.
func (s *Source) Describe() *report.Report { return s.report }

// At prepares images.
func (s *Source) At(at []int) compare.Sample {
	out := make(sample, len(s.numbers))
	for k, l := range s.numbers {
		for _, i := range at {
			out[k] = append(out[k], l[s.place[i]])
		}
	}
	return out
}

type sample []linear

// Evaluate gives the numbers in the order of Metrics.
func (s sample) Evaluate(count []uint16) []float64 {
	out := make([]float64, len(s))
	n := 0.0
	for _, c := range count {
		n += float64(c)
	}
	for k, l := range s {
		for i, c := range count {
			out[k] += float64(c) * l[i] / n
		}
	}
	return out
}

// Right is not asked for: the numbers are tested by the bootstrap.
func (s sample) Right(int, int) bool { panic("corruption: no number is right or wrong") }
