package classify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// result is everything the task found.
type result struct {
	Records        []Record // in sample order, bad images included, without their top-5 lists
	Good           []int    // indices of records with an outcome
	class          []int    // of the good records: index into About.Names
	Whole          metrics.Classification
	Intervals      *metrics.Intervals // nil without a bootstrap
	Temperature    *metrics.Temperature
	NoTemperature  error                  // why there is none
	Scaled         metrics.Classification // with the temperature of the other half of the images
	ScaledInterval *metrics.Intervals
	Pairs          []Pair
	Outputs        int // outputs that competed
	scores         *scores
	Warnings       []string
}

// Outcomes are those of the good records, in order.
func (res *result) Outcomes() []metrics.Outcome {
	out := make([]metrics.Outcome, len(res.Good))
	for i, at := range res.Good {
		out[i] = res.Records[at].Outcome()
	}
	return out
}

// Pair is a class that is taken for another.
type Pair struct {
	Class, As int // index into Input.Names; output number of the prediction
	N, Of     int // images of the class so predicted, and all of the class
}

// evaluate computes all numbers from the records of a run. On cancellation it
// returns the context's error.
func evaluate(ctx context.Context, a About, run *results.Run) (*result, error) {
	if err := a.Config.Validate(); err != nil {
		return nil, err
	}
	contest := a.contest()
	res := &result{Outputs: len(contest.Outputs)}
	classes := map[string]int{}
	for i, name := range a.Names {
		classes[name] = i
	}
	err := results.Each[Record](ctx, run, nil, func(r *Record, _ [][]float32) error {
		if r.Status == results.OK {
			class, ok := classes[r.Class]
			if !ok || int(r.Label) >= a.Outputs || int(r.Prediction) >= a.Outputs || r.Label < 0 || r.Prediction < 0 || contest.Place(int(r.Label)) < 0 {
				return fmt.Errorf("the record of %s does not belong to this run's classes", r.ID)
			}
			res.Good, res.class = append(res.Good, len(res.Records)), append(res.class, class)
		}
		r.Top, r.TopProbability = nil, nil // no number needs them
		res.Records = append(res.Records, *r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(res.Good) == 0 {
		return nil, tasks.NothingLeft(res.bad())
	}
	if res.Whole, res.Intervals, err = a.score(ctx, res.Outcomes()); err != nil {
		return nil, err
	}
	if err := res.temperature(ctx, a, run, contest); err != nil {
		return nil, err
	}
	if res.scores, err = res.look(ctx, a, run); err != nil {
		return nil, err
	}
	res.Pairs = res.confused(a)
	res.warn(a)
	return res, nil
}

// bad are the images that could not be evaluated.
func (res *result) bad() []report.BadImage {
	var out []report.BadImage
	for _, r := range res.Records {
		if r.Status != results.OK {
			out = append(out, report.BadImage{ID: r.ID, Reason: r.Error})
		}
	}
	return out
}

// logitsReader reads the logits of the good records again and again.
type logitsReader struct {
	res     *result
	values  *results.Values
	contest *evaluation.Contest
}

// each yields the logits of the outputs that compete, of the good records i for
// which pick(i) holds (nil: all), and the label's place among them. A row is valid
// until the next one; an error ends the rows.
func (l *logitsReader) each(ctx context.Context, pick func(int) bool, failed *error) iter.Seq2[[]float32, int] {
	return func(yield func([]float32, int) bool) {
		i := 0 // next good record
		err := l.values.Each(ctx, func(index int, v []float32) bool {
			if i == len(l.res.Good) || int(l.res.Records[l.res.Good[i]].Index) != index {
				return true // a bad image
			}
			i++
			if pick != nil && !pick(i-1) {
				return true
			}
			return yield(l.contest.Logits(v), l.contest.Place(int(l.res.Records[l.res.Good[i-1]].Label)))
		})
		if err != nil {
			*failed = err
		}
	}
}

// temperature fits T on all images, and measures its use without looking at an
// image twice: even images get the T of the odd ones and the other way round.
func (res *result) temperature(ctx context.Context, a About, run *results.Run, contest *evaluation.Contest) error {
	if _, ok := run.HasArray(evaluation.Logits); !ok {
		res.NoTemperature = errors.New("the run keeps no logits")
		return nil
	}
	values, err := run.Values(evaluation.Logits)
	if err != nil {
		return err
	}
	rows := &logitsReader{res, values, contest}
	var failed error
	whole, err := metrics.FitTemperature(rows.each(ctx, nil, &failed))
	if failed != nil {
		return failed
	}
	if err != nil {
		res.NoTemperature = err
		return nil
	}
	res.Temperature = &whole
	var half [2]float64
	for k := range half {
		t, err := metrics.FitTemperature(rows.each(ctx, func(i int) bool { return i%2 != k }, &failed))
		if failed != nil {
			return failed
		}
		if err != nil {
			return nil // too few images for halves; the temperature itself stands
		}
		half[k] = t.Value
	}
	scaled := make([]metrics.Outcome, 0, len(res.Good))
	for z, label := range rows.each(ctx, nil, &failed) {
		o, err := metrics.Score(z, label, half[len(scaled)%2])
		if err != nil {
			return err
		}
		scaled = append(scaled, o)
	}
	if failed != nil {
		return failed
	}
	res.Scaled, res.ScaledInterval, err = a.score(ctx, scaled)
	return err
}

// score computes all numbers, and their intervals where the configuration
// wants a bootstrap.
func (a About) score(ctx context.Context, v []metrics.Outcome) (metrics.Classification, *metrics.Intervals, error) {
	c := a.Config
	all := metrics.Evaluate(v, c.Bins)
	if c.Replicates == 0 {
		return all, nil, nil
	}
	iv, err := metrics.EvaluateIntervals(ctx, all, v, c.Bins, c.Replicates, a.Seed)
	return all, &iv, err
}

// confused lists the pairs with the most errors, then by class order.
func (res *result) confused(a About) []Pair {
	type key struct{ class, as int }
	count := map[key]int{}
	of := make([]int, len(a.Names))
	for i, at := range res.Good {
		r, class := &res.Records[at], res.class[i]
		of[class]++
		if !r.Correct {
			count[key{class, int(r.Prediction)}]++
		}
	}
	var out []Pair
	for k, n := range count {
		out = append(out, Pair{Class: k.class, As: k.as, N: n, Of: of[k.class]})
	}
	slices.SortFunc(out, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Class, b.Class), cmp.Compare(a.As, b.As))
	})
	return out[:min(a.Config.Pairs, len(out))]
}

