package multilabel

import (
	"context"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// top is how many of an image's classes are looked at beside a threshold.
const top = 3

// samples are images with scores, prepared for evaluating many resamples.
type samples struct {
	a         About
	classes   int
	precision *metrics.MultiLabel
	ranking   metrics.LabelRanking
	sets      []*metrics.LabelSets // in the order of setNames
}

// setNames end the names of numbers of label sets: what is above the threshold; of that, an image's
// highest three; the highest three whatever they are.
func (s *samples) setNames() []string {
	if s.classes <= top {
		return []string{""}
	}
	return []string{"", "_top3", "_exactly3"}
}

// prepare makes scores ready, one per class in each row.
func (a About) prepare(scores []float32, truth []float64) *samples {
	s := &samples{a: a, classes: len(a.Classes)}
	s.precision = metrics.NewMultiLabel(scores, truth, s.classes)
	s.ranking = metrics.NewLabelRanking(scores, truth, s.classes)
	cut := float64(float32(a.Config.Threshold))
	if a.Scale == evaluation.Logit {
		cut = math.Log(a.Config.Threshold) - math.Log1p(-a.Config.Threshold)
	}
	above, highest := metrics.Above(scores, cut), metrics.Highest(scores, s.classes, top)
	both := slices.Clone(above)
	for i, h := range highest {
		both[i] = both[i] && h
	}
	for k := range s.setNames() {
		s.sets = append(s.sets, metrics.NewLabelSets([][]bool{above, both, highest}[k], truth, s.classes))
	}
	return s
}

// number is one of the numbers of the whole.
type number struct {
	name   string
	value  float64
	unit   report.Unit
	better report.Better
	note   string
}

// numbers are those of a resample in which image i counts count[i] times, and more of the classes.
func (s *samples) numbers(count []uint16) (whole []number, p metrics.AveragePrecisions, classes []metrics.ClassCounts) {
	p = s.precision.AveragePrecisions(count)
	share := func(name string, v float64, note string) {
		whole = append(whole, number{name, v, report.Fraction, report.Higher, note})
	}
	share("map", p.Mean, "mean over classes of the average precision, as scikit-learn's")
	share("map_voc07", p.VOC07, "interpolated at 11 recalls, as VOC 2007")
	share("map_micro", p.Micro, "of all images and classes in one ranking")
	share("map_weighted", p.Weighted, "by the number of positive images")
	var exact, hamming float64
	for k, end := range s.setNames() {
		n := s.sets[k].Evaluate(count)
		notes := [6]string{}
		if k == 0 {
			exact, hamming, classes = n.Exact, n.Hamming, n.Classes
			at := s.a.Config.Threshold
			notes = [6]string{fmt.Sprintf("precision by class, above %v", at), "recall by class", "of cp and cr", "precision over all classes", "recall over all classes", "of op and or"}
		}
		share("cp"+end, n.CP, notes[0])
		share("cr"+end, n.CR, notes[1])
		share("cf1"+end, n.CF1, notes[2])
		share("op"+end, n.OP, notes[3])
		share("or"+end, n.OR, notes[4])
		share("of1"+end, n.OF1, notes[5])
	}
	share("subset_accuracy", exact, "images whose labels are all right")
	whole = append(whole,
		number{"hamming_loss", hamming, report.Fraction, report.Lower, "share of labels that are wrong"},
		number{"ranking_loss", metrics.MeanOf(s.ranking.Loss, count), report.Fraction, report.Lower, "pairs of classes out of order"},
		number{"coverage_error", metrics.MeanOf(s.ranking.Coverage, count), report.None, report.Lower, "classes down to the last right one"},
		number{"lrap", metrics.MeanOf(s.ranking.Precision, count), report.Fraction, report.Higher, "label ranking average precision"},
		number{"one_error", metrics.MeanOf(s.ranking.OneError, count), report.Fraction, report.Lower, "images whose highest score is wrong"},
	)
	return whole, p, classes
}

// result is everything the task found.
type result struct {
	*Scored
	*samples
	byValue   bool // the scale of the scores is known by their values alone
	whole     []number
	intervals map[string]metrics.Interval // of the whole; nil without a bootstrap
	average   metrics.AveragePrecisions
	counts    []metrics.ClassCounts
	known     []int // images by class of which it is known whether they are of it
	of        classIntervals
	warnings  []string
}

// classIntervals are bootstrap intervals by class; nil without a bootstrap.
type classIntervals struct{ precision, f1 []metrics.Interval }

// evaluate computes all numbers from the records of a run.
func evaluate(ctx context.Context, a About, run *results.Run) (*result, error) {
	scored, err := Read(ctx, run, a.Output)
	if err != nil {
		return nil, err
	}
	if len(scored.At) == 0 {
		return nil, tasks.NothingLeft(scored.Bad)
	}
	res := &result{Scored: scored, byValue: a.Scale == evaluation.Automatic, known: make([]int, len(a.Classes))}
	if res.byValue {
		a.Scale = evaluation.ScaleOf(scored.Scores)
	}
	res.samples = a.prepare(scored.Scores, scored.Truth)
	for at, y := range scored.Truth {
		if !math.IsNaN(y) {
			res.known[at%len(a.Classes)]++
		}
	}
	n := len(scored.At)
	res.whole, res.average, res.counts = res.numbers(slices.Repeat([]uint16{1}, n))
	if a.Config.Replicates > 0 {
		if err := res.bootstrap(ctx, n); err != nil {
			return nil, err
		}
	}
	res.warn()
	return res, nil
}

// bootstrap computes intervals over images.
func (res *result) bootstrap(ctx context.Context, n int) error {
	c := len(res.a.Classes)
	boot, err := metrics.Bootstrap(ctx, n, res.a.Config.Replicates, res.a.Seed, func(count []uint16) []float64 {
		whole, p, counts := res.numbers(count)
		out := make([]float64, 0, len(whole)+2*c)
		for _, v := range whole {
			out = append(out, v.value)
		}
		out = append(out, p.Classes...)
		for _, of := range counts {
			out = append(out, f1Of(of))
		}
		return out
	})
	if err != nil {
		return err
	}
	res.intervals = map[string]metrics.Interval{}
	for k, v := range res.whole {
		res.intervals[v.name] = metrics.Percentile(boot[k])
	}
	for k := range c {
		res.of.precision = append(res.of.precision, metrics.Percentile(boot[len(res.whole)+k]))
		res.of.f1 = append(res.of.f1, metrics.Percentile(boot[len(res.whole)+c+k]))
	}
	return nil
}

// f1Of is the F1 of a class; NaN where no image is of it or taken for it.
func f1Of(c metrics.ClassCounts) float64 { return 2 * float64(c.Right) / float64(c.Of+c.Taken) }

// warn says what about the numbers is suspicious.
func (res *result) warn() {
	add := func(format string, a ...any) { res.warnings = append(res.warnings, fmt.Sprintf(format, a...)) }
	a := res.a
	switch {
	case a.Competing:
		add("each image's scores sum to 1, as a model gives them for one label per image: few can be above a threshold of %v, and scores of different images compare badly", a.Config.Threshold)
	case res.byValue && a.Scale == evaluation.Probability:
		add("nothing in the graph says whether the scores are logits or probabilities; all lie between 0 and 1, so they were taken for probabilities (--scores logit if they are none)")
	}
	without := 0
	for _, c := range res.counts {
		if c.Of == 0 {
			without++
		}
	}
	if without > 0 {
		add("%d of %d classes have no positive image and are left out of means over classes", without, len(res.counts))
	}
	if w := res.orderWarning(); w != "" {
		add("%s", w)
	}
}
