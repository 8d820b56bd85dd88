package ood

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/scores"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"
)

// Task is out-of-distribution detection.
type Task struct{}

// Name is the task's name.
func (Task) Name() string { return Name }

// Load reads an evaluation. It knows the options score, reference and grid.
func (Task) Load(_ context.Context, s *results.Study, o tasks.Options) (tasks.Result, error) {
	if err := o.Only(Name, "score", "reference", "grid"); err != nil {
		return nil, err
	}
	return load(s, nil, o)
}

// loaded is an evaluation whose numbers can be computed. Not safe for concurrent use.
type loaded struct {
	about  About
	sets   sets
	result *result // nil until it is computed
}

// load opens the sets of a study. head is that of its model; nil where it is read from the
// study's folder, or where none is known.
func load(s *results.Study, head *scores.Head, o tasks.Options) (*loaded, error) {
	a, err := readAbout(s)
	if err != nil {
		return nil, err
	}
	tasks.Set(&a.Config.Scores, o.Score)
	tasks.Set(&a.Config.Reference, o.Reference)
	tasks.Set(&a.Config.Grid, o.Grid)
	if o.Score != nil || o.Grid != nil {
		a.Config.Threshold = 0 // it is of the score of then
	}
	if err := a.Config.Validate(); err != nil {
		return nil, &tasks.ValueError{Err: err}
	}
	all, err := openSets(s, a.Config)
	if err != nil {
		return nil, err
	}
	classes, _ := all[0].HasArray(evaluation.Logits)
	switch {
	case a.NoFeatures != "":
		head = unknownHead(classes)
	case head == nil:
		features, _ := all[0].HasArray(evaluation.Features)
		if head, err = loadHead(s.Dir(), classes, features); err != nil {
			return nil, err
		}
	}
	for i := range all {
		all[i].head = head
	}
	return &loaded{about: a, sets: all}, nil
}

// evaluate computes the result, once.
func (l *loaded) evaluate(ctx context.Context) (*result, error) {
	if l.result != nil {
		return l.result, nil
	}
	res, err := evaluate(ctx, l.about.Config, l.sets)
	if err != nil {
		return nil, err
	}
	if l.about.Config.Threshold > 0 {
		if res.detector, err = l.detector(res); err != nil {
			return nil, err
		}
	}
	l.result = res
	return res, nil
}

// Source is the evaluation's scores.
func (l *loaded) Source(ctx context.Context) (compare.Source, error) { return newSource(ctx, l) }

// Export writes every image's set, prediction and scores.
func (l *loaded) Export(ctx context.Context, w io.Writer, format string) error {
	res, err := l.evaluate(ctx)
	if err != nil {
		return err
	}
	return res.export(w, format)
}

// Report fits the scores, applies them and reports, from the records alone: accuracy, every
// metric by set and score, means over near and far sets, and what is suspicious.
func (l *loaded) Report(ctx context.Context) (*report.Report, error) {
	res, err := l.evaluate(ctx)
	if err != nil {
		return nil, err
	}
	c := l.about.Config
	r := evaluation.Reported(l.about.Head, l.sets[0].Run, c)
	r.Dataset.N, r.Dataset.Bad = len(res.id[0].ids), len(res.id[0].bad)
	r.BadImages = res.bad
	for _, s := range l.sets {
		r.Tried += s.Share(results.Shard{})
	}
	if why := l.about.NoFeatures; why != "" {
		r.Warn("scores of features are left out: %s", why)
	}
	r.Warnings = slices.Concat(r.Warnings, res.warnings, res.suspicious())
	res.accuracy(r)
	res.accepted(r)
	r.ShowPublished()
	r.Show(l.described())
	res.viewChosen(r, c)
	for _, view := range res.views() {
		for _, o := range res.out {
			res.viewSet(r, view, o, c)
		}
		for _, group := range []string{"near", "far", allSets} {
			res.viewMeans(r, view, group)
		}
	}
	return r, nil
}

