package corruption

import (
	"fmt"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/variants"
)

// Record is what one variant of one image gave.
type Record struct {
	results.Row
	Variant    int32   `parquet:"variant"` // index into About.Variants
	Image      int32   `parquet:"image"`   // the same for all variants of an image
	Label      int32   `parquet:"label"`   // model output
	Second     int32   `parquet:"second"`  // that of the image that was mixed in; -1 without one
	Prediction int32   `parquet:"prediction"`
	Rank       int32   `parquet:"rank"` // classes before the label
	Confidence float64 `parquet:"confidence"`
	Loss       float64 `parquet:"loss"` // negative log likelihood, nats
}

// About is what a report needs beside the records; it is kept with them.
type About struct {
	Report   head               `json:"report"`
	Config   Config             `json:"config"`
	Variants []variants.Variant `json:"variants"`
	Images   int                `json:"images"` // of the data
}

// head is a report's head, with the warnings that were known when the run was opened.
type head struct {
	report.Head
	Warnings []string `json:"warnings"`
}

// Valid says what makes no sense in it.
func (a About) Valid() error {
	if n := len(a.Variants); n < 1 || a.Images < 1 {
		return fmt.Errorf("%d variants of %d images", n, a.Images)
	}
	return a.Config.Validate()
}

// record is the record of a sample.
func (j *Job) record(contest *evaluation.Contest, row results.Row, sc evaluation.Scored) Record {
	s := j.samples
	variant, image := s.place(sc.Index)
	row.ID = s.name(row.ID, variant)
	r := Record{
		Row: row, Variant: int32(variant), Image: int32(image), Label: int32(j.output[s.images.Label(sc.Index)]),
		Second: -1, Prediction: -1, Rank: -1,
	}
	bad := sc.Err
	if got := (imageproc.Size{H: sc.Height, W: sc.Width}); bad == nil && s.size != (imageproc.Size{}) && got != s.size {
		bad = fmt.Errorf("it has %d x %d pixels, the others %d x %d", got.W, got.H, s.size.W, s.size.H)
	}
	if bad == nil {
		var o metrics.Outcome
		if o, bad = contest.Score(sc.Logits, int(r.Label)); bad == nil {
			r.Prediction, r.Rank, r.Confidence, r.Loss = int32(o.Pred), int32(o.Rank), o.Confidence, o.NLL
			if second := s.second(image); second >= 0 {
				r.Second = int32(j.output[second])
			}
		}
	}
	if bad != nil {
		r.Status, r.Error = results.Bad, bad.Error()
	}
	return r
}

// name is what a variant of an image is called in records.
func (s *samples) name(id string, variant int) string {
	if s.config.Corrupted != "" {
		return id // a path, which begins with the variant
	}
	return s.variants[variant].String() + "/" + id
}

// image is what the image of a record is called in reports.
func (a About) image(r *Record) string {
	return strings.TrimPrefix(r.ID, a.Variants[r.Variant].String()+"/")
}
