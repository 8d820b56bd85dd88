package finetune

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/multilabel"
)

// once counts each of n images once.
func once(n int) []uint16 { return slices.Repeat([]uint16{1}, n) }

// Report computes the numbers of the heads from their runs, and describes the training.
func (l *loaded) Report(ctx context.Context) (*report.Report, error) {
	a, c := l.about, l.about.Config
	r := &report.Report{Head: a.Head, BadImages: a.Bad, Tried: a.Tried, Warnings: slices.Clone(a.Warnings)}
	r.Config.Task = c
	bootstrapped(&r.Head, l.seed)
	chosen := l.log.Chosen(c.Last)
	r.Option("%s", c.Training)
	r.Option("epoch %d of %d kept, in %s", chosen.Epoch, len(l.log), a.File)
	for _, s := range a.Sets {
		main, err := l.show(ctx, r, s)
		if err != nil {
			return nil, err
		}
		r.Main, r.MainAt = main, at(s, s.Heads[0]) // of the last set
	}
	r.Show(l.epochs())
	if c.Search {
		r.Show(l.trials())
	}
	guessing := math.Log(float64(len(a.Classes)))
	if c.several() {
		guessing = math.Ln2
	}
	if chosen.ValLoss > guessing {
		r.Warn("the validation loss of %.4g is above %.4g, that of guessing: the head is overconfident; "+
			"a lower --lr or a larger --weight-decay helps", chosen.ValLoss, guessing)
	}
	if fit := l.log[0].Fit; fit != nil && fit.Gradient > 1e-6 {
		r.Warn("the optimum was not reached: %s; a larger --weight-decay makes it steeper", fit)
	}
	if l.chose(l.last()) {
		r.Warn("the epoch was chosen by these validation images: give --test for numbers of images that chose nothing")
	}
	return r, nil
}

// bootstrapped says in a head which seed its intervals are drawn with.
func bootstrapped(h *report.Head, seed uint64) {
	if seed != h.Config.Seed {
		h.Option("trained with seed %d", h.Config.Seed)
		h.Config.Seed = seed
	}
}

// chose says whether a set's images chose the epoch.
func (l *loaded) chose(s set) bool { return s.Name == "val" && len(l.log) > 1 && !l.about.Config.Last }

// at is what numbers of a head on a set are of.
func at(s set, c candidate) report.Keys {
	return report.Keys{report.KeySet.Is(s.Name), report.KeyHead.Is(c.Name)}
}

// measured is what a head gives on a set.
type measured struct {
	n         int // images
	numbers   []report.Number
	statistic metrics.Statistic // of the first number, for differences
	right     func(i int) bool  // whether image i is right; nil where images have several labels
}

// show reports the heads on a set, and returns the tuned head's numbers.
func (l *loaded) show(ctx context.Context, r *report.Report, s set) (main []*report.Number, err error) {
	measure, beside := l.one, []string{"nll", "ece"}
	v := report.View{Columns: []string{"head", "top1 %", "", "nll", "ece %", "top1 less tuned's", "", "p (McNemar, Holm)"}}
	what := "differences to tuned with 95 % intervals"
	if l.about.Config.several() {
		measure, beside = l.several, nil
		v.Columns = []string{"head", "map %", "", "map less tuned's", "", "p (bootstrap, Holm)"}
		what = "mean average precision with 95 % intervals"
	}
	var tuned *measured
	var differences []*report.Number
	for _, c := range s.Heads {
		at := at(s, c)
		m, err := measure(ctx, r, s, c)
		if err != nil {
			return nil, err
		}
		var added []*report.Number
		for _, n := range m.numbers {
			n.At, n.N, n.Note = at, m.n, s.Name+" images"
			added = append(added, r.Add(n))
		}
		row := report.Row(report.Word(c.Name), added[0].Bare(), added[0].Range())
		for _, name := range beside {
			cell := report.Word("-")
			if n := r.Find(name, at...); n != nil {
				cell = n.Bare()
			}
			row = append(row, cell)
		}
		var less *report.Number
		if tuned == nil {
			tuned, main = m, added
		} else {
			d, err := l.paired(ctx, tuned, m)
			if err != nil {
				return nil, err
			}
			less = r.Add(difference(m.numbers[0].Name, at, m.n, d).Noted("less the tuned head's"))
			differences = append(differences, less)
		}
		v.Rows = append(v.Rows, append(row, less.Signed(), less.Range(), less.PValue()))
	}
	report.Holm(differences...)
	chose := ""
	if l.chose(s) {
		chose = ", which chose the epoch"
	}
	v.Title = fmt.Sprintf("%s, n = %d%s; %s", s.Name, tuned.n, chose, what)
	r.Show(v)
	return main, nil
}

