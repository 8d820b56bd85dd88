package classify

import (
	"fmt"
	"strconv"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// Fill writes the task's part of a report: metrics, groups, tables, bad images
// and warnings.
func (res *Result) Fill(r *report.Report, a About) {
	r.Task = Name
	n := res.Whole.N
	iv := func(pick func(*metrics.Intervals) *metrics.Interval, from *metrics.Intervals) *metrics.Interval {
		if from == nil {
			return nil
		}
		return pick(from)
	}
	add := func(name string, v float64, unit string, interval *metrics.Interval, higher bool, note string) {
		r.Metrics = append(r.Metrics, report.Metric{Name: name, Value: v, Unit: unit, N: n, Interval: interval, HigherIsBetter: higher, Note: note})
	}
	w := res.Whole
	top1 := metrics.Wilson(w.Top1Hits, n)
	add("top1", w.Top1, report.Fraction, &top1, true, "")
	if res.Outputs > 5 {
		top5 := metrics.Wilson(w.Top5Hits, n)
		add("top5", w.Top5, report.Fraction, &top5, true, "")
	}
	if !res.even(a) {
		add("balanced_accuracy", w.BalancedAccuracy, report.Fraction,
			iv(func(i *metrics.Intervals) *metrics.Interval { return &i.Balanced }, res.Intervals), true, "mean over classes")
	}
	type row struct {
		name  string
		value func(metrics.Classification) float64
		pick  func(*metrics.Intervals) *metrics.Interval
		unit  string
		note  string
	}
	rows := []row{
		{"nll", func(c metrics.Classification) float64 { return c.NLL }, func(i *metrics.Intervals) *metrics.Interval { return &i.NLL }, report.Nats, "nats"},
		{"brier", func(c metrics.Classification) float64 { return c.Brier }, func(i *metrics.Intervals) *metrics.Interval { return &i.Brier }, report.None, "0 to 2"},
		{"ece", func(c metrics.Classification) float64 { return c.Width.ECE }, func(i *metrics.Intervals) *metrics.Interval { return &i.ECE }, report.Fraction, "equal-width bins"},
		{"ece_equal_mass", func(c metrics.Classification) float64 { return c.Mass.ECE }, func(i *metrics.Intervals) *metrics.Interval { return &i.ECEMass }, report.Fraction, ""},
		{"mce", func(c metrics.Classification) float64 { return c.Width.MCE }, func(i *metrics.Intervals) *metrics.Interval { return &i.MCE }, report.Fraction, ""},
		{"rmsce", func(c metrics.Classification) float64 { return c.Width.RMSCE }, func(i *metrics.Intervals) *metrics.Interval { return &i.RMSCE }, report.Fraction, ""},
		{"aurc", func(c metrics.Classification) float64 { return c.AURC }, func(i *metrics.Intervals) *metrics.Interval { return &i.AURC }, report.Fraction, ""},
		{"e_aurc", func(c metrics.Classification) float64 { return c.EAURC }, func(i *metrics.Intervals) *metrics.Interval { return &i.EAURC }, report.Fraction, ""},
	}
	add("mean_confidence", w.MeanConfidence, report.Fraction,
		iv(func(i *metrics.Intervals) *metrics.Interval { return &i.Confidence }, res.Intervals), true, "equals top1 where calibrated")
	for _, m := range rows {
		add(m.name, m.value(w), m.unit, iv(m.pick, res.Intervals), false, m.note)
	}
	if t := res.Temperature; t != nil {
		add("temperature", t.Value, report.None, &t.Interval, false, "above 1: overconfident")
	}
	if res.Scaled.N > 0 {
		for _, m := range rows[:4] {
			add(m.name+"_scaled", m.value(res.Scaled), m.unit, iv(m.pick, res.ScaledInterval), false, "with the temperature of the other half")
		}
	}
	for _, kind := range a.Config.By {
		r.Groups = append(r.Groups, res.groups(kind, a)...)
	}
	if len(res.Pairs) > 0 {
		t := report.Table{Name: "confused", Title: "most confused", Columns: []string{"class", "taken for", "images", "of"}}
		for _, p := range res.Pairs {
			t.Rows = append(t.Rows, []string{a.Names[p.Class], a.outputName(p.As), strconv.Itoa(p.N), strconv.Itoa(p.Of)})
		}
		r.Tables = append(r.Tables, t)
	}
	if a.Config.Worst > 0 {
		r.Tables = append(r.Tables, res.worst(a.Config.Worst, a))
	}
	for _, rec := range res.Records {
		if rec.Status != results.OK {
			r.BadImages = append(r.BadImages, report.BadImage{ID: rec.ID, Reason: rec.Error})
		}
	}
	r.Dataset.N, r.Dataset.Bad = n, len(res.Records)-n
	r.Warnings = append(r.Warnings, res.Warnings...)
}

// even says whether all classes have the same number of evaluated images:
// balanced accuracy is top-1 then.
func (res *Result) even(a About) bool {
	count := make([]int, len(a.Names))
	for _, class := range res.class {
		count[class]++
	}
	for _, c := range count {
		if c != count[0] {
			return false
		}
	}
	return true
}

// outputName names an output of the model by the class of the data it is.
func (a About) outputName(o int) string {
	for c, out := range a.Output {
		if out == o {
			return a.Names[c]
		}
	}
	return fmt.Sprintf("output %d", o)
}
