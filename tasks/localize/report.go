package localize

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"cutmix-eval/boxes"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"
)

// Task is localization.
type Task struct{}

// Name is the task's name.
func (Task) Name() string { return Name }

// Load reads a run. It knows the options by, worst, bootstrap and seed.
func (Task) Load(_ context.Context, s *results.Study, o tasks.Options) (tasks.Result, error) {
	if err := o.Only(Name, "by", "worst", "bootstrap", "seed"); err != nil {
		return nil, err
	}
	a, err := readAbout(s.Run())
	if err != nil {
		return nil, err
	}
	tasks.Set(&a.Config.By, o.By)
	tasks.Set(&a.Config.Worst, o.Worst)
	tasks.Set(&a.Config.Replicates, o.Bootstrap)
	tasks.Set(&a.Classify.Seed, o.Seed)
	if err := a.Config.Validate(); err != nil {
		return nil, &tasks.ValueError{Err: err}
	}
	return &loaded{a, s.Run()}, nil
}

// loaded is a run whose numbers can be computed.
type loaded struct {
	about About
	run   *results.Run
}

// Report computes the numbers from the records alone.
func (l *loaded) Report(ctx context.Context) (*report.Report, error) {
	res, err := evaluate(ctx, l.about, l.run)
	if err != nil {
		return nil, err
	}
	r := l.about.Classify.Begin(l.run, l.about.Config)
	return r, res.fill(ctx, r)
}

// Source is the run's results.
func (l *loaded) Source(ctx context.Context) (compare.Source, error) { return newSource(ctx, l) }

// Export writes the records.
func (l *loaded) Export(ctx context.Context, w io.Writer, format string) error {
	return results.Export[Record](ctx, l.run, w, format)
}

// share is the share of the images that are right.
func (res *result) share(name, note string, right func(i int) bool, at ...report.Key) report.Number {
	hits := 0
	for i := range res.images {
		if right(i) {
			hits++
		}
	}
	return report.Share(name, hits, len(res.images), report.Higher, at...).Noted(note)
}

// fill writes the task's part of a report.
func (res *result) fill(ctx context.Context, r *report.Report) error {
	a := res.about
	r.AddMain(res.share("top1", "", func(i int) bool { return res.images[i].classified(1) }))
	var sections []report.Section
	if a.Boxes {
		s, err := res.fillBoxes(ctx, r)
		if err != nil {
			return err
		}
		sections = s
	}
	if a.Masks {
		if err := res.fillPixels(ctx, r); err != nil {
			return err
		}
	}
	lists := slices.IndexFunc(sections, func(s report.Section) bool { _, ok := s.(report.Table); return ok })
	if lists < 0 {
		lists = len(sections)
	}
	r.Show(sections[:lists]...)
	r.ShowPublished()
	r.Show(sections[lists:]...)
	if a.Enlarged != nil {
		r.Show(a.Enlarged.table())
	}
	if res.hidden > 0 {
		r.Warn("%d images show nothing of their true boxes after the crop; they count as wrong (a squashing --fit keeps them in view)", res.hidden)
	}
	r.BadImages = append(r.BadImages, res.bad...)
	r.Dataset.N, r.Dataset.Bad = len(res.images), len(res.bad)
	return nil
}

// table says what the larger map changed.
func (e *Enlarged) table() report.Table {
	portion := func(k int) report.Cell {
		return report.Plain(float64(k)/float64(max(e.N, 1)), report.Fraction).Full()
	}
	return report.Table{
		Name: "enlarged", Title: fmt.Sprintf("what the larger feature map (%s) changes in the scores of %d images", e.Map, e.N),
		Columns: []report.Column{
			{Name: "top1_before", Head: "top1 before"}, {Name: "top1_after", Head: "top1 after"},
			{Name: "same_prediction", Head: "same prediction"}, {Name: "mean_absolute_logit_difference", Head: "mean absolute difference of logits"},
		},
		Rows: [][]report.Cell{report.Row(portion(e.Top1Before), portion(e.Top1After), portion(e.Same), report.Plain(e.Difference, report.None).General())},
	}
}

// sweptNames are the metrics of the sweep: the CutMix paper's protocol's best threshold, and
// those of Choe et al. (CVPR 2020).
var sweptNames = []string{"max_box_acc", "max_box_acc_v2", "max_box_acc_v2_iou30", "max_box_acc_v2_iou50", "max_box_acc_v2_iou70"}

