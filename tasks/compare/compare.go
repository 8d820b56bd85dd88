// Package compare tells runs apart that saw the same images: every difference is
// paired, with an interval and a test, and a plain sentence.
package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
)

// Config holds what the task can be told.
type Config struct {
	Replicates int    `json:"bootstrap"`
	Bins       int    `json:"bins"`
	Seed       uint64 `json:"seed"`
	AllPairs   bool   `json:"all_pairs"` // every run with every other, not only with the first
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config { return Config{Replicates: 2000, Bins: 15} }

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Replicates < 100:
		return fmt.Errorf("%d bootstrap replicates: at least 100", c.Replicates)
	case c.Bins < 2:
		return fmt.Errorf("%d bins: at least 2 are needed", c.Bins)
	}
	return nil
}

// level is the significance level of verdicts, and 1 less that of intervals.
const level = 0.05

// Run is one of the runs.
type Run struct {
	Name    string // for people
	Dir     string
	Numbers metrics.Classification // over the images that all runs share
	model   report.Model
	scored  *classify.Scored
}

// Pair is the comparison of run B with run A.
type Pair struct {
	A, B         int // index into Result.Runs
	Differences  []Difference
	OnlyA, OnlyB int // images that only one gets right
}

// Difference is one metric of a pair: B less A.
type Difference struct {
	Metric         string
	Unit           string
	HigherIsBetter bool
	Judged         bool
	A, B           float64
	metrics.Difference
	Adjusted float64 // P after Holm's correction over the pairs
}

// Result is what was found.
type Result struct {
	N        int // images that all runs share
	Runs     []Run
	Pairs    []Pair
	Warnings []string
	Dataset  report.Dataset
}

// ErrDifferentData says that runs cannot be paired.
var ErrDifferentData = errors.New("runs of different images cannot be compared")

// Compare compares runs, which lie in the directories dirs.
func Compare(ctx context.Context, c Config, runs []*results.Run, dirs []string) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(runs) < 2 {
		return nil, errors.New("two runs or more are needed for a comparison")
	}
	res := &Result{}
	for i, r := range runs {
		s, err := classify.Load(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("run %q: %w", dirs[i], err)
		}
		res.Runs = append(res.Runs, Run{Name: filepath.Base(filepath.Clean(dirs[i])), Dir: dirs[i], scored: s, model: s.About.Report.Model})
	}
	res.name()
	if err := res.check(runs); err != nil {
		return nil, err
	}
	at := res.shared()
	if len(at) == 0 {
		return nil, fmt.Errorf("%w: no image was evaluated in all of them", ErrDifferentData)
	}
	res.N = len(at)
	res.Dataset = res.Runs[0].scored.About.Report.Dataset
	res.Dataset.N = res.N
	outcomes := make([][]metrics.Outcome, len(runs))
	for i := range res.Runs {
		outcomes[i] = res.Runs[i].scored.At(at)
		res.Runs[i].Numbers = metrics.Evaluate(outcomes[i], c.Bins)
	}
	for a := range runs {
		for b := a + 1; b < len(runs) && (a == 0 || c.AllPairs); b++ {
			p, err := metrics.Compare(ctx, outcomes[a], outcomes[b], c.Bins, c.Replicates, c.Seed)
			if err != nil {
				return nil, err
			}
			res.Pairs = append(res.Pairs, res.pair(a, b, p))
		}
	}
	res.correct()
	return res, nil
}

// name makes the runs' names differ.
func (res *Result) name() {
	seen := map[string]int{}
	for _, r := range res.Runs {
		seen[r.Name]++
	}
	for i := range res.Runs {
		if r := &res.Runs[i]; seen[r.Name] > 1 {
			r.Name = r.Dir
		}
	}
}

