package ood

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Name is the task's name in run directories and reports.
const Name = "ood"

// Role is what a set of images is for.
type Role string

// The roles.
const (
	Test  Role = "test" // in-distribution
	Val   Role = "val"
	Train Role = "train"
	Out   Role = "ood"
)

// Source is a set of images.
type Source struct {
	Name  string `json:"name"`
	Role  Role   `json:"role"`
	Group string `json:"group,omitempty"` // near, far, or none
	Path  string `json:"path"`
	Limit int    `json:"limit,omitempty"`
}

// ParseSource reads [near:|far:][NAME=]PATH.
func ParseSource(s string) (Source, error) {
	out := Source{Role: Out, Path: s}
	for _, g := range []string{"near", "far"} {
		if rest, ok := strings.CutPrefix(out.Path, g+":"); ok {
			out.Group, out.Path = g, rest
		}
	}
	if name, path, ok := strings.Cut(out.Path, "="); ok && !strings.ContainsAny(name, `/\:`) {
		out.Name, out.Path = name, path
	}
	if out.Path == "" {
		return out, fmt.Errorf("%q names no images; give [near:|far:][NAME=]PATH", s)
	}
	if out.Name == "" {
		out.Name = strings.NewReplacer(":", "-", "/", "-", "\\", "-").Replace(strings.TrimSuffix(filepath.Base(filepath.Clean(out.Path)), ".tar"))
	}
	if strings.ContainsAny(out.Name, `/\:`) || strings.HasPrefix(out.Name, ".") {
		return out, fmt.Errorf("%q cannot be the name of a set", out.Name)
	}
	return out, nil
}

// Config holds what the task can be told.
type Config struct {
	Sources []Source `json:"sources"` // OOD sets, and val and train
	Scores  []string `json:"scores"`  // names; empty: all
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	seen := map[string]bool{"id-test": true}
	out := 0
	for _, s := range c.Sources {
		if seen[s.Name] {
			return fmt.Errorf("two sets are called %q; name them, as in far:NAME=PATH", s.Name)
		}
		seen[s.Name] = true
		if s.Role == Out {
			out++
		}
	}
	if out == 0 {
		return errors.New("no OOD set is named; give --ood")
	}
	_, err := Choose(Scores(10, 10), c.Scores)
	return err
}

// Record is what one image gave.
type Record struct {
	results.Row
	Label      int32   `parquet:"label"` // model output; -1 without one
	Prediction int32   `parquet:"prediction"`
	Confidence float64 `parquet:"confidence"`
}

// Pass is a set of images with its run.
type Pass struct {
	Source
	*evaluation.Records
	setup *evaluation.Setup
	label []int // model output by class; nil without labels
}

// Job is an evaluation. Close it.
type Job struct {
	Passes []*Pass // the ID images first
	config Config
	head   *Head
	report report.Report
}

