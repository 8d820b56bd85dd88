package ood

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/scores"

	"golang.org/x/sync/errgroup"
)

// Result is everything the task found.
type Result struct {
	Found    []Found
	Detector *Detector // nil unless a threshold was asked for
	used     []fitted
	id       []*scored // the ID test images, and those under covariate shift
	out      []*scored
	bad      []report.BadImage
	badTest  int // of the ID test images
	warnings []string
	tables   []report.Table
}

// unread notes an image that could not be read.
func (res *Result) unread(s *set, rec *Record) {
	id := rec.ID
	if s.Role == Test {
		res.badTest++
	} else {
		id = s.Name + ": " + id
	}
	res.bad = append(res.bad, report.BadImage{ID: id, Reason: rec.Error})
}

// Evaluate computes all numbers from the records. On cancellation it returns the
// context's error.
func (r *Runs) Evaluate(ctx context.Context) (*Result, error) {
	c := r.About.Config
	if err := c.Validate(); err != nil {
		return nil, err
	}
	res := &Result{}
	g, notes, err := r.given(ctx, res.unread)
	if err != nil {
		return nil, err
	}
	chosen, err := scores.Choose(r.head.Out, r.head.In, c.Scores)
	if err != nil {
		return nil, err
	}
	if c.Reference != "" && !slices.ContainsFunc(chosen, func(s scores.Score) bool { return scores.Matches(s.Name, c.Reference) }) {
		more, err := scores.Choose(r.head.Out, r.head.In, []string{c.Reference})
		if err != nil {
			return nil, err
		}
		chosen = append(more, chosen...)
	}
	res.warnings = notes
	var warnings []string
	if res.used, warnings = fit(chosen, g); len(res.used) == 0 {
		return nil, fmt.Errorf("no score can be computed: %s", strings.Join(warnings, "; "))
	}
	res.warnings = append(res.warnings, warnings...)
	if c.Grid {
		if err := r.grid(ctx, res, g); err != nil {
			return nil, err
		}
	}
	for i := range r.sets {
		s := &r.sets[i]
		if s.Role != Test && s.Role != Shifted && s.Role != Out {
			continue
		}
		sc, err := r.score(ctx, s, funcs(res.used), res.unread)
		if err != nil {
			return nil, err
		}
		if s.Role == Out {
			res.out = append(res.out, sc)
		} else {
			res.id = append(res.id, sc)
		}
	}
	if err := res.separate(ctx, c.Reference != ""); err != nil {
		return nil, err
	}
	shared, err := r.overlaps(ctx)
	if err != nil {
		return nil, err
	}
	res.warnings = append(res.warnings, shared...)
	if c.Threshold > 0 {
		res.Detector, err = r.detector(res, c.Threshold)
	}
	return res, err
}

// grid adds other parameters than the defaults: all of them, or, where there is an OOD
// validation set, for every kind of score the one with the largest AUROC on it.
func (r *Runs) grid(ctx context.Context, res *Result, g scores.Data) error {
	n := 0
	if g.Training != nil {
		n = g.Training.Kept()
	}
	var all []fitted
	var kind []int
	for k, family := range scores.Grid(r.head.Out, r.head.In, n) {
		wanted := false
		for _, u := range res.used {
			if slices.ContainsFunc(family, func(s scores.Score) bool { return s.Family == u.Family }) {
				wanted = true
				if !slices.ContainsFunc(family, func(s scores.Score) bool { return s.Name == u.Name }) {
					family = append(family, u.Score) // the user's own parameters
				}
			}
		}
		if !wanted {
			continue // or not possible
		}
		f, warnings := fit(family, g)
		res.warnings = append(res.warnings, warnings...)
		all = append(all, f...)
		kind = append(kind, slices.Repeat([]int{k}, len(f))...)
	}
	known := func(name string) bool {
		return slices.ContainsFunc(res.used, func(u fitted) bool { return u.Name == name })
	}
	outVal := r.of(OutVal)
	if outVal == nil {
		for _, f := range all {
			if !known(f.Name) {
				res.used = append(res.used, f)
			}
		}
		res.warnings = append(res.warnings, "the best of many parameters on the sets it is reported for flatters a score; with --ood-val they are chosen on images kept apart")
		return nil
	}
	id, err := r.score(ctx, r.of(Val), funcs(all), func(*set, *Record) {}) // told already
	if err != nil {
		return err
	}
	out, err := r.score(ctx, outVal, funcs(all), res.unread)
	if err != nil {
		return err
	}
	t := report.Table{Name: "grid", Title: fmt.Sprintf("parameters chosen by AUROC on %d images of %s against %d of %s, percent", len(out.ids), outVal.Path, len(id.ids), valName), Columns: []string{"score", "AUROC", "", "of"}}
	for at := 0; at < len(all); {
		end := at + 1
		for end < len(all) && kind[end] == kind[at] {
			end++
		}
		best, value := -1, metrics.Separation{AUROC: -1}
		for k := at; k < end; k++ {
			// Scores that are not finite have no AUROC, and are not chosen.
			if d, err := metrics.Separate(id.values[k], out.values[k]); err == nil && d.AUROC > value.AUROC {
				best, value = k, d
			}
		}
		if best >= 0 {
			t.Rows = append(t.Rows, []string{all[best].Name, report.Percent(value.AUROC), report.PercentRange(value.AUROCInterval), strconv.Itoa(end - at)})
			// It takes the place of its family's others, but for the reference.
			member := func(u fitted) bool {
				return slices.ContainsFunc(all[at:end], func(f fitted) bool { return f.Name == u.Name })
			}
			place := slices.IndexFunc(res.used, member)
			reference := r.About.Config.Reference
			res.used = slices.DeleteFunc(res.used, func(u fitted) bool { return member(u) && (reference == "" || !scores.Matches(u.Name, reference)) })
			if !known(all[best].Name) {
				res.used = slices.Insert(res.used, min(place, len(res.used)), all[best])
			}
		}
		at = end
	}
	res.tables = append(res.tables, t)
	return nil
}

