package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/model"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Record is what the backbone gave for one image. Logits and features lie beside it.
type Record struct {
	results.Row
	Content int64 `parquet:"content"` // hash of the tensor that the model saw
}

// mapsArray is the array with the last feature maps: channels x rows x columns.
const mapsArray = "feature_maps"

// set are images of one role, as the backbone sees them.
type set struct {
	name  string // train, val, test
	dir   string // of its records
	setup *evaluation.Setup
	rec   *evaluation.Records
	truth *truth
	labels
	at      []int     // samples, ascending: those that could be read and have a label
	x       []float32 // rows of features
	content []int64
	bad     []report.BadImage
	notes   []string
}

func (s *set) n() int { return len(s.at) }

// only is the set with some of its images, ascending.
func (s *set) only(at []int, features int) *set {
	out := *s
	out.at, out.x, out.content = nil, nil, nil
	out.labels = s.labels.only(at)
	for _, i := range at {
		out.at, out.content = append(out.at, s.at[i]), append(out.content, s.content[i])
		out.x = append(out.x, s.x[i*features:(i+1)*features]...)
	}
	return &out
}

// wanted are the samples that are asked for.
func (s *set) wanted() []int {
	if s.setup.Selected != nil {
		return s.setup.Selected
	}
	all := make([]int, len(s.setup.Data.Samples))
	for i := range all {
		all[i] = i
	}
	return all
}

// labelled are the samples with a label; nil is all.
func (s *set) labelled() []int {
	var at []int
	row := make([]float64, len(s.truth.classes))
	for i := range s.setup.Data.Samples {
		if s.truth.row(row, s.setup.Data, i) >= 0 {
			at = append(at, i)
		}
	}
	if n := len(s.setup.Data.Samples) - len(at); n > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%s: %d images without a label are left out", s.name, n))
		return at
	}
	return nil
}

// open opens the records of the set. maps, if not nil, is the head whose feature maps
// are kept.
func (s *set) open(ctx context.Context, maps *model.Head, install runtime.Progress) (err error) {
	labelled := s.labelled()
	if labelled != nil && len(labelled) == 0 {
		return fmt.Errorf("%s images: not one of %s has a label", s.name, s.setup.Data.Name)
	}
	task := evaluation.Task{
		Name: Name, Config: struct{}{}, Needs: []string{evaluation.Logits, evaluation.Features},
		Select: func(at []int) []int { return evaluation.Both(at, labelled) },
		About:  func(json.RawMessage) (any, error) { return struct{}{}, nil },
	}
	if maps != nil {
		task.Taps, task.PartSize = []string{maps.FeatureMap}, mapsPart
		task.Arrays = func() ([]results.Array, error) {
			c, h, w, err := mapShape(s.setup, maps)
			return []results.Array{{Name: mapsArray, Width: c * h * w}}, err
		}
	}
	s.rec, err = s.setup.Records(ctx, evaluation.Store{Dir: s.dir}, task, install)
	return err
}

// mapsPart is the size of parts with maps: 50 MiB of ResNet-50's.
const mapsPart = 128

// mapShape is the size of the feature map in an open session.
func mapShape(s *evaluation.Setup, head *model.Head) (channels, h, w int, err error) {
	for _, t := range s.Session.Outputs {
		if t.Name != head.FeatureMap {
			continue
		}
		if len(t.Shape) != 4 {
			return 0, 0, 0, fmt.Errorf("the feature map %q has the shape %v", t.Name, t.Shape)
		}
		if head.MapKind == model.MapNHWC {
			return int(t.Shape[3]), int(t.Shape[1]), int(t.Shape[2]), nil
		}
		return int(t.Shape[1]), int(t.Shape[2]), int(t.Shape[3]), nil
	}
	return 0, 0, 0, fmt.Errorf("no output %q", head.FeatureMap)
}

// collect runs the backbone on what is missing.
func (s *set) collect(ctx context.Context, maps *model.Head, progress func(done int)) error {
	w := results.NewWriter[Record](s.rec.Run)
	var planar []float32
	_, err := s.rec.Each(ctx, progress, func(sc evaluation.Scored) error {
		sample := s.setup.Data.Samples[sc.Index]
		r := Record{Row: results.Row{Index: int64(sc.Index), ID: sample.ID, Status: results.OK, Width: int32(sc.Width), Height: int32(sc.Height)}}
		if sample.Label >= 0 && sample.Label < len(s.setup.Data.Classes) {
			r.Class = s.setup.Data.Classes[sample.Label]
		}
		bad := sc.Err
		for _, v := range append([][]float32{sc.Logits, sc.Features}, sc.Taps...) {
			if i := metrics.NotFinite(v); bad == nil && i >= 0 {
				bad = fmt.Errorf("the model gave %v", v[i])
			}
		}
		if bad != nil {
			r.Status, r.Error = results.Bad, bad.Error()
			return w.Add(r)
		}
		r.Content = sc.Content()
		arrays := s.rec.Arrays(sc)
		if maps != nil {
			m := sc.Taps[0]
			if maps.MapKind == model.MapNHWC {
				channels := len(sc.Features)
				planar = planes(planar, m, channels)
				m = planar
			}
			if err := isMean(m, sc.Features); err != nil {
				return err
			}
			arrays[len(arrays)-1] = m
		}
		return w.Add(r, arrays...)
	})
	if werr := w.Close(); !errors.Is(err, werr) {
		err = errors.Join(err, werr)
	}
	s.setup.Stop()
	return err
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
			return fmt.Errorf("feature-cutmix mixes maps whose mean over places enters the head, and feature %d of this model is %v where the mean is %v: give --mix cutmix", c, f, mean)
		}
	}
	return nil
}

// read reads the records into memory.
func (s *set) read(ctx context.Context) error {
	row := make([]float64, len(s.truth.classes))
	s.at, s.x, s.content, s.bad = nil, nil, nil, nil
	s.labels = labels{classes: len(s.truth.classes)}
	err := results.Each[Record](ctx, s.rec.Run, []string{evaluation.Features}, func(r *Record, arrays [][]float32) error {
		i := int(r.Index)
		if _, asked := slices.BinarySearch(s.setup.Selected, i); s.setup.Selected != nil && !asked {
			return nil // the run has more images than this time are asked for
		}
		if r.Status != results.OK {
			s.bad = append(s.bad, report.BadImage{ID: s.name + "/" + r.ID, Reason: r.Error})
			return nil
		}
		c := s.truth.row(row, s.setup.Data, i)
		if c < 0 {
			return fmt.Errorf("the run has a record of %s, which has no label", r.ID)
		}
		s.at, s.class, s.content = append(s.at, i), append(s.class, c), append(s.content, r.Content)
		if s.x = append(s.x, arrays[0]...); s.truth.multi != nil {
			s.several = append(s.several, row...)
		}
		return nil
	})
	return err
}
