// Package classify measures how accurate and how well calibrated a classifier
// is: top-1 and top-5, NLL, Brier, calibration errors, selective prediction,
// accuracy by class and the pairs of classes that are mixed up most.
package classify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"cutmix-eval/datasets"
	"cutmix-eval/internal/spool"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
)

// Config holds what the task can be told.
type Config struct {
	Bins       int    `json:"bins"`      // of the calibration errors
	Replicates int    `json:"bootstrap"` // replicates; 0 leaves those intervals out
	Seed       uint64 `json:"-"`         // of the bootstrap
	Pairs      int    `json:"pairs"`     // most confused pairs to list
	Restrict   bool   `json:"restrict"`  // only the outputs that are classes of the data compete
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config {
	return Config{Bins: 15, Replicates: 1000, Seed: 0, Pairs: 10}
}

// Input is what is evaluated.
type Input struct {
	IDs     []string         // of the samples
	Classes []int            // of the samples: index into Output and ClassNames
	Output  []int            // model output by class, from datasets.Align
	Names   []string         // class names
	Orders  []datasets.Order // other numberings, to explain a bad match
	Outputs int              // number of the model's outputs
	Pixels  pipeline.Config  // images, preprocessing and model; its output 0 holds the scores
}

// Record is what one image gave.
type Record struct {
	ID    string
	Class int // index into Input.Names
	Err   error
	metrics.Outcome
	Top []int // best outputs first, five of them at most
}

// Result is everything the task found.
type Result struct {
	Records        []Record // in sample order, bad images included
	Good           []int    // indices of records with an outcome
	Whole          metrics.Classification
	Intervals      *metrics.Intervals // nil without a bootstrap
	Temperature    *metrics.Temperature
	NoTemperature  error                  // why there is none
	Scaled         metrics.Classification // with the temperature of the other half of the images
	ScaledInterval *metrics.Intervals
	Pairs          []Pair
	Outputs        int  // outputs that competed
	Probabilities  bool // the model's scores were probabilities; their logarithms were used
	Stats          pipeline.Stats
	Computing      time.Duration // spent on metrics
	Warnings       []string
}

// Pair is a class that is taken for another.
type Pair struct {
	Class, As int // index into Input.Names; output number of the prediction
	N, Of     int // images of the class so predicted, and all of the class
}

// ErrNothingLeft says that not one image could be evaluated.
var ErrNothingLeft = errors.New("not one image could be evaluated")

// Run evaluates in. On cancellation it returns the context's error.
func Run(ctx context.Context, c Config, in Input) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(in.IDs) != len(in.Classes) || len(in.IDs) != in.Pixels.Images.N {
		panic("classify: IDs, Classes and Images of different lengths")
	}
	res := &Result{Records: make([]Record, 0, len(in.IDs))}
	compete, place := in.competing(c.Restrict)
	res.Outputs = len(compete)
	rows, err := spool.New(len(compete))
	if err != nil {
		return nil, err
	}
	defer rows.Close()

	z := make([]float32, len(compete))
	seen := scores{}
	res.Stats, err = pipeline.Run(ctx, in.Pixels, func(r pipeline.Result) error {
		rec := Record{ID: in.IDs[r.Index], Class: in.Classes[r.Index], Err: r.Err}
		if rec.Err == nil {
			rec.Err = rec.take(in, r.Output(0), compete, z, &seen)
		}
		if rec.Err == nil {
			res.Good = append(res.Good, len(res.Records))
			if err := rows.Append(z, place[in.Output[rec.Class]]); err != nil {
				return err
			}
		}
		res.Records = append(res.Records, rec)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(res.Good) == 0 {
		return nil, res.nothingLeft()
	}
	start := time.Now()
	res.Probabilities = seen.probabilities()
	if err := res.compute(ctx, c, in, compete, rows); err != nil {
		return nil, err
	}
	res.warn(in)
	res.Computing = time.Since(start)
	return res, nil
}

// nothingLeft names the images that could not be evaluated.
func (res *Result) nothingLeft() error {
	const most = 20
	var names []string
	for i, r := range res.Records {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(res.Records)-i))
			break
		}
		names = append(names, fmt.Sprintf("%s: %v", r.ID, r.Err))
	}
	return fmt.Errorf("%w: %s", ErrNothingLeft, strings.Join(names, "; "))
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Bins < 2:
		return fmt.Errorf("%d bins: at least 2 are needed", c.Bins)
	case c.Replicates < 0 || c.Replicates > 0 && c.Replicates < 100:
		return fmt.Errorf("%d bootstrap replicates: 0 for none, or at least 100", c.Replicates)
	case c.Pairs < 0:
		return fmt.Errorf("%d confused pairs", c.Pairs)
	}
	return nil
}

