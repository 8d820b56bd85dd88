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
	"strconv"
	"strings"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// Config holds what the task can be told.
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

// Kind says how a metric is tested.
type Kind int

// The kinds. McNemar is for shares of images that are right.
const (
	Bootstrap Kind = iota
	McNemar
	Untested // no test holds: the interval is rough
)

// Metric is a number that runs are compared by.
type Metric struct {
	Name, Unit     string
	HigherIsBetter bool
	Neutral        bool // neither more nor less of it is better
	Kind           Kind
	Note           string
	N              int // images it is computed from, where not from all
}

// Source is what a run offers for comparison.
type Source interface {
	Metrics() []Metric
	Good() []int // samples with a result, ascending
	// At prepares the samples at, in that order.
	At(at []int) Sample
	// Key is what determines the run's records.
	Key() results.Key
	// Describe is the run's part of a report: model, data, preprocessing, options.
	Describe() *report.Report
}

// Noter is a Source with something to say about what it leaves out.
type Noter interface{ Notes() []string }

// Sample computes a run's numbers over some images. Safe for concurrent use.
type Sample interface {
	// Evaluate gives the numbers in the order of Metrics; image i counts count[i] times.
	Evaluate(count []uint16) []float64
	// Right says whether image i is right by metric k, one of kind McNemar.
	Right(k, i int) bool
}

// level is the significance level of verdicts, and 1 less that of intervals.
const level = 0.05

// Run is one of the runs.
type Run struct {
	Name   string // for people
	Dir    string
	Source Source

	numbers []float64 // over the images that all runs share
}

// Pair is the comparison of run B with run A.
type Pair struct {
	A, B        int // index into Result.Runs
	Differences []Difference
}

// Difference is one metric of a pair: B less A.
type Difference struct {
	Metric
	A, B float64
	metrics.Difference
	Adjusted     float64 // P after Holm's correction over the pairs
	OnlyA, OnlyB int     // images that only one gets right, of kind McNemar
}