// joined are scores of several sets, one after the other.
func joined(sets []*scored, k int) []float64 {
	var out []float64
	for _, s := range sets {
		out = append(out, s.values[k]...)
	}
	return out
}

// separate compares every OOD set with the ID images, by every score.
func (res *Result) separate(ctx context.Context, reference bool) error {
	keep := reference || len(res.out) > 1 // what means and differences are made of
	type job struct {
		at, k int
		out   *scored
		id    []*scored
	}
	var jobs []job
	views := []string{""}
	if len(res.id) > 1 {
		views = append(views, fullSpectrum)
	}
	for _, view := range views {
		id := res.id[:1]
		if view != "" {
			id = res.id
		}
		for _, o := range res.out {
			for k, u := range res.used {
				jobs = append(jobs, job{len(jobs), k, o, id})
				res.Found = append(res.Found, Found{View: view, Set: o.Name, Group: o.Group, Score: u.Name})
			}
		}
	}
	wrong := make([]*metrics.SeparationError, len(jobs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(goruntime.GOMAXPROCS(0))
	for _, j := range jobs {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			f := &res.Found[j.at]
			id, out := joined(j.id, j.k), j.out.values[j.k]
			d, err := metrics.Separate(id, out)
			if errors.As(err, &wrong[j.at]) {
				return nil
			}
			f.Separation, f.Histogram = d, histogram(id, out)
			f.Histogram.Kind, f.Histogram.Name = f.kind(), f.Score
			if keep {
				f.placements = metrics.Place(id, out)
			}
			f.CCR = ccr(j.id, id, out)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var kept []Found
	for at, f := range res.Found {
		if wrong[at] == nil {
			kept = append(kept, f)
			continue
		}
		// The image is one of the sets that were joined.
		i, sets := wrong[at].Index, jobs[at].id
		if wrong[at].Set == "OOD" {
			sets = []*scored{jobs[at].out}
		}
		for i >= len(sets[0].ids) {
			i, sets = i-len(sets[0].ids), sets[1:]
		}
		if f.View == "" || sets[0].Role == Shifted { // once
			res.warnings = append(res.warnings, fmt.Sprintf("score %s on %s: that of image %s of %s %s; it is left out there", f.Score, f.Set, sets[0].ids[i], sets[0].Name, wrong[at].Why))
		}
	}
	res.Found = kept
	return nil
}

// ccr are correct classification rates, where all ID images have labels.
func ccr(sets []*scored, id, out []float64) []report.Metric {
	var right []bool
	for _, s := range sets {
		if !s.labelled {
			return nil
		}
		right = append(right, s.right...)
	}
	var ms []report.Metric
	for _, fpr := range []float64{0.001, 0.01, 0.1} {
		if iv, v, err := metrics.CCR(id, right, out, fpr); err == nil {
			ms = append(ms, report.Metric{Name: fmt.Sprintf("ccr_at_fpr_%v", fpr), Value: v, Unit: report.Fraction, N: len(id), Interval: &iv, HigherIsBetter: true,
				Note: fmt.Sprintf("ID images classified rightly and above the threshold that %v %% of OOD images reach", 100*fpr)})
		}
	}
	return ms
}

// bins of a histogram.
const bins = 50

// histogram counts scores in bins between the 0.5 % and 99.5 % quantiles of all: a few
// far ones would leave the others one bin.
func histogram(id, out []float64) report.Histogram {
	all := slices.Concat(id, out)
	slices.Sort(all)
	h := report.Histogram{Low: metrics.Quantile(all, 0.005), High: metrics.Quantile(all, 0.995)}
	if !(h.High > h.Low) {
		h.Low, h.High = all[0], all[len(all)-1]
	}
	for _, p := range []struct {
		name string
		v    []float64
	}{{"id", id}, {"ood", out}} {
		pop := report.Population{Name: p.name, Counts: make([]int, bins)}
		for _, v := range p.v {
			switch {
			case v < h.Low:
				pop.Below++
			case v > h.High:
				pop.Above++
			case h.High == h.Low:
				pop.Counts[0]++
			default:
				pop.Counts[min(int((v-h.Low)/(h.High-h.Low)*bins), bins-1)]++
			}
		}
		h.Parts = append(h.Parts, pop)
	}
	return h
}
