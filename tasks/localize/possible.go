package localize

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cutmix-eval/cam"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/model"
)

// fromGraph says why a method can make no maps with a head, as far as the graph tells; nil
// where it can.
func fromGraph(h *model.Head, m cam.Method) error {
	others := "(eigencam, fem and scorecam need none)"
	switch {
	case h.FeatureMap == "":
		return fmt.Errorf("its head has no feature map to make a class activation map from: %s", h.NoMap)
	case h.Classes < 2:
		return errors.New("it gives one score per image, and a map is of one class of several")
	case !m.NeedsHead():
		return nil
	case h.Pool == model.PoolFlatten:
		return fmt.Errorf("%s needs a linear layer right behind (or before) a mean or sum of the feature map; "+
			"its dense layers have a weight for every place of it (Flatten) %s", m, others)
	case !h.Direct && len(h.Between) == 0:
		return fmt.Errorf("%s needs a linear layer right behind (or before) a mean or sum of the feature map; its map is pooled by %s %s", m, h.Pool, others)
	case !h.Direct:
		return fmt.Errorf("%s needs a linear layer right behind (or before) a mean or sum of the feature map; between them lie %v %s", m, h.Between, others)
	case h.Pool == "class token" || strings.HasPrefix(h.Pool, "token "):
		return fmt.Errorf("%s: the head reads the %s only, so the gradient of every other place is zero %s", m, h.Pool, others)
	}
	return nil
}

// fromMap says why a method can make no maps from feature maps of a shape, first axis the image,
// for frames of a size.
func fromMap(h *model.Head, m cam.Method, shape []int64, frame imageproc.Size) error {
	axes := 4
	if h.MapKind == model.MapTokens {
		axes = 3
	}
	if len(shape) != axes {
		return fmt.Errorf("its feature map %q has the shape %v, not %d axes", h.FeatureMap, shape, axes)
	}
	n := 1
	for _, d := range shape[1:] {
		n *= int(d)
	}
	f, err := cam.ChannelsFirst(cam.Layout(h.MapKind), shape, make([]float32, n), frame.H, frame.W)
	switch {
	case err != nil:
		return fmt.Errorf("its feature map %q: %w", h.FeatureMap, err)
	case f.H*f.W < 2:
		return fmt.Errorf("its feature map %q has a single place, so there is nothing to draw", h.FeatureMap)
	case m.NeedsHead() && f.C != h.Features:
		return fmt.Errorf("%s: its feature map %q has %d channels, the head %d weights per class", m, h.FeatureMap, f.C, h.Features)
	}
	return nil
}

// Possible says of every method why localize would refuse it for a classifier; nil is that it
// would not. It opens an engine where the graph leaves it open; the error is about that.
func Possible(ctx context.Context, c *evaluation.Classifier) (map[cam.Method]error, error) {
	h, err := c.Model.Head()
	if err != nil {
		out := map[cam.Method]error{}
		for _, m := range cam.Methods() {
			out[m] = err
		}
		return out, nil
	}
	out, open := map[cam.Method]error{}, false
	for _, m := range cam.Methods() {
		out[m] = fromGraph(h, m)
		open = open || out[m] == nil
	}
	if !open {
		return out, nil
	}
	e, err := c.Engine(ctx, h.FeatureMap)
	if err != nil {
		return nil, err
	}
	for _, t := range e.Outputs() {
		for m, err := range out {
			if t.Name == h.FeatureMap && err == nil {
				out[m] = fromMap(h, m, t.Shape, c.Size())
			}
		}
	}
	return out, nil
}