// swept computes the metrics of the sweep, in the order of sweptNames.
func (res *result) swept(v *numbers, count []uint16) []float64 {
	one, _ := v.largest.Best(1, count)
	out := []float64{one, 0}
	for d := range metrics.Overlaps {
		a, _ := v.all.Best(d, count)
		out = append(out, a)
		out[1] += a / float64(len(metrics.Overlaps))
	}
	return out
}

// sweptNumbers are the metrics of the sweep with their intervals.
func (res *result) sweptNumbers(ctx context.Context, name string, at ...report.Key) ([]report.Number, error) {
	v := res.numbers[name]
	values := res.swept(v, nil)
	intervals, err := res.bootstrap(ctx, func(count []uint16) []float64 { return res.swept(v, count) })
	if err != nil {
		return nil, err
	}
	_, threshold := v.largest.Best(1, nil)
	notes := []string{fmt.Sprintf("IoU 0.5, largest contour, at its best threshold %.3g", threshold), "mean over IoU 0.3, 0.5, 0.7, each at its best threshold"}
	var out []report.Number
	for k, value := range values {
		n := report.Number{Name: sweptNames[k], At: at, Value: value, Unit: report.Fraction, N: len(res.images), Better: report.Higher}
		if k < len(notes) {
			n.Note = notes[k]
		}
		if intervals != nil {
			n.Interval = intervals[k]
		}
		out = append(out, n)
	}
	return out, nil
}

// bootstrap gives the intervals of numbers over the images; nil where none are wanted.
func (res *result) bootstrap(ctx context.Context, f metrics.Statistic) ([]*metrics.Interval, error) {
	c := res.about.Config
	if c.Replicates == 0 {
		return nil, nil
	}
	boot, err := metrics.Bootstrap(ctx, len(res.images), c.Replicates, res.about.Classify.Seed, f)
	if err != nil {
		return nil, err
	}
	out := make([]*metrics.Interval, len(boot))
	for k := range boot {
		if len(boot[k]) > 0 { // not where every replicate lacked what the number is of
			iv := metrics.Percentile(boot[k])
			out[k] = &iv
		}
	}
	return out, nil
}

// fillBoxes adds what is measured with boxes, and returns the sections that show it.
func (res *result) fillBoxes(ctx context.Context, r *report.Report) ([]report.Section, error) {
	c := res.about.Config
	note := fmt.Sprintf("largest region above %.3g of the maximum, IoU > 0.5", c.Threshold)
	fixed := res.numbers[ofModel].fixed
	r.AddMain(res.share("top1_loc", note, func(i int) bool { return fixed[i] && res.images[i].classified(1) }))
	if res.about.Classify.Outputs > 5 && c.Target == Truth {
		r.AddMain(res.share("top5_loc", note, func(i int) bool { return fixed[i] && res.images[i].classified(5) }))
	}
	r.AddMain(res.share(res.known(), note, func(i int) bool { return fixed[i] }))
	swept, err := res.sweptNumbers(ctx, ofModel)
	if err != nil {
		return nil, err
	}
	for _, n := range swept {
		r.AddMain(n)
	}
	_, best := res.numbers[ofModel].largest.Best(1, nil)
	cut := func(threshold float64) func(i int) bool {
		return func(i int) bool { return res.images[i].largest[metrics.Level(threshold)] >= 0.5 }
	}
	r.AddMain(res.share("top1_loc_at_max_box_acc", "as max_box_acc, and the class right",
		func(i int) bool { return cut(best)(i) && res.images[i].classified(1) }))
	if c.At != nil {
		r.AddMain(res.share("box_acc", fmt.Sprintf("IoU 0.5, largest contour, at the given threshold %.3g", *c.At), cut(*c.At)))
	}
	blind := report.List{By: report.KeyFloor}
	for _, name := range floors {
		key := report.KeyFloor.Is(name)
		swept, err := res.sweptNumbers(ctx, name, key)
		if err != nil {
			return nil, err
		}
		fixed := res.numbers[name].fixed
		blind.Numbers = append(blind.Numbers, r.Add(res.share(res.known(), "", func(i int) bool { return fixed[i] }, key)))
		for _, n := range swept[:2] {
			blind.Numbers = append(blind.Numbers, r.Add(n))
		}
	}
	sections := []report.Section{blind}
	for _, kind := range c.By {
		sections = append(sections, res.groups(kind, r))
	}
	sections = append(sections, res.errors())
	if c.Worst > 0 {
		sections = append(sections, res.worst(c.Worst))
	}
	return sections, nil
}

