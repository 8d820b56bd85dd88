// Package compare tells runs apart that saw the same images: every difference is
// paired, with an interval, a test where one holds, and a plain sentence. What is
// compared, the tasks say.
package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// Config holds the options of a comparison.
type Config struct {
	Replicates int    `json:"bootstrap"`
	Seed       uint64 `json:"seed"`
	AllPairs   bool   `json:"all_pairs"` // every run with every other, not only with the first
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config { return Config{Replicates: 2000} }

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	return metrics.CheckReplicates(c.Replicates)
}

// Metric is a number that runs are compared by.
type Metric struct {
	Name     string
	At       report.Keys
	Label    string // for people; empty: the name and the values of the keys
	Unit     report.Unit
	Better   report.Better
	Untested string // why no test of it holds, so that its interval is rough; empty where one does
	N        int    // images it is computed from, where not from all
}

// label is the metric for people.
func (m Metric) label() string {
	return cmp.Or(m.Label, (&report.Number{Name: m.Name, At: m.At}).Label())
}

// same says whether both are the same metric, of two runs.
func (m Metric) same(o Metric) bool { return m.Name == o.Name && m.At.Same(o.At) }

// Source is what a run offers for comparison.
type Source interface {
	Describe() Description
	Metrics() []Metric
	Good() []int // samples with a result, ascending
	// At prepares the samples at, in that order.
	At(at []int) Sample
}

// Description says what a run is.
type Description struct {
	Head  report.Head
	Key   results.Key // what determines its records
	Notes []string    // what it leaves out of the comparison, a sentence each
}

// Sample computes a run's numbers over some images. Its functions are safe for concurrent use.
type Sample struct {
	// Evaluate gives the numbers in the order of Metrics; image i counts count[i] times.
	Evaluate metrics.Statistic
	// Right says whether image i is right, by the name of a metric that is the share of those
	// that are: McNemar's test is made of it. Metrics that are not here are bootstrapped.
	Right map[string]func(i int) bool
	// Placements are those of a metric that is an AUROC, by its name: DeLong's test is made of
	// them.
	Placements map[string]metrics.Placements
}

// Run is one of the runs.
type Run struct {
	Name   string // for people
	Dir    string
	Source Source

	about   Description
	numbers []float64 // over the images that all runs share
}

// Pair is the comparison of run B with run A.
type Pair struct {
	A, B        int // index into Result.Runs
	Differences []Difference
}

// Find is the difference of a metric; nil where it is not compared.
func (p Pair) Find(name string, at ...report.Key) *Difference {
	for i := range p.Differences {
		if d := &p.Differences[i]; d.Name == name && d.Metric.At.Same(at) {
			return d
		}
	}
	return nil
}

// Difference is one metric of a pair: B less A.
type Difference struct {
	Metric
	A, B float64
	metrics.Difference
	Adjusted     float64 // P after Holm's correction over the pairs; NaN where no test is made
	McNemar      bool    // P is of McNemar's test
	OnlyA, OnlyB int     // images that only one gets right, of that test
}

// Result is what was found.
type Result struct {
	N        int // images that all runs share
	Runs     []Run
	Metrics  []Metric // that all runs have
	Pairs    []Pair
	Warnings []string

	shares map[string]bool // metrics that are shares of images that are right
}

// ErrDifferentData says that runs cannot be paired.
var ErrDifferentData = errors.New("runs of different images cannot be compared")

// Compare compares runs of one task.
func Compare(ctx context.Context, c Config, runs []Run) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(runs) < 2 {
		return nil, errors.New("two runs or more are needed for a comparison")
	}
	res := &Result{Runs: slices.Clone(runs), shares: map[string]bool{}}
	for i := range res.Runs {
		res.Runs[i].about = res.Runs[i].Source.Describe()
	}
	res.name()
	if err := res.check(); err != nil {
		return nil, err
	}
	for _, r := range res.Runs {
		for _, note := range r.about.Notes {
			res.Warnings = append(res.Warnings, r.Name+": "+note)
		}
	}
	at := res.shared()
	if len(at) == 0 {
		return nil, fmt.Errorf("%w: no image was evaluated in all of them", ErrDifferentData)
	}
	res.N = len(at)
	res.common()
	if len(res.Metrics) == 0 {
		return nil, errors.New("the runs have no number in common")
	}
	ones := slices.Repeat([]uint16{1}, len(at))
	samples := make([]Sample, len(runs))
	for i := range res.Runs {
		samples[i] = res.sample(i, at)
		res.Runs[i].numbers = samples[i].Evaluate(ones)
	}
	for _, m := range res.Metrics {
		res.shares[m.Name] = !slices.ContainsFunc(samples, func(s Sample) bool { return s.Right[m.Name] == nil })
	}
	for a := range runs {
		for b := a + 1; b < len(runs) && (a == 0 || c.AllPairs); b++ {
			res.Pairs = append(res.Pairs, Pair{A: a, B: b})
		}
	}
	// A bootstrap of R replicates gives no p below 2/(R+1): with too few, Holm's
	// correction would never let a difference through.
	c.Replicates = max(c.Replicates, 50*len(res.Pairs))
	for i := range res.Pairs {
		p := &res.Pairs[i]
		a, b := samples[p.A], samples[p.B]
		diffs, err := metrics.Paired(ctx, len(at), c.Replicates, c.Seed, a.Evaluate, b.Evaluate)
		if err != nil {
			return nil, err
		}
		for k, m := range res.Metrics {
			d := Difference{Metric: m, A: res.Runs[p.A].numbers[k], B: res.Runs[p.B].numbers[k], Difference: diffs[k]}
			switch {
			case m.Untested != "":
				d.P, d.Test = math.NaN(), ""
			case res.shares[m.Name]:
				d.McNemar = true
				d.OnlyA, d.OnlyB = metrics.Discordant(len(at), a.Right[m.Name], b.Right[m.Name])
				d.P, d.Test = metrics.McNemar(d.OnlyA, d.OnlyB), "McNemar, exact"
			case a.Placements[m.Name].ID != nil && b.Placements[m.Name].ID != nil:
				d.Value, d.Interval, d.P = metrics.Combine([]metrics.Term{
					{Weight: 1, Placements: b.Placements[m.Name]}, {Weight: -1, Placements: a.Placements[m.Name]},
				})
				d.Test = "DeLong, paired"
			}
			p.Differences = append(p.Differences, d)
		}
	}
	for k := range res.Metrics { // Holm's correction, over the pairs
		var p []float64
		for i := range res.Pairs {
			p = append(p, res.Pairs[i].Differences[k].P)
		}
		for i, v := range metrics.Holm(p) {
			res.Pairs[i].Differences[k].Adjusted = v
		}
	}
	return res, nil
}

