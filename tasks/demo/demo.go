// Package demo shows the embedded pair side by side: a baseline and a model
// trained with CutMix on the same scenes, on every task, with paired
// differences.
package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cutmix-eval/corrupt"
	"cutmix-eval/evaluation"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/tasks/corruption"
	"cutmix-eval/tasks/finetune"
	"cutmix-eval/tasks/localize"
	"cutmix-eval/tasks/ood"
)

// Baseline and CutMix are the embedded models that are compared.
const (
	Baseline = "scenes-base"
	CutMix   = "scenes-cutmix"
)

// Row is one number of both models. Values and differences are in the metric's
// own unit; fractions for shares.
type Row struct {
	Task             string
	Baseline, CutMix report.Metric
	Difference       compare.Difference // CutMix less baseline
	Verdict          string             // what the difference shows, in words
}

// Config tells the tasks what to do.
type Config struct {
	Classify classify.Config `json:"classify"`
	Localize localize.Config `json:"localize"`
	OOD      ood.Config      `json:"ood"`
	// Corruption and Occlusion are evaluated on some of the scenes: they make many variants of
	// each.
	Corruption corruption.Config `json:"corruption"`
	Corrupted  int               `json:"corrupted_scenes"`
	Occlusion  corruption.Config `json:"occlusion"`
	Occluded   int               `json:"occluded_scenes"`
	Finetune   finetune.Config   `json:"finetune"` // of new heads, on new classes
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config {
	o := ood.Config{Sources: ood.ScenesSources(), Scores: []string{"msp"}}
	c, h := corruption.DefaultConfig(), corruption.DefaultConfig()
	c.Corruptions = corrupt.Benchmark()
	h.Experiment, h.Steps = corruption.Centre, 2
	f := finetune.DefaultConfig()
	f.Mix.Method = finetune.FeatureCutMix // which takes a second
	return Config{classify.DefaultConfig(), localize.DefaultConfig(), o, c, 100, h, 1000, f}
}

// Result is what both models gave.
type Result struct {
	N       int
	Rows    []Row
	Floors  []report.Group // of localization: what needs no model
	Elapsed time.Duration
	setup   *report.Report // of the CutMix model, for what is common to both
}

// shown are the numbers of each task that the demo shows.
var shown = map[string][]string{
	classify.Name: {"top1", "nll", "brier", "ece", "aurc"},
	localize.Name: {"top1_loc", "gt_known_loc", "max_box_acc_v2", "px_ap"},
	ood.Name:      {"auroc unseen msp", "auroc texture msp", "auroc noise msp", "auroc all msp"},
	"corruptions": {"error"},
	"occlusion":   {"error center-occlusion/0.5"},
	finetune.Name: {"top1"},
}

// run is one task of one model.
type run func(ctx context.Context, s *evaluation.Setup, install runtime.Progress, progress func(done, n int)) (*report.Report, compare.Run, error)

// Run evaluates both models on every task. c chooses device, threads and so on; its
// model and data are not used. progress is told the share that is done.
func Run(ctx context.Context, c evaluation.Config, task Config, install runtime.Progress, progress func(done float64)) (*Result, error) {
	start := time.Now()
	task.OOD.Sources = slices.Clone(task.OOD.Sources)
	c.Data = evaluation.DefaultData
	res := &Result{}
	tasks := []struct {
		name string
		run  run
	}{{classify.Name, task.classify}, {localize.Name, task.localize}, {ood.Name, task.ood},
		{"corruptions", corrupted(task.Corruption, task.Corrupted)}, {"occlusion", corrupted(task.Occlusion, task.Occluded)},
		{finetune.Name, task.finetune}}
	models := []string{Baseline, CutMix}
	for k, t := range tasks {
		var runs []compare.Run
		var reports []*report.Report
		for i, name := range models {
			c.Model = name
			s, err := evaluation.Prepare(c)
			if err != nil {
				return nil, err
			}
			before := float64(k*len(models) + i)
			r, one, err := t.run(ctx, s, install, func(done, n int) {
				progress((before + float64(done)/float64(n)) / float64(len(tasks)*len(models)))
			})
			s.Close()
			if err != nil {
				return nil, err
			}
			one.Name = name
			runs, reports = append(runs, one), append(reports, r)
		}
		cmp, err := compare.Compare(ctx, compare.Config{Replicates: task.Classify.Replicates, Seed: c.Seed}, runs)
		if err != nil {
			return nil, err
		}
		for _, name := range shown[t.name] {
			for _, d := range cmp.Pairs[0].Differences {
				if d.Name != name {
					continue
				}
				verdict := cmp.Verdict(d, "the baseline", "CutMix")
				if d.Kind == compare.McNemar && cmp.N >= 30 {
					verdict += fmt.Sprintf(" (p = %.2g, McNemar)", d.P)
				}
				row := Row{t.name, find(reports[0], name), find(reports[1], name), d, verdict}
				if t.name == finetune.Name {
					row.Baseline.Name, row.CutMix.Name = "new_head_top1", "new_head_top1"
				}
				res.Rows = append(res.Rows, row)
			}
		}
		if t.name == classify.Name {
			res.N, res.setup = cmp.N, reports[1]
		}
		for _, g := range reports[1].Groups {
			if g.Kind == "floor" {
				res.Floors = append(res.Floors, g)
			}
		}
	}
	res.Elapsed = time.Since(start)
	return res, nil
}

// find finds a number of a report; one of a group is called "NAME SET SCORE".
func find(r *report.Report, name string) report.Metric {
	for _, m := range r.Metrics {
		if m.Name == name {
			return m
		}
	}
	for _, g := range r.Groups {
		for _, m := range g.Metrics {
			if m.Name+" "+g.Kind+"/"+g.Name == name {
				m.Name = name
				return m
			}
			if m.Name+" "+strings.TrimSuffix(strings.TrimPrefix(g.Kind, "ood "), " mean")+" "+g.Name == name {
				m.Name = name
				return m
			}
		}
	}
	panic("demo: " + r.Task + " reports no " + name)
}

// collector is a task's job.
type collector interface {
	Collect(ctx context.Context, progress func(done int)) (pipeline.Stats, error)
}

// finish makes a job's records and reads its report and what is compared from them.
func finish(ctx context.Context, j collector, rec *evaluation.Records, progress func(done, n int), read func(*results.Run) (*report.Report, compare.Source, error)) (*report.Report, compare.Run, error) {
	n := len(rec.Todo)
	if _, err := j.Collect(ctx, func(done int) { progress(done, n) }); err != nil {
		return nil, compare.Run{}, err
	}
	r, source, err := read(rec.Run)
	return r, compare.Run{Source: source}, err
}

func (c Config) classify(ctx context.Context, s *evaluation.Setup, install runtime.Progress, progress func(done, n int)) (*report.Report, compare.Run, error) {
	job, err := classify.Open(ctx, s, c.Classify, evaluation.Store{}, report.Tool{}, install)
	if err != nil {
		return nil, compare.Run{}, err
	}
	defer job.Close()
	return finish(ctx, job, job.Records, progress, func(run *results.Run) (*report.Report, compare.Source, error) {
		r, _, err := classify.Report(ctx, run, nil)
		if err != nil {
			return nil, nil, err
		}
		source, err := classify.Load(ctx, run)
		return r, source, err
	})
}

func (c Config) localize(ctx context.Context, s *evaluation.Setup, install runtime.Progress, progress func(done, n int)) (*report.Report, compare.Run, error) {
	job, err := localize.Open(ctx, s, c.Localize, "", evaluation.Store{}, report.Tool{}, install)
	if err != nil {
		return nil, compare.Run{}, err
	}
	defer job.Close()
	return finish(ctx, job, job.Records, progress, func(run *results.Run) (*report.Report, compare.Source, error) {
		r, _, err := localize.Report(ctx, run, nil)
		if err != nil {
			return nil, nil, err
		}
		source, err := localize.Load(ctx, run)
		return r, source, err
	})
}

func (c Config) ood(ctx context.Context, s *evaluation.Setup, install runtime.Progress, progress func(done, n int)) (*report.Report, compare.Run, error) {
	var out compare.Run
	for i := range c.OOD.Sources {
		c.OOD.Sources[i].Limit = s.Config.Limit
	}
	job, err := ood.Open(ctx, s, c.OOD, evaluation.Store{}, report.Tool{}, install)
	if err != nil {
		return nil, out, err
	}
	defer job.Close()
	n, before := 0, 0
	for _, p := range job.Passes {
		n += len(p.Todo)
	}
	for _, p := range job.Passes {
		if _, err := p.Collect(ctx, func(done int) { progress(before+done, n) }); err != nil {
			return nil, out, err
		}
		before += len(p.Todo)
	}
	pair, err := job.Runs().Pair(ctx)
	if err != nil {
		return nil, out, err
	}
	out.Source = pair
	return pair.Describe(), out, nil
}

// corrupted evaluates variants of n scenes.
func corrupted(c corruption.Config, n int) run {
	return func(ctx context.Context, s *evaluation.Setup, install runtime.Progress, progress func(done, n int)) (*report.Report, compare.Run, error) {
		if limit := s.Config.Limit; limit == 0 || limit > n {
			s.Config.Limit = n
			s.Selected = s.Data.Pick(n, s.Config.Seed)
		}
		job, err := corruption.Open(ctx, s, c, evaluation.Store{}, report.Tool{}, install)
		if err != nil {
			return nil, compare.Run{}, err
		}
		defer job.Close()
		return finish(ctx, job, job.Records, progress, func(run *results.Run) (*report.Report, compare.Source, error) {
			source, err := corruption.Load(ctx, run)
			if err != nil {
				return nil, nil, err
			}
			return source.Describe(), source, nil
		})
	}
}

// finetune tunes a new head on ten new classes.
func (c Config) finetune(ctx context.Context, s *evaluation.Setup, install runtime.Progress, progress func(done, n int)) (*report.Report, compare.Run, error) {
	var out compare.Run
	dir, err := os.MkdirTemp("", "cutmix-eval-demo-")
	if err != nil {
		return nil, out, err
	}
	defer os.RemoveAll(dir)
	on := s.Config
	on.Data = "scenes:new-train"
	o := finetune.Options{Val: "scenes:new-val", Test: "scenes:new-test", Out: filepath.Join(dir, "tuned.onnx"), Install: install}
	o.Told = func(e finetune.Epoch, of int, _ string) { progress(e.Epoch, of) }
	r, err := finetune.Run(ctx, on, c.Finetune, o)
	if err != nil {
		return nil, out, err
	}
	out.Source, err = finetune.Tuned(ctx, o.Folder(), "test")
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
	r.Groups = append([]report.Group{base, cut}, res.Floors...)
	return &r
}

// Table is the result for people.
func (res *Result) Table() report.Table {
	t := report.Table{
		Name: "demo", Title: fmt.Sprintf("%d test scenes, 95 %% intervals; differences are paired: both models see the same scenes", res.N),
		Columns: []string{"", "baseline", "", "CutMix", "", "CutMix - baseline", "", ""},
	}
	task := ""
	for _, row := range res.Rows {
		if task != row.Task && row.Task != "occlusion" {
			if task = row.Task; len(t.Rows) > 0 {
				t.Rows = append(t.Rows, []string{""})
			}
		}
		b, biv := row.Baseline.Text()
		c, civ := row.CutMix.Text()
		d, div := report.Metric{Unit: row.CutMix.Unit, Value: row.Difference.Value, Interval: &row.Difference.Interval}.Text()
		d = strings.Replace(d, " %", " points", 1)
		if row.Difference.Value >= 0 {
			d = "+" + d
		}
		name := row.CutMix.Name
		switch row.Task {
		case "corruptions":
			name = fmt.Sprintf("error under 15 corruptions (%d scenes)", row.CutMix.N)
		case "occlusion":
			name = fmt.Sprintf("error with the middle hidden (%d scenes)", row.CutMix.N)
		case finetune.Name:
			name = fmt.Sprintf("top1 of new heads, 10 new classes (%d scenes)", row.CutMix.N)
		}
		t.Rows = append(t.Rows, []string{name, b, biv, c, civ, d, div, row.Verdict})
	}
	return t
}

// FloorsText says what localization reaches without any model.
func (res *Result) FloorsText() string {
	var parts []string
	for _, g := range res.Floors {
		for _, m := range g.Metrics {
			if m.Name == "max_box_acc_v2" {
				v, _ := m.Text()
				parts = append(parts, g.Name+" "+v)
			}
		}
	}
	return "max_box_acc_v2 without a model: " + strings.Join(parts, ", ")
}
