package finetune

import (
	"fmt"

	"cutmix-eval/augment"
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
		*planar = augment.Planar(*planar, m, len(sc.Features))
		m = *planar
	}
	if c, mean := augment.MeansDiffer(m, sc.Features); c >= 0 {
		return r, nil, fmt.Errorf("feature-cutmix mixes maps whose mean over places enters the head, "+
			"and feature %d of this model is %v where the mean is %v: give --mix cutmix", c, sc.Features[c], mean)
	}
	return r, evaluation.Own{mapsArray: m}, nil
}
