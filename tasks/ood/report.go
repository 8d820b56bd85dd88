package ood

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
)

// fill writes the numbers: accuracy, every metric by set and score, means over near and
// far sets, and what is suspicious.
func (j *Job) fill(r *report.Report, used []Score, found []Found, id *scored) {
	n := len(id.ids)
	r.Dataset.N = n
	if j.Passes[0].label != nil {
		iv := metrics.Wilson(id.hits, n)
		r.Metrics = append(r.Metrics, report.Metric{Name: "top1", Value: float64(id.hits) / float64(n), Unit: report.Fraction, N: n, Interval: &iv, HigherIsBetter: true, Note: "of the ID images"})
	}
	var sets []string
	for _, f := range found {
		if !slices.Contains(sets, f.Set) {
			sets = append(sets, f.Set)
		}
	}
	groups := map[string][]string{}
	for _, set := range sets {
		t := report.Table{Name: "set", Columns: []string{"score", "AUROC", "", "AUPR in", "AUPR out", "FPR95, ID pos.", "FPR95, OOD pos.", "TNR@TPR95", "det. acc."}}
		for _, f := range found {
			if f.Set != set {
				continue
			}
			if t.Title == "" {
				t.Title = fmt.Sprintf("%s: %d images against %d ID ones, percent", set, f.OOD, f.ID)
				if f.Group != "" {
					t.Title = f.Group + " " + t.Title
					groups[f.Group] = append(groups[f.Group], set)
				}
			}
			t.Rows = append(t.Rows, []string{f.Score, pct(f.AUROC), pct(f.AUROCInterval.Low) + " to " + pct(f.AUROCInterval.High), pct(f.AUPRIn), pct(f.AUPROut),
				pct(f.FPRIDPositive.FPR), pct(f.FPROODPositive.FPR), pct(f.TNRAtTPR95), pct(f.Accuracy)})
			r.Groups = append(r.Groups, report.Group{Kind: "ood " + set, Name: f.Score, Metrics: f.metrics()})
		}
		r.Tables = append(r.Tables, t)
	}
	for _, g := range []string{"near", "far"} {
		if len(groups[g]) < 2 {
			continue // there is no mean to tell
		}
		t := report.Table{Name: g, Title: fmt.Sprintf("%s: means over %s, percent", g, strings.Join(groups[g], ", ")), Columns: []string{"score", "AUROC", "FPR95, ID pos.", "FPR95, OOD pos."}}
		for _, s := range used {
			var auroc, fprID, fprOOD float64
			k := 0.0
			for _, f := range found {
				if f.Score == s.Name && f.Group == g {
					auroc, fprID, fprOOD, k = auroc+f.AUROC, fprID+f.FPRIDPositive.FPR, fprOOD+f.FPROODPositive.FPR, k+1
				}
			}
			if int(k) != len(groups[g]) {
				continue // a mean over fewer sets is another number
			}
			t.Rows = append(t.Rows, []string{s.Name, pct(auroc / k), pct(fprID / k), pct(fprOOD / k)})
			r.Groups = append(r.Groups, report.Group{Kind: g + " mean", Name: s.Name, Metrics: []report.Metric{
				{Name: "auroc", Value: auroc / k, Unit: report.Fraction, N: int(k), HigherIsBetter: true, Note: "mean over sets"},
				{Name: "fpr95_id_positive", Value: fprID / k, Unit: report.Fraction, N: int(k), Note: "mean over sets"},
				{Name: "fpr95_ood_positive", Value: fprOOD / k, Unit: report.Fraction, N: int(k), Note: "mean over sets"},
			}})
		}
		r.Tables = append(r.Tables, t)
	}
	var below, tied []string
	for _, f := range found {
		if f.AUROCInterval.High < 0.5 {
			below = append(below, fmt.Sprintf("%s on %s (%s)", f.Score, f.Set, pct(f.AUROC)))
		}
		if share := float64(f.Ties) / float64(f.ID) / float64(f.OOD); share > 0.05 {
			tied = append(tied, fmt.Sprintf("%s on %s (%s of pairs)", f.Score, f.Set, pct(share)))
		}
	}
	if len(below) > 0 {
		r.Warnings = append(r.Warnings, "below 50 %, so these scores take OOD images for ID ones: "+strings.Join(below, ", "))
	}
	if len(tied) > 0 {
		r.Warnings = append(r.Warnings, "many equal scores, so thresholds jump: "+strings.Join(tied, ", "))
	}
	r.HideGroups = true
}

func pct(v float64) string { return strconv.FormatFloat(100*v, 'f', 2, 64) }

// metrics are the detection's numbers for a report.
func (f Found) metrics() []report.Metric {
	n := f.ID + f.OOD
	auroc := f.AUROCInterval
	share := func(o metrics.Operating, of int) *metrics.Interval {
		iv := metrics.Wilson(int(o.FPR*float64(of)+0.5), of)
		iv.Method = "Wilson, the threshold as found"
		return &iv
	}
	return []report.Metric{
		{Name: "auroc", Value: f.AUROC, Unit: report.Fraction, N: n, Interval: &auroc, HigherIsBetter: true},
		{Name: "aupr_in", Value: f.AUPRIn, Unit: report.Fraction, N: n, HigherIsBetter: true, Note: "trapezoid, ID positive"},
		{Name: "aupr_out", Value: f.AUPROut, Unit: report.Fraction, N: n, HigherIsBetter: true, Note: "trapezoid, OOD positive"},
		{Name: "ap_in", Value: f.APIn, Unit: report.Fraction, N: n, HigherIsBetter: true, Note: "average precision, ID positive"},
		{Name: "ap_out", Value: f.APOut, Unit: report.Fraction, N: n, HigherIsBetter: true, Note: "average precision, OOD positive"},
		{Name: "fpr95_id_positive", Value: f.FPRIDPositive.FPR, Unit: report.Fraction, N: f.OOD, Interval: share(f.FPRIDPositive, f.OOD),
			Note: fmt.Sprintf("OOD images that pass where %.4f of the ID ones do, score >= %v", f.FPRIDPositive.TPR, f.FPRIDPositive.Threshold)},
		{Name: "fpr95_ood_positive", Value: f.FPROODPositive.FPR, Unit: report.Fraction, N: f.ID, Interval: share(f.FPROODPositive, f.ID),
			Note: fmt.Sprintf("ID images flagged where %.4f of the OOD ones are, score <= %v", f.FPROODPositive.TPR, f.FPROODPositive.Threshold)},
		{Name: "tnr_at_tpr95", Value: f.TNRAtTPR95, Unit: report.Fraction, N: n, HigherIsBetter: true, Note: "as in the CutMix paper's table"},
		{Name: "detection_accuracy", Value: f.Accuracy, Unit: report.Fraction, N: n, HigherIsBetter: true, Note: "as in the CutMix paper's table"},
	}
}
