// Package demo shows the embedded pair side by side: a baseline and a model
// trained with CutMix on the same scenes, on every task, with paired
// differences.
package demo

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"cutmix-eval/augment"
	"cutmix-eval/corrupt"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/scratch"
	"cutmix-eval/report"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/tasks/corruption"
	"cutmix-eval/tasks/finetune"
	"cutmix-eval/tasks/localize"
	"cutmix-eval/tasks/ood"
	"cutmix-eval/variants"
)

// Name is the task's name in reports.
const Name = "demo"

// Baseline and CutMix are the embedded models that are compared.
const (
	Baseline = "scenes-base"
	CutMix   = "scenes-cutmix"
)

// Config says what the tasks do.
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
	o := ood.DefaultConfig()
	o.Sources, o.Scores = ood.ScenesSources(), []string{"msp"}
	c, h := corruption.DefaultConfig(), corruption.DefaultConfig()
	c.Corruptions = corrupt.Benchmark()
	h.Experiment, h.Steps = variants.Centre, 2
	f := finetune.DefaultConfig()
	f.Mix.Method = augment.FeatureCutMix // which takes a second
	return Config{classify.DefaultConfig(), localize.DefaultConfig(), o, c, 100, h, 1000, f}
}

// shown is a number that the demo shows.
type shown struct {
	name  string
	at    report.Keys
	of    report.Keys // more keys of the number in a report, which a comparison does without
	label string      // with %d for the number of scenes; empty: name and keys
}

// part is a task of the demo.
type part struct {
	apart bool // an empty line goes before its rows
	open  func(ctx context.Context, c *evaluation.Classifier, d evaluation.DataConfig) (tasks.Job, error)
	shown []shown
}

func auroc(key report.Key) shown {
	return shown{name: "auroc", at: report.Keys{key, report.KeyScore.Is("msp")}}
}

func plain(names ...string) []shown {
	var out []shown
	for _, n := range names {
		out = append(out, shown{name: n})
	}
	return out
}

// parts are the tasks of the demo; dir is for what they write.
func (c Config) parts(dir string) []part {
	return []part{
		{open: c.classify, shown: plain("top1", "nll", "brier", "ece", "aurc")},
		{apart: true, open: c.localize, shown: plain("top1_loc", "gt_known_loc", "max_box_acc_v2", "px_ap")},
		{apart: true, open: c.ood, shown: []shown{
			auroc(report.KeySet.Is("unseen")), auroc(report.KeySet.Is("texture")), auroc(report.KeySet.Is("noise")), auroc(report.KeyGroup.Is("all")),
		}},
		{apart: true, open: corrupted(c.Corruption, c.Corrupted), shown: []shown{{name: "error", label: "error under 15 corruptions (%d scenes)"}}},
		{open: corrupted(c.Occlusion, c.Occluded), shown: []shown{{
			name: "error", at: report.Keys{report.KeyExperiment.Is(string(variants.Centre)), report.KeyLevel.Is("0.5")},
			label: "error with the middle hidden (%d scenes)",
		}}},
		{apart: true, open: c.finetune(dir), shown: []shown{{
			name: "top1", of: report.Keys{report.KeySet.Is("test"), report.KeyHead.Is("tuned")}, label: "top1 of new heads, 10 new classes (%d scenes)",
		}}},
	}
}

// Run evaluates both models on every task and compares them; limit is the number of scenes, 0
// for all. progress is called with the share that is done.
func Run(ctx context.Context, running evaluation.Running, config Config, limit int, seed uint64, progress func(done float64)) (*report.Report, error) {
	start := time.Now()
	dir, err := scratch.Dir("demo")
	if err != nil {
		return nil, err
	}
	defer scratch.Remove(dir)
	data := evaluation.DefaultDataConfig()
	data.Limit, data.Seed = limit, seed
	d := &comparison{config: compare.Config{Replicates: config.Classify.Replicates, Seed: seed}}
	models := []string{Baseline, CutMix}
	parts := config.parts(dir)
	for k, p := range parts {
		var runs []compare.Run
		var reports []*report.Report
		for i, name := range models {
			m := evaluation.DefaultModelConfig()
			m.Model = name
			c, err := evaluation.OpenClassifier(m, running)
			if err != nil {
				return nil, err
			}
			before := float64(k*len(models) + i)
			r, source, err := p.run(ctx, c, data, func(done, n int) {
				progress((before + float64(done)/float64(max(n, 1))) / float64(len(parts)*len(models)))
			})
			c.Close()
			if err != nil {
				return nil, err
			}
			runs, reports = append(runs, compare.Run{Name: name, Source: source}), append(reports, r)
		}
		if err := d.add(ctx, p, runs, reports); err != nil {
			return nil, err
		}
	}
	return d.report(config, time.Since(start)), nil
}

