package ood

import (
	"context"
	"fmt"
	"slices"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/scores"
)

// choice is the parameters of a score that were chosen on OOD validation images.
type choice struct {
	name string
	of   int // parameters that were tried
	metrics.Separation
}

// addGrid adds other parameters than the usual ones: all of them, or, where there is an OOD
// validation set, of every kind of score those with the largest AUROC on it.
func (res *result) addGrid(ctx context.Context, c Config, s sets, data scores.Data) error {
	kinds := res.kinds(data)
	if s.of(OutVal) != nil {
		return res.chooseAll(ctx, c, s, kinds)
	}
	for _, f := range slices.Concat(kinds...) {
		if !has(res.used, f.Name) {
			res.used = append(res.used, f)
		}
	}
	res.warn("the best of many parameters on the sets it is reported for flatters a score; " +
		"with --ood-val they are chosen on images kept apart")
	return nil
}

// kinds are the grids of the scores that are used, fitted; parameters of the user's own are
// in them.
func (res *result) kinds(data scores.Data) [][]fitted {
	images := 0
	if data.Training != nil {
		images = data.Training.Kept()
	}
	var out [][]fitted
	for _, grid := range scores.Grid(data.Head.Out, data.Head.In, images) {
		wanted := false
		for _, u := range res.used {
			if !slices.ContainsFunc(grid, func(s scores.Score) bool { return s.Family == u.Family }) {
				continue
			}
			wanted = true
			if !slices.ContainsFunc(grid, func(s scores.Score) bool { return s.Name == u.Name }) {
				grid = append(grid, u.Score)
			}
		}
		if !wanted {
			continue // or not possible
		}
		f, warnings := fit(grid, data)
		res.warnings = append(res.warnings, warnings...)
		if len(f) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// chooseAll replaces the scores of every kind by the best of the kind.
func (res *result) chooseAll(ctx context.Context, c Config, s sets, kinds [][]fitted) error {
	all := funcs(slices.Concat(kinds...))
	id, err := s.of(Val).score(ctx, all)
	if err != nil {
		return err
	}
	out, err := s.of(OutVal).score(ctx, all)
	if err != nil {
		return err
	}
	res.bad = append(res.bad, out.bad...) // those of Val are there already
	first := 0
	for _, kind := range kinds {
		best, largest := -1, metrics.Separation{AUROC: -1}
		for k := range kind {
			// Scores that are not finite have no AUROC, and are not chosen.
			d, err := metrics.Separate(id.values[first+k], out.values[first+k])
			if err == nil && d.AUROC > largest.AUROC {
				best, largest = k, d
			}
		}
		first += len(kind)
		if best >= 0 {
			res.chosen = append(res.chosen, choice{kind[best].Name, len(kind), largest})
			res.replace(c, kind, kind[best])
		}
	}
	return nil
}

// replace puts the best of a kind in the place of the others, but for the reference.
func (res *result) replace(c Config, kind []fitted, best fitted) {
	member := func(u fitted) bool { return has(kind, u.Name) }
	place := slices.IndexFunc(res.used, member)
	res.used = slices.DeleteFunc(res.used, func(u fitted) bool { return member(u) && !c.isReference(u.Score) })
	if !has(res.used, best.Name) {
		res.used = slices.Insert(res.used, min(place, len(res.used)), best)
	}
}

// viewChosen adds what the chosen parameters reach on the images that they were chosen on.
func (res *result) viewChosen(r *report.Report, c Config) {
	if res.chosen == nil {
		return
	}
	outVal := Source{}
	for _, s := range c.Sources {
		if s.Role == OutVal {
			outVal = s
		}
	}
	d := res.chosen[0]
	v := report.View{
		Title: fmt.Sprintf("parameters chosen by AUROC on %d images of %s against %d of %s, percent",
			d.OOD, outVal.Path, d.ID, ownNames[Val]),
		Columns: []string{"score", "AUROC", "", "of"},
	}
	for _, d := range res.chosen {
		n := r.Add(report.Number{
			Name: "auroc", At: report.Keys{report.KeySet.Is(outVal.Name), report.KeyScore.Is(d.name)}, Value: d.AUROC,
			Unit: report.Fraction, N: d.ID + d.OOD, Interval: &d.AUROCInterval, Better: report.Higher,
			Note: fmt.Sprintf("the largest of %d parameters, which were chosen by it", d.of),
		})
		v.Rows = append(v.Rows, report.Row(report.Word(d.name), n.Bare(), n.Range(), report.Int(d.of)))
	}
	r.Show(v)
}