// warn says what about the numbers is suspicious.
func (res *result) warn(a About) {
	add := func(format string, a ...any) { res.Warnings = append(res.Warnings, fmt.Sprintf(format, a...)) }
	if a.Pixels != "" {
		add("%s", a.Pixels)
	}
	if !a.Hard {
		res.Warnings = append(res.Warnings, res.scores.warnings(res.Whole.Top1Hits, res.Outputs, a.Probabilities, a.Predicted)...)
	}
	if w := res.orderWarning(a); w != "" {
		add("%s", w)
	}
	predicted := map[int]bool{}
	for _, at := range res.Good {
		predicted[int(res.Records[at].Prediction)] = true
	}
	if len(predicted) == 1 && len(res.Good) >= 20 && res.Whole.Top1 < 0.9 {
		if a.Predicted {
			add("the same class is predicted for every image: the program that computed the scores is likely wrong")
		} else {
			add("the model predicts the same output for every image: preprocessing or model is likely wrong")
		}
	}
	n, seen, outputs := len(a.Output), map[int]bool{}, len(slices.Concat(append([][]int{a.Output}, a.More...)...))
	for _, class := range res.class {
		seen[class] = true
	}
	if len(seen) < n {
		add("%d of %d classes have no evaluated image", n-len(seen), n)
	}
	switch {
	case outputs >= res.Outputs || a.Hard:
	case a.Predicted:
		add("the data has %d of the predictions' %d classes, and all %d compete; published ImageNet-A and -R numbers let only the data's classes compete (--restrict)", outputs, a.Outputs, res.Outputs)
	default:
		add("the data has %d of the model's %d classes, and all %d outputs compete; published ImageNet-A and -R numbers let only the data's classes compete (--restrict)", outputs, a.Outputs, res.Outputs)
	}
	if res.NoTemperature != nil && !a.Hard {
		add("no temperature: %v", res.NoTemperature)
	}
}
