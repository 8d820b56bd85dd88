package classify

import (
	"fmt"

	"cutmix-eval/datasets"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
)

// fill writes the task's part of a report: numbers, groups, tables, bad images and
// warnings.
func (res *result) fill(r *report.Report, a About) {
	n := res.Whole.N
	r.AddMain(report.Share("top1", res.Whole.Top1Hits, n, report.Higher))
	if res.Outputs > 5 && !a.Hard {
		r.AddMain(report.Share("top5", res.Whole.Top5Hits, n, report.Higher))
	}
	all := numbers(res.Whole, res.Intervals)
	if a.Hard {
		all = all[:1]
	}
	if res.even(a) {
		all = all[1:] // balanced accuracy is top-1
	}
	for _, m := range all {
		r.AddMain(m)
	}
	if t := res.Temperature; t != nil && !a.Hard {
		r.AddMain(report.Number{
			Name: "temperature", Value: t.Value, N: n, Interval: &t.Interval, Better: report.Neither, Note: "above 1: overconfident",
		})
	}
	if res.Scaled.N > 0 && !a.Hard {
		for _, m := range numbers(res.Scaled, res.ScaledInterval)[2:6] {
			m.Name += "_scaled"
			r.AddMain(m.Noted("with the temperature of the other half"))
		}
	}
	for _, by := range a.Config.By {
		l := report.List{By: report.KeyName(by)}
		for _, g := range res.groups(l.By, a) {
			l.Numbers = append(l.Numbers, r.Add(g))
		}
		r.Show(l)
	}
	r.ShowPublished()
	if len(res.Pairs) > 0 {
		r.Show(res.mixedUp(a))
	}
	if a.Config.Worst > 0 {
		r.Show(res.worst(a.Config.Worst, a))
	}
	r.BadImages = append(r.BadImages, res.bad()...)
	r.Dataset.N, r.Dataset.Bad = n, len(res.Records)-n
	r.Warnings = append(r.Warnings, res.Warnings...)
}

// numbers are those of the probabilities: balanced accuracy, mean confidence, and scores and
// errors, of which less is better. iv is nil without a bootstrap.
func numbers(c metrics.Classification, iv *metrics.Intervals) []report.Number {
	bootstrapped := iv != nil
	if !bootstrapped {
		iv = &metrics.Intervals{}
	}
	out := []report.Number{
		{
			Name: "balanced_accuracy", Value: c.BalancedAccuracy, Unit: report.Fraction, Interval: &iv.Balanced, Better: report.Higher,
			Note: "mean over classes",
		},
		{
			Name: "mean_confidence", Value: c.MeanConfidence, Unit: report.Fraction, Interval: &iv.Confidence, Better: report.Neither,
			Note: "equals top1 where calibrated",
		},
		{Name: "nll", Value: c.NLL, Unit: report.Nats, Interval: &iv.NLL, Better: report.Lower, Note: "nats"},
		{Name: "brier", Value: c.Brier, Interval: &iv.Brier, Better: report.Lower, Note: "0 to 2"},
		{Name: "ece", Value: c.Width.ECE, Unit: report.Fraction, Interval: &iv.ECE, Better: report.Lower, Note: "equal-width bins"},
		{Name: "ece_equal_mass", Value: c.Mass.ECE, Unit: report.Fraction, Interval: &iv.ECEMass, Better: report.Lower},
		{Name: "max_calibration_error", Value: c.Width.MCE, Unit: report.Fraction, Interval: &iv.MCE, Better: report.Lower},
		{Name: "rmsce", Value: c.Width.RMSCE, Unit: report.Fraction, Interval: &iv.RMSCE, Better: report.Lower},
		{Name: "aurc", Value: c.AURC, Unit: report.Fraction, Interval: &iv.AURC, Better: report.Lower},
		{Name: "e_aurc", Value: c.EAURC, Unit: report.Fraction, Interval: &iv.EAURC, Better: report.Lower},
	}
	for i := range out {
		out[i].N = c.N
		if !bootstrapped {
			out[i].Interval = nil
		}
	}
	return out
}

// even says whether all classes have the same number of evaluated images:
// balanced accuracy is top-1 then.
func (res *result) even(a About) bool {
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

// mixedUp tables the pairs of classes that are mixed up most.
func (res *result) mixedUp(a About) report.Table {
	t := report.Table{Name: "confused", Title: "most confused", Columns: report.Columns("class", "taken for", "images", "of")}
	t.Columns[1].Name = "taken_for"
	for _, p := range res.Pairs {
		t.Rows = append(t.Rows, report.Row(report.Word(a.className(p.Class)), report.Word(a.outputName(p.As)), report.Int(p.N), report.Int(p.Of)))
	}
	return t
}

// className is a class of the data with what people call it, where that is something else.
func (a About) className(class int) string {
	return a.with(a.Names[class], a.Output[class])
}

// outputName names an output of the model by the class of the data it is.
func (a About) outputName(o int) string {
	for c, out := range a.Output {
		if out == o {
			return a.className(c)
		}
	}
	return a.with(fmt.Sprintf("output %d", o), o)
}

// with adds what people call an output to its name.
func (a About) with(name string, output int) string {
	if output >= len(a.Called) || a.Called[output] == "" || datasets.SameName(name, a.Called[output]) {
		return name
	}
	return name + " " + a.Called[output]
}