// Result is what was found.
type Result struct {
	N        int // images that all runs share
	Runs     []Run
	Metrics  []Metric // that all runs have
	Pairs    []Pair
	Warnings []string
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
	res := &Result{Runs: slices.Clone(runs)}
	res.name()
	if err := res.check(); err != nil {
		return nil, err
	}
	for _, r := range res.Runs {
		if n, ok := r.Source.(Noter); ok {
			for _, note := range n.Notes() {
				res.Warnings = append(res.Warnings, r.Name+": "+note)
			}
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
		samples[i] = pick{res.Runs[i].Source.At(at), res.places(i)}
		res.Runs[i].numbers = samples[i].Evaluate(ones)
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
			switch m.Kind {
			case McNemar:
				d.OnlyA, d.OnlyB = metrics.Discordant(len(at), func(i int) bool { return a.Right(k, i) }, func(i int) bool { return b.Right(k, i) })
				d.P, d.Test = metrics.McNemar(d.OnlyA, d.OnlyB), "McNemar, exact"
			case Untested:
				d.P, d.Test = math.NaN(), ""
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

// pick is a sample's numbers for the metrics that all runs have.
type pick struct {
	Sample
	places []int
}

func (p pick) Evaluate(count []uint16) []float64 {
	v := p.Sample.Evaluate(count)
	out := make([]float64, len(p.places))
	for k, at := range p.places {
		out[k] = v[at]
	}
	return out
}

func (p pick) Right(k, i int) bool { return p.Sample.Right(p.places[k], i) }

// common finds the metrics that all runs have.
func (res *Result) common() {
	for _, m := range res.Runs[0].Source.Metrics() {
		all := true
		for _, r := range res.Runs[1:] {
			all = all && slices.ContainsFunc(r.Source.Metrics(), func(o Metric) bool { return o.Name == m.Name })
		}
		if all {
			res.Metrics = append(res.Metrics, m)
		}
	}
}

// places are the common metrics' places among run i's.
func (res *Result) places(i int) []int {
	var out []int
	for _, m := range res.Metrics {
		out = append(out, slices.IndexFunc(res.Runs[i].Source.Metrics(), func(o Metric) bool { return o.Name == m.Name }))
	}
	return out
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
	a := first.Source.Describe()
	for _, r := range res.Runs[1:] {
		k, b := r.Source.Key(), r.Source.Describe()
		if k.Task != first.Source.Key().Task {
			return fmt.Errorf("%q is a run of %s, %q one of %s: they measure different things", first.Dir, first.Source.Key().Task, r.Dir, k.Task)
		}
		if k.Data.Fingerprint != first.Source.Key().Data.Fingerprint {
			return fmt.Errorf("%w: %q has %s (fingerprint %s), %q has %s (%s)", ErrDifferentData,
				first.Dir, a.Dataset.Name, first.Source.Key().Data.Fingerprint, r.Dir, b.Dataset.Name, k.Data.Fingerprint)
		}
		if k.Data.Truth != first.Source.Key().Data.Truth {
			return fmt.Errorf("%w: %q and %q have other boxes or masks", ErrDifferentData, first.Dir, r.Dir)
		}
		warn := func(what, x, y string) {
			if x != y {
				res.Warnings = append(res.Warnings, fmt.Sprintf("%s differs: %s has %s, %s has %s; differences may come from it", what, first.Name, x, r.Name, y))
			}
		}
		if k.Preprocessing != first.Source.Key().Preprocessing {
			warn("preprocessing", a.Preprocessing.Summary, b.Preprocessing.Summary)
		}
		device := func(d results.Device) string { return fmt.Sprintf("%s (ONNX Runtime %s)", d.Name, d.ORT) }
		warn("the device", device(first.Source.Key().Device), device(k.Device))
		if d := results.ConfigDiffers(first.Source.Key(), k); len(d) > 0 {
			res.Warnings = append(res.Warnings, fmt.Sprintf("%s and %s were told differently: %s; differences may come from it", first.Name, r.Name, strings.Join(d, ", ")))
		}
	}
	return nil
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
		res.Warnings = append(res.Warnings, fmt.Sprintf("only the %d images that every run has a result for are compared; a run has up to %d", len(at), most))
	}
	return at
}

// fewest is the number of images below which no verdict is given.
const fewest = 30

// shown says whether a difference is shown at the level of 5 %.
func (res *Result) shown(d Difference) bool { return res.N >= fewest && d.Adjusted < level }

// Verdict says in a few words what a difference shows; a and b name the runs.
func (res *Result) Verdict(d Difference, a, b string) string {
	switch {
	case res.N < fewest:
		return "too few images to tell"
	case d.Kind == Untested:
		return "not tested (" + d.Note + ")"
	case !res.shown(d):
		return "no difference shown"
	case d.Neutral && d.Value > 0:
		return b + " has more"
	case d.Neutral:
		return a + " has more"
	case (d.Value > 0) == d.HigherIsBetter:
		return b + " is better"
	}
	return a + " is better"
}

// Sentence says in words what a difference shows.
func (res *Result) Sentence(p Pair, d Difference) string {
	a, b := res.Runs[p.A].Name, res.Runs[p.B].Name
	size := fmt.Sprintf("%s, 95 %% interval %s to %s, n = %d", amount(math.Abs(d.Value), d.Unit),
		signed(d, d.Interval.Low, d.Interval.High, false), signed(d, d.Interval.Low, d.Interval.High, true), cmp.Or(d.N, res.N))
	if d.Kind != Untested {
		size += ", p = " + pValue(d.Adjusted) + ", " + d.Test
		if len(res.Pairs) > 1 {
			size += ", Holm over " + strconv.Itoa(len(res.Pairs)) + " pairs"
		}
	}
	higher := map[bool]string{true: "higher", false: "lower"}[d.Value > 0]
	switch {
	case res.N < fewest:
		return fmt.Sprintf("%s: too few images to tell %s from %s", d.Name, b, a)
	case d.Kind == Untested:
		return fmt.Sprintf("%s: that of %s is %s by %s; not tested (%s)", d.Name, b, higher, size, d.Note)
	case !res.shown(d):
		return fmt.Sprintf("%s: no difference shown between %s and %s (%s)", d.Name, b, a, size)
	case d.Neutral:
		return fmt.Sprintf("%s: that of %s is %s by %s", d.Name, b, higher, size)
	case (d.Value > 0) == d.HigherIsBetter:
		return fmt.Sprintf("%s: %s is better than %s by %s", d.Name, b, a, size)
	}
	return fmt.Sprintf("%s: %s is worse than %s by %s", d.Name, b, a, size)
}

// signed is an end of the interval of a difference whose size is told without its
// sign: turned round where the difference is negative, so that it holds the size.
func signed(d Difference, low, high float64, upper bool) string {
	if d.Value < 0 {
		low, high = -high, -low
	}
	v := low
	if upper {
		v = high
	}
	return plain(v, d.Unit)
}

func plain(v float64, unit string) string {
	if unit == report.Fraction {
		return strconv.FormatFloat(100*v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}

func amount(v float64, unit string) string {
	if unit == report.Fraction {
		return plain(v, unit) + " points"
	}
	return plain(v, unit)
}

func pValue(p float64) string { return strconv.FormatFloat(p, 'g', 2, 64) }

// Report is the result as a report: the runs as groups, the differences as groups
// of pairs.
func (res *Result) Report(c Config, tool report.Tool) *report.Report {
	first := res.Runs[0].Source.Describe()
	r := &report.Report{
		Task: "compare", Tool: tool, Model: first.Model, Dataset: first.Dataset, Preprocessing: first.Preprocessing,
		Config: c, Metrics: []report.Metric{}, Warnings: res.Warnings,
	}
	r.Dataset.N = res.N
	t := report.Table{Name: "runs", Title: "the runs", Columns: []string{"run", "model", "sha256", "device", "pixels"}}
	for _, run := range res.Runs {
		d := run.Source.Describe()
		t.Rows = append(t.Rows, []string{run.Name, d.Model.Name, d.Model.SHA256, run.Source.Key().Device.Name, d.Preprocessing.Summary})
		g := report.Group{Kind: "run", Name: run.Name}
		for k, m := range res.Metrics {
			x := report.Metric{Name: m.Name, Value: run.numbers[k], Unit: m.Unit, N: cmp.Or(m.N, res.N), HigherIsBetter: m.HigherIsBetter}
			if m.Kind == McNemar {
				iv := metrics.Wilson(int(math.Round(x.Value*float64(res.N))), res.N)
				x.Interval = &iv
			}
			g.Metrics = append(g.Metrics, x)
		}
		r.Groups = append(r.Groups, g)
	}
	r.Tables = append(r.Tables, t)
	for _, p := range res.Pairs {
		g := report.Group{Kind: "pair", Name: res.Runs[p.B].Name + " less " + res.Runs[p.A].Name}
		for _, d := range p.Differences {
			iv := d.Interval
			m := report.Metric{Name: d.Name + "_difference", Value: d.Value, Unit: d.Unit, N: cmp.Or(d.N, res.N), Interval: &iv, HigherIsBetter: d.HigherIsBetter, Note: res.Sentence(p, d)}
			if d.Kind != Untested {
				m.P, m.PAdjusted, m.Test = &d.P, &d.Adjusted, d.Test
			}
			g.Metrics = append(g.Metrics, m)
		}
		r.Groups = append(r.Groups, g)
	}
	return r
}

// Tables are the result for people: the runs side by side.
func (res *Result) Tables() []report.Table {
	holm := ""
	if len(res.Pairs) > 1 {
		holm = " after Holm's correction"
	}
	t := report.Table{Name: "runs", Title: fmt.Sprintf("%d images that all runs share; differences to %s with 95 %% intervals; * p below 0.05%s", res.N, res.Runs[0].Name, holm)}
	t.Columns = []string{"", res.Runs[0].Name}
	for _, r := range res.Runs[1:] {
		t.Columns = append(t.Columns, r.Name, "")
	}
	for k, m := range res.Metrics {
		text := func(i int) string {
			v, _ := report.Metric{Value: res.Runs[i].numbers[k], Unit: m.Unit}.Text()
			return v
		}
		row := []string{m.Name, text(0)}
		for i, p := range res.Pairs[:len(res.Runs)-1] { // those with the first run
			d := p.Differences[k]
			_, iv := report.Metric{Value: d.Value, Unit: d.Unit, Interval: &d.Interval}.Text()
			star := ""
			if res.shown(d) {
				star = " *"
			}
			row = append(row, text(i+1), fmt.Sprintf("%s (%s)%s", plus(d.Value, d.Unit), iv, star))
		}
		t.Rows = append(t.Rows, row)
	}
	return []report.Table{t}
}

func plus(v float64, unit string) string {
	if v >= 0 {
		return "+" + plain(v, unit)
	}
	return plain(v, unit)
}