// described says what every set was recognised as.
func (l *loaded) described() report.Table {
	t := report.Table{Name: "sets", Title: "sets", Columns: report.Columns("set", "role", "images", "recognised", "fingerprint")}
	for i, s := range l.sets {
		d := l.about.Head.Dataset
		if i > 0 {
			if a, err := results.About[setAbout](s.Run, Name); err == nil {
				d = a.Dataset
			}
		}
		t.Rows = append(t.Rows, report.Row(report.Word(s.Name), report.Word(strings.TrimSpace(s.Group+" "+string(s.Role))),
			report.Int(s.Share(results.Shard{})), report.Word(d.Recognised), report.Word(s.Manifest.Key.Data.Fingerprint)))
	}
	return t
}

// accuracy adds how well images of the classes are classified, where they have labels.
func (res *result) accuracy(r *report.Report) {
	add := func(note string, hits, n int, at ...report.Key) {
		r.AddMain(report.Share("top1", hits, n, report.Higher, at...).Noted(note))
	}
	hits, n, all := 0, 0, true
	for _, s := range res.id {
		hits, n, all = hits+s.hits(), n+len(s.ids), all && s.labelled
		switch {
		case !s.labelled:
		case s.Role == Test:
			add("of the ID images", s.hits(), len(s.ids))
		default:
			add("under covariate shift", s.hits(), len(s.ids), report.KeySet.Is(s.Name))
		}
	}
	if all && len(res.id) > 1 {
		add("of all of them", hits, n, report.KeyView.Is(fullSpectrum))
	}
}

// accepted adds what the detector lets pass.
func (res *result) accepted(r *report.Report) {
	d := res.detector
	if d == nil {
		return
	}
	r.AddMain(report.Number{
		Name: "accepted", Value: d.Reached, Unit: report.Fraction, N: d.N, Interval: &d.Accepted, Better: report.Higher,
		Note: fmt.Sprintf("ID images with %s >= %v, the threshold for %v", d.Score, d.Threshold, d.TPR),
	})
	k := slices.IndexFunc(res.used, func(u fitted) bool { return u.Name == d.Score })
	for _, s := range slices.Concat(res.id[1:], res.out) {
		pass, better := 0, report.Lower
		if s.Role.id() {
			better = report.Higher
		}
		for _, v := range s.values[k] {
			if v >= d.Threshold {
				pass++
			}
		}
		r.AddMain(report.Share("accepted", pass, len(s.ids), better, report.KeySet.Is(s.Name)))
	}
}

// named are numbers of a report by name.
type named map[string]*report.Number

// add adds numbers to a report.
func (n named) add(r *report.Report, numbers []report.Number, at report.Keys) {
	for _, x := range numbers {
		x.At = at
		n[x.Name] = r.Add(x)
	}
}

// viewSet adds what was found on an OOD set, and a view of it.
func (res *result) viewSet(r *report.Report, view string, o *scored, c Config) {
	var of []*found
	for _, f := range res.found {
		if f.out == o && f.view == view {
			of = append(of, f)
		}
	}
	if len(of) == 0 {
		return
	}
	v := report.View{Columns: []string{
		"score", "AUROC", "", "AUPR in", "AUPR out", "FPR95, ID pos.", "FPR95, OOD pos.", "TNR@TPR95", "det. acc.", "CCR@FPR 1 %",
	}}
	shifted := ""
	if view == fullSpectrum {
		shifted = " with those under covariate shift"
	}
	v.Title = strings.TrimSpace(fmt.Sprintf("%s %s: %d images against %d ID ones%s, percent", o.Group, o.Name, of[0].OOD, of[0].ID, shifted))
	reference := slices.IndexFunc(of, func(f *found) bool { return c.isReference(res.used[f.k].Score) })
	numbers := make([]named, len(of))
	var differences []*report.Number
	for i, f := range of {
		n := named{}
		n.add(r, slices.Concat(f.numbers(), f.ccr), f.at())
		if reference >= 0 && i != reference {
			n.add(r, []report.Number{f.difference(of[reference], c.Reference)}, f.at())
		}
		differences = append(differences, n["auroc_difference"])
		numbers[i] = n
		r.Histograms = append(r.Histograms, f.histogram)
	}
	report.Holm(differences...)
	if c.Reference != "" {
		v.Columns = append(v.Columns, "AUROC - "+c.Reference, "")
	}
	for i, f := range of {
		n := numbers[i]
		row := report.Row(report.Word(f.name), n["auroc"].Bare(), n["auroc"].Range(), n["aupr_in"].Bare(), n["aupr_out"].Bare(),
			n["fpr95_id_positive"].Bare(), n["fpr95_ood_positive"].Bare(), n["tnr_at_tpr95"].Bare(), n["detection_accuracy"].Bare(),
			n["ccr_at_fpr_0.01"].Bare())
		if c.Reference != "" {
			d := differences[i] // nil where it is the reference itself
			interval := d.Range()
			if d != nil && d.Test.Shown() {
				interval = interval.Marked(" *")
			}
			row = append(row, d.Signed(), interval)
		}
		v.Rows = append(v.Rows, row)
	}
	r.Show(v)
}

