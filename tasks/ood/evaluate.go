package ood

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"

	"cutmix-eval/detector"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/scores"

	"golang.org/x/sync/errgroup"
)

// result is everything the task found.
type result struct {
	wanted   []scores.Score
	used     []fitted  // scores, in the order of reports
	id       []*scored // the ID test images, and those under covariate shift
	out      []*scored // the OOD sets
	found    []*found
	chosen   []choice           // parameters; nil where none were chosen
	detector *detector.Detector // nil unless a threshold was asked for
	bad      []report.BadImage
	warnings []string
}

func (res *result) warn(format string, a ...any) {
	res.warnings = append(res.warnings, fmt.Sprintf(format, a...))
}

// evaluate computes all numbers from the records. On cancellation it returns the context's
// error.
func evaluate(ctx context.Context, c Config, s sets) (*result, error) {
	res := &result{}
	data, err := res.data(ctx, s)
	if err != nil {
		return nil, err
	}
	if res.wanted, err = c.choose(data.Head); err != nil {
		return nil, err
	}
	var left []string
	if res.used, left = fit(res.wanted, data); len(res.used) == 0 {
		return nil, fmt.Errorf("no score can be computed: %s", strings.Join(left, "; "))
	}
	res.warnings = append(res.warnings, left...)
	if c.Grid {
		if err := res.addGrid(ctx, c, s, data); err != nil {
			return nil, err
		}
	}
	for i := range s {
		if s[i].Role != Test && s[i].Role != Shifted && s[i].Role != Out {
			continue
		}
		sc, err := s[i].score(ctx, funcs(res.used))
		if err != nil {
			return nil, err
		}
		res.bad = append(res.bad, sc.bad...)
		if sc.Role == Out {
			res.out = append(res.out, sc)
		} else {
			res.id = append(res.id, sc)
		}
	}
	if err := res.separate(ctx, c.Reference != ""); err != nil {
		return nil, err
	}
	shared, err := s.overlaps(ctx)
	res.warnings = append(res.warnings, shared...)
	return res, err
}

// fullSpectrum is the view in which images under covariate shift count as ID (Yang et al.,
// IJCV 2023).
const fullSpectrum = "full-spectrum"

// views are what can count as ID: the ID test images alone (""), and with those under
// covariate shift.
func (res *result) views() []string {
	if len(res.id) > 1 {
		return []string{"", fullSpectrum}
	}
	return []string{""}
}

// found is how well one score tells one OOD set from the ID images.
type found struct {
	view string
	out  *scored
	id   []*scored
	k    int // of the score
	name string

	metrics.Separation
	ccr        []report.Number // correct classification rates
	histogram  report.Histogram
	placements metrics.Placements // what means and differences are made of
	wrong      *metrics.SeparationError
}

// at are the keys of the numbers found.
func (f *found) at() report.Keys {
	at := report.Keys{report.KeySet.Is(f.out.Name), report.KeyScore.Is(f.name)}
	if f.view != "" {
		at = at.And(report.KeyView.Is(f.view))
	}
	return at
}

// separate compares every OOD set with the ID images, by every score.
func (res *result) separate(ctx context.Context, reference bool) error {
	var all []*found
	for _, view := range res.views() {
		id := res.id
		if view == "" {
			id = res.id[:1]
		}
		for _, o := range res.out {
			for k, u := range res.used {
				all = append(all, &found{view: view, out: o, id: id, k: k, name: u.Name})
			}
		}
	}
	place := reference || len(res.out) > 1
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(goruntime.GOMAXPROCS(0))
	for _, f := range all {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			f.measure(place)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, f := range all {
		if f.wrong == nil {
			res.found = append(res.found, f)
		} else if image, of := f.culprit(); f.view == "" || of.Role == Shifted { // once
			res.warn("score %s on %s: that of image %s of %s %s; it is left out there", f.name, f.out.Name, image, of.Name, f.wrong.Why)
		}
	}
	return nil
}

// measure computes the numbers.
func (f *found) measure(place bool) {
	var id []float64
	for _, s := range f.id {
		id = append(id, s.values[f.k]...)
	}
	out := f.out.values[f.k]
	d, err := metrics.Separate(id, out)
	if errors.As(err, &f.wrong) {
		return
	}
	f.Separation, f.ccr = d, ccr(f.id, id, out)
	f.histogram = report.NewHistogram(f.at(), report.Values{Name: "id", Of: id}, report.Values{Name: "ood", Of: out})
	if place {
		f.placements = metrics.Place(id, out)
	}
}

// culprit is the image whose score is wrong, and its set.
func (f *found) culprit() (image string, of *scored) {
	i, all := f.wrong.Index, f.id
	if f.wrong.Set == "OOD" {
		all = []*scored{f.out}
	}
	for i >= len(all[0].ids) {
		i, all = i-len(all[0].ids), all[1:]
	}
	return all[0].ids[i], all[0]
}

// ccr are correct classification rates, where all ID images have labels.
func ccr(sets []*scored, id, out []float64) []report.Number {
	var right []bool
	for _, s := range sets {
		if !s.labelled {
			return nil
		}
		right = append(right, s.right...)
	}
	var all []report.Number
	for _, fpr := range []float64{0.001, 0.01, 0.1} {
		iv, v, err := metrics.CCR(id, right, out, fpr)
		if err != nil {
			continue
		}
		all = append(all, report.Number{
			Name: fmt.Sprintf("ccr_at_fpr_%v", fpr), Value: v, Unit: report.Fraction, N: len(id), Interval: &iv, Better: report.Higher,
			Note: fmt.Sprintf("ID images classified rightly and above the threshold that %v %% of OOD images reach", 100*fpr),
		})
	}
	return all
}

// detector makes the detector of the score that is named, from the ID test images.
func (l *loaded) detector(res *result) (*detector.Detector, error) {
	a, first := l.about, l.sets[0]
	wanted := res.wanted[len(res.wanted)-1].Name // behind the reference, if there is one
	k := slices.IndexFunc(res.used, func(u fitted) bool { return u.Name == wanted })
	if k < 0 {
		return nil, fmt.Errorf("score %s cannot be computed: %s", wanted, strings.Join(res.warnings, "; "))
	}
	u, id := res.used[k], res.id[0]
	if err := id.finite(k, u.Name); err != nil {
		return nil, fmt.Errorf("no threshold can be found: %w", err)
	}
	threshold, reached := metrics.ThresholdAt(id.values[k], a.Config.Threshold)
	d := &detector.Detector{
		Tool: a.Head.Tool, Score: u.Name, Threshold: threshold, TPR: a.Config.Threshold,
		Reached: float64(reached) / float64(len(id.ids)), Accepted: metrics.Wilson(reached, len(id.ids)), N: len(id.ids),
		Data: a.Head.Dataset.Name, Model: first.Manifest.Key.Model, Source: a.Model, Output: a.Output,
		Recipe: a.Head.Preprocessing.Recipe, C: first.head.Out, State: u.State,
	}
	if u.Needs&scores.NeedFeatures != 0 {
		d.D = first.head.In
	}
	return d, nil
}