// run does a part for one model.
func (p part) run(ctx context.Context, c *evaluation.Classifier, d evaluation.DataConfig, progress func(done, n int)) (*report.Report, compare.Source, error) {
	j, err := p.open(ctx, c, d)
	if err != nil {
		return nil, nil, err
	}
	defer j.Close()
	res, err := tasks.Do(ctx, j, progress)
	if err != nil {
		return nil, nil, err
	}
	r, err := res.Report(ctx)
	if err != nil {
		return nil, nil, err
	}
	source, err := res.Source(ctx)
	return r, source, err
}

func (c Config) classify(ctx context.Context, m *evaluation.Classifier, d evaluation.DataConfig) (tasks.Job, error) {
	return withImages(m, d, func(im *evaluation.Images) (tasks.Job, error) {
		return classify.Open(ctx, m, im, c.Classify, evaluation.Store{})
	})
}

func (c Config) localize(ctx context.Context, m *evaluation.Classifier, d evaluation.DataConfig) (tasks.Job, error) {
	return withImages(m, d, func(im *evaluation.Images) (tasks.Job, error) {
		return localize.Open(ctx, m, im, c.Localize, "", evaluation.Store{}, localize.Overlays{})
	})
}

func (c Config) ood(ctx context.Context, m *evaluation.Classifier, d evaluation.DataConfig) (tasks.Job, error) {
	c.OOD.Sources = slices.Clone(c.OOD.Sources)
	for i := range c.OOD.Sources {
		c.OOD.Sources[i].Limit = d.Limit
	}
	return withImages(m, d, func(im *evaluation.Images) (tasks.Job, error) {
		return ood.Open(ctx, m, im, c.OOD, evaluation.Store{})
	})
}

// corrupted evaluates variants of n scenes.
func corrupted(c corruption.Config, n int) func(context.Context, *evaluation.Classifier, evaluation.DataConfig) (tasks.Job, error) {
	return func(ctx context.Context, m *evaluation.Classifier, d evaluation.DataConfig) (tasks.Job, error) {
		if d.Limit == 0 || d.Limit > n {
			d.Limit = n
		}
		return withImages(m, d, func(im *evaluation.Images) (tasks.Job, error) {
			return corruption.Open(ctx, m, im, c, evaluation.Store{})
		})
	}
}

// finetune tunes a new head on ten new classes.
func (c Config) finetune(dir string) func(context.Context, *evaluation.Classifier, evaluation.DataConfig) (tasks.Job, error) {
	return func(ctx context.Context, m *evaluation.Classifier, d evaluation.DataConfig) (tasks.Job, error) {
		d.Path = "scenes:new-train"
		return withImages(m, d, func(im *evaluation.Images) (tasks.Job, error) {
			return finetune.Open(ctx, m, im, c.Finetune, finetune.Options{
				Val: "scenes:new-val", Test: "scenes:new-test", Out: filepath.Join(dir, m.Model.Name+".onnx"),
			})
		})
	}
}

// withImages opens a job on images that are closed with it.
func withImages(c *evaluation.Classifier, d evaluation.DataConfig, open func(*evaluation.Images) (tasks.Job, error)) (tasks.Job, error) {
	im, err := c.Images(d)
	if err != nil {
		return nil, err
	}
	j, err := open(im)
	if err != nil {
		_ = im.Close()
		return nil, err
	}
	return owner{j, im}, nil
}

// owner is a job that closes its images.
type owner struct {
	tasks.Job
	images *evaluation.Images
}

func (o owner) Close() error {
	err := o.Job.Close()
	_ = o.images.Close() // they were only read
	return err
}
