package ood

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/npy"
	"cutmix-eval/linear"
	"cutmix-eval/model"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/scores"
)

// set is a set of images and its records.
type set struct {
	Source
	*results.Run
	head *scores.Head // of the model
}

// sets are those of an evaluation, the ID test images first.
type sets []set

// openSets opens the sets of a study.
func openSets(s *results.Study, c Config) (sets, error) {
	var out sets
	for _, src := range c.sources() {
		run, err := s.Member(src.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, set{Source: src, Run: run})
	}
	return out, nil
}

// of is the set of a role; nil where there is none.
func (s sets) of(role Role) *set {
	k := slices.IndexFunc(s, func(o set) bool { return o.Role == role })
	if k < 0 {
		return nil
	}
	return &s[k]
}

// named is the set of that name, which must be there.
func (s sets) named(name string) *set {
	return &s[slices.IndexFunc(s, func(o set) bool { return o.Name == name })]
}

// readAbout reads what describes an evaluation, and checks it.
func readAbout(s *results.Study) (About, error) {
	a, err := results.AboutStudy[About](s, Name)
	if err == nil && s.Members == nil {
		err = fmt.Errorf("folder %q holds the records of one set of images, no evaluation of out-of-distribution detection", s.Dir())
	}
	return a, err
}

// errNone is wrapped where a set has no image with a result.
var errNone = errors.New("not one image could be read")

// each calls f for every image with a result, without features where none are used, and
// returns the others.
func (s *set) each(ctx context.Context, f func(rec *Record, logits, features []float32) error) (bad []report.BadImage, err error) {
	arrays := []string{evaluation.Logits}
	if s.head.In > 0 {
		arrays = append(arrays, evaluation.Features)
	}
	n := 0
	err = results.Each[Record](ctx, s.Run, arrays, func(rec *Record, v [][]float32) error {
		if rec.Status != results.OK {
			b := report.BadImage{ID: rec.ID, Reason: rec.Error}
			if s.Role != Test {
				b.ID = s.Name + ": " + b.ID
			}
			bad = append(bad, b)
			return nil
		}
		if int(rec.Label) >= s.head.Out || int(rec.Prediction) >= s.head.Out {
			return fmt.Errorf("the record of %s has a label or prediction that the model has not", rec.ID)
		}
		n++
		if len(v) == 1 {
			return f(rec, v[0], nil)
		}
		return f(rec, v[0], v[1])
	})
	if err == nil && n == 0 {
		err = errNone
	}
	if err != nil {
		err = fmt.Errorf("set %s: %w", s.Name, err)
	}
	return bad, err
}

// Confidences are an OOD set's largest softmax probabilities, which msp scores by.
type Confidences struct {
	Set    string
	Values []float64
}

// ReadConfidences reads those of the OOD sets of an evaluation, and what the records of its
// ID test images depend on.
func ReadConfidences(ctx context.Context, s *results.Study) ([]Confidences, results.Key, error) {
	a, err := readAbout(s)
	if err != nil {
		return nil, results.Key{}, err
	}
	all, err := openSets(s, a.Config)
	if err != nil {
		return nil, results.Key{}, err
	}
	var out []Confidences
	for _, o := range all {
		if o.Role != Out {
			continue
		}
		c := Confidences{Set: o.Name}
		if err := results.Each[Record](ctx, o.Run, nil, func(rec *Record, _ [][]float32) error {
			if rec.Status == results.OK {
				c.Values = append(c.Values, rec.Confidence)
			}
			return nil
		}); err != nil {
			return nil, results.Key{}, err
		}
		if len(c.Values) == 0 {
			return nil, results.Key{}, fmt.Errorf("set %s: %w", o.Name, errNone)
		}
		out = append(out, c)
	}
	return out, all[0].Manifest.Key, nil
}

// headName is the file beside a study's runs with the weights of the model's head and, in the
// last column, its biases.
const headName = "head.npy"

// headOf is the model's head where it is one linear layer on a vector; why not, otherwise.
func headOf(m *model.Model) (_ *scores.Head, why string) {
	h, err := m.Head()
	switch {
	case err != nil:
		return nil, err.Error()
	case h.Penultimate == "":
		return nil, "the head is applied at every place of the map"
	}
	return &scores.Head{Layer: h.Layer()}, ""
}

// Possible lists the scores that a model with so many classes can be given, and says why
// not the others, which need its head; why is empty where there are no others.
func Possible(m *model.Model, classes int) (possible []string, why string) {
	h, why := headOf(m)
	if h == nil {
		h = unknownHead(classes)
	}
	for _, s := range scores.All(h.Out, h.In) {
		if h.In > 0 || s.Needs&scores.NeedFeatures == 0 {
			possible = append(possible, s.Name)
		}
	}
	return possible, why
}

// unknownHead is that of a model with so many classes of which no linear layer is known.
func unknownHead(classes int) *scores.Head { return &scores.Head{Layer: linear.Layer{Out: classes}} }

func saveHead(dir string, h *scores.Head) error {
	rows := make([]float32, 0, h.Out*(h.In+1))
	for c := range h.Out {
		rows = append(append(rows, h.Row(c)...), h.Bias[c])
	}
	return results.SaveArray(filepath.Join(dir, headName), h.In+1, rows)
}

func loadHead(dir string, classes, features int) (*scores.Head, error) {
	path := filepath.Join(dir, headName)
	info, v, err := npy.Read(path)
	if err == nil && !slices.Equal(info.Shape, []int{classes, features + 1}) {
		err = fmt.Errorf("it holds %v values, not those of %d classes and %d features", info.Shape, classes, features)
	}
	if err != nil {
		return nil, fmt.Errorf("head of the model, %q: %w; run the same command again", path, err)
	}
	h := &scores.Head{Layer: linear.Layer{In: features, Out: classes}}
	for row := range slices.Chunk(v, features+1) {
		for _, x := range row[:features] {
			h.Weight = append(h.Weight, float32(x))
		}
		h.Bias = append(h.Bias, float32(row[features]))
	}
	return h, nil
}
