package ood

import (
	"cmp"
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"

	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/scores"
)

// fitted is a score that is ready.
type fitted struct {
	scores.Score
	scores.Func
	scores.State
}

func funcs(f []fitted) []scores.Func {
	var out []scores.Func
	for _, s := range f {
		out = append(out, s.Func)
	}
	return out
}

// has says whether a score of that name is among those.
func has(f []fitted, name string) bool {
	return slices.ContainsFunc(f, func(s fitted) bool { return s.Name == name })
}

// data reads what scores are fitted with, and notes of which images it is, where not of all.
func (res *result) data(ctx context.Context, s sets) (scores.Data, error) {
	out := scores.Data{Head: s[0].head}
	if o := s.of(Val); o != nil {
		v := scores.NewSample(o.Share(results.Shard{}), o.head.Out, o.head.In)
		bad, err := o.each(ctx, func(rec *Record, logits, features []float32) error {
			v.Add(int(rec.Label), logits, features)
			return nil
		})
		if err != nil {
			return out, err
		}
		out.Validation, res.bad = v, append(res.bad, bad...)
		if v.Rule() != "" {
			res.warn("of %s, scores are fitted with %s", o.Name, v.Rule())
		}
	}
	if o := s.of(Train); o != nil {
		t := scores.NewTrainingSet(o.Share(results.Shard{}), o.head.Out, o.head.In)
		bad, err := o.each(ctx, func(rec *Record, logits, features []float32) error {
			if rec.Label < 0 {
				return fmt.Errorf("training image %s has no label", rec.ID)
			}
			t.Add(int(rec.Label), logits, features)
			return nil
		})
		if err != nil {
			return out, err
		}
		t.Done()
		out.Training, res.bad = t, append(res.bad, bad...)
		if t.Rule() != "" {
			res.warn("of %s, scores that compare with images (knn, nnguide, relation, openmax, vim's scale) use %s; sums are of all",
				o.Name, t.Rule())
		}
		if n := t.Zeros(); n > 0 {
			res.warn("%d training images whose features are all 0 have no direction: knn, nnguide and relation leave them out", n)
		}
	}
	return out, nil
}

// flags are what gives a score what it needs.
var flags = map[string]string{scores.NeedValidation.String(): " (--val)", scores.NeedTraining.String(): " (--train)"}

// fit fits the scores that can be; warnings name the others, once each.
func fit(all []scores.Score, d scores.Data) (out []fitted, warnings []string) {
	missing := map[string][]string{}
	var order []string
	for _, s := range all {
		if need := s.Missing(d); need != 0 {
			why := need.String() + flags[need.String()]
			if missing[why] == nil {
				order = append(order, why)
			}
			missing[why] = append(missing[why], s.Name)
			continue
		}
		f, st, err := s.Fit(d)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("score %s is left out: %v", s.Name, err))
			continue
		}
		out = append(out, fitted{s, f, st})
	}
	for _, why := range order {
		warnings = append(warnings, fmt.Sprintf("%s not given, so left out: %s", why, strings.Join(missing[why], ", ")))
	}
	return out, warnings
}

// scored is a set's scores, and what else its records say.
type scored struct {
	Source
	values     [][]float64 // by score, then image
	ids        []string
	index      []int // in the data
	prediction []int32
	confidence []float64
	right      []bool
	labelled   bool // all images are
	bad        []report.BadImage
}

// hits is the number of images that are classified rightly.
func (s *scored) hits() int {
	n := 0
	for _, r := range s.right {
		if r {
			n++
		}
	}
	return n
}

// finite says which image's score number k, called name, is not finite.
func (s *scored) finite(k int, name string) error {
	for i, v := range s.values[k] {
		if !metrics.Finite(v) {
			return fmt.Errorf("score %s of image %s is %v", name, s.ids[i], v)
		}
	}
	return nil
}

// blockRows is how many images are scored together.
const blockRows = 128

// rows are the outputs for some images.
type rows struct {
	logits   [][]float32
	features []float64 // of one image after the other
}

// score streams the set through scores that are ready.
func (s *set) score(ctx context.Context, all []scores.Func) (*scored, error) {
	out := &scored{Source: s.Source, values: make([][]float64, len(all)), labelled: true}
	for k := range out.values {
		out.values[k] = make([]float64, 0, s.Share(results.Shard{}))
	}
	blocks := pipeline.NewOrdered(ctx, goruntime.GOMAXPROCS(0), func() func(rows) ([][]float64, error) {
		var b scores.Block
		return func(in rows) ([][]float64, error) {
			b.Reset(in.logits, in.features, s.head.In)
			values := make([][]float64, len(all))
			for k, f := range all {
				values[k] = make([]float64, len(in.logits))
				f(&b, values[k])
			}
			return values, nil
		}
	}, func(values [][]float64) error {
		for k, v := range values {
			out.values[k] = append(out.values[k], v...)
		}
		return nil
	})
	var block rows
	bad, err := s.each(ctx, func(rec *Record, logits, features []float32) error {
		out.ids, out.index = append(out.ids, rec.ID), append(out.index, int(rec.Index))
		out.prediction, out.confidence = append(out.prediction, rec.Prediction), append(out.confidence, rec.Confidence)
		out.right = append(out.right, rec.Label >= 0 && rec.Label == rec.Prediction)
		out.labelled = out.labelled && rec.Label >= 0
		block.logits = append(block.logits, slices.Clone(logits))
		for _, v := range features {
			block.features = append(block.features, float64(v))
		}
		if len(block.logits) < blockRows {
			return nil
		}
		full := block
		block = rows{}
		return blocks.Put(full)
	})
	if err == nil && len(block.logits) > 0 {
		err = blocks.Put(block)
	}
	out.bad = bad
	return out, cmp.Or(blocks.Close(), err)
}
