package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
)

// once counts each of n images once.
func once(n int) []uint16 { return slices.Repeat([]uint16{1}, n) }

// Report computes the numbers of the heads from their runs, and describes the training.
func (l *loaded) Report(ctx context.Context) (*report.Report, error) {
	a, c := l.about, l.about.Config
	r := &report.Report{Head: a.Head, BadImages: a.Bad, Tried: a.Tried, Warnings: slices.Clone(a.Warnings)}
	if r.Config.Task = c; l.seed != r.Config.Seed {
		r.Option("trained with seed %d", r.Config.Seed)
		r.Config.Seed = l.seed
	}
	chosen := l.log.Chosen(c.Last)
	r.Option("%s", c.Training)
	r.Option("epoch %d of %d kept, in %s", chosen.Epoch, len(l.log), a.File)
	for _, s := range a.Sets {
		show := l.one
		if c.several() {
			show = l.several
		}
		tuned, err := show(ctx, r, s)
		if err != nil {
			return nil, err
		}
		r.Main, r.MainAt = tuned, at(s, s.Heads[0]) // of the last set
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

// chose says whether a set's images chose the epoch.
func (l *loaded) chose(s set) bool { return s.Name == "val" && len(l.log) > 1 && !l.about.Config.Last }

// title is that of a set's numbers.
func (l *loaded) title(s set, n int, rest string) string {
	chose := ""
	if l.chose(s) {
		chose = ", which chose the epoch"
	}
	return fmt.Sprintf("%s, n = %d%s; %s", s.Name, n, chose, rest)
}

// at is what numbers of a head on a set are of.
func at(s set, c candidate) report.Keys {
	return report.Keys{report.KeySet.Is(s.Name), report.KeyHead.Is(c.Name)}
}

// one reports the heads on a set of images with one label, and returns the tuned head's numbers.
func (l *loaded) one(ctx context.Context, r *report.Report, s set) (tuned []*report.Number, err error) {
	c := l.about.Config
	v := report.View{Columns: []string{"head", "top1 %", "", "nll", "ece %", "top1 less tuned's", "", "p (McNemar, Holm)"}}
	var first []metrics.Outcome // the tuned head's
	var differences []*report.Number
	for _, one := range s.Heads {
		outcomes, err := l.outcomes(ctx, one.run(s.Name))
		if err != nil {
			return nil, err
		}
		n := len(outcomes)
		all := metrics.Evaluate(outcomes, c.Bins)
		iv, err := metrics.EvaluateIntervals(ctx, all, outcomes, c.Bins, c.Replicates, l.seed)
		if err != nil {
			return nil, err
		}
		var numbers []*report.Number
		add := func(name string, value float64, unit report.Unit, i *metrics.Interval, better report.Better) *report.Number {
			added := r.Add(report.Number{
				Name: name, At: at(s, one), Value: value, Unit: unit, N: n, Interval: i, Better: better, Note: s.Name + " images",
			})
			numbers = append(numbers, added)
			return added
		}
		top1 := add("top1", all.Top1, report.Fraction, &iv.Top1, report.Higher)
		if len(l.about.Classes) > 5 && !one.Votes {
			add("top5", all.Top5, report.Fraction, &iv.Top5, report.Higher)
		}
		add("balanced_accuracy", all.BalancedAccuracy, report.Fraction, &iv.Balanced, report.Higher)
		nll, ece := report.Word("-"), report.Word("-")
		if !one.Votes {
			nll = add("nll", all.NLL, report.Nats, &iv.NLL, report.Lower).Bare()
			ece = add("ece", all.Width.ECE, report.Fraction, &iv.ECE, report.Lower).Bare()
		}
		var less *report.Number
		if first == nil {
			first, tuned = outcomes, numbers
		} else {
			d, err := paired(ctx, first, outcomes, c.Replicates, l.seed)
			if err != nil {
				return nil, err
			}
			less = r.Add(difference("top1_difference", at(s, one), n, d))
			differences = append(differences, less)
		}
		v.Rows = append(v.Rows, report.Row(report.Word(one.Name), top1.Bare(), top1.Range(), nll, ece, less.Signed(), less.Range(), less.PValue()))
	}
	report.Holm(differences...)
	v.Title = l.title(s, len(first), "differences to tuned with 95 % intervals")
	r.Show(v)
	return tuned, nil
}

// outcomes are those of a run.
func (l *loaded) outcomes(ctx context.Context, name string) ([]metrics.Outcome, error) {
	run, err := l.study.Member(name)
	if err != nil {
		return nil, err
	}
	var out []metrics.Outcome
	err = results.Each[classify.Record](ctx, run, nil, func(r *classify.Record, _ [][]float32) error {
		out = append(out, r.Outcome())
		return nil
	})
	return out, err
}

// difference is the number of what a head has more than the tuned one.
func difference(name string, at report.Keys, n int, d metrics.Difference) report.Number {
	return report.Number{
		Name: name, At: at, Value: d.Value, Unit: report.Fraction, N: n, Interval: &d.Interval, Better: report.Higher,
		Test: &report.Test{Name: d.Test, P: d.P}, Note: "less the tuned head's",
	}
}

// paired is the difference of top-1, b less a, with McNemar's test.
func paired(ctx context.Context, a, b []metrics.Outcome, replicates int, seed uint64) (metrics.Difference, error) {
	if len(a) != len(b) {
		return metrics.Difference{}, errors.New("the runs of the heads are of different images; run the same command again")
	}
	share := func(v []metrics.Outcome) metrics.Statistic {
		return func(count []uint16) []float64 {
			hits := 0
			for i, o := range v {
				if o.Correct() {
					hits += int(count[i])
				}
			}
			return []float64{float64(hits) / float64(len(v))}
		}
	}
	d, err := metrics.Paired(ctx, len(a), replicates, seed, share(a), share(b))
	if err != nil {
		return metrics.Difference{}, err
	}
	right := func(v []metrics.Outcome) func(i int) bool { return func(i int) bool { return v[i].Correct() } }
	onlyA, onlyB := metrics.Discordant(len(a), right(a), right(b))
	d[0].P, d[0].Test = metrics.McNemar(onlyA, onlyB), "McNemar, exact"
	return d[0], nil
}

// several reports the heads on a set of images with several labels, and returns the tuned head's
// numbers.
func (l *loaded) several(ctx context.Context, r *report.Report, s set) (tuned []*report.Number, err error) {
	c := l.about.Config
	v := report.View{Columns: []string{"head", "map %", "", "map less tuned's", "", "p (bootstrap, Holm)"}}
	var first metrics.Statistic // the tuned head's
	var n int
	var differences []*report.Number
	for _, one := range s.Heads {
		scores, y, err := l.scores(ctx, one.run(s.Name))
		if err != nil {
			return nil, err
		}
		n = len(y) / len(l.about.Classes)
		m := metrics.NewMultiLabel(scores, y, len(l.about.Classes))
		values := m.Evaluate(once(n))
		boot, err := metrics.Bootstrap(ctx, n, c.Replicates, l.seed, m.Evaluate)
		if err != nil {
			return nil, err
		}
		iv := metrics.Percentile(boot[0])
		mean := r.Add(report.Number{
			Name: "map", At: at(s, one), Value: values[0], Unit: report.Fraction, N: n, Interval: &iv, Better: report.Higher, Note: s.Name + " images",
		})
		var less *report.Number
		own := func(count []uint16) []float64 { return m.Evaluate(count)[:1] }
		if first == nil {
			first, tuned = own, []*report.Number{mean}
			r.Show(l.classes(r, s, y, values[1:], boot[1:]))
		} else {
			d, err := metrics.Paired(ctx, n, c.Replicates, l.seed, first, own)
			if err != nil {
				return nil, err
			}
			less = r.Add(difference("map_difference", at(s, one), n, d[0]))
			differences = append(differences, less)
		}
		v.Rows = append(v.Rows, report.Row(report.Word(one.Name), mean.Bare(), mean.Range(), less.Signed(), less.Range(), less.PValue()))
	}
	report.Holm(differences...)
	v.Title = l.title(s, n, "mean average precision with 95 % intervals")
	r.Show(v)
	return tuned, nil
}

// scores are those of a run, and what its images are.
func (l *loaded) scores(ctx context.Context, name string) (scores []float32, y []float64, err error) {
	run, err := l.study.Member(name)
	if err != nil {
		return nil, nil, err
	}
	err = results.Each[scored](ctx, run, []string{evaluation.Logits, truthArray}, func(_ *scored, arrays [][]float32) error {
		scores, y = append(scores, arrays[0]...), append(y, wide(arrays[1])...)
		return nil
	})
	return scores, y, err
}

// classes reports the tuned head's average precision of every class that has an image.
func (l *loaded) classes(r *report.Report, s set, y, values []float64, boot [][]float64) report.View {
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
	t := report.Table{Name: "epochs", Title: "training (* the best so far)", Columns: report.Columns("epoch", "lr", "train_loss", "val_loss", "val_"+score)}
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