// difference is the number of what is more of another one, of that name.
func difference(name string, at report.Keys, n int, d metrics.Difference) report.Number {
	return report.Number{
		Name: name + "_difference", At: at, Value: d.Value, Unit: report.Fraction, N: n, Interval: &d.Interval, Better: report.Higher,
		Test: &report.Test{Name: d.Test, P: d.P},
	}
}

// paired is the difference of a head's first number, b less a, with McNemar's test where images are
// right or wrong.
func (l *loaded) paired(ctx context.Context, a, b *measured) (metrics.Difference, error) {
	if a.n != b.n {
		return metrics.Difference{}, fmt.Errorf("the runs of the heads in %q are of different images; run the same command again", l.study.Dir())
	}
	d, err := metrics.Paired(ctx, a.n, l.about.Config.Replicates, l.seed, a.statistic, b.statistic)
	if err != nil {
		return metrics.Difference{}, err
	}
	if a.right != nil {
		d[0].P, d[0].Test = metrics.McNemar(metrics.Discordant(a.n, a.right, b.right)), "McNemar, exact"
	}
	return d[0], nil
}

// one measures a head on images with one label.
func (l *loaded) one(ctx context.Context, _ *report.Report, s set, head candidate) (*measured, error) {
	run, err := l.study.Member(head.run(s.Name))
	if err != nil {
		return nil, err
	}
	var v []metrics.Outcome
	err = results.Each[classify.Record](ctx, run, nil, func(r *classify.Record, _ [][]float32) error {
		v = append(v, r.Outcome())
		return nil
	})
	if err != nil {
		return nil, err
	}
	c := l.about.Config
	all := metrics.Evaluate(v, c.Bins)
	iv, err := metrics.EvaluateIntervals(ctx, all, v, c.Bins, c.Replicates, l.seed)
	if err != nil {
		return nil, err
	}
	m := &measured{n: len(v), right: func(i int) bool { return v[i].Correct() }}
	m.statistic = func(count []uint16) []float64 {
		hits := 0
		for i, o := range v {
			if o.Correct() {
				hits += int(count[i])
			}
		}
		return []float64{float64(hits) / float64(len(v))}
	}
	add := func(wanted bool, name string, value float64, unit report.Unit, i *metrics.Interval, better report.Better) {
		if wanted {
			m.numbers = append(m.numbers, report.Number{Name: name, Value: value, Unit: unit, Interval: i, Better: better})
		}
	}
	add(true, "top1", all.Top1, report.Fraction, &iv.Top1, report.Higher)
	add(len(l.about.Classes) > 5 && !head.Votes, "top5", all.Top5, report.Fraction, &iv.Top5, report.Higher)
	add(true, "balanced_accuracy", all.BalancedAccuracy, report.Fraction, &iv.Balanced, report.Higher)
	add(!head.Votes, "nll", all.NLL, report.Nats, &iv.NLL, report.Lower)
	add(!head.Votes, "ece", all.Width.ECE, report.Fraction, &iv.ECE, report.Lower)
	return m, nil
}

