package localize

import (
	"math/rand/v2"
	"slices"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
	"cutmix-eval/model"
	"cutmix-eval/results"
)

// maps is how class activation maps are made. It is not changed while images are worked on.
type maps struct {
	config       Config
	seed         uint64 // of the random maps
	tensor       string // the feature map
	layout       cam.Layout
	w, h         int        // of the frame: what the model sees
	channelsLast bool       // of the model's input
	heads        []cam.Head // by model output; nil where the method needs none
	keep         bool       // maps before post-processing are stored
}

// mapsOf prepares what the maps of every class are made with.
func mapsOf(h *model.Head, c Config, frame imageproc.Size) (maps, error) {
	m := maps{config: c, tensor: h.FeatureMap, layout: cam.Layout(h.MapKind), w: frame.W, h: frame.H}
	if err := fromGraph(h, c.Method); err != nil {
		return m, err
	}
	if !c.Method.NeedsHead() {
		return m, nil
	}
	scale := 1.0 // of the sum over places
	if h.Pool != "sum" && h.Pool != "sum of tokens" {
		scale = 0 // a mean: 1 / places, which are known later
	}
	layer := h.MapLayer()
	for k := range h.Classes {
		m.heads = append(m.heads, cam.Head{
			Weight: layer.Row(k), Bias: float64(layer.Bias[k]), Scale: scale, PerPlace: h.PerPlace, Relu: h.Relu,
		})
	}
	return m, nil
}

// headOf is the head of a model output, for a feature map.
func (m *maps) headOf(output int, f cam.Features) cam.Head {
	if m.heads == nil {
		return cam.Head{}
	}
	h := m.heads[output]
	if h.Scale == 0 {
		h.Scale = 1 / float64(f.H*f.W)
	}
	return h
}

// sides are rows and columns of feature maps of a shape, whose first axis is the image.
func (m *maps) sides(shape []int64) (h, w int, err error) {
	n := 1
	for _, d := range shape[1:] {
		n *= int(d)
	}
	f, err := cam.ChannelsFirst(m.layout, shape, make([]float32, n), m.h, m.w)
	return f.H, f.W, err
}

// mapper turns feature maps into boxes and overlaps, for one goroutine.
type mapper struct {
	maps
	tracer boxes.Tracer
}

// finish makes an image's map and everything that is computed from it.
func (m *mapper) finish(it *item) error {
	heat, err := m.frame(it)
	if err != nil || heat == nil {
		return err
	}
	m.cut(it, heat)
	m.sweep(it, heat, ofLargest, ofAll)
	f := it.features
	rng := rand.New(rand.NewPCG(m.seed, uint64(it.record.Index)))
	weights := make([]float64, f.C)
	for k := range weights {
		weights[k] = 2*rng.Float64() - 1
	}
	m.sweep(it, m.config.Post.Apply(cam.Combine(f, weights), f.H, f.W, m.h, m.w), ofLargestRandom, ofAllRandom)
	if it.pixels != nil {
		th := metrics.Thresholds(m.config.Interval)
		in, out := make([]float32, len(th)+2), make([]float32, len(th)+2)
		for i, v := range heat {
			switch it.pixels[i] {
			case boxes.Object:
				in[metrics.PixelBin(th, v)]++
			case boxes.Background:
				out[metrics.PixelBin(th, v)]++
			}
		}
		it.arrays[pixelsIn], it.arrays[pixelsOut] = in, out
	}
	return nil
}

// frame is an image's map at the size of the frame, 0..1; nil for a bad image.
func (m *mapper) frame(it *item) ([]float64, error) {
	if it.record.Status != results.OK {
		return nil, nil
	}
	if it.raw == nil { // otherwise it was made elsewhere
		v, err := cam.Map(m.config.Method, it.features, it.head)
		if err != nil {
			return nil, err
		}
		it.raw, it.rawH, it.rawW = v, it.features.H, it.features.W
	}
	it.arrays = evaluation.Own{}
	if m.keep {
		small := make([]float32, len(it.raw))
		for i, v := range it.raw {
			small[i] = float32(v)
		}
		it.arrays[evaluation.Maps] = small
	}
	return m.config.Post.Apply(it.raw, it.rawH, it.rawW, m.h, m.w), nil
}

// cut draws the box at the fixed threshold.
func (m *mapper) cut(it *item, heat []float64) {
	if top := slices.Max(heat); top > 0 {
		if b, _, ok := boxes.Region(heat, m.w, m.h, m.config.Threshold*top); ok {
			it.record.Box = flat([]boxes.Box{b})
			it.record.IoU = boxes.Best(b, it.truth)
		}
	}
}

func (m *mapper) sweep(it *item, frame []float64, largest, all string) {
	l, a := make([]float32, boxes.Levels), make([]float32, boxes.Levels)
	m.tracer.Sweep(cam.Bytes(frame), m.w, m.h, it.truth, l, a)
	it.arrays[largest], it.arrays[all] = l, a
}
