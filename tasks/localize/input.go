package localize

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"sync"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/datasets/annotations"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
	"cutmix-eval/metrics"
	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/classify"
)

// objects are the true boxes of one sample, in pixels of its picture, and its masks.
type objects struct {
	boxes         []annotations.Box
	masks, ignore []boxes.Mask
	files         annotations.Marks // masks to be read when they are wanted
}

// Job is an evaluation: its run, and what is to be done for it. Close it.
type Job struct {
	*evaluation.Records
	setup   *evaluation.Setup
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
		if s.Rewritten, err = s.Model.Enlarge(c.Enlarge); err != nil {
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
	job.about = About{Config: c, Frame: [2]int{w, hgt}, Masks: found.masks}
	job.Records, err = s.Records(ctx, store, evaluation.Task{
		Name: Name, Labels: labels.Fingerprint(), Taps: job.taps,
		Config: recorded{c.Method, c.Post, c.Target, c.Enlarge, c.Threshold, c.Interval, s.Config.Seed, c.Maps, found.fingerprint},
		Arrays: func() []results.Array {
			if slices.Contains(store.Save, evaluation.Maps) && c.Maps == "" {
				f, err := channelFirst(job.kind, s.Session.Outputs[1].Shape, nil, job.about.Frame)
				if err == nil {
					own = append(own, results.Array{Name: evaluation.Maps, Width: f.H * f.W})
				}
			}
			return own
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
	if !h.Direct && !h.PerPlace {
		return fmt.Errorf("%s needs a linear layer right behind the pooled feature map; between them lie %v (eigencam and fem need none)", m, h.Between)
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
			Weight: h.Weight[c*h.Features : (c+1)*h.Features], Bias: float64(h.Bias[c]), Scale: scale, PerPlace: h.PerPlace, Relu: h.Relu,
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

// annotated is what is known about where objects are.
type annotated struct {
	why         string
	fingerprint string
	masks       bool
	samples     []int // that have annotations; nil is all
	notes       []string
	of          func(sample int) (objects, error)
}

// find finds the annotations: those at path, those that lie with the data, or those
// of the embedded scenes.
func find(s *evaluation.Setup, path string) (*annotated, error) {
	d := s.Data
	if split, ok := d.SceneSplit(); ok && path == "" {
		return &annotated{why: "the embedded scenes", fingerprint: "scenes:" + string(split), masks: true, of: func(i int) (objects, error) {
			sc := scenes.Generate(split, i)
			o := objects{masks: []boxes.Mask{{W: scenes.Size, H: scenes.Size, In: make([]bool, len(sc.Mask))}}}
			for p, v := range sc.Mask {
				o.masks[0].In[p] = v > 0
			}
			if b := sc.Box; !b.Empty() {
				o.boxes = []annotations.Box{{X0: float64(b.Min.X), Y0: float64(b.Min.Y), X1: float64(b.Max.X - 1), Y1: float64(b.Max.Y - 1)}}
			}
			return o, nil
		}}, nil
	}
	set, err := openSet(s, path)
	if err != nil {
		return nil, err
	}
	a := &annotated{why: set.Format, masks: len(set.Masks) > 0}
	keys := map[int]string{}
	sum := sha256.New()
	for i, sample := range d.Samples {
		key, ok := set.Find(sample.ID)
		if !ok {
			continue
		}
		keys[i] = key
		a.samples = append(a.samples, i)
		fmt.Fprintf(sum, "%d %v %v\n", i, set.Boxes[key], set.Masks[key])
	}
	a.fingerprint = hex.EncodeToString(sum.Sum(nil)[:8])
	switch n := len(d.Samples) - len(a.samples); {
	case len(a.samples) == 0:
		return nil, fmt.Errorf("the annotations (%s) name none of the %d images (first: %s)", set.Format, len(d.Samples), d.Samples[0].ID)
	case n == 0:
		a.samples = nil
	default:
		a.notes = append(a.notes, fmt.Sprintf("%d images without annotations are left out", n))
	}
	a.of = func(i int) (objects, error) {
		key := keys[i]
		class := ""
		if l := d.Samples[i].Label; l >= 0 {
			class = d.Classes[l]
		}
		o := objects{boxes: set.Of(key, class), files: set.Masks[key]}
		for k, files := range [][]string{o.files.Object, o.files.Ignore} {
			for _, f := range files {
				m, err := readMask(filepath.Join(set.Root, filepath.FromSlash(f)))
				if err != nil {
					return o, fmt.Errorf("mask %s: %w", f, err)
				}
				if k == 0 {
					o.masks = append(o.masks, m)
				} else {
					o.ignore = append(o.ignore, m)
				}
			}
		}
		return o, nil
	}
	return a, nil
}

func openSet(s *evaluation.Setup, path string) (*annotations.Set, error) {
	if path != "" {
		return annotations.Open(path)
	}
	for _, name := range annotations.Companions() {
		if data, ok := s.Data.Companion(name); ok {
			set, err := annotations.Parse(name, data)
			if err != nil {
				return nil, fmt.Errorf("%s beside the images: %w", name, err)
			}
			set.Root = s.Config.Data
			return set, nil
		}
	}
	return nil, fmt.Errorf("%s has no boxes with it (looked for %v); give them with --boxes", s.Data.Name, annotations.Companions())
}

func readMask(path string) (boxes.Mask, error) {
	f, err := os.Open(path)
	if err != nil {
		return boxes.Mask{}, err
	}
	defer f.Close()
	c, err := png.DecodeConfig(f)
	if err != nil {
		return boxes.Mask{}, err
	}
	if c.Width*c.Height > 1<<28 {
		return boxes.Mask{}, fmt.Errorf("%d x %d pixels are too many", c.Width, c.Height)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return boxes.Mask{}, err
	}
	m, err := png.Decode(f)
	if err != nil {
		return boxes.Mask{}, err
	}
	return boxes.MaskOf(m), nil
}

// Collect makes the records that are missing. Maps are made beside the model, by
// several goroutines; records come in order. When it ends early, those that were made
// are kept.
func (j *Job) Collect(ctx context.Context, progress func(done int)) (pipeline.Stats, error) {
	if len(j.Todo) == 0 {
		return pipeline.Stats{}, nil
	}
	j.shape = j.setup.Session.Outputs[1].Shape
	w := results.NewWriter[Record](j.Run)
	jobs, order := make(chan *item, 64), make(chan *item, 64)
	var first error // of the writing goroutine, which closes failed after setting it
	failed := make(chan struct{})
	var workers sync.WaitGroup
	for range goruntime.GOMAXPROCS(0) {
		workers.Go(func() {
			m := j.mapper()
			for it := range jobs {
				if err := m.finish(it); err != nil {
					it.err = err
				}
				close(it.done)
			}
		})
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for it := range order {
			<-it.done
			if it.err == nil {
				it.err = w.Add(it.record, j.arrays(it)...)
			}
			if it.err != nil {
				first = it.err
				close(failed)
				for it := range order { // nothing more is written
					<-it.done
				}
				return
			}
		}
	}()
	collector := classify.NewCollector(j.about.Classify)
	stats, err := j.Each(ctx, progress, func(sc evaluation.Scored) error {
		select {
		case <-failed:
			return first
		default:
		}
		it, err := j.item(ctx, collector, sc)
		if err != nil {
			return err
		}
		jobs <- it
		order <- it
		return nil
	})
	close(jobs)
	workers.Wait()
	close(order)
	<-written
	if first != nil {
		err = first
	}
	if werr := w.Close(); !errors.Is(err, werr) {
		err = errors.Join(err, werr)
	}
	return stats, err
}

// mapper makes maps as the job wants them.
func (j *Job) mapper() *mapper {
	_, keep := j.HasArray(evaluation.Maps)
	return &mapper{config: j.about.Config, seed: j.setup.Config.Seed, w: j.about.Frame[0], h: j.about.Frame[1], keep: keep}
}

// arrays are an item's values in the order of the manifest.
func (j *Job) arrays(it *item) [][]float32 {
	out := make([][]float32, len(j.Manifest.Arrays))
	for k, a := range j.Manifest.Arrays {
		if v, ok := it.arrays[a.Name]; ok {
			out[k] = v
		} else if a.Name == evaluation.Logits || a.Name == evaluation.Features {
			out[k] = it.kept[a.Name]
		}
	}
	return out
}

// item takes an image's outputs out of the batch.
func (j *Job) item(ctx context.Context, c *classify.Collector, sc evaluation.Scored) (*item, error) {
	sample := j.setup.Data.Samples[sc.Index]
	rec, err := c.Record(sc.Index, sample.ID, sample.Label, [2]int{sc.Width, sc.Height}, sc.Logits, sc.Err)
	if err != nil {
		return nil, err
	}
	it := &item{done: make(chan struct{}), record: Record{Row: rec.Row, Label: rec.Label, Prediction: rec.Prediction, Rank: rec.Rank, Confidence: rec.Confidence}}
	if rec.Status != results.OK {
		return it, nil
	}
	o, err := j.objects(sc.Index)
	if err != nil {
		it.record.Status, it.record.Error = results.Bad, err.Error()
		return it, nil
	}
	g := j.setup.Recipe.Geometry(sc.Width, sc.Height)
	window := boxes.Window{W: g.W, H: g.H, Left: g.Left, Top: g.Top, FrameW: j.about.Frame[0], FrameH: j.about.Frame[1]}
	for _, b := range o.boxes {
		if placed, ok := window.Place(b.X0, b.Y0, b.X1, b.Y1, sc.Width, sc.Height); ok {
			it.truth = append(it.truth, placed)
		} else {
			it.record.Hidden++
		}
	}
	it.record.Truth = flat(it.truth)
	if j.about.Masks {
		it.pixels = boxes.Truth(window, o.masks, o.ignore)
	}
	if it.features, err = channelFirst(j.kind, j.shape, sc.Taps[0], j.about.Frame); err != nil {
		return nil, err
	}
	if j.heads != nil {
		target := rec.Label
		if j.about.Config.Target == Prediction {
			target = rec.Prediction
		}
		it.head = j.heads[target]
		if it.head.Scale == 0 {
			it.head.Scale = 1 / float64(it.features.H*it.features.W)
		}
	}
	switch {
	case j.about.Config.Maps != "":
		if it.raw, it.rawH, it.rawW, err = foreign(j.about.Config.Maps, sample.ID); err != nil {
			it.record.Status, it.record.Error = results.Bad, err.Error()
			return it, nil
		}
	case j.about.Config.Method == cam.ScoreCAM:
		target := rec.Label
		if j.about.Config.Target == Prediction {
			target = rec.Prediction
		}
		if it.raw, err = j.score(ctx, it.features, sc.Input, int(target)); err != nil {
			return nil, err
		}
		it.rawH, it.rawW = it.features.H, it.features.W
	}
	it.kept = map[string][]float32{}
	for k, v := range map[string][]float32{evaluation.Logits: sc.Logits, evaluation.Features: sc.Features} {
		if _, keep := j.HasArray(k); keep {
			it.kept[k] = append([]float32(nil), v...)
		}
	}
	return it, nil
}

// foreign reads the map of an image that was made elsewhere: DIR/ID.npy, with the
// image's extension or without.
func foreign(dir, id string) (m []float64, h, w int, err error) {
	path := filepath.Join(dir, filepath.FromSlash(id))
	tried := []string{path + ".npy", path[:len(path)-len(filepath.Ext(path))] + ".npy"}
	for _, p := range tried {
		info, v, err := npy.Read(p)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && (len(info.Shape) != 2 || len(v) == 0) {
			err = fmt.Errorf("its shape is %v, not rows by columns", info.Shape)
		}
		if err != nil {
			return nil, 0, 0, fmt.Errorf("map %s: %w", filepath.Base(p), err)
		}
		return v, info.Shape[0], info.Shape[1], nil
	}
	return nil, 0, 0, fmt.Errorf("there is no map %s", tried[0])
}

// score is the map of Score-CAM: the model runs on the input masked by every channel.
func (j *Job) score(ctx context.Context, f cam.Features, input []float32, class int) ([]float64, error) {
	if j.scoring == nil {
		b, err := j.setup.Session.NewBatch(j.setup.Batch)
		if err != nil {
			return nil, err
		}
		j.scoring = b
	}
	b := j.scoring
	w, h := j.about.Frame[0], j.about.Frame[1]
	return cam.Score(f, input, h, w, j.setup.Recipe.Layout == imageproc.NHWC, b.Size(), func(inputs [][]float32) ([]float64, error) {
		for i, in := range inputs {
			copy(b.Slot(i), in)
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

// compareLogits runs the model as it was and with its larger feature map on some
// images.
func (j *Job) compareLogits(ctx context.Context, install runtime.Progress) error {
	const enough = 100
	s := j.setup
	if err := s.Start(ctx, install); err != nil {
		return err
	}
	plain := *s
	plain.Rewritten, plain.Session, plain.Taps = nil, nil, nil
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

// channelFirst copies a feature map into rows of channels. Tokens in front of those of
// the places (class and register tokens) are left out.
func channelFirst(kind model.MapKind, shape []int64, v []float32, frame [2]int) (cam.Features, error) {
	if v == nil { // only the size is wanted
		n := 1
		for _, d := range shape[1:] {
			n *= int(d)
		}
		v = make([]float32, n)
	}
	switch kind {
	case model.MapNCHW:
		return cam.Features{C: int(shape[1]), H: int(shape[2]), W: int(shape[3]), A: append([]float32(nil), v...)}, nil
	case model.MapNHWC:
		return turned(v, int(shape[1]), int(shape[2]), int(shape[3])), nil
	}
	tokens, c := int(shape[1]), int(shape[2])
	for prefix := range min(tokens, 17) {
		n := tokens - prefix
		h := int(math.Round(math.Sqrt(float64(n) * float64(frame[1]) / float64(frame[0]))))
		if h > 0 && n%h == 0 && h*frame[0] == n/h*frame[1] {
			return turned(v[prefix*c:], h, n/h, c), nil
		}
	}
	return cam.Features{}, fmt.Errorf("%d tokens are no grid in the shape of the %d x %d frame", tokens, frame[0], frame[1])
}

func turned(v []float32, h, w, c int) cam.Features {
	f := cam.Features{C: c, H: h, W: w, A: make([]float32, c*h*w)}
	for p := range h * w {
		for k := range c {
			f.A[k*h*w+p] = v[p*c+k]
		}
	}
	return f
}

// Read reads what describes a run of this task.
func Read(run *results.Run) (About, error) {
	var a About
	if task := run.Manifest.Key.Task; task != Name {
		return a, fmt.Errorf("the run is one of %s, not of %s", task, Name)
	}
	d := json.NewDecoder(bytes.NewReader(run.Manifest.About))
	d.UseNumber()
	if err := d.Decode(&a); err != nil {
		return a, fmt.Errorf("reading what the manifest says about the run: %w", err)
	}
	if a.Frame[0] < 1 || a.Frame[1] < 1 || a.Classify.Outputs < 1 {
		return a, errors.New("the manifest lacks the size of the frame or the number of outputs")
	}
	return a, nil
}