// several measures a head on images with several labels. Of the tuned one it reports the classes.
func (l *loaded) several(ctx context.Context, r *report.Report, s set, head candidate) (*measured, error) {
	run, err := l.study.Member(head.run(s.Name))
	if err != nil {
		return nil, err
	}
	output := make([]int, len(l.about.Classes))
	for k := range output {
		output[k] = k
	}
	images, err := multilabel.Read(ctx, run, output)
	if err != nil {
		return nil, err
	}
	y := images.Truth
	c, classes := l.about.Config, len(l.about.Classes)
	of := metrics.NewMultiLabel(images.Scores, y, classes)
	m := &measured{n: len(y) / classes, statistic: func(count []uint16) []float64 { return of.Evaluate(count)[:1] }}
	values := of.Evaluate(once(m.n))
	boot, err := metrics.Bootstrap(ctx, m.n, c.Replicates, l.seed, of.Evaluate)
	if err != nil {
		return nil, err
	}
	iv := metrics.Percentile(boot[0])
	m.numbers = []report.Number{{Name: "map", Value: values[0], Unit: report.Fraction, Interval: &iv, Better: report.Higher}}
	if head.Name == tunedHead {
		r.Show(l.byClass(r, s, y, values[1:], boot[1:]))
	}
	return m, nil
}

// byClass reports the average precision of every class that has an image.
func (l *loaded) byClass(r *report.Report, s set, y, values []float64, boot [][]float64) report.View {
	v := report.View{Title: s.Name + ", average precision of the tuned head by class, percent", Columns: []string{"class", "", ""}}
	for k, name := range l.about.Classes {
		if len(boot[k]) == 0 || math.IsNaN(values[k]) {
			continue
		}
		known := 0
		for i := k; i < len(y); i += len(l.about.Classes) {
			if !math.IsNaN(y[i]) {
				known++
			}
		}
		iv := metrics.Percentile(boot[k])
		n := r.Add(report.Number{
			Name: "average_precision", At: report.Keys{report.KeySet.Is(s.Name), report.KeyClass.Is(name)}, Value: values[k],
			Unit: report.Fraction, N: known, Interval: &iv, Better: report.Higher,
		})
		v.Rows = append(v.Rows, report.Row(report.Word(name), n.Bare(), n.Range()))
	}
	return v
}

// plain is a cell of a number that is none of the report's.
func plain(v float64) *report.Number { return report.Plain(v, report.None) }

// share is a cell of a share that is none of the report's, in percent.
func share(v float64) report.Cell { return report.Plain(v, report.Fraction).Bare() }

// epochs lists the training's epochs.
func (l *loaded) epochs() report.Table {
	score := l.about.Config.score()
	t := report.Table{Name: "epochs", Title: "training (* the best so far)"}
	t.Columns = report.Columns("epoch", "lr", "train_loss", "val_loss", "val_"+score)
	t.Columns[2].Head, t.Columns[3].Head, t.Columns[4].Head = "train loss", "val loss", "val "+score+" %"
	for _, e := range l.log {
		chosen := share(e.ValScore)
		if e.Best {
			chosen = chosen.Marked(" *")
		}
		t.Rows = append(t.Rows, report.Row(report.Int(e.Epoch), plain(e.Rate).General(), plain(e.Loss).Bare(), plain(e.ValLoss).Bare(), chosen))
	}
	return t
}

// trials lists what the search has tried.
func (l *loaded) trials() report.Table {
	score := l.about.Config.score()
	t := report.Table{
		Name: "search", Title: "search, on " + strconv.Itoa(l.search.Held) + " held-out training images",
		Columns: report.Columns("lr", "weight_decay", score, "loss"),
	}
	t.Columns[1].Head, t.Columns[2].Head = "weight decay", score+" %"
	for _, one := range l.search.Trials {
		row := report.Row(plain(one.Rate).General(), plain(one.Decay).General(), share(one.Score), plain(one.Loss).Bare())
		if one.Rate == 0 {
			row[0] = report.Word("-") // L-BFGS
		}
		if one.Diverged {
			row[2], row[3] = report.Word("-"), report.Word("diverged")
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