// competing lists the outputs that compete and where each output is in it (-1
// where it does not).
func (in Input) competing(restrict bool) (compete, place []int) {
	place = make([]int, in.Outputs)
	if restrict {
		compete = slices.Sorted(slices.Values(in.Output))
	} else {
		for o := range in.Outputs {
			compete = append(compete, o)
		}
	}
	for i := range place {
		place[i] = -1
	}
	for i, o := range compete {
		place[o] = i
	}
	return compete, place
}

// scores watches whether the model's numbers are logits or probabilities.
type scores struct {
	rows, likeProbabilities int
}

func (s *scores) see(v []float32) {
	s.rows++
	sum := 0.0
	for _, x := range v {
		if x < 0 || x > 1 {
			return
		}
		sum += float64(x)
	}
	if len(v) > 1 && math.Abs(sum-1) < 1e-3 {
		s.likeProbabilities++
	}
}

// probabilities says that every row lies in 0..1 and sums to 1: logits do not do
// that by chance.
func (s *scores) probabilities() bool { return s.rows > 0 && s.likeProbabilities == s.rows }

// take checks the model's output for one image and keeps the scores that
// compete in z.
func (rec *Record) take(in Input, out []float32, compete []int, z []float32, seen *scores) error {
	if len(out) != in.Outputs {
		return fmt.Errorf("the model gave %d scores, not %d", len(out), in.Outputs)
	}
	if i := metrics.NotFinite(out); i >= 0 {
		return fmt.Errorf("the model gave %v for output %d", out[i], i)
	}
	seen.see(out)
	for i, o := range compete {
		z[i] = out[o]
	}
	for _, i := range metrics.TopK(z, 5) {
		rec.Top = append(rec.Top, compete[i])
	}
	return nil
}

// logits yields the rows that pick picks, as logits.
func (res *Result) logits(ctx context.Context, rows *spool.Rows, pick func(int) bool, failed *error) iter.Seq2[[]float32, int] {
	return func(yield func([]float32, int) bool) {
		for z, label := range rows.Each(ctx, pick, failed) {
			if res.Probabilities {
				for i, p := range z {
					// The smallest probability that is not 0 bounds what rounding to 0 hid.
					z[i] = float32(math.Log(max(float64(p), math.SmallestNonzeroFloat32)))
				}
			}
			if !yield(z, label) {
				return
			}
		}
	}
}

// compute computes all numbers from the spooled scores of the outputs compete.
func (res *Result) compute(ctx context.Context, c Config, in Input, compete []int, rows *spool.Rows) error {
	out := make([]metrics.Outcome, 0, len(res.Good))
	var failed error
	for z, label := range res.logits(ctx, rows, nil, &failed) {
		o, err := metrics.Score(z, label, 1)
		if err != nil {
			return err
		}
		rec := &res.Records[res.Good[len(out)]]
		out = append(out, o)
		o.Label, o.Pred = compete[o.Label], compete[o.Pred]
		rec.Outcome = o
	}
	if failed != nil {
		return failed
	}
	var err error
	if res.Whole, res.Intervals, err = c.evaluate(ctx, out); err != nil {
		return err
	}
	if err := res.temperature(ctx, c, rows, out); err != nil {
		return err
	}
	res.Pairs = res.confused(in, c.Pairs)
	return nil
}

// temperature fits T on all images, and measures its use without looking at an
// image twice: even images get the T of the odd ones and the other way round.
func (res *Result) temperature(ctx context.Context, c Config, rows *spool.Rows, out []metrics.Outcome) error {
	var failed error
	whole, err := metrics.FitTemperature(res.logits(ctx, rows, nil, &failed))
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
		t, err := metrics.FitTemperature(res.logits(ctx, rows, func(i int) bool { return i%2 != k }, &failed))
		if failed != nil {
			return failed
		}
		if err != nil {
			return nil // too few images for halves; the temperature itself stands
		}
		half[k] = t.Value
	}
	scaled := make([]metrics.Outcome, 0, len(out))
	for z, label := range res.logits(ctx, rows, nil, &failed) {
		i := len(scaled)
		o, err := metrics.Score(z, label, half[i%2])
		if err != nil {
			return err
		}
		scaled = append(scaled, o)
	}
	if failed != nil {
		return failed
	}
	res.Scaled, res.ScaledInterval, err = c.evaluate(ctx, scaled)
	return err
}

// evaluate computes all numbers, and their intervals where the configuration
// wants a bootstrap.
func (c Config) evaluate(ctx context.Context, v []metrics.Outcome) (metrics.Classification, *metrics.Intervals, error) {
	all := metrics.Evaluate(v, c.Bins)
	if c.Replicates == 0 {
		return all, nil, nil
	}
	iv, err := metrics.EvaluateIntervals(ctx, all, v, c.Bins, c.Replicates, c.Seed)
	return all, &iv, err
}

