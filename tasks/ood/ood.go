// Package ood measures how well a classifier knows what it does not know: every
// post-hoc score that needs no gradient, from one pass of the network, with metrics in
// both conventions, and a threshold that can be deployed.
package ood

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/scores"
)

// Record is what one image gave.
type Record struct {
	results.Row
	Label      int32   `parquet:"label"` // model output; -1 without one
	Prediction int32   `parquet:"prediction"`
	Confidence float64 `parquet:"confidence"` // its softmax
	Content    int64   `parquet:"content"`    // of the tensor that the model saw: its SHA-256's first eight bytes
}

// About describes all sets of an evaluation; it is kept beside their runs.
type About struct {
	Report report.Report `json:"report"`
	Config Config        `json:"config"`
	Model  string        `json:"model"`            // file or name
	Output string        `json:"output,omitempty"` // that was asked for
	Head   bool          `json:"head"`             // head.npy holds the head's weights
}

// setAbout describes one set; it is kept with its run.
type setAbout struct {
	Source  Source         `json:"source"`
	Dataset report.Dataset `json:"dataset"`
}

// Files beside the runs of an evaluation: About, and the head's weights with, in the last
// column, its biases.
const (
	aboutName = "ood.json"
	headName  = "head.npy"
)

// Pass is a set of images with its run.
type Pass struct {
	Source
	*evaluation.Records
	setup *evaluation.Setup
	label []int  // model output by class; nil without labels
	how   string // labels were matched
}

// Job is an evaluation. Close it.
type Job struct {
	Passes []*Pass // the ID images first
	runs   *Runs
}

// Open opens the sets and their runs: in folders of store.Dir by the sets' names, or
// temporary ones.
func Open(ctx context.Context, s *evaluation.Setup, c Config, store evaluation.Store, tool report.Tool, install runtime.Progress) (_ *Job, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if store.Dir != "" {
		if found, err := results.Find(store.Dir); err == nil && found != nil {
			return nil, fmt.Errorf("folder %q holds a run of %s; choose another --out", store.Dir, found.Manifest.Key.Task)
		}
	}
	j := &Job{runs: &Runs{}}
	defer func() {
		if err != nil {
			_ = j.Close()
		}
	}()
	about := About{Config: c, Model: s.Config.Model, Output: s.Config.Output}
	if _, err := os.Stat(about.Model); err == nil { // a file, not a name
		if about.Model, err = filepath.Abs(about.Model); err != nil {
			return nil, err
		}
	}
	needs := []string{evaluation.Logits}
	head, why := headOf(s)
	if head != nil {
		needs, about.Head = append(needs, evaluation.Features), true
	}
	for _, src := range append([]Source{Of(Test, s.Config.Data, s.Config.Limit)}, c.Sources...) {
		p := &Pass{Source: src}
		cfg := s.Config
		if src.Role != Test {
			cfg.Data, cfg.Limit, cfg.Labels, cfg.Root, cfg.Format, cfg.Split = src.Path, src.Limit, "", "", datasets.Auto, ""
			cfg.Unlabelled, cfg.Subset = !src.Role.id(), ""
		}
		one := evaluation.Store{Shard: store.Shard}
		if store.Dir != "" {
			one.Dir = filepath.Join(store.Dir, p.Name)
		}
		if err := p.open(ctx, s, cfg, one, needs, install); err != nil {
			return nil, fmt.Errorf("set %s: %w", src.Name, err)
		}
		if src.Role == Test {
			about.Report = *p.setup.Report(tool)
			about.Report.Config = s.Config.Told(c)
			about.Report.Dataset.Labels = p.how
			about.Report.Dataset.Notes = append(about.Report.Dataset.Notes, c.Notes...)
			if why != "" {
				about.Report.Warnings = append(about.Report.Warnings, "scores of features are left out: "+why)
			}
		}
		j.Passes = append(j.Passes, p)
		j.runs.sets = append(j.runs.sets, set{src, p.Run})
		if p.setup.Session != nil && s.Session == nil { // the next sets share it
			p.setup.Lend(s)
		}
	}
	if err := j.runs.keep(about, store.Dir); err != nil {
		return nil, err
	}
	classes, _ := j.Passes[0].HasArray(evaluation.Logits)
	if j.runs.head = unknownHead(classes); head != nil {
		j.runs.head = head
		if store.Dir != "" {
			if err := saveHead(store.Dir, head); err != nil {
				return nil, err
			}
		}
	}
	return j, nil
}

