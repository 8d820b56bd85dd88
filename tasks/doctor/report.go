package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/pixels"
	"cutmix-eval/report"
)

// Images of a search, as its numbers are keyed.
const (
	choice       = "choice"
	confirmation = "confirmation"
)

// Run tries other pixels than those that the classifier is given, and reports what was tried. The
// images are labelled ones of those that are selected.
func Run(ctx context.Context, config Config, c *evaluation.Classifier, im *evaluation.Images, progress func(images int)) (*report.Report, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	labels, err := c.AllLabels(ctx, im)
	if err != nil {
		return nil, err
	}
	res, bad, err := search(ctx, config, Subject{Classifier: c, Images: im, Labels: labels, Seed: im.Config.Seed}, progress)
	if err != nil {
		return nil, err
	}
	h := c.Head(Name, im, config)
	h.Dataset.Labels, h.Runtime = labels.How, *c.Ran()
	r := written(res, h)
	for _, i := range slices.Sorted(maps.Keys(bad)) {
		r.BadImages = append(r.BadImages, report.BadImage{ID: im.ID(i), Reason: bad[i].Error()})
	}
	return r, nil
}

// written is a result as a report that begins with head.
func written(res *pixels.Result, head report.Head) *report.Report {
	r := &report.Report{Head: head, Warnings: head.Doubts}
	r.Doubts = nil
	r.Dataset.N, r.Dataset.Bad = res.Present().N, res.Bad
	if t := res.Test; t != nil {
		r.Dataset.N += t.N
	}
	// The best first, after the present one; those that were given up, on fewer images, last.
	order := []int{}
	for k := range res.Trials[1:] {
		order = append(order, k+1)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := res.Trials[a], res.Trials[b]
		return cmp.Or(cmp.Compare(y.N, x.N), cmp.Compare(y.Hits, x.Hits))
	})
	all := res.Present().N
	v := report.View{
		Title:   fmt.Sprintf("pixels that were tried, on up to %d images of the choice, with 95 %% intervals; those that lagged behind were given up early", all),
		Columns: []string{"pixels", "top1 %", "", "images", "right, not as now", "wrong, not as now"},
	}
	tried := report.Table{
		Name: "tried", Title: "pixels that were tried", Aside: true,
		Columns: report.Columns("pixels", "right", "images", "wrong as now", "gained", "lost", "flags"),
	}
	for _, k := range append([]int{0}, order...) {
		t := res.Trials[k]
		name := report.Word(t.Name)
		// Of images that were not drawn evenly there is no accuracy.
		var share, ends report.Cell
		if t.N == all {
			n := r.Add(report.Share("top1", t.Hits, t.N, report.Higher, report.KeySet.Is(choice), report.KeyPixels.Is(t.Name)))
			share, ends = n.Bare(), n.Range()
		}
		of := func(k, n int) report.Cell { return report.Word(fmt.Sprintf("%d of %d", k, n)) }
		v.Rows = append(v.Rows, report.Row(name, share, ends, report.Int(t.N), of(t.Gained, t.Wrong), of(t.Lost, t.N-t.Wrong)))
		tried.Rows = append(tried.Rows, report.Row(name, report.Int(t.Hits), report.Int(t.N), report.Int(t.Wrong), report.Int(t.Gained), report.Int(t.Lost),
			report.Word(pixels.Flags(t.Recipe))))
	}
	r.Show(v, tried)
	lines := []string{verdict(res)}
	if t := res.Test; t != nil {
		at := report.Keys{report.KeySet.Is(confirmation)}
		r.Add(report.Share("top1", t.Present, t.N, report.Higher, at.And(report.KeyPixels.Is(res.Present().Name))...))
		r.Add(report.Share("top1", t.Best, t.N, report.Higher, at.And(report.KeyPixels.Is(res.Chosen().Name))...))
		r.Add(report.Number{
			Name: "top1_difference", At: at, Value: float64(t.Best-t.Present) / float64(t.N), Unit: report.Fraction, N: t.N, Better: report.Neither,
			Test: &report.Test{Name: "McNemar, exact", P: t.P}, Note: "of the best pixels less the present ones",
		})
		lines = append(lines, fmt.Sprintf(
			"Confirmed on %d other images: %s %.2f %%, as now %.2f %%; %d images are right with the first alone and %d as now alone, p = %.2g (McNemar, exact).",
			t.N, res.Chosen().Name, percent(t.Best, t.N), percent(t.Present, t.N), t.OnlyBest, t.OnlyPresent, t.P))
	}
	outcome := report.Table{
		Name: "verdict", Title: "verdict", Aside: true, Columns: report.Columns("better", "pixels", "flags"),
		Rows: [][]report.Cell{report.Row(report.Word("no"), report.Cell{}, report.Cell{})},
	}
	if res.Better() {
		flags := pixels.Flags(res.Chosen().Recipe)
		lines = append(lines, "Flags to give, if the model was trained so:", "  "+flags)
		outcome.Rows[0] = report.Row(report.Word("yes"), report.Word(res.Chosen().Name), report.Word(flags))
	}
	lines = append(lines, fmt.Sprintf("The model ran on %d images.", res.Images))
	r.Show(report.Prose{Lines: lines}, outcome)
	if low := Low(res.Present().Hits, res.Present().N, r.Model.Classes); low && !res.Better() {
		r.Warn("top-1 is near chance with all pixels that were tried: check labels, their order and the model")
	}
	return r
}

func percent(hits, n int) float64 { return 100 * float64(hits) / float64(max(n, 1)) }

// verdict is a result in one sentence.
func verdict(res *pixels.Result) string {
	t, present, best := res.Test, res.Present(), res.Chosen()
	switch {
	case res.Better():
		return fmt.Sprintf("Verdict: %s fits the model better than the present pixels.", best.Name)
	case present.N < 8:
		return fmt.Sprintf("Verdict: none; %d images are too few to tell pixels apart.", present.N)
	case len(res.Trials) == 1:
		return fmt.Sprintf("Verdict: nothing to gain; %.2f %% of the images are right with the present pixels.", percent(present.Hits, present.N))
	case res.Best == 0:
		return "Verdict: nothing that was tried fits the model better than the present pixels."
	case t == nil:
		return fmt.Sprintf("Verdict: nothing that was tried fits the model clearly better than the present pixels (%s: %d of %d images instead of %d).",
			best.Name, best.Hits, best.N, present.Hits)
	}
	return fmt.Sprintf("Verdict: %s looked better, but other images do not confirm it.", best.Name)
}

// Low says whether so many hits of n images are near chance, where so many outputs compete.
func Low(hits, n, outputs int) bool {
	chance := 1 / float64(max(outputs, 2))
	near := max(min(1.5*chance, chance+0.1*(1-chance)), min(0.02, 20*chance))
	return n >= 20 && metrics.Wilson(hits, n).Low <= near
}
