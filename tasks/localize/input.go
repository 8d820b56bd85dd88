package localize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/classify"
)

// Job is an evaluation: its run, and what is to be done for it. Close it.
type Job struct {
	*evaluation.Records
	setup   *evaluation.Setup
	plain   *model.Model // without the larger feature map; nil where the map is as it was
	about   About
	heads   []cam.Head // by model output; nil where the method needs none
	kind    model.MapKind
	objects func(sample int) (objects, error)
	shape   []int64 // of the feature map, first axis the image
	labels  *evaluation.Labels
	scoring *runtime.Batch // of Score-CAM
	taps    []string
}

// Close frees what the job holds.
func (j *Job) Close() error {
	if j.scoring != nil {
		_ = j.scoring.Close()
	}
	return j.Records.Close()
}

// Open matches labels and annotations to the data and opens the run. path names the
// annotations; empty: those that lie with the data. Samples without any are left out.
func Open(ctx context.Context, s *evaluation.Setup, c Config, path string, store evaluation.Store, tool report.Tool, install runtime.Progress) (*Job, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	job := &Job{setup: s}
	h, err := s.Model.Head()
	if err != nil {
		return nil, err
	}
	job.taps = []string{h.FeatureMap}
	if err := job.head(h, c.Method); err != nil {
		return nil, fmt.Errorf("model %q: %w", s.Model.Name, err)
	}
	if c.Enlarge > 0 {
		job.plain = s.Model
		if s.Model, err = s.Model.Enlarge(c.Enlarge); err != nil {
			return nil, err
		}
	}
	labels, err := s.Labels(ctx, install)
	if err != nil {
		return nil, err
	}
	job.labels = labels
	found, err := find(s, path)
	if err != nil {
		return nil, err
	}
	job.objects = found.of
	w, hgt, err := frameSize(s)
	if err != nil {
		return nil, err
	}
	own := []results.Array{{Name: ofLargest, Width: boxes.Levels}, {Name: ofAll, Width: boxes.Levels}, {Name: ofLargestRandom, Width: boxes.Levels}, {Name: ofAllRandom, Width: boxes.Levels}}
	if found.masks {
		bins := metrics.PixelBins(c.Interval)
		own = append(own, results.Array{Name: pixelsIn, Width: bins}, results.Array{Name: pixelsOut, Width: bins})
	}
	if c.Maps != "" && slices.Contains(store.Save, evaluation.Maps) {
		return nil, errors.New("the maps of --maps are there already; leave out --save maps")
	}
	stamped, err := stampMaps(s, c.Maps, evaluation.Both(labels.Select(s.Selected), found.samples))
	if err != nil {
		return nil, err
	}
	job.about = About{Config: c, Boxes: found.boxes, Frame: [2]int{w, hgt}, Masks: found.masks}
	job.Records, err = s.Records(ctx, store, evaluation.Task{
		Name: Name, Labels: labels.Fingerprint(), Truth: found.fingerprint, Taps: job.taps,
		Config: recorded{c.Method, c.Post, c.Target, c.Enlarge, c.Threshold, c.Interval, s.Config.Seed, stamped, c.Corrupted},
		Arrays: func() ([]results.Array, error) {
			if slices.Contains(store.Save, evaluation.Maps) && c.Maps == "" {
				f, err := channelFirst(job.kind, s.Session.Outputs[1].Shape, nil, job.about.Frame)
				if err != nil {
					return nil, err
				}
				own = append(own, results.Array{Name: evaluation.Maps, Width: f.H * f.W})
			}
			return own, nil
		},
		About: func(before json.RawMessage) (any, error) {
			a := &job.about
			a.Classify = classify.About{
				Config: classify.DefaultConfig(), Seed: s.Config.Seed, Split: s.Config.Split,
				Names: labels.Names, Output: labels.Output, Outputs: s.Outputs, Probabilities: s.Probabilities,
			}
			r := s.Report(tool)
			r.Dataset.Labels = labels.How
			r.Dataset.Notes = append(r.Dataset.Notes, found.notes...)
			if c.Corrupted != "" {
				r.Option("under %s", c.Corrupted)
			}
			if c.Maps != "" {
				r.Option("maps from %s", c.Maps)
			}
			r.Option("%s of the %s, post-processing %s, boxes from %s", c.Method, map[Target]string{Truth: "label's class", Prediction: "predicted class"}[c.Target], c.Post, found.why)
			if c.Enlarge > 0 {
				r.Option("feature map enlarged %d times by dilation", c.Enlarge)
				var old About
				if err := json.Unmarshal(before, &old); before != nil && err != nil {
					return nil, err
				}
				if a.Before = old.Before; a.Before == nil {
					if err := job.compareLogits(ctx, install); err != nil {
						return nil, err
					}
				}
			}
			a.Classify.Report = *r
			return a, nil
		},
		Select: func(at []int) []int { return evaluation.Both(labels.Select(at), found.samples) },
	}, install)
	if err != nil {
		return nil, err
	}
	return job, nil
}

