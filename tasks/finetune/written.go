package finetune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/metrics"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
)

// trainingKey is where models of the embedded pair and of tools/convert tell of their training.
const trainingKey = "training"

// rewritten is the model with a head in place of its own.
func (t *tuning) rewritten(n *heads.Network) (*model.Model, error) {
	c := t.config
	recipe, err := model.EncodeRecipe(t.setup.Recipe)
	if err != nil {
		return nil, err
	}
	training := lock.Training{Method: string(c.Mix.Method), Head: true}
	if len(t.state.history) > 0 {
		training.Epochs = t.state.chosen(c.Last).Epoch
	}
	if c.Mix.Method == CutMix || c.Mix.Method == FeatureCutMix || c.Mix.Method == Mixup {
		training.Beta, training.Prob = &c.Mix.Alpha, &c.Mix.Prob
	}
	if c.Mix.Method == None {
		training.Method = "standard"
	}
	meta := map[string]string{"recipe": string(recipe)}
	for key, v := range map[string]any{lock.TrainingKey: training, "cutmix_eval.finetune": c.Training} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		meta[key] = string(text)
	}
	if before := t.setup.Model.Metadata(trainingKey); before != "" { // the backbone's
		meta["cutmix_eval.backbone_training"], meta[trainingKey] = before, ""
	}
	names := t.truth.classes
	if c.Keep {
		names = t.setup.Model.ClassNames // as it was
	}
	return t.setup.Model.ReplaceHead(t.head, n.Layers(), names, meta)
}

// trial is where the file lies until it was found to be right.
func (t *tuning) trial() string {
	return filepath.Join(t.options.Folder(), trialName, filepath.Base(t.options.Out))
}

// write writes the model with its new head, to be tried.
func (t *tuning) write(context.Context) (err error) {
	m, err := t.rewritten(t.network)
	if err != nil {
		return err
	}
	t.file = m.Data()
	return put(filepath.Dir(t.trial()), filepath.Base(t.trial()), t.file)
}

// keep puts the file in its place, and the report into the folder.
func (t *tuning) keep(context.Context) error {
	var text bytes.Buffer
	if err := t.report.Write(&text, report.JSON); err != nil {
		return err
	}
	err := atomicfile.Save(t.options.Out, func(w io.Writer) error {
		_, err := w.Write(t.file)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(t.writeLog(t.state.history), t.put(reportName, text.Bytes()), os.Remove(t.trial()), os.Remove(filepath.Dir(t.trial())))
}

// tuned opens the file that was written, for the images of a set.
func (t *tuning) tuned(s *set) (*evaluation.Setup, error) {
	c := s.setup.Config
	c.Model, c.Output, c.Recipe, c.Changes = t.trial(), t.setup.Config.Output, "", evaluation.Changes{}
	if s.setup.Data.ClassMap != nil && !t.config.Keep {
		c.Labels = "" // it is of the old head's outputs
	}
	setup, err := evaluation.Prepare(c)
	if err != nil {
		return nil, fmt.Errorf("the file that was written: %w", err)
	}
	if setup.Recipe.Fingerprint() != t.setup.Recipe.Fingerprint() {
		setup.Close()
		return nil, fmt.Errorf("the file that was written, %q, has other preprocessing (%s) than the images were prepared with (%s)", t.trial(), setup.Recipe, t.setup.Recipe)
	}
	s.choose(setup)
	return setup, nil
}

// choose makes a setup of the set's data one of its images.
func (s *set) choose(setup *evaluation.Setup) {
	if setup.Selected = nil; len(s.at) < len(setup.Data.Samples) {
		setup.Selected = s.at
	}
}

// classified are the outcomes of a model's run of classify.
type classified struct {
	outcomes []metrics.Outcome
	logits   [][]float32
	labels   []int // outputs
}

// run runs classify with a setup, which it closes, in a folder of its own.
func (t *tuning) run(ctx context.Context, s *evaluation.Setup, name, reuse string) (*classified, error) {
	defer s.Close()
	config := classify.DefaultConfig()
	config.Bins, config.Replicates = t.config.Bins, t.config.Replicates
	store := evaluation.Store{Dir: filepath.Join(t.options.Folder(), name), Reuse: reuse}
	var j *classify.Job
	err := anew(ctx, store.Dir, func() (err error) {
		j, err = classify.Open(ctx, s, config, store, t.options.Tool, t.options.Install)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer j.Close()
	done, end := t.options.stage(name, len(j.Todo))
	_, err = j.Collect(ctx, done)
	end()
	if err != nil {
		return nil, err
	}
	var out classified
	err = results.Each[classify.Record](ctx, j.Run, []string{evaluation.Logits}, func(r *classify.Record, arrays [][]float32) error {
		if r.Status != results.OK {
			return fmt.Errorf("image %s could be read before, and cannot any more: %s", r.ID, r.Error)
		}
		out.labels = append(out.labels, int(r.Label))
		out.outcomes, out.logits = append(out.outcomes, r.Outcome()), append(out.logits, slices.Clone(arrays[0]))
		return nil
	})
	return &out, err
}

// reproduced says whether the file gives the scores of the head that was trained. Sums in
// another order may differ in the last digits; float16 has 11 bits.
func (t *tuning) reproduced(s *set, scores []float32, got [][]float32) error {
	c := len(t.truth.classes)
	if len(got)*c != len(scores) {
		return fmt.Errorf("the file that was written gives scores of %d %s images, not of %d", len(got), s.name, s.n())
	}
	tolerance := 1e-3
	if t.head.Half() || t.setup.Model.InputType == onnx.Float16 {
		tolerance = 3e-2
	}
	for i, row := range got {
		top := 1.0
		for _, v := range row {
			top = max(top, math.Abs(float64(v)))
		}
		for k, v := range row {
			if want := scores[i*c+k]; !(math.Abs(float64(v-want)) <= tolerance*top) {
				return fmt.Errorf("the file that was written, %q, gives %v for class %s of %s, and the head that was trained %v", t.trial(), v, t.truth.classes[k], s.setup.Data.Samples[s.at[i]].ID, want)
			}
		}
	}
	return nil
}

// comparable says whether the model's old head has the data's classes, and how that is known.
func (t *tuning) comparable(ctx context.Context, s *set) (string, bool) {
	if t.truth.multi != nil {
		return "", false
	}
	labels, err := s.setup.Labels(ctx, t.options.Install)
	if err != nil || guessed(labels, t.setup.Model.ClassNames) {
		return "", false
	}
	return labels.How, true
}

// guessed says whether classes were matched by their order alone though the model names its
// own, which are others.
func guessed(labels *evaluation.Labels, names []string) bool {
	return len(names) > 0 && strings.HasPrefix(labels.How, datasets.InOrder)
}
