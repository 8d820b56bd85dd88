package localize

import (
	"context"
	"errors"
	"fmt"
	"math"
	goruntime "runtime"
	"sync"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
)

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
	g := j.setup.Geometry.Geometry(sc.Width, sc.Height)
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
		if it.raw, it.rawH, it.rawW, err = foreign(j.about.Config.Maps, j.setup.Data, sc.Index); err != nil {
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