// numbers are those of the separation.
func (f *found) numbers() []report.Number {
	n := f.ID + f.OOD
	share := func(name string, v float64, of int, better report.Better, note string) report.Number {
		iv := metrics.Wilson(count(v, of), of)
		iv.Method = "Wilson, the threshold as found"
		return report.Number{Name: name, Value: v, Unit: report.Fraction, N: of, Interval: &iv, Better: better, Note: note}
	}
	area := func(name string, v float64, positives int, note string) report.Number {
		iv := metrics.Logit95(v, positives)
		return report.Number{Name: name, Value: v, Unit: report.Fraction, N: n, Interval: &iv, Better: report.Higher, Note: note}
	}
	_, accuracy := metrics.MeanOfShares([]metrics.Share{
		metrics.WilsonShare(count(f.BestTPR, f.ID), f.ID), metrics.WilsonShare(count(f.BestTNR, f.OOD), f.OOD),
	})
	accuracy.Method += ", the threshold as found"
	const table = "as in the CutMix paper's table"
	id, out := f.FPRIDPositive, f.FPROODPositive
	return []report.Number{
		{Name: "auroc", Value: f.AUROC, Unit: report.Fraction, N: n, Interval: &f.AUROCInterval, Better: report.Higher},
		area("aupr_in", f.AUPRIn, f.ID, "trapezoid, ID positive"),
		area("aupr_out", f.AUPROut, f.OOD, "trapezoid, OOD positive"),
		area("ap_in", f.APIn, f.ID, "average precision, ID positive"),
		area("ap_out", f.APOut, f.OOD, "average precision, OOD positive"),
		share("fpr95_id_positive", id.FPR, f.OOD, report.Lower,
			fmt.Sprintf("OOD images that pass where %.4f of the ID ones do, score >= %v", id.TPR, id.Threshold)),
		share("fpr95_ood_positive", out.FPR, f.ID, report.Lower,
			fmt.Sprintf("ID images flagged where %.4f of the OOD ones are, score <= %v", out.TPR, out.Threshold)),
		share("tnr_at_tpr95", f.TNRAtTPR95, f.OOD, report.Higher, table),
		{Name: "detection_accuracy", Value: f.Accuracy, Unit: report.Fraction, N: n, Interval: &accuracy, Better: report.Higher, Note: table},
	}
}

// count is the number that a share of n is.
func count(share float64, n int) int { return int(math.Round(share * float64(n))) }

// difference is the AUROC less that of the reference, on the same images.
func (f *found) difference(reference *found, name string) report.Number {
	v, iv, p := metrics.Combine([]metrics.Term{{Weight: 1, Placements: f.placements}, {Weight: -1, Placements: reference.placements}})
	return report.Number{
		Name: "auroc_difference", Value: v, Unit: report.Fraction, N: f.ID + f.OOD, Interval: &iv, Better: report.Higher,
		Test: &report.Test{Name: "DeLong, Holm over the scores of the set", P: p}, Note: "to " + name + ", on the same images",
	}
}

// allSets is the group of all OOD sets, which the CutMix paper's table is a mean over.
const allSets = "all"

// group are the OOD sets that a mean is over; nil where there is one, or where all sets are
// those of one group, which has its own mean.
func (res *result) group(name string) []*scored {
	var of []*scored
	for _, s := range res.out {
		if s.Group == name || name == allSets {
			of = append(of, s)
		}
	}
	if len(of) < 2 {
		return nil
	}
	first := of[0].Group
	same := !slices.ContainsFunc(of, func(s *scored) bool { return s.Group != first })
	if name == allSets && first != "" && same {
		return nil
	}
	return of
}

