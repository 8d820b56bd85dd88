package multilabel

import (
	"fmt"
	"math"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
)

// fill writes the task's part of a report: numbers, label sets, classes, bad images and warnings.
func (res *result) fill(r *report.Report, a About) {
	n := len(res.At)
	if res.byValue && res.a.Scale == evaluation.Logit {
		r.Option("the scores are taken for logits, as they are not always within 0 to 1")
	}
	sets := map[string]*report.Number{}
	for _, v := range res.whole {
		if math.IsNaN(v.value) {
			continue // there is no positive image, or none is taken for a class
		}
		out := report.Number{Name: v.name, Value: v.value, Unit: v.unit, N: n, Better: v.better, Note: v.note}
		if iv, ok := res.intervals[v.name]; ok && iv.High > iv.Low { // equal resamples tell nothing of the spread
			out.Interval = &iv
		}
		if v.name == "subset_accuracy" {
			iv := metrics.Wilson(int(math.Round(v.value*float64(n))), n)
			out.Interval = &iv
		}
		if strings.Contains(v.name, "3") {
			sets[v.name] = r.Add(out)
		} else {
			sets[v.name] = r.AddMain(out)
		}
	}
	r.Show(res.labelSets(sets), res.byClass(r))
	r.ShowPublished()
	r.BadImages = append(r.BadImages, res.Bad...)
	r.Dataset.N, r.Dataset.Bad = n, len(res.Bad)
	r.Warnings = append(r.Warnings, res.warnings...)
}

// labelSets shows the numbers of what images are taken for.
func (res *result) labelSets(numbers map[string]*report.Number) report.View {
	v := report.View{
		Title:   "precision, recall and F1 of the classes that images are taken for, percent",
		Columns: []string{"classes", "cp", "cr", "cf1", "op", "or", "of1"},
	}
	at := res.a.Config.Threshold
	titles := []string{fmt.Sprintf("above %v", at), fmt.Sprintf("top 3, and above %v", at), "top 3"}
	for k, end := range res.setNames() {
		row := report.Row(report.Word(titles[k]))
		for _, name := range v.Columns[1:] {
			row = append(row, numbers[name+end].Bare())
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

// byClass reports the numbers of every class that has an image.
func (res *result) byClass(r *report.Report) report.View {
	v := report.View{
		Title:   "by class, percent; precision and recall are of what is above the threshold",
		Columns: []string{"class", "images", "average precision", "", "precision", "", "recall", "", "f1"},
	}
	for k, name := range res.a.Classes {
		c, at := res.counts[k], report.KeyClass.Is(name)
		if c.Of == 0 {
			continue
		}
		ap := report.Number{Name: "average_precision", At: report.Keys{at}, Value: res.average.Classes[k], Unit: report.Fraction, N: res.known[k], Better: report.Higher}
		f1 := ap
		f1.Name, f1.Value = "f1", f1Of(c)
		if res.of.f1 != nil {
			ap.Interval, f1.Interval = &res.of.precision[k], &res.of.f1[k]
			if iv := ap.Interval; iv.High == iv.Low {
				own := metrics.Logit95(ap.Value, c.Of)
				ap.Interval = &own
			}
			if iv := f1.Interval; iv.High == iv.Low {
				f1.Interval = nil
			}
		}
		average := r.Add(ap)
		var precision *report.Number
		if c.Taken > 0 {
			precision = r.Add(report.Share("precision", c.Right, c.Taken, report.Higher, at).Noted("n images are taken for the class"))
		}
		recall := r.Add(report.Share("recall", c.Right, c.Of, report.Higher, at).Noted("n images are of the class"))
		v.Rows = append(v.Rows, report.Row(report.Word(name), report.Int(c.Of), average.Bare(), average.Range(),
			precision.Bare(), precision.Range(), recall.Bare(), recall.Range(), r.Add(f1).Bare()))
	}
	return v
}
