package corruption

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/corrupt"
	"cutmix-eval/corrupt/baseline"
	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/variants"
)

// benchmark is the corruptions of ImageNet-C.
type benchmark struct{ Config }

// ce is the corruption error: the sum of errors by that of the baseline's. relative: of what
// errors are above the clean error. nil where something is not known.
func (b benchmark) ce(g *grid, n corrupt.Name, relative bool) perImage {
	if b.Baseline == nil || !g.complete(n) {
		return nil
	}
	base, ok := b.Baseline.By[n]
	sum, clean := baseline.Mean(base)*corrupt.Severities, g.of(variants.Variant{})
	if relative {
		sum -= corrupt.Severities * b.Baseline.Clean
		ok = ok && b.Baseline.Clean >= 0 && sum > 0 && (clean >= 0 || b.CleanError > 0)
	}
	if !ok {
		return nil
	}
	out := g.perImage()
	for _, k := range g.severities(n) {
		g.add(out, k, wrong, 1/sum)
		switch {
		case !relative:
		case clean >= 0:
			g.add(out, clean, wrong, -1/sum)
		default: // a number that was given
			for i := range out {
				out[i] -= b.CleanError / sum
			}
		}
	}
	return out
}

// ces are the corruption errors that are known of some corruptions.
func (b benchmark) ces(g *grid, names []corrupt.Name, relative bool) (out []perImage) {
	for _, n := range names {
		if v := b.ce(g, n, relative); v != nil {
			out = append(out, v)
		}
	}
	return out
}

// means adds the numbers over all corruptions. Where some of the 15 or of their severities are
// not there, names say that it is a subset.
func (b benchmark) means(g *grid, r *report.Report) {
	if clean := g.of(variants.Variant{}); clean >= 0 {
		r.AddMain(g.share("clean_error", clean, wrong).Noted("of the images as they are"))
	}
	suffix, over, all := "", "the 15 corruptions and 5 severities", corrupt.Benchmark()
	have := slices.DeleteFunc(slices.Clone(all), func(n corrupt.Name) bool { return len(g.severities(n)) == 0 })
	whole := g.allComplete(all)
	if !whole {
		suffix, over = "_subset", fmt.Sprintf("%d of the 15 corruptions and their severities that there are", len(have))
	}
	if len(have) > 0 {
		r.AddMain(g.errors(have...).number("error"+suffix, report.Fraction, 0, 1).Noted("mean over " + over + ", unnormalised"))
	}
	add := func(name string, known []perImage, low float64, note string) {
		over := "the 15"
		switch {
		case len(known) == 0 || whole && len(known) < len(all):
			return
		case !whole:
			over = fmt.Sprintf("%d of the 15", len(known))
		}
		r.AddMain(average(known).number(name+suffix, report.Fraction, low, math.Inf(1)).
			Noted(fmt.Sprintf("mean over %s, "+note, over, b.Baseline.Name)))
	}
	add("mce", b.ces(g, have, false), 0, "each corruption's errors divided by %s's")
	add("relative_mce", b.ces(g, have, true), math.Inf(-1), "the same of what errors are above the clean error, by %s's")
	if extra := corrupt.Extra(); g.allComplete(extra) {
		r.AddMain(g.errors(extra...).number("error_extra", report.Fraction, 0, 1).
			Noted("mean over the four extra corruptions, which are no part of mCE"))
	}
}

func (b benchmark) report(g *grid, r *report.Report) {
	if b.Corrupted == "" {
		r.Option("made here with the parameters for size %d, seed %d", b.Set, r.Config.Seed)
	} else {
		r.Option("images of %s", b.Corrupted)
	}
	if b.JPEG > 0 {
		r.Option("JPEG round trip of quality %d", b.JPEG)
	}
	b.means(g, r)
	if clean := g.of(variants.Variant{}); clean >= 0 {
		for _, o := range g.others {
			r.AddMain(g.auroc([]int{clean}, o).Noted("msp, of clean images"))
		}
	}
	r.ShowPublished()
	b.view(g, r, "the 15 corruptions, percent", corrupt.Benchmark())
	b.view(g, r, "the 4 extra corruptions, percent", corrupt.Extra())
	b.warn(g, r)
}

// view shows the numbers of some corruptions, if there are any.
func (b benchmark) view(g *grid, r *report.Report, title string, names []corrupt.Name) {
	v := report.View{Title: title, Columns: []string{"corruption", "error", "", "1", "2", "3", "4", "5", "CE", "rel. CE", "ECE"}}
	for _, o := range g.others {
		v.Columns = append(v.Columns, "AUROC "+o.Set)
	}
	for _, n := range names {
		if len(g.severities(n)) > 0 {
			v.Rows = append(v.Rows, b.row(g, r, n))
		}
	}
	if len(v.Rows) > 0 {
		r.Show(v)
	}
}

