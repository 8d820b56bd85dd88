package classify

import (
	"context"
	"encoding/json"
	"fmt"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/strict"
	"cutmix-eval/metrics"
	"cutmix-eval/results"
	"cutmix-eval/tasks/doctor"
)

// belowPublished is how far below a published top-1 accuracy a run's whole interval lies where its
// pixels are doubted: other data, and copies of them, cost a few points.
const belowPublished = 0.05

// before tries other pixels where nobody says which ones the model was trained with. It happens before
// a run begins, and what is found is kept with the run: shards, and a run that goes on, do not do it
// again, and their report is that of a run that was left alone.
func (j *Job) before(ctx context.Context, s evaluation.Samples, labels *evaluation.Labels, store evaluation.Store) error {
	if before := j.Pass.Before; before != nil {
		var a About
		if err := json.Unmarshal(before, &a); err != nil {
			return fmt.Errorf("reading what is known of run %q: %w", store.Dir, strict.Explain(err))
		}
		j.about.Pixels = a.Pixels
		return nil
	}
	im, ok := s.(*evaluation.Images)
	if !ok || !j.about.Config.Doctor || store.Reuse != "" {
		return nil
	}
	j.subject = &doctor.Subject{Classifier: j.Pass.Classifier, Images: im, Labels: labels, Restrict: j.about.Config.Restrict, Seed: j.about.Seed}
	if !doctor.Assumed(j.about.Head.Preprocessing.Source) {
		return nil
	}
	advice, err := j.ask(ctx)
	j.about.Pixels = advice
	return err
}

// after tries other pixels where the accuracy is not what the model can do, though its file says how
// it was trained. Shares of a run do not come here.
func (j *Job) after(ctx context.Context) error {
	if j.subject == nil || j.Pass.Classifier.Ran() == nil {
		return nil
	}
	hits, n := 0, 0
	err := results.Each[Record](ctx, j.Pass.Run, nil, func(r *Record, _ [][]float32) error {
		if r.Status == results.OK {
			n++
		}
		if r.Correct {
			hits++
		}
		return nil
	})
	if err != nil || n == 0 || !j.low(hits, n) {
		return err
	}
	advice, err := j.ask(ctx)
	if err != nil || advice == "" {
		return err
	}
	if j.Pass.Dir() != "" {
		j.Advice = advice
		return nil
	}
	j.about.Pixels = advice
	j.Pass.Run.Manifest.About, err = json.Marshal(j.about)
	return err
}

// low says whether the accuracy is near chance, or clearly below what was published.
func (j *Job) low(hits, n int) bool {
	outputs := j.about.Outputs
	if j.about.Config.Restrict {
		outputs = len(j.about.Output)
	}
	if doctor.Low(hits, n, outputs) {
		return true
	}
	for _, p := range j.about.Head.Published {
		if p.Name == "top1" && metrics.Wilson(hits, n).High < p.Value-belowPublished {
			return true
		}
	}
	return false
}

// ask is the doctor's advice; empty where the present pixels are as good as others. The doctor is asked
// once.
func (j *Job) ask(ctx context.Context) (string, error) {
	s := *j.subject
	j.subject = nil
	res, err := doctor.Search(ctx, doctor.Beside(s), s, j.about.Config.Trying)
	if err != nil {
		return "", fmt.Errorf("%w (found while other pixels were tried, which --doctor=false leaves out)", err)
	}
	return res.Advice(), nil
}
