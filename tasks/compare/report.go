package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
)

// Name is the task's name in reports.
const Name = "compare"

// Fewest is the number of images below which no verdict is given.
const Fewest = 30

// shown says whether a difference is shown.
func (res *Result) shown(d Difference) bool { return res.N >= Fewest && d.Adjusted < report.Level }

// better says whether what is larger of a metric is better.
func (d Difference) better() bool { return (d.Value > 0) == (d.Better == report.Higher) }

// Verdict says in a few words what a difference shows; a and b name the runs.
func (res *Result) Verdict(d Difference, a, b string) string {
	switch {
	case res.N < Fewest:
		return "too few images to tell"
	case d.Untested != "":
		return "not tested (" + d.Untested + ")"
	case !res.shown(d):
		return "no difference shown"
	case d.Better == report.Neither && d.Value > 0:
		return b + " has more"
	case d.Better == report.Neither:
		return a + " has more"
	case d.better():
		return b + " is better"
	}
	return a + " is better"
}

// Sentence says in words what a difference shows.
func (res *Result) Sentence(p Pair, d Difference) string {
	a, b, n := res.Runs[p.A].Name, res.Runs[p.B].Name, res.number(p, d)
	numbers := fmt.Sprintf("%s, 95 %% interval %s, n = %d", n.Points(), n.Range(), n.N)
	if d.Untested == "" {
		numbers += fmt.Sprintf(", p = %.2g, %s", d.Adjusted, d.Test)
		if len(res.Pairs) > 1 {
			numbers += fmt.Sprintf(", Holm over %d pairs", len(res.Pairs))
		}
	}
	what := "the same"
	switch {
	case d.Value > 0:
		what = "higher"
	case d.Value < 0:
		what = "lower"
	}
	switch {
	case res.N < Fewest:
		return fmt.Sprintf("%s: too few images to tell %s from %s", d.label(), b, a)
	case d.Untested != "":
		return fmt.Sprintf("%s: that of %s is %s (%s); not tested (%s)", d.label(), b, what, numbers, d.Untested)
	case !res.shown(d):
		return fmt.Sprintf("%s: no difference shown between %s and %s (%s)", d.label(), b, a, numbers)
	case d.Better == report.Neither:
		return fmt.Sprintf("%s: that of %s is %s (%s)", d.label(), b, what, numbers)
	case d.better():
		return fmt.Sprintf("%s: %s is better than %s (%s)", d.label(), b, a, numbers)
	}
	return fmt.Sprintf("%s: %s is worse than %s (%s)", d.label(), b, a, numbers)
}

// number is a difference as a number of a report.
func (res *Result) number(p Pair, d Difference) *report.Number {
	n := &report.Number{
		Name: d.Name + "_difference", At: d.At.And(report.KeyPair.Is(res.Runs[p.B].Name + " - " + res.Runs[p.A].Name)),
		Value: d.Value, Unit: d.Unit, N: cmp.Or(d.N, res.N), Interval: &d.Interval, Better: d.Better,
	}
	if d.Untested == "" {
		n.Test = &report.Test{Name: d.Test, P: d.P, PAdjusted: d.Adjusted}
	}
	return n
}

// Report is the result as a report: the numbers of every run, side by side, and the
// differences of every pair, with a sentence about each.
func (res *Result) Report(c Config, tool report.Tool) *report.Report {
	r := &report.Report{Head: res.head(c, tool), Headless: true, Warnings: slices.Clone(res.Warnings)}
	r.Show(res.described())
	first := res.Runs[0].Name
	holm := ""
	if len(res.Pairs) > 1 {
		holm = " after Holm's correction"
	}
	view := report.View{
		Title: fmt.Sprintf("%d images that all runs share; differences to %s with 95 %% intervals; * p below %v%s",
			res.N, first, report.Level, holm),
		Columns: []string{"", first},
	}
	for _, run := range res.Runs[1:] {
		view.Columns = append(view.Columns, run.Name, "")
	}
	for k, m := range res.Metrics {
		row := report.Row(report.Word(m.label()))
		for i := range res.Runs {
			row = append(row, r.Add(res.of(i, k)).Full())
			if i > 0 {
				row = append(row, report.Cell{}) // the difference
			}
		}
		view.Rows = append(view.Rows, row)
	}
	var prose []report.Section
	for _, p := range res.Pairs {
		var lines []string
		for k, d := range p.Differences {
			n := r.Add(res.number(p, d).Noted(res.Sentence(p, d)))
			if n == nil {
				continue
			}
			cell := n.Difference()
			if res.shown(d) {
				cell = cell.Marked(" *")
			}
			if p.A == 0 {
				view.Rows[k][1+2*p.B] = cell
			}
			lines = append(lines, n.Note)
		}
		if d := p.Differences[0]; d.McNemar {
			lines = append(lines, fmt.Sprintf("%s: only %s right: %s; only %s right: %d",
				d.label(), res.Runs[p.A].Name, images(d.OnlyA), res.Runs[p.B].Name, d.OnlyB))
		}
		prose = append(prose, report.Prose{Lines: lines})
	}
	r.Show(view)
	r.Show(prose...)
	return r
}

// of is run i's number of metric k.
func (res *Result) of(i, k int) report.Number {
	m, run := res.Metrics[k], res.Runs[i]
	n := report.Number{
		Name: m.Name, At: m.At.And(report.KeyRun.Is(run.Name)), Value: run.numbers[k], Unit: m.Unit, N: cmp.Or(m.N, res.N), Better: m.Better,
	}
	if res.shares[m.Name] {
		iv := metrics.Wilson(int(math.Round(n.Value*float64(res.N))), res.N)
		n.Interval = &iv
	}
	return n
}

// head says what is common to all runs.
func (res *Result) head(c Config, tool report.Tool) report.Head {
	first := res.Runs[0].about.Head
	h := report.Head{
		Task: Name, Tool: tool, Model: first.Model, Dataset: first.Dataset, Preprocessing: first.Preprocessing,
		Config: report.Config{Seed: c.Seed, Task: c},
	}
	h.Dataset.N, h.Dataset.Bad, h.Dataset.Notes = res.N, 0, nil
	for _, run := range res.Runs[1:] {
		if run.about.Head.Model != h.Model {
			h.Model = report.Model{}
		}
		if run.about.Head.Preprocessing != h.Preprocessing {
			h.Preprocessing = report.Preprocessing{}
		}
	}
	return h
}

// described says what every run is.
func (res *Result) described() report.Table {
	t := report.Table{Name: "runs", Title: "the runs", Columns: report.Columns("run", "model", "sha256", "device", "pixels"), Aside: true}
	for _, run := range res.Runs {
		h := run.about.Head
		t.Rows = append(t.Rows, report.Row(report.Word(run.Name), report.Word(h.Model.Name), report.Word(h.Model.SHA256),
			report.Word(run.about.Key.Device.Name), report.Word(h.Preprocessing.Summary)))
	}
	return t
}

func images(n int) string {
	if n == 1 {
		return "1 image"
	}
	return fmt.Sprintf("%d images", n)
}