// check refuses runs of other images or labels and warns of other pixels.
func (res *Result) check(runs []*results.Run) error {
	first := runs[0].Manifest.Key
	a := res.Runs[0].scored
	for i := 1; i < len(runs); i++ {
		k, b := runs[i].Manifest.Key, res.Runs[i].scored
		if k.Data.Fingerprint != first.Data.Fingerprint {
			return fmt.Errorf("%w: %q has %s (fingerprint %s), %q has %s (%s)", ErrDifferentData,
				res.Runs[0].Dir, a.About.Report.Dataset.Name, first.Data.Fingerprint, res.Runs[i].Dir, b.About.Report.Dataset.Name, k.Data.Fingerprint)
		}
		for at, class := range b.Class {
			if other, ok := a.Class[at]; ok && other != class {
				return fmt.Errorf("%w: image %d is of class %q in %q and of class %q in %q", ErrDifferentData, at, other, res.Runs[0].Dir, class, res.Runs[i].Dir)
			}
		}
		warn := func(what, x, y string) {
			if x != y {
				res.Warnings = append(res.Warnings, fmt.Sprintf("%s differs: %s has %s, %s has %s; differences may come from it", what, res.Runs[0].Name, x, res.Runs[i].Name, y))
			}
		}
		if k.Preprocessing != first.Preprocessing {
			warn("preprocessing", a.About.Report.Preprocessing.Summary, b.About.Report.Preprocessing.Summary)
		}
		warn("the device", first.Device.Name+" (ONNX Runtime "+first.Device.ORT+")", k.Device.Name+" (ONNX Runtime "+k.Device.ORT+")")
		warn("--restrict", strconv.FormatBool(a.About.Config.Restrict), strconv.FormatBool(b.About.Config.Restrict))
	}
	return nil
}

// shared lists the samples that every run has an outcome of, ascending.
func (res *Result) shared() []int {
	most := 0
	var at []int
	for _, i := range slices.Sorted(maps.Keys(res.Runs[0].scored.Outcome)) {
		all := true
		for _, r := range res.Runs[1:] {
			_, ok := r.scored.Outcome[i]
			all = all && ok
		}
		if all {
			at = append(at, i)
		}
	}
	for _, r := range res.Runs {
		most = max(most, len(r.scored.Outcome))
	}
	if len(at) < most {
		res.Warnings = append(res.Warnings, fmt.Sprintf("only the %d images that every run has a result for are compared; a run has up to %d", len(at), most))
	}
	return at
}

func (res *Result) pair(a, b int, p metrics.Paired) Pair {
	out := Pair{A: a, B: b, OnlyA: p.OnlyA, OnlyB: p.OnlyB}
	five := min(res.Runs[a].scored.About.Outputs, res.Runs[b].scored.About.Outputs) > 5
	for _, m := range classify.Compared {
		if m.Name == "top5" && !five {
			continue
		}
		out.Differences = append(out.Differences, Difference{
			Metric: m.Name, Unit: m.Unit, HigherIsBetter: m.HigherIsBetter, Judged: m.Judged,
			A: m.Value(res.Runs[a].Numbers), B: m.Value(res.Runs[b].Numbers), Difference: m.Difference(p),
		})
	}
	return out
}

// correct applies Holm's correction, for each metric over the pairs.
func (res *Result) correct() {
	for k := range res.Pairs[0].Differences {
		name := res.Pairs[0].Differences[k].Metric
		var p []float64
		var at []*Difference
		for i := range res.Pairs {
			for j := range res.Pairs[i].Differences {
				if d := &res.Pairs[i].Differences[j]; d.Metric == name {
					p, at = append(p, d.P), append(at, d)
				}
			}
		}
		for i, v := range metrics.Holm(p) {
			at[i].Adjusted = v
		}
	}
}

// fewest is the number of images below which no verdict is given.
const fewest = 30

// Sentence says in words what a difference shows.
func (res *Result) Sentence(p Pair, d Difference) string {
	a, b := res.Runs[p.A].Name, res.Runs[p.B].Name
	size := fmt.Sprintf("%s, 95 %% interval %s to %s, n = %d, p = %s%s", amount(math.Abs(d.Value), d.Unit),
		signed(d, d.Interval.Low, d.Interval.High, false), signed(d, d.Interval.Low, d.Interval.High, true), res.N, pValue(d.Adjusted), res.test(d))
	switch {
	case res.N < fewest:
		return fmt.Sprintf("%s: too few images to tell %s from %s", d.Metric, b, a)
	case d.Adjusted >= level:
		return fmt.Sprintf("%s: no difference shown between %s and %s (%s)", d.Metric, b, a, size)
	case !d.Judged:
		word := "higher"
		if d.Value < 0 {
			word = "lower"
		}
		return fmt.Sprintf("%s: that of %s is %s by %s", d.Metric, b, word, size)
	case (d.Value > 0) == d.HigherIsBetter:
		return fmt.Sprintf("%s: %s is better than %s by %s", d.Metric, b, a, size)
	}
	return fmt.Sprintf("%s: %s is worse than %s by %s", d.Metric, b, a, size)
}

