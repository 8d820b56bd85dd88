package ood

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/scores"
)

// Report fits the scores, applies them and reports, from the records alone.
func (r *Runs) Report(ctx context.Context) (*report.Report, error) {
	res, err := r.Evaluate(ctx)
	if err != nil {
		return nil, err
	}
	return r.Present(res), nil
}

// kind is the group's kind in a report.
func (f Found) kind() string { return strings.TrimSpace("ood " + f.Set + " " + f.View) }

// Present writes the numbers: accuracy, every metric by set and score, means over near and
// far sets, and what is suspicious.
func (r *Runs) Present(res *Result) *report.Report {
	out := r.About.Report
	out.Task, out.HideGroups = Name, true
	out.Runtime = evaluation.RanBy(r.sets[0].Manifest)
	out.Tables = slices.Clone(out.Tables)
	out.Metrics, out.Groups = nil, nil
	out.BadImages = res.bad
	out.Dataset.N = len(res.id[0].ids)
	out.Dataset.Bad = res.badTest
	for _, s := range r.sets {
		out.Tried += s.Share(results.Shard{})
	}
	out.Metrics = append(out.Metrics, r.accuracy(res)...)
	out.Tables = append(out.Tables, r.described())
	out.Tables = append(out.Tables, res.tables...)
	views := []string{""}
	if len(res.id) > 1 {
		views = append(views, fullSpectrum)
	}
	for _, view := range views {
		for _, s := range res.out {
			if t, ok := r.table(res, view, s, &out); ok {
				out.Tables = append(out.Tables, t)
			}
		}
		for _, group := range []string{"near", "far", allSets} {
			if t, ok := r.mean(res, view, group, &out); ok {
				out.Tables = append(out.Tables, t)
			}
		}
	}
	if res.Detector != nil {
		r.threshold(res, &out)
	}
	out.Warnings = append(slices.Clone(out.Warnings), res.warnings...)
	out.Warnings = append(out.Warnings, suspicious(res.Found)...)
	return &out
}

// described says what every set was recognised as.
func (r *Runs) described() report.Table {
	t := report.Table{Name: "sets", Title: "sets", Columns: []string{"set", "role", "images", "recognised", "fingerprint"}}
	for i, s := range r.sets {
		d := r.About.Report.Dataset
		if i > 0 {
			if a, err := results.About[setAbout](s.Run, Name); err == nil {
				d = a.Dataset
			}
		}
		n := s.Share(results.Shard{})
		t.Rows = append(t.Rows, []string{s.Name, strings.TrimSpace(s.Group + " " + string(s.Role)), strconv.Itoa(n), d.Recognised, s.Manifest.Key.Data.Fingerprint})
	}
	return t
}

func (r *Runs) accuracy(res *Result) []report.Metric {
	var out []report.Metric
	hits, n, all := 0, 0, true
	add := func(name, note string, hits, n int) {
		iv := metrics.Wilson(hits, n)
		out = append(out, report.Metric{Name: name, Value: float64(hits) / float64(n), Unit: report.Fraction, N: n, Interval: &iv, HigherIsBetter: true, Note: note})
	}
	for _, s := range res.id {
		hits, n, all = hits+s.hits(), n+len(s.ids), all && s.labelled
		switch {
		case !s.labelled:
		case s.Role == Test:
			add("top1", "of the ID images", s.hits(), len(s.ids))
		default:
			add("top1 "+s.Name, "under covariate shift", s.hits(), len(s.ids))
		}
	}
	if all && len(res.id) > 1 {
		add("top1 "+fullSpectrum, "of all of them", hits, n)
	}
	return out
}

// reference is what was found by the score that others are compared with.
func (r *Runs) reference(found []Found, of Found) *Found {
	name := r.About.Config.Reference
	if name == "" {
		return nil
	}
	for i, f := range found {
		if f.View == of.View && f.Set == of.Set && scores.Matches(f.Score, name) {
			return &found[i]
		}
	}
	return nil
}