// head prepares what the maps of every class are made with.
func (j *Job) head(h *model.Head, m cam.Method) error {
	if h.FeatureMap == "" {
		return fmt.Errorf("its head has no feature map to make a class activation map from: %s", h.NoMap)
	}
	j.kind = h.MapKind
	if !m.NeedsHead() {
		return nil
	}
	if !h.Direct {
		why := fmt.Sprintf("between them lie %v", h.Between)
		if len(h.Between) == 0 {
			why = "its map is pooled by " + h.Pool
		}
		return fmt.Errorf("%s needs a linear layer right behind (or before) a mean or sum of the feature map; %s (eigencam and fem need none)", m, why)
	}
	scale := 1.0 // of the sum over places; the size of the map is known later
	if h.Pool == "class token" || len(h.Pool) > 6 && h.Pool[:6] == "token " {
		return fmt.Errorf("%s: the head reads the %s only, so the gradient of every other place is zero (eigencam and fem need none)", m, h.Pool)
	}
	if h.Pool != "sum" && h.Pool != "sum of tokens" {
		scale = 0 // a mean: 1 / places
	}
	for c := range h.Classes {
		j.heads = append(j.heads, cam.Head{
			Weight: h.Layer().Row(c), Bias: float64(h.Bias[c]), Scale: scale, PerPlace: h.PerPlace, Relu: h.Relu,
		})
	}
	return nil
}

// frameSize is the size of what the model sees.
func frameSize(s *evaluation.Setup) (w, h int, err error) {
	if size, ok := s.Recipe.Fixed(); ok {
		return size.W, size.H, nil
	}
	if s.Model.W > 0 && s.Model.H > 0 {
		return s.Model.W, s.Model.H, nil
	}
	return 0, 0, errors.New("nothing fixes the size of what the model sees; give --crop")
}

// compareLogits runs the model as it was and with its larger feature map on some
// images.
func (j *Job) compareLogits(ctx context.Context, install runtime.Progress) error {
	const enough = 100
	s := j.setup
	if err := s.Start(ctx, install); err != nil {
		return err
	}
	plain := *s
	plain.Model, plain.Session, plain.Taps = j.plain, nil, nil
	if err := plain.Start(ctx, install); err != nil {
		return err
	}
	defer plain.Stop()
	at := s.Selected
	if at == nil {
		for i := range s.Data.Samples {
			at = append(at, i)
		}
	}
	// Spread over the data, which may be sorted by class.
	var some []int
	for k := range min(enough, len(at)) {
		some = append(some, at[k*len(at)/min(enough, len(at))])
	}
	logits := func(s *evaluation.Setup) (map[int][]float32, error) {
		out := map[int][]float32{}
		_, err := pipeline.Run(ctx, s.Pipeline(some, nil), func(r pipeline.Result) error {
			if r.Err == nil {
				out[some[r.Index]] = append([]float32(nil), r.Output(0)...)
			}
			return nil
		})
		return out, err
	}
	before, err := logits(&plain)
	if err != nil {
		return err
	}
	after, err := logits(s)
	if err != nil {
		return err
	}
	shape := s.Session.Outputs[1].Shape
	b := &Before{Map: fmt.Sprintf("%d x %d", shape[2], shape[3])}
	for i, x := range before {
		y := after[i]
		l := s.Data.Samples[i].Label
		if l < 0 || y == nil {
			continue
		}
		b.N++
		want := j.labels.Output[l]
		p, q := metrics.Argmax(x), metrics.Argmax(y)
		if p == want {
			b.Top1Before++
		}
		if q == want {
			b.Top1After++
		}
		if p == q {
			b.Same++
		}
		for k := range x {
			b.Difference += math.Abs(float64(x[k]-y[k])) / float64(len(x))
		}
	}
	b.Difference /= float64(max(b.N, 1))
	j.about.Before = b
	return nil
}

// Report computes the report of the job's run.
func (j *Job) Report(ctx context.Context) (*report.Report, error) {
	r, _, err := Report(ctx, j.Run, nil)
	return r, err
}

// Read reads what describes a run of this task.
func Read(run *results.Run) (About, error) {
	a, err := results.About[About](run, Name)
	if err != nil {
		return a, err
	}
	if a.Frame[0] < 1 || a.Frame[1] < 1 || a.Classify.Outputs < 1 {
		return a, errors.New("the manifest lacks the size of the frame or the number of outputs")
	}
	return a, nil
}