func (res *Result) test(d Difference) string {
	s := ", " + d.Test
	if len(res.Pairs) > 1 {
		s += ", Holm over " + strconv.Itoa(len(res.Pairs)) + " pairs"
	}
	return s
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
	r := &report.Report{Task: "compare", Tool: tool, Dataset: res.Dataset, Config: c, Warnings: res.Warnings}
	r.Model = res.Runs[0].model
	r.Preprocessing = res.Runs[0].scored.About.Report.Preprocessing
	for i, run := range res.Runs {
		g := report.Group{Kind: "run", Name: run.Name}
		for _, d := range res.shownBy(i) {
			v := d.B
			if i == 0 {
				v = d.A
			}
			g.Metrics = append(g.Metrics, report.Metric{Name: d.Metric, Value: v, Unit: d.Unit, N: res.N, HigherIsBetter: d.HigherIsBetter})
		}
		for k := range g.Metrics {
			switch g.Metrics[k].Name {
			case "top1":
				iv := metrics.Wilson(run.Numbers.Top1Hits, res.N)
				g.Metrics[k].Interval = &iv
			case "top5":
				iv := metrics.Wilson(run.Numbers.Top5Hits, res.N)
				g.Metrics[k].Interval = &iv
			}
		}
		r.Groups = append(r.Groups, g)
	}
	for _, p := range res.Pairs {
		g := report.Group{Kind: "pair", Name: res.Runs[p.B].Name + " less " + res.Runs[p.A].Name}
		for _, d := range p.Differences {
			iv, pv, adjusted := d.Interval, d.P, d.Adjusted
			g.Metrics = append(g.Metrics, report.Metric{
				Name: d.Metric + "_difference", Value: d.Value, Unit: d.Unit, N: res.N, Interval: &iv, HigherIsBetter: d.HigherIsBetter,
				P: &pv, PAdjusted: &adjusted, Test: d.Test, Note: res.Sentence(p, d),
			})
		}
		r.Groups = append(r.Groups, g)
	}
	return r
}

// shownBy are the differences that hold run i's numbers: those of its pair with
// the first.
func (res *Result) shownBy(i int) []Difference {
	for _, p := range res.Pairs {
		if p.A == 0 && p.B == max(i, 1) {
			return p.Differences
		}
	}
	return nil
}

// Tables are the result for people: the runs side by side.
func (res *Result) Tables() []report.Table {
	t := report.Table{Name: "runs", Title: fmt.Sprintf("%d images that all runs share; differences to %s with 95 %% intervals; * p below 0.05%s",
		res.N, res.Runs[0].Name, map[bool]string{true: " after Holm's correction", false: ""}[len(res.Pairs) > 1])}
	t.Columns = []string{""}
	for _, r := range res.Runs {
		t.Columns = append(t.Columns, r.Name)
		if len(t.Columns) > 2 {
			t.Columns = append(t.Columns, "")
		}
	}
	for k, d := range res.Pairs[0].Differences {
		first := report.Metric{Value: d.A, Unit: d.Unit}
		v, _ := first.Text()
		row := []string{d.Metric, v}
		for i := 1; i < len(res.Runs); i++ {
			d := res.shownBy(i)[k]
			v, _ := report.Metric{Value: d.B, Unit: d.Unit}.Text()
			_, iv := report.Metric{Value: d.Value, Unit: d.Unit, Interval: &d.Interval}.Text()
			star := ""
			if d.Adjusted < level && res.N >= fewest {
				star = " *"
			}
			row = append(row, v, fmt.Sprintf("%s (%s)%s", plus(d.Value, d.Unit), strings.ReplaceAll(iv, " to ", " to "), star))
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
