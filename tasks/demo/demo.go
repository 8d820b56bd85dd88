// Package demo shows the embedded pair side by side: a baseline and a model
// trained with CutMix on the same scenes, on every task, with paired
// differences.
package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/classify"
)

// Baseline and CutMix are the embedded models that are compared.
const (
	Baseline = "scenes-base"
	CutMix   = "scenes-cutmix"
)

// fewest is the number of images below which no verdict is given.
const fewest = 30

// Row is one number of both models. Values and differences are in the metric's
// own unit; fractions for shares.
type Row struct {
	Baseline, CutMix report.Metric
	Difference       metrics.Difference // CutMix less baseline
}

// Verdict says in words what the difference shows: with a paired test, what the
// test shows at 5 percent; otherwise whether the interval holds 0.
func (r Row) Verdict() string {
	if r.CutMix.N < fewest {
		return "too few images to tell"
	}
	shown := r.Difference.Interval.Low > 0 || r.Difference.Interval.High < 0
	test := ""
	if r.CutMix.Name == "ece" {
		test = " (binned: its interval is rough)"
	}
	if strings.HasPrefix(r.Difference.Test, "McNemar") {
		shown = r.Difference.P < 0.05
		test = fmt.Sprintf(" (p = %.2g, McNemar)", r.Difference.P)
	}
	switch {
	case !shown:
		return "no difference shown" + test
	case (r.Difference.Value > 0) == r.CutMix.HigherIsBetter:
		return "CutMix is better" + test
	}
	return "the baseline is better" + test
}

// Result is what both models gave.
type Result struct {
	N       int
	Rows    []Row
	Elapsed time.Duration
	setup   *report.Report // of the CutMix model, for what is common to both
}

// Run evaluates both models. c chooses device, threads and so on; its model and
// data are not used. progress is told the images done of all.
func Run(ctx context.Context, c evaluation.Config, task classify.Config, install runtime.Progress, progress func(done, all int)) (*Result, error) {
	start := time.Now()
	c.Data = evaluation.DefaultData
	res := &Result{}
	var outcomes [2][]metrics.Outcome
	var reports [2]*report.Report
	for i, name := range []string{Baseline, CutMix} {
		c.Model = name
		r, out, err := one(ctx, c, task, install, func(done, n int) { progress(i*n+done, 2*n) })
		if err != nil {
			return nil, err
		}
		reports[i], outcomes[i] = r, out
	}
	d, err := metrics.Compare(ctx, outcomes[0], outcomes[1], task.Bins, task.Replicates, c.Seed)
	if err != nil {
		return nil, err
	}
	res.N, res.setup = len(outcomes[0]), reports[1]
	for _, m := range []struct {
		name string
		diff metrics.Difference
	}{{"top1", d.Top1}, {"nll", d.NLL}, {"brier", d.Brier}, {"ece", d.ECE}, {"aurc", d.AURC}} {
		row := Row{Difference: m.diff}
		row.Baseline, row.CutMix = find(reports[0], m.name), find(reports[1], m.name)
		res.Rows = append(res.Rows, row)
	}
	res.Elapsed = time.Since(start)
	return res, nil
}

func find(r *report.Report, name string) report.Metric {
	for _, m := range r.Metrics {
		if m.Name == name {
			return m
		}
	}
	panic("demo: classify reports no " + name)
}

// one classifies the scenes with one model.
func one(ctx context.Context, c evaluation.Config, task classify.Config, install runtime.Progress, progress func(done, n int)) (*report.Report, []metrics.Outcome, error) {
	s, err := evaluation.Open(ctx, c, install)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	job, err := classify.Open(ctx, s, task, evaluation.Store{}, report.Tool{}, install)
	if err != nil {
		return nil, nil, err
	}
	defer job.Close()
	n := len(job.Todo)
	if _, err := job.Collect(ctx, func(done int) { progress(done, n) }); err != nil {
		return nil, nil, err
	}
	r, res, err := classify.Report(ctx, job.Run, nil)
	if err != nil {
		return nil, nil, err
	}
	return r, res.Outcomes(), nil
}

// Report is the result as a report: the differences as metrics, both models as
// groups.
func (res *Result) Report(tool report.Tool) *report.Report {
	r := *res.setup
	r.Tool, r.Task = tool, "demo"
	r.Metrics, r.Groups, r.Tables, r.Warnings = nil, nil, nil, nil
	base, cut := report.Group{Kind: "model", Name: Baseline}, report.Group{Kind: "model", Name: CutMix}
	for _, row := range res.Rows {
		base.Metrics = append(base.Metrics, row.Baseline)
		cut.Metrics = append(cut.Metrics, row.CutMix)
		iv := row.Difference.Interval
		r.Metrics = append(r.Metrics, report.Metric{
			Name: row.CutMix.Name + "_difference", Value: row.Difference.Value, Unit: row.CutMix.Unit, N: res.N,
			Interval: &iv, HigherIsBetter: row.CutMix.HigherIsBetter, Note: row.Verdict(),
		})
	}
	r.Groups = []report.Group{base, cut}
	return &r
}

// Table is the result for people.
func (res *Result) Table() report.Table {
	t := report.Table{
		Name: "demo", Title: fmt.Sprintf("%d test scenes, 95 %% intervals; differences are paired: both models see the same scenes", res.N),
		Columns: []string{"", "baseline", "", "CutMix", "", "CutMix - baseline", "", ""},
	}
	for _, row := range res.Rows {
		b, biv := row.Baseline.Text()
		c, civ := row.CutMix.Text()
		d, div := report.Metric{Unit: row.CutMix.Unit, Value: row.Difference.Value, Interval: &row.Difference.Interval}.Text()
		d = strings.Replace(d, " %", " points", 1)
		if row.Difference.Value >= 0 {
			d = "+" + d
		}
		t.Rows = append(t.Rows, []string{row.CutMix.Name, b, biv, c, civ, d, div, row.Verdict()})
	}
	return t
}
