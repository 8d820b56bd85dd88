package ood

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"cutmix-eval/detector"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/results"
	"cutmix-eval/scores"
)

// Application is a detector at work on images. Close it.
type Application struct {
	Pass     *evaluation.Pass
	detector *detector.Detector
	part     *part
}

// Apply opens images, which need no labels, for a detector: c holds its model, with the
// detector's preprocessing. A model that is another one is an error.
func Apply(
	ctx context.Context, d *detector.Detector, c *evaluation.Classifier, s evaluation.Samples, store evaluation.Store,
) (*Application, error) {
	if m := evaluation.ModelKey(c.Model); m != d.Model {
		return nil, fmt.Errorf("model %q (%s) is not the one that the detector was made with (%q, %s)",
			c.Model.Name, m, filepath.Base(d.Source), d.Model)
	}
	score, err := scores.Parse(d.Score)
	if err != nil {
		return nil, err
	}
	needs := []string{evaluation.Logits}
	if score.Needs&scores.NeedFeatures != 0 {
		needs = append(needs, evaluation.Features)
	}
	p, err := openPart(ctx, c, input{Source{Role: Out}, s}, store, needs)
	if err != nil {
		return nil, err
	}
	return &Application{p.pass, d, p}, nil
}

// Collect makes the records that are missing of the pass.
func (a *Application) Collect(ctx context.Context, _ *evaluation.Pass, progress func(done int)) error {
	return a.part.collect(ctx, progress)
}

// Close closes the run.
func (a *Application) Close() error { return a.Pass.Close() }

// Verdicts are those of all images, in order, from their records.
func (a *Application) Verdicts(ctx context.Context) ([]Verdict, error) {
	d, head := a.detector, unknownHead(a.Pass.Outputs)
	if d.D > 0 {
		h, why := headOf(a.Pass.Classifier.Model)
		if h == nil {
			return nil, errors.New(why)
		}
		head = h
	}
	f, err := d.Fit(head)
	if err != nil {
		return nil, err
	}
	s := &set{Source: Source{Role: Test}, Run: a.Pass.Run, head: head}
	sc, err := s.score(ctx, []scores.Func{f})
	if err != nil && !errors.Is(err, errNone) { // each has its reason
		return nil, err
	}
	var out []Verdict
	k := 0
	err = results.Each[Record](ctx, a.Pass.Run, nil, func(r *Record, _ [][]float32) error {
		if r.Status != results.OK {
			out = append(out, Verdict{ID: r.ID, Error: r.Error})
			return nil
		}
		out = append(out, a.verdict(r, sc.values[0][k]))
		k++
		return nil
	})
	return out, err
}

func (a *Application) verdict(r *Record, score float64) Verdict {
	if !metrics.Finite(score) {
		return Verdict{ID: r.ID, Error: fmt.Sprintf("its score is %v", score)}
	}
	v := Verdict{ID: r.ID, Score: score, Accept: score >= a.detector.Threshold, Prediction: int(r.Prediction), Confidence: r.Confidence}
	if names := a.Pass.Classifier.Model.ClassNames; v.Prediction < len(names) {
		v.Class = names[v.Prediction]
	}
	return v
}