// Open opens the sets and their runs: in folders of store.Dir by the sets' names, or
// temporary ones.
func Open(ctx context.Context, s *evaluation.Setup, c Config, store evaluation.Store, tool report.Tool, install runtime.Progress) (_ *Job, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	j := &Job{config: c}
	defer func() {
		if err != nil {
			_ = j.Close()
		}
	}()
	needs := []string{evaluation.Logits}
	h, herr := s.Model.Head()
	if herr == nil && h.Penultimate != "" {
		needs = append(needs, evaluation.Features)
		j.head = &Head{C: h.Classes, D: h.Features, Weight: h.Weight, Bias: h.Bias}
	}
	sources := append([]Source{{Name: "id-test", Role: Test, Path: s.Config.Data, Limit: s.Config.Limit}}, c.Sources...)
	for _, src := range sources {
		p := &Pass{Source: src}
		cfg := s.Config
		if src.Role != Test {
			cfg.Data, cfg.Limit, cfg.Labels, cfg.Root, cfg.Format, cfg.Split = src.Path, src.Limit, "", "", datasets.Auto, ""
		}
		if p.setup, err = s.With(cfg); err != nil {
			return nil, fmt.Errorf("set %s: %w", src.Name, err)
		}
		j.Passes = append(j.Passes, p)
		task := evaluation.Task{Name: Name, Needs: needs, Config: struct{}{}, About: func(json.RawMessage) (any, error) { return src, nil }}
		if src.Role != Out && p.setup.Data.Labelled() {
			labels, err := p.setup.Labels(ctx, install)
			if err != nil {
				return nil, fmt.Errorf("set %s: %w", src.Name, err)
			}
			p.label, task.Labels, task.Select = labels.Output, labels.Fingerprint(), labels.Select
		}
		one := evaluation.Store{Shard: store.Shard}
		if store.Dir != "" {
			one.Dir = filepath.Join(store.Dir, src.Name)
		}
		if p.Records, err = p.setup.Records(ctx, one, task, install); err != nil {
			return nil, fmt.Errorf("set %s: %w", src.Name, err)
		}
		if p.setup.Session != nil && s.Session == nil { // the next sets share it
			p.setup.Lend(s)
		}
		if p.setup.Probabilities {
			return nil, fmt.Errorf("model %q gives probabilities, of which most scores cannot be computed; export it without its last softmax, or name its logits with --output", s.Model.Name)
		}
	}
	j.report = *s.Report(tool)
	j.report.Config = s.Config.Told(c)
	j.report.Runtime = evaluation.RanBy(j.Passes[0].Manifest)
	if herr != nil {
		j.report.Warnings = append(j.report.Warnings, fmt.Sprintf("scores of features are left out: %v", herr))
	} else if j.head == nil {
		j.report.Warnings = append(j.report.Warnings, "scores of features are left out: the head is applied at every place of the map")
	}
	return j, nil
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
		im := NewImage(sc.Logits, nil)
		r.Prediction, r.Confidence = int32(im.Pred), im.P[im.Pred]
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

// load reads a set into memory.
func (p *Pass) load(ctx context.Context) (*Set, error) {
	s := &Set{}
	s.C, _ = p.HasArray(evaluation.Logits)
	names := []string{evaluation.Logits}
	if d, ok := p.HasArray(evaluation.Features); ok {
		s.D = d
		names = append(names, evaluation.Features)
	}
	labelled := true
	err := results.Each[Record](ctx, p.Run, names, func(r *Record, v [][]float32) error {
		if r.Status != results.OK {
			return nil
		}
		s.N++
		s.Logits = append(s.Logits, v[0]...)
		if len(v) > 1 {
			s.Features = append(s.Features, v[1]...)
		}
		s.Labels = append(s.Labels, int(r.Label))
		labelled = labelled && r.Label >= 0
		return nil
	})
	if !labelled {
		s.Labels = nil
	}
	if err == nil && s.N == 0 {
		err = errors.New("not one image could be read")
	}
	return s, err
}

// scored is a set's scores, and what else is told of it.
type scored struct {
	Source
	values [][]float64 // by score, then image
	ids    []string
	hits   int // of labelled images
	bad    []report.BadImage
}

// score streams a set through the fitted scores.
func (p *Pass) score(ctx context.Context, funcs []Func) (*scored, error) {
	out := &scored{Source: p.Source, values: make([][]float64, len(funcs))}
	names := []string{evaluation.Logits}
	if _, ok := p.HasArray(evaluation.Features); ok {
		names = append(names, evaluation.Features)
	}
	var block []*Image
	flush := func() {
		at := len(out.values[0])
		for k := range out.values {
			out.values[k] = append(out.values[k], make([]float64, len(block))...)
		}
		next := make(chan int)
		var wg sync.WaitGroup
		for range goruntime.GOMAXPROCS(0) {
			wg.Go(func() {
				for i := range next {
					for k, f := range funcs {
						out.values[k][at+i] = f(block[i])
					}
				}
			})
		}
		for i := range block {
			next <- i
		}
		close(next)
		wg.Wait()
		block = block[:0]
	}
	err := results.Each[Record](ctx, p.Run, names, func(r *Record, v [][]float32) error {
		if r.Status != results.OK {
			out.bad = append(out.bad, report.BadImage{ID: p.Name + ": " + r.ID, Reason: r.Error})
			return nil
		}
		out.ids = append(out.ids, r.ID)
		if r.Label >= 0 && r.Label == r.Prediction {
			out.hits++
		}
		var f []float32
		if len(v) > 1 {
			f = v[1]
		}
		block = append(block, NewImage(v[0], f))
		if len(block) == 512 {
			flush()
		}
		return nil
	})
	if err == nil {
		flush()
	}
	if err == nil && len(out.ids) == 0 {
		err = errors.New("not one image could be read")
	}
	if err != nil {
		err = fmt.Errorf("set %s: %w", p.Name, err)
	}
	return out, err
}

// Found is the detection of one set by one score.
type Found struct {
	Set, Group, Score string
	metrics.Detection
}

// Report fits the scores, applies them and reports. All records must be there.
func (j *Job) Report(ctx context.Context) (*report.Report, error) {
	r, _, err := j.evaluate(ctx)
	return r, err
}

func (j *Job) evaluate(ctx context.Context) (*report.Report, []Found, error) {
	r := j.report
	r.Task = Name
	g := Given{Head: j.head}
	var err error
	for _, p := range j.Passes {
		switch p.Role {
		case Val:
			g.Validation, err = p.load(ctx)
		case Train:
			if g.Train, err = p.load(ctx); err == nil && g.Train.Labels == nil {
				err = errors.New("training images need labels")
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("set %s: %w", p.Name, err)
		}
	}
	c, _ := j.Passes[0].HasArray(evaluation.Logits)
	d, features := j.Passes[0].HasArray(evaluation.Features)
	scores, err := Choose(Scores(c, max(d, 2)), j.config.Scores)
	if err != nil {
		return nil, nil, err
	}
	var used []Score
	var funcs []Func
	missing := map[string][]string{}
	for _, s := range scores {
		why := s.Missing(g)
		if s.Needs&Features != 0 && !features {
			why = "features"
		}
		if why != "" {
			missing[why] = append(missing[why], s.Name)
			continue
		}
		f, err := s.Fit(g)
		if err != nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("score %s is left out: %v", s.Name, err))
			continue
		}
		used, funcs = append(used, s), append(funcs, f)
	}
	for _, why := range slices.Sorted(func(yield func(string) bool) {
		for k := range missing {
			if !yield(k) {
				return
			}
		}
	}) {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s not given, so left out: %s", why, strings.Join(missing[why], ", ")))
	}
	if len(funcs) == 0 {
		return nil, nil, errors.New("no score can be computed")
	}
	var id *scored
	var found []Found
	for _, p := range j.Passes {
		if p.Role != Test && p.Role != Out {
			continue
		}
		s, err := p.score(ctx, funcs)
		if err != nil {
			return nil, nil, err
		}
		r.BadImages = append(r.BadImages, s.bad...)
		r.Dataset.Bad += len(s.bad)
		if p.Role == Test {
			id = s
			continue
		}
		for k, sc := range used {
			det, err := metrics.Detect(id.values[k], s.values[k])
			var wrong *metrics.DetectionError
			if errors.As(err, &wrong) && wrong.Index >= 0 {
				name := id.ids
				if wrong.Set == "OOD" {
					name = s.ids
				}
				r.Warnings = append(r.Warnings, fmt.Sprintf("score %s on %s: that of %s %s; it is left out there", sc.Name, p.Name, name[wrong.Index], wrong.Why))
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			found = append(found, Found{p.Name, p.Group, sc.Name, det})
		}
	}
	j.fill(&r, used, found, id)
	return &r, found, nil
}