// fillPixels adds what is measured with masks.
func (res *result) fillPixels(ctx context.Context, r *report.Report) error {
	at := res.pxap(nil)
	if math.IsNaN(at) {
		r.Warn("no px_ap: the masks mark no pixel of an object")
		return nil
	}
	intervals, err := res.bootstrap(ctx, func(count []uint16) []float64 { return []float64{res.pxap(count)} })
	if err != nil {
		return err
	}
	n := report.Number{Name: "px_ap", Value: at, Unit: report.Fraction, N: len(res.images), Better: report.Higher}
	if intervals != nil {
		n.Interval = intervals[0]
	}
	r.AddMain(n)
	return nil
}

// pxap is PxAP over the images, image i counting count[i] times; nil is once each.
func (res *result) pxap(count []uint16) float64 {
	bins := metrics.PixelBins(res.about.Config.Interval)
	in, outside := make([]float64, bins), make([]float64, bins)
	for i := range res.images {
		m := 1.0
		if count != nil {
			if m = float64(count[i]); m == 0 {
				continue
			}
		}
		for k, p := range res.images[i].in {
			in[k] += m * float64(p)
			outside[k] += m * float64(res.images[i].out[k])
		}
	}
	return metrics.PxAP(in, outside)
}

// known is the name of the share of boxes that are right whatever the scores.
func (res *result) known() string {
	if res.about.Config.Target == Prediction {
		return "pred_loc" // the box of whatever class was predicted
	}
	return "gt_known_loc"
}

// errors says why boxes at the fixed threshold are wrong, as TS-CAM does (Gao et al., ICCV
// 2021): the first reason that holds counts.
func (res *result) errors() report.Table {
	kinds := []string{"right", "class wrong", "several instances", "part of the object", "more than the object", "elsewhere"}
	count := make([]int, len(kinds))
	for i := range res.images {
		count[res.reason(i)]++
	}
	t := report.Table{Name: "errors", Title: "boxes at the fixed threshold", Columns: []report.Column{{Name: "reason"}, {Name: "images", Head: "images"}, {Name: "share", Head: "share"}}}
	for k, name := range kinds {
		share := report.Plain(float64(count[k])/float64(max(len(res.images), 1)), report.Fraction)
		t.Rows = append(t.Rows, report.Row(report.Word(name), report.Int(count[k]), share.Full()))
	}
	return t
}

// reason is the row of errors that image i belongs to: several instances where the box
// covers more than 0.3 of two true boxes or more, part where more than half of the box lies
// in a true box, more where it covers more than 0.7 of a true box.
func (res *result) reason(i int) int {
	im := &res.images[i]
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

// worst tables the images whose boxes overlap the true ones least, the classes that were
// right first.
func (res *result) worst(n int) report.Table {
	t := report.Table{Name: "worst", Title: "least overlap", Columns: []report.Column{
		{Name: "image", Head: "image"}, {Name: "class", Head: "class"}, {Name: "overlap", Head: "overlap"},
		{Name: "class_right", Head: "class right"}, {Name: "box", Head: "box"}, {Name: "true_boxes", Head: "true boxes"},
	}}
	var all []*located
	for i := range res.images {
		all = append(all, &res.images[i])
	}
	slices.SortStableFunc(all, func(a, b *located) int {
		return cmp.Or(cmp.Compare(a.IoU, b.IoU), cmp.Compare(a.Rank, b.Rank))
	})
	for _, im := range all[:min(n, len(all))] {
		t.Rows = append(t.Rows, report.Row(report.Word(im.ID), report.Word(im.Class), report.Plain(im.IoU, report.None).Bare().To(3),
			report.Word(fmt.Sprint(im.classified(1))), report.Word(fmt.Sprint(im.Box)), report.Word(fmt.Sprint(im.Truth))))
	}
	return t
}

// BestThreshold is the threshold with the largest max_box_acc on a run, to be applied to
// another that makes its maps as c says.
func BestThreshold(ctx context.Context, s *results.Study, c Config) (float64, error) {
	if s.Task != Name {
		return 0, fmt.Errorf("it is a run of %s, not of %s", s.Task, Name)
	}
	a, err := readAbout(s.Run())
	if err != nil {
		return 0, err
	}
	if o := a.Config; o.Method != c.Method || o.Post != c.Post || o.Target != c.Target || o.Enlarge != c.Enlarge {
		return 0, fmt.Errorf("its maps are made otherwise (%s of %s, %s, enlarged %d times), so its threshold says nothing here", o.Method, o.Target, o.Post, o.Enlarge)
	}
	res, err := evaluate(ctx, a, s.Run())
	if err != nil {
		return 0, err
	}
	_, t := res.numbers[ofModel].largest.Best(1, nil)
	return t, nil
}
