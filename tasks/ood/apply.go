package ood

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/scores"
)

// Verdict is what a detector says of one image.
type Verdict struct {
	ID         string  `json:"id"`
	Accept     bool    `json:"accept"`
	Score      float64 `json:"score"`
	Prediction int     `json:"prediction"` // model output
	Class      string  `json:"class,omitempty"`
	Confidence float64 `json:"confidence"`
	Error      string  `json:"error,omitempty"` // why there is none; nothing else is then known
}

// Application is a detector at work on images. Close it.
type Application struct {
	Pass     *Pass
	detector *Detector
	names    []string
}

// Apply opens images for a detector: s holds its model and the images. The pixels are
// prepared as they were for the detector; a model that is another one is an error.
func (d *Detector) Apply(ctx context.Context, s *evaluation.Setup, store evaluation.Store, install runtime.Progress) (*Application, error) {
	m := evaluation.ModelKey(s.Model)
	if m != d.Model {
		return nil, fmt.Errorf("model %q (%s) is not the one that the detector was made with (%q, %s)", s.Model.Name, m, filepath.Base(d.Source), d.Model)
	}
	sc, err := scores.Parse(d.Score)
	if err != nil {
		return nil, err
	}
	needs := []string{evaluation.Logits}
	if sc.Needs&scores.NeedFeatures != 0 {
		needs = append(needs, evaluation.Features)
	}
	a := &Application{Pass: &Pass{Source: Source{Name: s.Data.Name, Role: Out}}, detector: d, names: s.Model.ClassNames}
	if err := a.Pass.open(ctx, s, s.Config, store, needs, install); err != nil {
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

// Close frees everything.
func (a *Application) Close() error { return (&Job{Passes: []*Pass{a.Pass}}).Close() }

// Verdicts are those of all images, in order, from their records.
func (a *Application) Verdicts(ctx context.Context) ([]Verdict, error) {
	p := a.Pass
	head := headFor(p.setup)
	if _, ok := p.HasArray(evaluation.Features); !ok {
		head = unknownHead(head.Out)
	}
	f, err := a.detector.fit(head)
	if err != nil {
		return nil, err
	}
	runs := &Runs{head: head}
	sc, err := runs.score(ctx, &set{p.Source, p.Run}, []scores.Func{f.Func}, func(*set, *Record) {})
	if err != nil && !errors.Is(err, errNone) { // each has its reason
		return nil, err
	}
	var out []Verdict
	k := 0
	err = results.Each[Record](ctx, p.Run, nil, func(r *Record, _ [][]float32) error {
		if r.Status != results.OK {
			out = append(out, Verdict{ID: r.ID, Error: r.Error})
			return nil
		}
		v := Verdict{ID: r.ID, Score: sc.values[0][k], Accept: sc.values[0][k] >= a.detector.Threshold, Prediction: int(r.Prediction), Confidence: r.Confidence}
		if v.Prediction < len(a.names) {
			v.Class = a.names[v.Prediction]
		}
		if !metrics.Finite(v.Score) {
			v = Verdict{ID: r.ID, Error: fmt.Sprintf("its score is %v", v.Score)}
		}
		out = append(out, v)
		k++
		return nil
	})
	return out, err
}

// finite says which image has no finite score.
func (s *scored) finite(k int, name string) error {
	for i, v := range s.values[k] {
		if !metrics.Finite(v) {
			return fmt.Errorf("score %s of image %s is %v", name, s.ids[i], v)
		}
	}
	return nil
}
