package finetune

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"cutmix-eval/augment"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/recipes"
)

// trainingKey is where models of the embedded pair and of tools/convert say how they were trained.
const trainingKey = "training"

// rewritten is the model with a trained head in place of its own.
func (j *Job) rewritten(t *tuned) (*model.Model, error) {
	c, base := t.config, j.base.Model
	recipe, err := recipes.Encode(j.base.Recipe, base.FlatColour())
	if err != nil {
		return nil, err
	}
	training := lock.Training{Method: string(c.Mix.Method), Head: true}
	if len(t.log) > 0 {
		training.Epochs = t.log.Chosen(c.Last).Epoch
	}
	switch c.Mix.Method {
	case augment.CutMix, augment.FeatureCutMix, augment.Mixup:
		training.Beta, training.Prob = &c.Mix.Alpha, &c.Mix.Prob
	case augment.None:
		training.Method = "standard"
	}
	meta := map[string]string{"recipe": string(recipe)}
	for key, v := range map[string]any{lock.TrainingKey: training, "cutmix_eval.finetune": c} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		meta[key] = string(text)
	}
	if before := base.Metadata(trainingKey); before != "" { // the backbone's
		meta["cutmix_eval.backbone_training"], meta[trainingKey] = before, ""
	}
	names := j.classes
	if c.Keep {
		names = base.ClassNames // as it was
	}
	return base.ReplaceHead(j.head, t.network.Layers(), names, meta)
}

// trial is where the file lies until it was found to be right.
func (j *Job) trial() string {
	return filepath.Join(j.options.Folder(), trialName, filepath.Base(j.options.Out))
}

// try writes the model with its new head, to be tried.
func (j *Job) try(m *model.Model) error {
	return put(filepath.Dir(j.trial()), filepath.Base(j.trial()), m.Data())
}

// keep puts the file in its place, and what describes the training into the folder.
func (j *Job) keep(m *model.Model, t *tuned, a about) error {
	if err := put(filepath.Dir(j.options.Out), filepath.Base(j.options.Out), m.Data()); err != nil {
		return err
	}
	dir := j.options.Folder()
	var runs []string
	for _, s := range a.Sets {
		for _, c := range s.Heads {
			runs = append(runs, c.run(s.Name))
		}
	}
	if err := errors.Join(writeLog(dir, t.log, j.config.score()), saveStudy(dir, a, runs)); err != nil {
		return err
	}
	return errors.Join(os.Remove(j.trial()), os.Remove(filepath.Dir(j.trial())))
}

// opened is a classifier of the file as it was written. Close it.
func (j *Job) opened() (*evaluation.Classifier, error) {
	path := j.trial()
	m, err := model.Open(path, j.base.Model.Output)
	if err != nil {
		return nil, fmt.Errorf("the file that was written: %w", err)
	}
	recipe, _, err := m.Recipe(nil)
	if err != nil {
		return nil, fmt.Errorf("the file that was written: %w", err)
	}
	if recipe.Fingerprint() != j.base.Recipe.Fingerprint() {
		return nil, fmt.Errorf("the file that was written, %q, has other preprocessing (%s) than the images were prepared with (%s)",
			path, recipe, j.base.Recipe)
	}
	return j.base.Edited(m), nil
}

// samples are the images of a set for the file: a class map is of the old head's outputs.
func (j *Job) samples(e *examples) *evaluation.Images {
	im := e.selected()
	if im.ClassMap == nil || j.config.Keep {
		return im
	}
	data := *im.Dataset
	data.ClassMap, data.MapName = nil, ""
	return im.Replace(&data, im.Config.Path, im.Recipe, im.Selected())
}

// reproduced says whether the file gives the scores of the head that was trained for the k-th image
// of a set. Sums in another order may differ in the last digits; float16 has 11 bits.
func (j *Job) reproduced(e *examples, k int, want, got []float32) error {
	tolerance := 1e-3
	if j.head.Half() || j.base.Model.InputType == onnx.Float16 {
		tolerance = 3e-2
	}
	top := 1.0
	for _, v := range got {
		top = max(top, math.Abs(float64(v)))
	}
	for c, v := range got {
		if !(math.Abs(float64(v-want[c])) <= tolerance*top) {
			return fmt.Errorf("the file that was written, %q, gives %v for class %s of %s, and the head that was trained %v",
				j.trial(), v, j.classes[c], e.images.ID(e.at[k]), want[c])
		}
	}
	return nil
}