// confused lists the pairs with the most errors, then by class order.
func (res *Result) confused(in Input, most int) []Pair {
	type key struct{ class, as int }
	count := map[key]int{}
	of := make([]int, len(in.Names))
	for _, at := range res.Good {
		r := &res.Records[at]
		of[r.Class]++
		if !r.Correct() {
			count[key{r.Class, r.Pred}]++
		}
	}
	var out []Pair
	for k, n := range count {
		out = append(out, Pair{Class: k.class, As: k.as, N: n, Of: of[k.class]})
	}
	slices.SortFunc(out, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Class, b.Class), cmp.Compare(a.As, b.As))
	})
	return out[:min(most, len(out))]
}

// warn says what about the numbers is suspicious.
func (res *Result) warn(in Input) {
	add := func(format string, a ...any) { res.Warnings = append(res.Warnings, fmt.Sprintf(format, a...)) }
	if res.Probabilities {
		add("the model's scores are probabilities (each image's sum to 1), so their logarithms were taken as logits; where a probability was rounded to 0, NLL is too low")
	}
	if w := res.orderWarning(in); w != "" {
		add("%s", w)
	}
	predicted := map[int]bool{}
	for _, at := range res.Good {
		predicted[res.Records[at].Pred] = true
	}
	if len(predicted) == 1 && len(res.Good) >= 20 && res.Whole.Top1 < 0.9 {
		add("the model predicts the same output for every image: preprocessing or model is likely wrong")
	}
	n, seen := len(in.Output), map[int]bool{}
	for _, at := range res.Good {
		seen[res.Records[at].Class] = true
	}
	if len(seen) < n {
		add("%d of %d classes have no evaluated image", n-len(seen), n)
	}
	if n < res.Outputs {
		add("the data has %d of the model's %d classes, and all %d outputs compete; published ImageNet-A and -R numbers let only the data's classes compete (--restrict)", n, in.Outputs, res.Outputs)
	}
	if res.NoTemperature != nil {
		add("no temperature: %v", res.NoTemperature)
	}
}

// orderWarning explains an accuracy near chance: if the predictions fit another
// numbering of the classes far better, the labels are in another order.
func (res *Result) orderWarning(in Input) string {
	n, k := len(res.Good), len(in.Output)
	chance := 1 / float64(res.Outputs)
	// Near chance: half as much again, or a tenth of the way to 1 where that is
	// less; with many outputs, where chance is nearly nothing, two percent.
	near := max(min(1.5*chance, chance+0.1*(1-chance)), min(0.02, 20*chance))
	// Luck may lift a few images' accuracy above that.
	if n < 20 || k < 2 || res.Whole.Top1 > min(1.5*near, near+0.1) || metrics.Wilson(res.Whole.Top1Hits, n).Low > near {
		return ""
	}
	count := map[[2]int]int{} // class, prediction
	for _, at := range res.Good {
		r := &res.Records[at]
		count[[2]int{r.Class, r.Pred}]++
	}
	fit := func(output []int) float64 {
		hits := 0
		for c, o := range output {
			hits += count[[2]int{c, o}]
		}
		return float64(hits) / float64(n)
	}
	// Clearly better than what is there, and than chance.
	enough := min(max(3*res.Whole.Top1, 5*chance, 0.1), (1+chance)/2)
	best, name := 0.0, ""
	for _, o := range in.Orders {
		if f := fit(o.Output); f > best {
			best, name = f, o.Name
		}
	}
	start := fmt.Sprintf("top-1 is near chance (%.2f %%, chance is %.2f %%): labels and outputs are probably in different orders", 100*res.Whole.Top1, 100*chance)
	if best >= enough {
		return fmt.Sprintf("%s; with %s top-1 would be %.2f %%: give that order with --labels", start, name, 100*best)
	}
	// No known order fits: would any do? Each class to the output it gets most,
	// outputs used once, largest counts first.
	type cell struct{ class, as, n int }
	var cells []cell
	for key, m := range count {
		cells = append(cells, cell{key[0], key[1], m})
	}
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.class, b.class), cmp.Compare(a.as, b.as))
	})
	takenC, takenO, hits := map[int]bool{}, map[int]bool{}, 0
	for _, c := range cells {
		if !takenC[c.class] && !takenO[c.as] {
			takenC[c.class], takenO[c.as] = true, true
			hits += c.n
		}
	}
	// With few images a class, such a matching fits noise; ask for ten each.
	if f := float64(hits) / float64(n); f >= max(enough, 0.3) && n >= 10*k {
		return fmt.Sprintf("%s; no known order fits, but matching each class to the output it gets most would give %.2f %%: check the class order and give a class map with --labels", start, 100*f)
	}
	return fmt.Sprintf("top-1 is near chance (%.2f %%, chance is %.2f %%), and no known order of the classes fits better: check model, preprocessing and labels", 100*res.Whole.Top1, 100*chance)
}
