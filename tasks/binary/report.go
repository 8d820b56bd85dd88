package binary

import (
	"fmt"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
)

// fill writes the task's part of a report: numbers, operating points, groups, tables, bad images
// and warnings.
func (res *result) fill(r *report.Report, a About) {
	n, iv, all := res.numbers, res.intervals, len(res.records)
	positive, negative := a.class(true), a.class(false)
	add := func(name string, value float64, unit report.Unit, i *metrics.Interval, better report.Better, note string) {
		if i != nil && i.High == i.Low {
			i = nil // all resamples give the same, which tells nothing of the spread
		}
		r.AddMain(report.Number{Name: name, Value: value, Unit: unit, N: all, Interval: i, Better: better, Note: note})
	}
	share := func(name string, hits, of int, note string) {
		if of > 0 {
			r.AddMain(report.Share(name, hits, of, report.Higher).Noted(note))
		}
	}
	both := n.Positives() > 0 && n.Negatives() > 0
	if a.Scale == evaluation.Automatic && res.scale == evaluation.Logit {
		r.Option("the output is taken for a logit, as it is not always within 0 to 1")
	}
	share("accuracy", n.TruePositive+n.TrueNegative, all, fmt.Sprintf("%s where the probability is above %v", positive, a.Config.Threshold))
	if both {
		add("auroc", n.AUROC, report.Fraction, &iv.AUROC, report.Higher, "")
		add("average_precision", n.AveragePrecision, report.Fraction, iv.AveragePrecision, report.Higher, "")
	}
	add("nll", n.NLL, report.Nats, iv.NLL, report.Lower, "nats")
	add("brier", n.Brier, report.None, iv.Brier, report.Lower, "0 to 1")
	add("ece", n.ECE, report.Fraction, iv.ECE, report.Lower, "of the probability of "+positive+", equal-width bins")
	add("mean_probability", n.MeanProbability, report.Fraction, iv.MeanProbability, report.Neither, "equals prevalence where calibrated")
	prevalence := report.Share("prevalence", n.Positives(), all, report.Neither)
	r.AddMain(prevalence.Noted("share of images that are " + positive))
	if both {
		_, balanced := metrics.MeanOfShares([]metrics.Share{
			metrics.WilsonShare(n.TruePositive, n.Positives()), metrics.WilsonShare(n.TrueNegative, n.Negatives()),
		})
		add("balanced_accuracy", n.Balanced, report.Fraction, &balanced, report.Higher, "mean of recall and specificity")
	}
	share("precision", n.TruePositive, n.TruePositive+n.FalsePositive, fmt.Sprintf("of %d taken for %s", n.TruePositive+n.FalsePositive, positive))
	share("recall", n.TruePositive, n.Positives(), fmt.Sprintf("of %d that are %s", n.Positives(), positive))
	share("specificity", n.TrueNegative, n.Negatives(), fmt.Sprintf("of %d that are %s", n.Negatives(), negative))
	if both {
		add("f1", n.F1, report.Fraction, iv.F1, report.Higher, "of "+positive)
		add("mcc", n.MCC, report.None, iv.MCC, report.Higher, "Matthews' correlation, -1 to 1")
		r.Show(res.points(r, a))
	}
	r.Show(res.confusion(a))
	for _, by := range a.Config.By {
		l := report.List{By: report.KeyName(by)}
		for _, g := range res.groups(l.By, a) {
			l.Numbers = append(l.Numbers, r.Add(g))
		}
		r.Show(l)
	}
	r.ShowPublished()
	if a.Config.Worst > 0 {
		r.Show(res.worst(a.Config.Worst, a))
	}
	r.BadImages = append(r.BadImages, res.bad...)
	r.Dataset.N, r.Dataset.Bad = all, len(res.bad)
	r.Warnings = append(r.Warnings, res.warnings...)
}

// points reports the operating points.
func (res *result) points(r *report.Report, a About) report.View {
	v := report.View{
		Title:   "operating points; " + a.class(true) + " where the probability is above the threshold, which was chosen on these images",
		Columns: []string{"point", "threshold", "", "tpr %", "", "fpr %", ""},
	}
	n := res.numbers
	for k, name := range metrics.PointNames() {
		p, at := n.Points[k], report.KeyPoint.Is(name)
		threshold := report.Number{Name: "threshold", At: report.Keys{at}, Value: p.Threshold, N: len(res.records), Better: report.Neither}
		tpr := report.Share("tpr", p.Found, n.Positives(), report.Higher, at)
		fpr := report.Share("fpr", p.Passed, n.Negatives(), report.Lower, at)
		tpr.Interval.Method, fpr.Interval.Method = "Wilson, the threshold as found", "Wilson, the threshold as found"
		if res.intervals.Points != nil {
			iv := res.intervals.Points[k]
			threshold.Interval = &iv.Threshold
			wide(&tpr, iv.TPR)
			wide(&fpr, iv.FPR)
		}
		t, f, s := r.Add(tpr), r.Add(fpr), r.Add(threshold)
		v.Rows = append(v.Rows, report.Row(report.Word(name), s.General(), s.Range(), t.Bare(), t.Range(), f.Bare(), f.Range()))
	}
	return v
}

// wide gives a number the interval, unless that has no width.
func wide(n *report.Number, iv metrics.Interval) {
	if iv.High > iv.Low {
		n.Interval = &iv
	}
}

// confusion tables what images are by what they are taken for.
func (res *result) confusion(a About) report.Table {
	t := report.Table{
		Name: "confusion", Title: fmt.Sprintf("confusion at the threshold %v", a.Config.Threshold),
		Columns: report.Columns("class", "taken_for_"+a.Names[0], "taken_for_"+a.Names[1], "images"),
	}
	t.Columns[1].Head, t.Columns[2].Head = "taken for "+a.Names[0], "taken for "+a.Names[1]
	n := res.numbers
	for i, name := range a.Names {
		counts := [2]int{n.TrueNegative, n.FalsePositive} // taken for negative, positive
		if i == a.Positive {
			counts = [2]int{n.FalseNegative, n.TruePositive}
		}
		if a.Positive == 0 {
			counts[0], counts[1] = counts[1], counts[0]
		}
		t.Rows = append(t.Rows, report.Row(report.Word(name), report.Int(counts[0]), report.Int(counts[1]), report.Int(counts[0]+counts[1])))
	}
	return t
}