// sample prepares run i's samples at; its numbers are those of the metrics that all runs have.
func (res *Result) sample(i int, at []int) Sample {
	own := res.Runs[i].Source.Metrics()
	var places []int
	for _, m := range res.Metrics {
		places = append(places, slices.IndexFunc(own, m.same))
	}
	s := res.Runs[i].Source.At(at)
	return Sample{Right: s.Right, Placements: s.Placements, Evaluate: func(count []uint16) []float64 {
		v := s.Evaluate(count)
		out := make([]float64, len(places))
		for k, place := range places {
			out[k] = v[place]
		}
		return out
	}}
}

// common finds the metrics that all runs have.
func (res *Result) common() {
	for _, m := range res.Runs[0].Source.Metrics() {
		if !slices.ContainsFunc(res.Runs[1:], func(r Run) bool { return !slices.ContainsFunc(r.Source.Metrics(), m.same) }) {
			res.Metrics = append(res.Metrics, m)
		}
	}
}

// name makes the runs' names differ.
func (res *Result) name() {
	seen := map[string]int{}
	for i := range res.Runs {
		r := &res.Runs[i]
		if r.Name == "" {
			r.Name = filepath.Base(filepath.Clean(r.Dir))
		}
		seen[r.Name]++
	}
	for i := range res.Runs {
		if r := &res.Runs[i]; seen[r.Name] > 1 {
			r.Name = r.Dir
		}
	}
}

// check refuses runs of other tasks, images or labels and warns of other pixels.
func (res *Result) check() error {
	first := res.Runs[0]
	a, own := first.about.Head, first.about.Key
	for _, r := range res.Runs[1:] {
		b, k := r.about.Head, r.about.Key
		if k.Task != own.Task {
			return fmt.Errorf("%q is a run of %s, %q one of %s: they measure different things", first.Dir, own.Task, r.Dir, k.Task)
		}
		if k.Data.Fingerprint != own.Data.Fingerprint {
			err := fmt.Errorf("%w: %q has %s (fingerprint %s), %q has %s (%s)", ErrDifferentData,
				first.Dir, a.Dataset.Name, own.Data.Fingerprint, r.Dir, b.Dataset.Name, k.Data.Fingerprint)
			if own.Device.Name == report.Predictions || k.Device.Name == report.Predictions {
				err = fmt.Errorf("%w; names of images, labels or the set of rows differ: make both runs with the same --data", err)
			}
			return err
		}
		if k.Data.Truth != own.Data.Truth {
			return fmt.Errorf("%w: %q and %q have other boxes, masks or annotations, or another positive class", ErrDifferentData, first.Dir, r.Dir)
		}
		warn := func(what, x, y string) {
			if x != y {
				res.warn("%s differs: %s has %s, %s has %s; differences may come from it", what, first.Name, x, r.Name, y)
			}
		}
		if k.Preprocessing != own.Preprocessing {
			warn("preprocessing", a.Preprocessing.Summary, b.Preprocessing.Summary)
		}
		if own.Device.Name != report.Predictions && k.Device.Name != report.Predictions {
			warn("the device", own.Device.String(), k.Device.String())
		}
		if d := results.ConfigDiffers(own, k); len(d) > 0 {
			res.warn("%s and %s were run with different options: %s; differences may come from it", first.Name, r.Name, strings.Join(d, ", "))
		}
	}
	return nil
}

func (res *Result) warn(format string, a ...any) {
	res.Warnings = append(res.Warnings, fmt.Sprintf(format, a...))
}

// shared lists the samples that every run has a result for, ascending.
func (res *Result) shared() []int {
	at, most := res.Runs[0].Source.Good(), 0
	for _, r := range res.Runs {
		good := r.Source.Good()
		most = max(most, len(good))
		at = slices.DeleteFunc(slices.Clone(at), func(i int) bool {
			_, in := slices.BinarySearch(good, i)
			return !in
		})
	}
	if len(at) < most {
		res.warn("only the %d images that every run has a result for are compared; a run has up to %d", len(at), most)
	}
	return at
}
