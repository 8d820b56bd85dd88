package classify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Name is the task's name in run directories and reports.
const Name = "classify"

// Job is an evaluation of a model on labelled images: its run, and what is to be
// done for it. Close it.
type Job struct {
	*evaluation.Records
	setup *evaluation.Setup
	about About
}

// Open matches the labels of the setup's data to the model's outputs and opens the
// run. Images without a label are left out. tool says what makes the report.
func Open(ctx context.Context, s *evaluation.Setup, c Config, store evaluation.Store, tool report.Tool, install runtime.Progress) (*Job, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if s.Outputs == 0 { // only a session can tell
		if err := s.Start(ctx, install); err != nil {
			return nil, err
		}
	}
	d := s.Data
	aligned, err := d.Align(s.Outputs, s.Model.ClassNames)
	if err != nil {
		return nil, err
	}
	var labelled []int
	for i, sample := range d.Samples {
		if sample.Label != datasets.Unlabelled {
			labelled = append(labelled, i)
		}
	}
	without := len(d.Samples) - len(labelled)
	if len(labelled) == 0 {
		return nil, fmt.Errorf("%s has no labelled image", d.Name)
	}
	if without > 0 {
		aligned.How += fmt.Sprintf("; %d images without a label are left out", without)
	}
	job := &Job{setup: s}
	job.Records, err = s.Records(ctx, store, evaluation.Task{
		Name: Name, Labels: fingerprint(d.Classes, aligned.Output), Needs: []string{evaluation.Logits},
		Config: struct {
			Restrict bool `json:"restrict"`
		}{c.Restrict},
		About: func() (any, error) {
			job.about = About{
				Config: c, Seed: s.Config.Seed, Names: d.Classes, Output: aligned.Output, Orders: d.Orders(s.Outputs),
				Outputs: s.Outputs, Probabilities: s.Probabilities,
			}
			r := s.Report(tool)
			r.Dataset.Labels = aligned.How
			r.Config = s.Config.Told(c)
			if c.Restrict {
				r.Option("only the data's %d classes compete", len(d.Classes))
			}
			job.about.Report = *r
			return job.about, nil
		},
		Select: func(at []int) []int {
			if without == 0 {
				return at
			}
			if at == nil {
				return labelled
			}
			var both []int
			for _, i := range at {
				if d.Samples[i].Label != datasets.Unlabelled {
					both = append(both, i)
				}
			}
			return both
		},
	}, install)
	if err != nil {
		return nil, err
	}
	return job, nil
}

// fingerprint identifies the matching of classes to outputs.
func fingerprint(classes []string, output []int) string {
	data, err := json.Marshal([]any{classes, output})
	if err != nil {
		panic("classify: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Collect makes the records that are missing. When it ends early, those that were
// made are kept.
func (j *Job) Collect(ctx context.Context, progress func(done int)) (pipeline.Stats, error) {
	if len(j.Todo) == 0 {
		return pipeline.Stats{}, nil
	}
	c := NewCollector(j.about)
	w := results.NewWriter[Record](j.Run)
	stats, err := j.Each(ctx, progress, func(sc evaluation.Scored) error {
		sample := j.setup.Data.Samples[sc.Index]
		rec, err := c.Record(sc.Index, sample.ID, sample.Label, [2]int{sc.Width, sc.Height}, sc.Logits, sc.Err)
		if err != nil {
			return err
		}
		return w.Add(rec, j.Arrays(sc)...)
	})
	return stats, errors.Join(err, w.Close())
}

// Read reads what describes a run of this task.
func Read(run *results.Run) (About, error) {
	var a About
	if task := run.Manifest.Key.Task; task != Name {
		return a, fmt.Errorf("the run is one of %s, not of %s", task, Name)
	}
	d := json.NewDecoder(bytes.NewReader(run.Manifest.About))
	d.UseNumber() // seeds have more digits than a float64
	if err := d.Decode(&a); err != nil {
		return a, fmt.Errorf("reading what the manifest says about the run: %w", err)
	}
	for _, o := range a.Output {
		if o < 0 || o >= a.Outputs {
			return a, fmt.Errorf("the manifest says that a class is output %d of %d", o, a.Outputs)
		}
	}
	if len(a.Output) != len(a.Names) {
		return a, fmt.Errorf("the manifest names %d classes and %d outputs", len(a.Names), len(a.Output))
	}
	return a, nil
}

// Report computes the report of a run from its records alone. edit, if not nil,
// may change what does not determine records: bins, replicates, seed.
func Report(ctx context.Context, run *results.Run, edit func(*About)) (*report.Report, *Result, error) {
	a, err := Read(run)
	if err != nil {
		return nil, nil, err
	}
	if edit != nil {
		edit(&a)
	}
	res, err := Evaluate(ctx, a, run)
	if err != nil {
		return nil, nil, err
	}
	r := a.Report
	r.Runtime = report.Runtime{ORT: run.Manifest.Key.Device.ORT, Device: run.Manifest.Key.Device.Name, Reused: run.Manifest.Reused}
	res.Fill(&r, a)
	return &r, res, nil
}