// table is what was found on one set.
func (r *Runs) table(res *Result, view string, s *scored, out *report.Report) (report.Table, bool) {
	t := report.Table{Name: "set", Columns: []string{"score", "AUROC", "", "AUPR in", "AUPR out", "FPR95, ID pos.", "FPR95, OOD pos.", "TNR@TPR95", "det. acc.", "CCR@FPR 1 %"}}
	compared := r.About.Config.Reference != ""
	var found []Found
	for _, f := range res.Found {
		if f.Set == s.Name && f.View == view {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return t, false
	}
	t.Title = strings.TrimSpace(fmt.Sprintf("%s %s: %d images against %d ID ones%s, percent", s.Group, s.Name, found[0].OOD, found[0].ID, map[string]string{fullSpectrum: " with those under covariate shift"}[view]))
	differences := make([]metrics.Difference, len(found))
	adjusted := make([]float64, len(found))
	if compared {
		t.Columns = append(t.Columns, "AUROC - "+r.About.Config.Reference, "")
		var p []float64
		var at []int
		for i, f := range found {
			ref := r.reference(found, f)
			if ref == nil || ref.Score == f.Score {
				continue
			}
			d := &differences[i]
			d.Value, d.Interval, d.P = metrics.Combine([]metrics.Term{{Weight: 1, Placements: f.placements}, {Weight: -1, Placements: ref.placements}})
			d.Test = "DeLong, Holm over the scores of the set"
			p, at = append(p, d.P), append(at, i)
		}
		for k, v := range metrics.Holm(p) {
			adjusted[at[k]] = v
		}
	}
	for i, f := range found {
		ms := append(f.metrics(), f.CCR...)
		ccr := ""
		for _, m := range f.CCR {
			if m.Name == "ccr_at_fpr_0.01" {
				ccr = report.Percent(m.Value)
			}
		}
		row := []string{f.Score, report.Percent(f.AUROC), report.PercentRange(f.AUROCInterval), report.Percent(f.AUPRIn), report.Percent(f.AUPROut),
			report.Percent(f.FPRIDPositive.FPR), report.Percent(f.FPROODPositive.FPR), report.Percent(f.TNRAtTPR95), report.Percent(f.Accuracy), ccr}
		if d := differences[i]; d.Test != "" {
			iv, star := d.Interval, ""
			if adjusted[i] < 0.05 {
				star = " *"
			}
			sign := ""
			if d.Value >= 0 {
				sign = "+"
			}
			row = append(row, sign+report.Percent(d.Value), report.PercentRange(iv)+star)
			ms = append(ms, report.Metric{Name: "auroc_difference", Value: d.Value, Unit: report.Fraction, N: f.ID + f.OOD, Interval: &iv, HigherIsBetter: true,
				P: &differences[i].P, PAdjusted: &adjusted[i], Test: d.Test, Note: "to " + r.About.Config.Reference + ", on the same images"})
		} else if compared {
			row = append(row, "", "")
		}
		t.Rows = append(t.Rows, row)
		out.Groups = append(out.Groups, report.Group{Kind: f.kind(), Name: f.Score, Metrics: ms})
		out.Histograms = append(out.Histograms, f.Histogram)
	}
	return t, true
}

// allSets is the group of all OOD sets, which the CutMix paper's table is a mean over.
const allSets = "all"

// mean is the table of unweighted means over the sets of a group, where there are
// several.
func (r *Runs) mean(res *Result, view, group string, out *report.Report) (report.Table, bool) {
	var sets []string
	for _, s := range res.out {
		if s.Group == group || group == allSets {
			sets = append(sets, s.Name)
		}
	}
	if len(sets) < 2 || group == allSets && res.out[0].Group != "" && !slices.ContainsFunc(res.out, func(s *scored) bool { return s.Group != res.out[0].Group }) {
		return report.Table{}, false // one set, or the same as of its group
	}
	t := report.Table{Name: group, Title: strings.TrimSpace(view+" "+group) + fmt.Sprintf(": means over %s, percent", strings.Join(sets, ", ")),
		Columns: []string{"score", "AUROC", "", "AUPR in", "AUPR out", "FPR95, ID pos.", "", "FPR95, OOD pos.", "", "TNR@TPR95", "", "det. acc."}}
	for _, u := range res.used {
		var of []Found
		for _, f := range res.Found {
			if f.Score == u.Name && f.View == view && slices.Contains(sets, f.Set) {
				of = append(of, f)
			}
		}
		if len(of) != len(sets) {
			continue // a mean over fewer sets is another number
		}
		k := float64(len(of))
		var terms []metrics.Term
		var passed, flagged, rejected []metrics.Share
		accuracy := 0.0
		aupr := map[string]float64{}
		for i, f := range of {
			terms = append(terms, metrics.Term{Weight: 1 / k, Placements: f.placements, Set: i})
			passed = append(passed, metrics.WilsonShare(count(f.FPRIDPositive.FPR, f.OOD), f.OOD))
			flagged = append(flagged, metrics.WilsonShare(count(f.FPROODPositive.FPR, f.ID), f.ID))
			rejected = append(rejected, metrics.WilsonShare(count(f.TNRAtTPR95, f.OOD), f.OOD))
			accuracy += f.Accuracy / k
			for name, v := range map[string]float64{"aupr_in": f.AUPRIn, "aupr_out": f.AUPROut, "ap_in": f.APIn, "ap_out": f.APOut} {
				aupr[name] += v / k
			}
		}
		auroc, iv, _ := metrics.Combine(terms)
		fprID, ivID := metrics.MeanOfShares(passed)
		tnr, ivTNR := metrics.MeanOfShares(rejected)
		// The ID images are the same in every set: the widest that the sets' own intervals allow.
		fprOOD, ivOOD := 0.0, metrics.Interval{Level: 0.95, Method: "mean of Wilson's ends: the sets share the ID images"}
		for _, s := range flagged {
			fprOOD, ivOOD.Low, ivOOD.High = fprOOD+s.Value/k, ivOOD.Low+s.Low/k, ivOOD.High+s.High/k
		}
		t.Rows = append(t.Rows, []string{u.Name, report.Percent(auroc), report.PercentRange(iv), report.Percent(aupr["aupr_in"]), report.Percent(aupr["aupr_out"]), report.Percent(fprID), report.PercentRange(ivID), report.Percent(fprOOD), report.PercentRange(ivOOD), report.Percent(tnr), report.PercentRange(ivTNR), report.Percent(accuracy)})
		note := "mean over sets"
		ms := []report.Metric{{Name: "auroc", Value: auroc, Unit: report.Fraction, N: len(of), Interval: &iv, HigherIsBetter: true, Note: note}}
		for _, name := range []string{"aupr_in", "aupr_out", "ap_in", "ap_out"} {
			ms = append(ms, report.Metric{Name: name, Value: aupr[name], Unit: report.Fraction, N: len(of), HigherIsBetter: true, Note: note})
		}
		ms = append(ms, report.Metric{Name: "fpr95_id_positive", Value: fprID, Unit: report.Fraction, N: len(of), Interval: &ivID, Note: note},
			report.Metric{Name: "fpr95_ood_positive", Value: fprOOD, Unit: report.Fraction, N: len(of), Interval: &ivOOD, Note: note},
			report.Metric{Name: "tnr_at_tpr95", Value: tnr, Unit: report.Fraction, N: len(of), Interval: &ivTNR, HigherIsBetter: true, Note: note},
			report.Metric{Name: "detection_accuracy", Value: accuracy, Unit: report.Fraction, N: len(of), HigherIsBetter: true, Note: note})
		out.Groups = append(out.Groups, report.Group{Kind: strings.TrimSpace(group + " mean " + view), Name: u.Name, Metrics: ms})
	}
	return t, len(t.Rows) > 0
}

// suspicious says which numbers hint at a mistake.
func suspicious(found []Found) []string {
	var below, tied, constant []string
	for _, f := range found {
		if f.View != "" {
			continue
		}
		name := f.Score + " on " + f.Set
		share := float64(f.Ties) / float64(f.ID) / float64(f.OOD)
		switch {
		case share == 1:
			constant = append(constant, name)
		case share > 0.05:
			tied = append(tied, fmt.Sprintf("%s (%s %% of pairs)", name, report.Percent(share)))
		}
		if f.AUROCInterval.High < 0.5 {
			below = append(below, fmt.Sprintf("%s (%s)", name, report.Percent(f.AUROC)))
		}
	}
	var out []string
	for _, w := range []struct {
		what string
		of   []string
	}{
		{"constant, so these scores tell nothing", constant},
		{"below 50 %, so these scores take OOD images for ID ones", below},
		{"many equal scores, so thresholds jump", tied},
	} {
		if len(w.of) > 0 {
			out = append(out, w.what+": "+strings.Join(w.of, ", "))
		}
	}
	return out
}

// count is the number that a share of n is.
func count(share float64, n int) int { return int(math.Round(share * float64(n))) }

// metrics are the separation's numbers for a report.
func (f Found) metrics() []report.Metric {
	n := f.ID + f.OOD
	auroc := f.AUROCInterval
	share := func(v float64, of int) *metrics.Interval {
		iv := metrics.Wilson(count(v, of), of)
		iv.Method = "Wilson, the threshold as found"
		return &iv
	}
	area := func(v float64, positives int) *metrics.Interval {
		iv := metrics.Logit95(v, positives)
		return &iv
	}
	_, accuracy := metrics.MeanOfShares([]metrics.Share{metrics.WilsonShare(count(f.BestTPR, f.ID), f.ID), metrics.WilsonShare(count(f.BestTNR, f.OOD), f.OOD)})
	accuracy.Method += ", the threshold as found"
	return []report.Metric{
		{Name: "auroc", Value: f.AUROC, Unit: report.Fraction, N: n, Interval: &auroc, HigherIsBetter: true},
		{Name: "aupr_in", Value: f.AUPRIn, Unit: report.Fraction, N: n, Interval: area(f.AUPRIn, f.ID), HigherIsBetter: true, Note: "trapezoid, ID positive"},
		{Name: "aupr_out", Value: f.AUPROut, Unit: report.Fraction, N: n, Interval: area(f.AUPROut, f.OOD), HigherIsBetter: true, Note: "trapezoid, OOD positive"},
		{Name: "ap_in", Value: f.APIn, Unit: report.Fraction, N: n, Interval: area(f.APIn, f.ID), HigherIsBetter: true, Note: "average precision, ID positive"},
		{Name: "ap_out", Value: f.APOut, Unit: report.Fraction, N: n, Interval: area(f.APOut, f.OOD), HigherIsBetter: true, Note: "average precision, OOD positive"},
		{Name: "fpr95_id_positive", Value: f.FPRIDPositive.FPR, Unit: report.Fraction, N: f.OOD, Interval: share(f.FPRIDPositive.FPR, f.OOD),
			Note: fmt.Sprintf("OOD images that pass where %.4f of the ID ones do, score >= %v", f.FPRIDPositive.TPR, f.FPRIDPositive.Threshold)},
		{Name: "fpr95_ood_positive", Value: f.FPROODPositive.FPR, Unit: report.Fraction, N: f.ID, Interval: share(f.FPROODPositive.FPR, f.ID),
			Note: fmt.Sprintf("ID images flagged where %.4f of the OOD ones are, score <= %v", f.FPROODPositive.TPR, f.FPROODPositive.Threshold)},
		{Name: "tnr_at_tpr95", Value: f.TNRAtTPR95, Unit: report.Fraction, N: f.OOD, Interval: share(f.TNRAtTPR95, f.OOD), HigherIsBetter: true, Note: "as in the CutMix paper's table"},
		{Name: "detection_accuracy", Value: f.Accuracy, Unit: report.Fraction, N: n, Interval: &accuracy, HigherIsBetter: true, Note: "as in the CutMix paper's table"},
	}
}
