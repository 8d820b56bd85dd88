package finetune

import (
	"fmt"
	"math"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/model"
	"cutmix-eval/results"
)

// Record is what the backbone gave for one image. Logits and features lie beside it, and
// feature maps where they are mixed.
type Record struct {
	results.Row
	Content int64 `parquet:"content"` // hash of the tensor that the model saw
}

// mapsArray is the array with the last feature maps: channels x rows x columns.
const mapsArray = "feature_maps"

// mapsPart is the size of parts with maps: 50 MiB of ResNet-50's.
const mapsPart = 128

// mapSize describes a run with feature maps.
type mapSize struct {
	Rows    int `json:"rows,omitempty"`
	Columns int `json:"columns,omitempty"`
}

// mapShape reads the size of the feature map from its tensor's shape.
func mapShape(h *model.Head, shape []int64) (channels int, size mapSize, err error) {
	if len(shape) != 4 {
		return 0, size, fmt.Errorf("the feature map %q has the shape %v", h.FeatureMap, shape)
	}
	if h.MapKind == model.MapNHWC {
		return int(shape[3]), mapSize{int(shape[1]), int(shape[2])}, nil
	}
	return int(shape[1]), mapSize{int(shape[2]), int(shape[3])}, nil
}

// record is the record of what the model gave. maps, if not nil, is the head whose feature map
// is kept; planar is memory for it.
func record(row results.Row, sc evaluation.Scored, maps *model.Head, planar *[]float32) (Record, evaluation.Own, error) {
	r := Record{Row: row}
	err := sc.Err
	if err == nil {
		err = evaluation.NotFinite(append([][]float32{sc.Logits, sc.Features}, sc.Taps...)...)
	}
	if err != nil {
		r.Status, r.Error = results.Bad, err.Error()
		return r, nil, nil
	}
	r.Content = sc.Content()
	if maps == nil {
		return r, nil, nil
	}
	m := sc.Taps[0]
	if maps.MapKind == model.MapNHWC {
		*planar = planes(*planar, m, len(sc.Features))
		m = *planar
	}
	return r, evaluation.Own{mapsArray: m}, isMean(m, sc.Features)
}

// planes puts values of places that lie together into planes of channels.
func planes(dst, m []float32, channels int) []float32 {
	n := len(m) / channels
	dst = slices.Grow(dst[:0], len(m))[:len(m)]
	for i := range n {
		for c := range channels {
			dst[c*n+i] = m[i*channels+c]
		}
	}
	return dst
}

// isMean says whether features are the means of the planes of a map.
func isMean(m, features []float32) error {
	places := len(m) / len(features)
	top := 1e-3
	for _, f := range features {
		top = max(top, math.Abs(float64(f)))
	}
	for c, f := range features {
		sum := 0.0
		for _, v := range m[c*places : (c+1)*places] {
			sum += float64(v)
		}
		if mean := sum / float64(places); !(math.Abs(mean-float64(f)) <= 1e-3*top) { // float16 maps have 11 bits
			return fmt.Errorf("feature-cutmix mixes maps whose mean over places enters the head, "+
				"and feature %d of this model is %v where the mean is %v: give --mix cutmix", c, f, mean)
		}
	}
	return nil
}

// scored is the record of an image with several labels. Scores and truth lie beside it.
type scored struct{ results.Row }

// truthArray is the array with what images of several labels are: 0 or 1, NaN where it is not
// known, for each class.
const truthArray = "truth"