// row adds the numbers of a corruption.
func (b benchmark) row(g *grid, r *report.Report, n corrupt.Name) []report.Cell {
	key, at := report.KeyCorruption.Is(string(n)), g.severities(n)
	severity := func(s int) report.Key { return report.KeySeverity.Is(strconv.Itoa(s)) }
	e := r.Add(g.errors(n).number("error", report.Fraction, 0, 1, key).Noted("mean over severities"))
	row := report.Row(report.Word(string(n)), e.Bare(), e.Range())
	for s := 1; s <= corrupt.Severities; s++ {
		var e *report.Number
		if k := g.at(n, s); k >= 0 {
			e = r.Add(g.share("error", k, wrong, key, severity(s)))
			r.Add(g.share("top5_error", k, wrong5, key, severity(s)))
		}
		row = append(row, e.Bare())
	}
	var ce, relative *report.Number
	if v := b.ce(g, n, false); v != nil {
		ce = r.Add(v.number("ce", report.Fraction, 0, math.Inf(1), key).Noted("errors by " + b.Baseline.Name + "'s"))
	}
	if v := b.ce(g, n, true); v != nil {
		relative = r.Add(v.number("relative_ce", report.Fraction, math.Inf(-1), math.Inf(1), key).
			Noted("of what errors are above the clean error"))
	}
	for s := 1; s <= corrupt.Severities && ce != nil && !b.Baseline.MeansOnly[n]; s++ {
		v := g.perImage()
		g.add(v, g.at(n, s), wrong, 1/b.Baseline.By[n][s-1])
		r.Add(v.number("ce", report.Fraction, 0, math.Inf(1), key, severity(s)).Noted("of the severity alone"))
	}
	ece := r.Add(report.Number{
		Name: "ece", At: report.Keys{key}, Value: g.ece(at), Unit: report.Fraction, N: len(g.images), Better: report.Lower,
		Note: "mean over severities; without an interval",
	})
	r.Add(g.loss(at).number("nll", report.Nats, 0, math.Inf(1), key).Noted("mean over severities"))
	row = append(row, ce.Bare(), relative.Bare(), ece.Bare())
	for _, o := range g.others {
		row = append(row, r.Add(g.auroc(at, o, key).Noted("msp, mean over severities")).Bare())
	}
	return row
}

// warn says why numbers are not there, and which say little.
func (b benchmark) warn(g *grid, r *report.Report) {
	var missing, lacks []string
	for _, n := range corrupt.Benchmark() {
		if len(g.severities(n)) == 0 {
			missing = append(missing, string(n))
			continue
		}
		for s := 1; s <= corrupt.Severities; s++ {
			if g.at(n, s) < 0 {
				missing = append(missing, fmt.Sprintf("%s/%d", n, s))
			}
		}
	}
	if len(missing) > 0 {
		r.Warn("there is no mCE: it is a mean over 15 corruptions at 5 severities, and these are missing: %s", strings.Join(missing, ", "))
	}
	base := b.Baseline
	if base == nil {
		return
	}
	for _, n := range corrupt.Benchmark() {
		if _, ok := base.By[n]; !ok {
			lacks = append(lacks, string(n))
		}
	}
	if len(lacks) > 0 {
		r.Warn("the baseline %s has no errors of %s, so there is no mCE", base.Name, strings.Join(lacks, ", "))
	}
	if g.of(variants.Variant{}) >= 0 && base.Clean < 0 {
		r.Warn("the baseline %s has no clean_error, so there is no relative mCE", base.Name)
	}
	if base.Name == baseline.AlexNet().Name && r.Model.Classes != 1000 {
		r.Warn("CE and mCE are relative to AlexNet on ImageNet-C; of a model with %d classes they say little (--baseline none, or a file)",
			r.Model.Classes)
	}
}

// compared are the errors: clean, mean, mCE, and of every corruption.
func (b benchmark) compared(g *grid) []compared {
	var out []compared
	add := func(name string, v perImage, at ...report.Key) {
		out = append(out, compared{compare.Metric{Name: name, At: at}, v})
	}
	if clean := g.of(variants.Variant{}); clean >= 0 {
		add("clean_error", g.mean(wrong, clean))
	}
	if all := corrupt.Benchmark(); g.allComplete(all) {
		add("error", g.errors(all...))
		if known := b.ces(g, all, false); len(known) == len(all) {
			add("mce", average(known))
		}
	}
	for _, n := range corrupt.All() {
		if len(g.severities(n)) > 0 {
			add("error", g.errors(n), report.KeyCorruption.Is(string(n)))
		}
	}
	return out
}
