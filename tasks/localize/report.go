package localize

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"cutmix-eval/boxes"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// classified says whether the label is among the k best scores.
func (im *located) classified(k int32) bool { return im.Rank < k }

// share is a metric that is a share of the images.
func (res *Result) share(name, note string, right func(i int) bool) report.Metric {
	hits := 0
	for i := range res.Images {
		if right(i) {
			hits++
		}
	}
	n := len(res.Images)
	iv := metrics.Wilson(hits, n)
	return report.Metric{Name: name, Value: float64(hits) / float64(n), Unit: report.Fraction, N: n, Interval: &iv, HigherIsBetter: true, Note: note}
}

// swept computes the metrics of the sweep: max_box_acc, max_box_acc_v2 and its three
// parts.
func (res *Result) swept(v *numbers, count []uint16) []float64 {
	one, _ := v.largest.Best(1, count)
	out := []float64{one, 0}
	for d := range metrics.Overlaps {
		a, _ := v.all.Best(d, count)
		out = append(out, a)
		out[1] += a / float64(len(metrics.Overlaps))
	}
	return out
}

var sweptNames = []string{"max_box_acc", "max_box_acc_v2", "max_box_acc_v2_iou30", "max_box_acc_v2_iou50", "max_box_acc_v2_iou70"}

// sweptMetrics are the metrics of the sweep with their intervals.
func (res *Result) sweptMetrics(ctx context.Context, name string, seed uint64) ([]report.Metric, error) {
	v, c := res.numbers[name], res.About.Config
	at := res.swept(v, nil)
	var boot [][]float64
	if c.Replicates > 0 {
		var err error
		boot, err = metrics.Bootstrap(ctx, len(res.Images), c.Replicates, seed, func(count []uint16) []float64 { return res.swept(v, count) })
		if err != nil {
			return nil, err
		}
	}
	_, threshold := v.largest.Best(1, nil)
	notes := []string{fmt.Sprintf("IoU 0.5, largest contour, at its best threshold %.3g", threshold), "mean over IoU 0.3, 0.5, 0.7, each at its best threshold"}
	var out []report.Metric
	for k, value := range at {
		m := report.Metric{Name: sweptNames[k], Value: value, Unit: report.Fraction, N: len(res.Images), HigherIsBetter: true}
		if k < len(notes) {
			m.Note = notes[k]
		}
		if boot != nil && len(boot[k]) > 0 {
			iv := metrics.Percentile(boot[k])
			m.Interval = &iv
		}
		out = append(out, m)
	}
	return out, nil
}

// Fill writes the task's part of a report.
func (res *Result) Fill(ctx context.Context, r *report.Report) error {
	r.Task = Name
	a := res.About
	c := a.Config
	note := fmt.Sprintf("largest region above %.3g of the maximum, IoU > 0.5", c.Threshold)
	r.Metrics = append(r.Metrics, res.share("top1", "", func(i int) bool { return res.Images[i].classified(1) }))
	if a.Boxes {
		if err := res.fillBoxes(ctx, r, note); err != nil {
			return err
		}
	}
	if a.Masks {
		if err := res.fillPixels(ctx, r); err != nil {
			return err
		}
	}
	if b := a.Before; b != nil {
		r.Tables = append(r.Tables, report.Table{
			Name: "enlarged", Title: fmt.Sprintf("what the larger feature map (%s) changes in the scores of %d images", b.Map, b.N),
			Columns: []string{"top1 before", "top1 after", "same prediction", "mean absolute difference of logits"},
			Rows:    [][]string{{portion(b.Top1Before, b.N), portion(b.Top1After, b.N), portion(b.Same, b.N), strconv.FormatFloat(b.Difference, 'g', 4, 64)}},
		})
	}
	if res.Hidden > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d images show nothing of their true boxes after the crop; they count as wrong (a squashing --fit keeps them in view)", res.Hidden))
	}
	r.BadImages = append(r.BadImages, res.Bad...)
	r.Dataset.N, r.Dataset.Bad = len(res.Images), len(res.Bad)
	return nil
}

// fillBoxes writes what is measured with boxes.
func (res *Result) fillBoxes(ctx context.Context, r *report.Report, note string) error {
	a := res.About
	c := a.Config
	fixed := res.numbers[ofModel].fixed
	r.Metrics = append(r.Metrics, res.share("top1_loc", note, func(i int) bool { return fixed[i] && res.Images[i].classified(1) }))
	if a.Classify.Outputs > 5 && c.Target == Truth {
		r.Metrics = append(r.Metrics, res.share("top5_loc", note, func(i int) bool { return fixed[i] && res.Images[i].classified(5) }))
	}
	known := res.known()
	r.Metrics = append(r.Metrics, res.share(known, note, func(i int) bool { return fixed[i] }))
	swept, err := res.sweptMetrics(ctx, ofModel, a.Classify.Seed)
	if err != nil {
		return err
	}
	r.Metrics = append(r.Metrics, swept...)
	_, best := res.numbers[ofModel].largest.Best(1, nil)
	cut := func(threshold float64) func(i int) bool {
		return func(i int) bool { return res.Images[i].largest[metrics.Level(threshold)] >= 0.5 }
	}
	r.Metrics = append(r.Metrics, res.share("top1_loc_at_max_box_acc", "as max_box_acc, and the class right", func(i int) bool { return cut(best)(i) && res.Images[i].classified(1) }))
	if c.At != nil {
		r.Metrics = append(r.Metrics, res.share("box_acc", fmt.Sprintf("IoU 0.5, largest contour, at the given threshold %.3g", *c.At), cut(*c.At)))
	}
	for _, name := range floors {
		swept, err := res.sweptMetrics(ctx, name, a.Classify.Seed)
		if err != nil {
			return err
		}
		fixed := res.numbers[name].fixed
		g := report.Group{Kind: "floor", Name: name, Metrics: append([]report.Metric{res.share(known, "", func(i int) bool { return fixed[i] })}, swept[:2]...)}
		r.Groups = append(r.Groups, g)
	}
	for _, kind := range c.By {
		r.Groups = append(r.Groups, res.groups(kind)...)
	}
	r.Tables = append(r.Tables, res.errors())
	if c.Worst > 0 {
		r.Tables = append(r.Tables, res.worst(c.Worst))
	}
	return nil
}

