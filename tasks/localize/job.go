package localize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	goruntime "runtime"
	"slices"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/datasets/annotations"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
)

// Job is an evaluation of where a classifier looks. Close it.
type Job struct {
	tasks.Single
	// Pictures are the files that Finish drew.
	Pictures []string

	images   *evaluation.Images
	plain    *evaluation.Classifier // as it was before its map was enlarged
	enlarged *evaluation.Classifier // nil where the map is as it was
	about    About
	maps     maps
	objects  func(sample int) (annotations.Objects, error)
	overlays Overlays
}

// Overlays says what is drawn when all records are there: N images of each kind, in Dir.
type Overlays struct {
	Dir string
	N   int
}

// Open matches labels and annotations to the images and opens the run. path names the
// annotations; empty: those that lie with the images. Images without any are left out.
func Open(ctx context.Context, c *evaluation.Classifier, im *evaluation.Images, config Config, path string, store evaluation.Store, o Overlays) (*Job, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	j := &Job{Single: tasks.Single{Task: Task{}}, images: im, plain: c, overlays: o, about: About{Config: config}}
	if err := j.open(ctx, config, path, store); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

func (j *Job) open(ctx context.Context, config Config, path string, store evaluation.Store) error {
	c, im := j.plain, j.images
	h, err := c.Model.Head()
	if err != nil {
		return err
	}
	if j.maps, err = mapsOf(h, config, c.Size()); err != nil {
		return fmt.Errorf("model %q: %w", c.Model.Name, err)
	}
	j.maps.channelsLast = c.Recipe.Layout == imageproc.NHWC
	if config.Enlarge > 0 {
		m, err := c.Model.Enlarge(config.Enlarge)
		if err != nil {
			return err
		}
		j.enlarged = c.Edited(m)
		c = j.enlarged
	}
	labels, err := c.Labels(ctx, im)
	if err != nil {
		return err
	}
	found, err := annotations.Find(im.Dataset, path)
	if err != nil {
		return err
	}
	j.objects = found.Objects
	selected := evaluation.Both(labels.Selected, found.Samples)
	if config.Maps != "" && slices.Contains(store.Save, evaluation.Maps) {
		return errors.New("the maps of --maps are there already; leave out --save maps")
	}
	stamped, err := stampMaps(im, config.Maps, selected)
	if err != nil {
		return err
	}
	seed := im.Config.Seed
	j.Pass, err = evaluation.Open(ctx, c, im, store, evaluation.Spec{
		Task: Name, Labels: labels.Fingerprint(), Truth: found.Fingerprint, Selected: selected, Taps: []string{h.FeatureMap},
		Config: recorded{config.Method, config.Post, config.Target, config.Enlarge, config.Threshold, config.Interval, seed, stamped, config.Corrupted},
	})
	if err != nil {
		return err
	}
	j.maps.seed = seed
	if j.Pass.New() {
		if err := fromMap(h, config.Method, j.Pass.Shape(h.FeatureMap), c.Size()); err != nil {
			return fmt.Errorf("model %q: %w", c.Model.Name, err)
		}
	}
	if err := j.describe(ctx, found, labels); err != nil {
		return err
	}
	own, err := j.arrays(store, found.Masks)
	if err != nil {
		return err
	}
	if err := j.Pass.Begin(ctx, j.about, own...); err != nil {
		return err
	}
	_, j.maps.keep = j.Pass.HasArray(evaluation.Maps)
	return nil
}

// arrays are the task's own arrays, of a new run.
func (j *Job) arrays(store evaluation.Store, masks bool) ([]results.Array, error) {
	if !j.Pass.New() {
		return nil, nil
	}
	var own []results.Array
	for _, name := range []string{ofLargest, ofAll, ofLargestRandom, ofAllRandom} {
		own = append(own, results.Array{Name: name, Width: boxes.Levels})
	}
	if masks {
		bins := metrics.PixelBins(j.about.Config.Interval)
		own = append(own, results.Array{Name: pixelsIn, Width: bins}, results.Array{Name: pixelsOut, Width: bins})
	}
	if slices.Contains(store.Save, evaluation.Maps) {
		h, w, err := j.maps.sides(j.Pass.Shape(j.maps.tensor))
		if err != nil {
			return nil, err
		}
		own = append(own, results.Array{Name: evaluation.Maps, Width: h * w})
	}
	return own, nil
}

// describe writes what a report needs beside the records.
func (j *Job) describe(ctx context.Context, found *annotations.Found, labels *evaluation.Labels) error {
	a, p := &j.about, j.Pass
	c := a.Config
	d := tasks.Describe(p, classify.DefaultConfig(), labels.How)
	h := &d.Head
	h.Config.Task = c
	h.Dataset.Notes = append(slices.Clone(h.Dataset.Notes), found.Notes...)
	if j.images.Recipe.Exif {
		if n := j.images.Oriented(j.images.Selected()); n > 0 {
			h.Dataset.Notes = append(h.Dataset.Notes, fmt.Sprintf("%d of the pictures were turned as their EXIF orientation says (--exif), and their boxes were taken as those of the turned pictures; "+
				"where boxes are of the pictures as stored, leave --exif out", n))
		}
	}
	if c.Corrupted != "" {
		h.Option("under %s", c.Corrupted)
	}
	if c.Maps != "" {
		h.Option("maps from %s", c.Maps)
	}
	of := map[Target]string{Truth: "label's class", Prediction: "predicted class"}[c.Target]
	h.Option("%s of the %s, post-processing %s, boxes from %s", c.Method, of, c.Post, found.Why)
	if c.Enlarge > 0 {
		h.Option("feature map enlarged %d times by dilation", c.Enlarge)
		var old About
		if err := json.Unmarshal(p.Before, &old); p.Before != nil && err != nil {
			return err
		}
		if a.Enlarged = old.Enlarged; a.Enlarged == nil {
			var err error
			if a.Enlarged, err = j.compareLogits(ctx, labels); err != nil {
				return err
			}
		}
	}
	a.Boxes, a.Masks, a.Frame = found.Boxes, found.Masks, [2]int{j.maps.w, j.maps.h}
	a.Classify = classify.About{
		Described: d, Names: labels.Names, Output: labels.Output, Outputs: p.Outputs, Probabilities: p.Probabilities,
	}
	return nil
}

// compareLogits runs the model as it was and with its larger feature map on some images.
func (j *Job) compareLogits(ctx context.Context, labels *evaluation.Labels) (*Enlarged, error) {
	const enough = 100
	at := j.images.Selected()
	if at == nil {
		for i := range j.images.Len() {
			at = append(at, i)
		}
	}
	// Spread over the data, which may be sorted by class.
	var some []int
	for k := range min(enough, len(at)) {
		some = append(some, at[k*len(at)/min(enough, len(at))])
	}
	logits := func(c *evaluation.Classifier, taps ...string) (map[int][]float32, error) {
		e, err := c.EngineFor(ctx, j.images, some, taps...)
		if err != nil {
			return nil, err
		}
		out := map[int][]float32{}
		_, err = pipeline.Run(ctx, c.Pipeline(e, j.images, some, nil), func(r pipeline.Result) error {
			if r.Err == nil {
				out[some[r.Index]] = slices.Clone(r.Output(0))
			}
			return nil
		})
		return out, err
	}
	before, err := logits(j.plain)
	if err != nil {
		return nil, err
	}
	j.plain.Stop()
	after, err := logits(j.enlarged, j.maps.tensor)
	if err != nil {
		return nil, err
	}
	shape := j.Pass.Shape(j.maps.tensor)
	b := &Enlarged{Map: fmt.Sprintf("%d x %d", shape[2], shape[3])}
	for i, x := range before {
		y, label := after[i], j.images.Label(i)
		if label < 0 || y == nil {
			continue
		}
		b.N++
		want := labels.Output[label]
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
	return b, nil
}

// Collect makes the records that are missing. Maps are made beside the model, by several
// goroutines.
func (j *Job) Collect(ctx context.Context, p *evaluation.Pass, progress func(done int)) error {
	r := j.recorder()
	defer r.close()
	return evaluation.CollectParallel(ctx, p, goruntime.GOMAXPROCS(0), progress,
		func(sc evaluation.Scored) (*item, error) { return r.item(ctx, sc) },
		func() func(*item) (Record, evaluation.Own, error) {
			m := mapper{maps: j.maps}
			return func(it *item) (Record, evaluation.Own, error) {
				err := m.finish(it)
				return it.record, it.arrays, err
			}
		})
}

// Close closes the run.
func (j *Job) Close() error {
	if j.enlarged != nil {
		j.enlarged.Close()
	}
	return j.Single.Close()
}

// item is one image on its way from the model to its record.
type item struct {
	record   Record
	features cam.Features
	head     cam.Head
	raw      []float64 // the map before post-processing, rawH x rawW
	rawH     int
	rawW     int
	truth    []boxes.Box
	pixels   []byte // boxes.Truth, nil without masks
	arrays   evaluation.Own
}

// recorder takes images' outputs out of batches. Not safe for concurrent use.
type recorder struct {
	*Job
	classify *classify.Recorder
	scoring  pipeline.Batch // of Score-CAM, nil until it is wanted
}

func (j *Job) recorder() *recorder {
	return &recorder{Job: j, classify: classify.NewRecorder(j.about.Classify)}
}

func (r *recorder) close() {
	if r.scoring != nil {
		_ = r.scoring.Close()
	}
}

// item copies what is needed of an image's outputs.
func (r *recorder) item(ctx context.Context, sc evaluation.Scored) (*item, error) {
	config := r.about.Config
	rec, err := r.classify.Record(r.Pass.Row(sc), r.images.Label(sc.Index), sc.Logits, sc.Err)
	if err != nil {
		return nil, err
	}
	it := &item{record: Record{Row: rec.Row, Label: rec.Label, Prediction: rec.Prediction, Rank: rec.Rank, Confidence: rec.Confidence}}
	if rec.Status != results.OK {
		return it, nil
	}
	o, err := r.objects(sc.Index)
	if err != nil {
		it.record.Status, it.record.Error = results.Bad, err.Error()
		return it, nil
	}
	r.place(it, o)
	if it.features, err = cam.ChannelsFirst(r.maps.layout, r.Pass.Shape(r.maps.tensor), sc.Taps[0], r.maps.h, r.maps.w); err != nil {
		return nil, err
	}
	target := rec.Label
	if config.Target == Prediction {
		target = rec.Prediction
	}
	it.head = r.maps.headOf(int(target), it.features)
	switch {
	case config.Maps != "":
		if it.raw, it.rawH, it.rawW, err = foreign(config.Maps, r.images.Dataset, sc.Index); err != nil {
			it.record.Status, it.record.Error = results.Bad, err.Error()
			return it, nil
		}
	case config.Method == cam.ScoreCAM:
		if it.raw, err = r.scoreCAM(ctx, it.features, sc.Input, int(target)); err != nil {
			return nil, err
		}
		it.rawH, it.rawW = it.features.H, it.features.W
	}
	return it, nil
}

// place puts an image's objects into the frame.
func (r *recorder) place(it *item, o annotations.Objects) {
	w, h := int(it.record.Width), int(it.record.Height)
	g := r.images.Geometry.Geometry(w, h)
	window := boxes.Window{W: g.W, H: g.H, Left: g.Left, Top: g.Top, FrameW: r.maps.w, FrameH: r.maps.h}
	for _, b := range o.Boxes {
		if placed, ok := window.Place(b.X0, b.Y0, b.X1, b.Y1, w, h); ok {
			it.truth = append(it.truth, placed)
		} else {
			it.record.Hidden++
		}
	}
	it.record.Truth = flat(it.truth)
	if r.about.Masks {
		it.pixels = boxes.Truth(window, o.Masks, o.Ignore)
	}
}

// scoreCAM is the map of Score-CAM: the model runs on the input masked by every channel.
func (r *recorder) scoreCAM(ctx context.Context, f cam.Features, input []float32, class int) ([]float64, error) {
	if r.scoring == nil {
		b, err := r.Pass.NewBatch()
		if err != nil {
			return nil, err
		}
		r.scoring = b
	}
	b := r.scoring
	return cam.Score(f, input, r.maps.h, r.maps.w, r.maps.channelsLast, b.Size(), func(inputs [][]float32) ([]float64, error) {
		for i, in := range inputs {
			copy(b.Input(0, i), in)
		}
		if err := b.Run(ctx, len(inputs)); err != nil {
			return nil, err
		}
		out := make([]float64, len(inputs))
		for i := range out {
			out[i] = float64(b.Output(0, i)[class])
		}
		return out, nil
	})
}