// headOf is the model's head where it is one linear layer; why not, otherwise.
func headOf(s *evaluation.Setup) (_ *scores.Head, why string) {
	h, err := s.Model.Head()
	switch {
	case err != nil:
		return nil, err.Error()
	case h.Penultimate == "":
		return nil, "the head is applied at every place of the map"
	}
	return &scores.Head{Layer: h.Layer()}, ""
}

// open opens the pass's data and run.
func (p *Pass) open(ctx context.Context, s *evaluation.Setup, c evaluation.Config, store evaluation.Store, needs []string, install runtime.Progress) (err error) {
	if p.setup, err = s.With(c); err != nil {
		return err
	}
	task := evaluation.Task{Name: Name, Needs: needs, Config: struct{}{}}
	if p.Role.id() && p.setup.Data.Labelled() {
		labels, err := p.setup.Labels(ctx, install)
		if err != nil {
			return err
		}
		p.label, task.Labels, task.Select, p.how = labels.Output, labels.Fingerprint(), labels.Select, labels.How
	} else if p.Role == Train {
		return errors.New("training images need labels")
	}
	task.About = func(json.RawMessage) (any, error) {
		return setAbout{p.Source, p.setup.Report(report.Tool{}).Dataset}, nil
	}
	if p.Records, err = p.setup.Records(ctx, store, task, install); err != nil {
		return err
	}
	if p.setup.Probabilities {
		return fmt.Errorf("model %q gives probabilities, of which most scores cannot be computed; export it without its last softmax, or name its logits with --output", s.Model.Name)
	}
	return nil
}

// Close frees everything.
func (j *Job) Close() error {
	var errs []error
	for _, p := range j.Passes {
		if p.Records != nil {
			errs = append(errs, p.Records.Close())
		}
		if p.setup != nil {
			p.setup.Close()
		}
	}
	return errors.Join(errs...)
}

// Collect runs the model on what is missing of a set.
func (p *Pass) Collect(ctx context.Context, progress func(done int)) (pipeline.Stats, error) {
	w := results.NewWriter[Record](p.Run)
	stats, err := p.Each(ctx, progress, func(sc evaluation.Scored) error {
		sample := p.setup.Data.Samples[sc.Index]
		r := Record{Row: results.Row{Index: int64(sc.Index), ID: sample.ID, Status: results.OK, Width: int32(sc.Width), Height: int32(sc.Height)}, Label: -1, Prediction: -1}
		if sample.Label >= 0 && sample.Label < len(p.setup.Data.Classes) {
			r.Class = p.setup.Data.Classes[sample.Label]
		}
		bad := sc.Err
		for _, v := range [][]float32{sc.Logits, sc.Features} {
			if i := metrics.NotFinite(v); bad == nil && i >= 0 {
				bad = fmt.Errorf("the model gave %v", v[i])
			}
		}
		if bad != nil {
			r.Status, r.Error = results.Bad, bad.Error()
			return w.Add(r)
		}
		if p.label != nil && sample.Label >= 0 {
			r.Label = int32(p.label[sample.Label])
		}
		pred, softmax := metrics.Argmax(sc.Logits), make([]float64, len(sc.Logits))
		metrics.Softmax(softmax, sc.Logits)
		r.Prediction, r.Confidence, r.Content = int32(pred), softmax[pred], sc.Content()
		return w.Add(r, p.Arrays(sc)...)
	})
	if werr := w.Close(); !errors.Is(err, werr) {
		err = errors.Join(err, werr)
	}
	if err != nil {
		err = fmt.Errorf("set %s: %w", p.Name, err)
	}
	return stats, err
}

// Report fits the scores, applies them and reports. All records must be there.
func (j *Job) Report(ctx context.Context) (*report.Report, error) { return j.runs.Report(ctx) }

// Runs are the runs that the job writes.
func (j *Job) Runs() *Runs { return j.runs }