// viewMeans adds unweighted means over the sets of a group, and a view of them.
func (res *result) viewMeans(r *report.Report, view, group string) {
	of := res.group(group)
	if of == nil {
		return
	}
	var names []string
	for _, s := range of {
		names = append(names, s.Name)
	}
	v := report.View{
		Title: strings.TrimSpace(view+" "+group) + fmt.Sprintf(": means over %s, percent", strings.Join(names, ", ")),
		Columns: []string{
			"score", "AUROC", "", "AUPR in", "AUPR out", "FPR95, ID pos.", "", "FPR95, OOD pos.", "", "TNR@TPR95", "", "det. acc.",
		},
	}
	for k, u := range res.used {
		var found []*found
		for _, f := range res.found {
			if f.k == k && f.view == view && slices.Contains(of, f.out) {
				found = append(found, f)
			}
		}
		if len(found) != len(of) {
			continue // a mean over fewer sets is another number
		}
		at := report.Keys{report.KeyGroup.Is(group), report.KeyScore.Is(u.Name)}
		if view != "" {
			at = at.And(report.KeyView.Is(view))
		}
		n := named{}
		n.add(r, means(found), at)
		row := report.Row(report.Word(u.Name), n["auroc"].Bare(), n["auroc"].Range(), n["aupr_in"].Bare(), n["aupr_out"].Bare())
		for _, name := range []string{"fpr95_id_positive", "fpr95_ood_positive", "tnr_at_tpr95"} {
			row = append(row, n[name].Bare(), n[name].Range())
		}
		v.Rows = append(v.Rows, append(row, n["detection_accuracy"].Bare()))
	}
	if len(v.Rows) > 0 {
		r.Show(v)
	}
}

// means are the means of one score's numbers over sets, with intervals where the sets' own
// give one.
func means(of []*found) []report.Number {
	k := float64(len(of))
	var terms []metrics.Term
	var passed, flagged, rejected []metrics.Share
	out := of[0].numbers()
	for i := range out {
		n := &out[i]
		*n = report.Number{Name: n.Name, Unit: n.Unit, N: len(of), Better: n.Better, Note: "mean over sets"}
	}
	for i, f := range of {
		for j, n := range f.numbers() {
			out[j].Value += n.Value / k
		}
		terms = append(terms, metrics.Term{Weight: 1 / k, Placements: f.placements, Set: i})
		passed = append(passed, metrics.WilsonShare(count(f.FPRIDPositive.FPR, f.OOD), f.OOD))
		flagged = append(flagged, metrics.WilsonShare(count(f.FPROODPositive.FPR, f.ID), f.ID))
		rejected = append(rejected, metrics.WilsonShare(count(f.TNRAtTPR95, f.OOD), f.OOD))
	}
	// The ID images are the same in every set: the widest that the sets' own intervals allow.
	widest := metrics.Interval{Level: 0.95, Method: "mean of Wilson's ends: the sets share the ID images"}
	for _, s := range flagged {
		widest.Low, widest.High = widest.Low+s.Low/k, widest.High+s.High/k
	}
	for i := range out {
		switch n := &out[i]; n.Name {
		case "auroc":
			v, iv, _ := metrics.Combine(terms)
			n.Value, n.Interval = v, &iv
		case "fpr95_id_positive":
			_, iv := metrics.MeanOfShares(passed)
			n.Interval = &iv
		case "fpr95_ood_positive":
			n.Interval = &widest
		case "tnr_at_tpr95":
			_, iv := metrics.MeanOfShares(rejected)
			n.Interval = &iv
		}
	}
	return out
}

// suspicious says which numbers hint at a mistake.
func (res *result) suspicious() []string {
	var below, tied, constant []string
	for _, f := range res.found {
		if f.view != "" {
			continue
		}
		name := f.name + " on " + f.out.Name
		share := float64(f.Ties) / float64(f.ID) / float64(f.OOD)
		switch {
		case share == 1:
			constant = append(constant, name)
		case share > 0.05:
			tied = append(tied, fmt.Sprintf("%s (%s of pairs)", name, report.Plain(share, report.Fraction).Full()))
		}
		if f.AUROCInterval.High < 0.5 {
			below = append(below, fmt.Sprintf("%s (%s)", name, report.Plain(f.AUROC, report.Fraction).Bare()))
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
