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
	"cutmix-eval/report"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
)

// Baseline and CutMix are the embedded models that are compared.
const (
	Baseline = "scenes-base"
	CutMix   = "scenes-cutmix"
)

// Row is one number of both models. Values and differences are in the metric's
// own unit; fractions for shares.
type Row struct {
	Baseline, CutMix report.Metric
	Difference       compare.Difference // CutMix less baseline
	Verdict          string             // what the difference shows, in words
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
	var runs []compare.Run
	var reports []*report.Report
	for i, name := range []string{Baseline, CutMix} {
		c.Model = name
		r, run, err := one(ctx, c, task, install, func(done, n int) { progress(i*n+done, 2*n) })
		if err != nil {
			return nil, err
		}
		runs, reports = append(runs, run), append(reports, r)
	}
	cmp, err := compare.Compare(ctx, compare.Config{Replicates: task.Replicates, Seed: c.Seed}, runs)
	if err != nil {
		return nil, err
	}
	res.N, res.setup = cmp.N, reports[1]
	for _, name := range []string{"top1", "nll", "brier", "ece", "aurc"} {
		for _, d := range cmp.Pairs[0].Differences {
			if d.Name != name {
				continue
			}
			verdict := cmp.Verdict(d, "the baseline", "CutMix")
			if d.Kind == compare.McNemar && cmp.N >= 30 {
				verdict += fmt.Sprintf(" (p = %.2g, McNemar)", d.P)
			}
			res.Rows = append(res.Rows, Row{find(reports[0], name), find(reports[1], name), d, verdict})
		}
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
func one(ctx context.Context, c evaluation.Config, task classify.Config, install runtime.Progress, progress func(done, n int)) (*report.Report, compare.Run, error) {
	out := compare.Run{Name: c.Model}
	s, err := evaluation.Prepare(c)
	if err != nil {
		return nil, out, err
	}
	defer s.Close()
	job, err := classify.Open(ctx, s, task, evaluation.Store{}, report.Tool{}, install)
	if err != nil {
		return nil, out, err
	}
	defer job.Close()
	n := len(job.Todo)
	if _, err := job.Collect(ctx, func(done int) { progress(done, n) }); err != nil {
		return nil, out, err
	}
	r, _, err := classify.Report(ctx, job.Run, nil)
	if err != nil {
		return nil, out, err
	}
	out.Key = job.Manifest.Key
	out.Source, err = classify.Load(ctx, job.Run)
	return r, out, err
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
			Interval: &iv, HigherIsBetter: row.CutMix.HigherIsBetter, Note: row.Verdict,
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
		t.Rows = append(t.Rows, []string{row.CutMix.Name, b, biv, c, civ, d, div, row.Verdict})
	}
	return t
}