// fillPixels writes what is measured with masks.
func (res *Result) fillPixels(ctx context.Context, r *report.Report) error {
	at := res.pxap(nil)
	if math.IsNaN(at) {
		r.Warnings = append(r.Warnings, "no px_ap: the masks mark no pixel of an object")
		return nil
	}
	m := report.Metric{Name: "px_ap", Value: at, Unit: report.Fraction, N: len(res.Images), HigherIsBetter: true}
	if n := res.About.Config.Replicates; n > 0 {
		boot, err := metrics.Bootstrap(ctx, len(res.Images), n, res.About.Classify.Seed, func(count []uint16) []float64 { return []float64{res.pxap(count)} })
		if err != nil {
			return err
		}
		if len(boot[0]) > 0 {
			iv := metrics.Percentile(boot[0])
			m.Interval = &iv
		}
	}
	r.Metrics = append(r.Metrics, m)
	return nil
}

// pxap is PxAP over the images, image i counting count[i] times; nil is once each.
func (res *Result) pxap(count []uint16) float64 {
	bins := metrics.PixelBins(res.About.Config.Interval)
	in, outside := make([]float64, bins), make([]float64, bins)
	for i := range res.Images {
		m := 1.0
		if count != nil {
			if m = float64(count[i]); m == 0 {
				continue
			}
		}
		for k, p := range res.Images[i].in {
			in[k] += m * float64(p)
			outside[k] += m * float64(res.Images[i].out[k])
		}
	}
	return metrics.PxAP(in, outside)
}

// known is the name of the share of boxes that are right whatever the scores.
func (res *Result) known() string {
	if res.About.Config.Target == Prediction {
		return "pred_loc" // the box of whatever class was predicted
	}
	return "gt_known_loc"
}

func portion(k, n int) string {
	return fmt.Sprintf("%.2f %%", 100*float64(k)/float64(max(n, 1)))
}

// errors tells why boxes at the fixed threshold are wrong, as TS-CAM does (Gao et al.,
// ICCV 2021): the first reason that holds counts.
func (res *Result) errors() report.Table {
	kinds := []string{"right", "class wrong", "several instances", "part of the object", "more than the object", "elsewhere"}
	count := make([]int, len(kinds))
	for i := range res.Images {
		count[res.reason(i)]++
	}
	t := report.Table{Name: "errors", Title: "boxes at the fixed threshold", Columns: []string{"", "images", "share"}}
	for k, name := range kinds {
		t.Rows = append(t.Rows, []string{name, strconv.Itoa(count[k]), portion(count[k], len(res.Images))})
	}
	return t
}

// reason is the row of errors that image i belongs to: several instances where the box
// covers more than 0.3 of two true boxes or more, part where more than half of the box
// lies in a true box, more where it covers more than 0.7 of a true box.
func (res *Result) reason(i int) int {
	im := &res.Images[i]
	switch {
	case !im.classified(1):
		return 1
	case im.IoU > 0.5:
		return 0
	case len(im.Box) != 4:
		return 5
	}
	ofTruth, ofBox, many := boxes.Covered(unflat(im.Box)[0], im.truth, 0.3)
	switch {
	case many > 1:
		return 2
	case ofBox > 0.5:
		return 3
	case ofTruth > 0.7:
		return 4
	}
	return 5
}

// Report computes the report of a run from its records alone. edit, if not nil, may
// change what does not determine records.
func Report(ctx context.Context, run *results.Run, edit func(*About)) (*report.Report, *Result, error) {
	a, err := Read(run)
	if err != nil {
		return nil, nil, err
	}
	if edit != nil {
		edit(&a)
	}
	res, err := Evaluate(ctx, a, run)
	if err != nil {
		return nil, nil, err
	}
	r := a.Classify.Report
	r.Config = evaluation.Told{Limit: run.Manifest.Limit, Seed: a.Classify.Seed, Split: a.Classify.Split, Task: a.Config}
	r.Runtime = evaluation.RanBy(run.Manifest)
	return &r, res, res.Fill(ctx, &r)
}

// BestThreshold is the threshold with the largest max_box_acc on a run, to be applied
// to another that makes its maps as c says.
func BestThreshold(ctx context.Context, run *results.Run, c Config) (float64, error) {
	a, err := Read(run)
	if err != nil {
		return 0, err
	}
	if o := a.Config; o.Method != c.Method || o.Post != c.Post || o.Target != c.Target || o.Enlarge != c.Enlarge {
		return 0, fmt.Errorf("its maps are made otherwise (%s of %s, %s, enlarged %d times), so its threshold says nothing here", o.Method, o.Target, o.Post, o.Enlarge)
	}
	res, err := Evaluate(ctx, a, run)
	if err != nil {
		return 0, err
	}
	_, t := res.numbers[ofModel].largest.Best(1, nil)
	return t, nil
}
