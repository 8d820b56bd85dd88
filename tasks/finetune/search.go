package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"cutmix-eval/heads"
	"cutmix-eval/report"
)

// trial is one learning rate and weight decay that the search has tried.
type trial struct {
	rate, decay float64
	loss, score float64 // on the held-out part
}

// What the search tries: rates times these, and weight decays.
var (
	rateFactors  = []float64{0.1, 0.31622776601683794, 1, 3.1622776601683795, 10}
	decaysToTry  = []float64{0, 1e-5, 1e-4, 1e-3}
	probeDecays  = []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2}
	searchedPart = 0.8
)

// search finds learning rate and weight decay: heads are trained on four fifths of the training
// images, by the features of the images as they are, and judged on the rest. The best is the
// one of the highest top-1 or mAP, then of the lowest loss. Validation images are not looked
// at.
func (t *tuning) search(ctx context.Context) error {
	fit, held := split(t.train.class, t.train.content, searchedPart, t.setup.Config.Seed+1)
	if len(held) == 0 {
		return fmt.Errorf("%d training images are too few to hold some out for --search", t.train.n())
	}
	part, judge := t.train.only(fit, t.head.Features), t.train.only(held, t.head.Features)
	y := t.targets(part)
	validate := t.validator(judge)
	c := t.config.Training
	c.Mix.Method, c.Patience, c.Last = None, 0, true
	rates := []float64{0}
	decays := probeDecays
	if c.Optimiser != LBFGSName {
		rates, decays = nil, decaysToTry
		for _, f := range rateFactors {
			rates = append(rates, c.Rate*f)
		}
	}
	done, end := t.options.stage("search", len(rates)*len(decays))
	defer end()
	t.held = judge.n()
	best := trial{score: math.Inf(-1)}
	for _, rate := range rates {
		for _, decay := range decays {
			if err := ctx.Err(); err != nil {
				return err
			}
			c.Rate, c.Decay = rate, decay
			n := t.newNetwork(c)
			one := trial{rate: rate, decay: decay, loss: math.Inf(1)}
			if c.Optimiser == LBFGSName {
				h, _, err := t.problem(part, y, decay).Optimum(ctx, near, nil)
				if err != nil {
					return err
				}
				n.Set(h.W, h.B)
			} else {
				tr := trainer{config: c, seed: t.setup.Config.Seed, network: n, validate: func(*heads.Network) (float64, float64) { return 0, 0 }}
				src := &stored{config: c, seed: t.setup.Config.Seed, features: t.head.Features, classes: len(t.truth.classes), x: part.x, y: y}
				if _, err := tr.run(ctx, src, state{}); errors.As(err, &diverged{}) {
					t.searched = append(t.searched, one)
					done(len(t.searched))
					continue
				} else if err != nil {
					return err
				}
			}
			one.loss, one.score = validate(n)
			if one.score > best.score || one.score == best.score && one.loss < best.loss {
				best = one
			}
			t.searched = append(t.searched, one)
			done(len(t.searched))
		}
	}
	if math.IsInf(best.score, -1) {
		return fmt.Errorf("every learning rate of the search made the loss infinite; give a lower --lr than %v", t.config.Rate)
	}
	t.config.Rate, t.config.Decay = best.rate, best.decay
	what := fmt.Sprintf("learning rate %s and weight decay %s", number(best.rate), number(best.decay))
	if c.Optimiser == LBFGSName {
		what = "weight decay " + number(best.decay)
	}
	t.alike = append(t.alike, fmt.Sprintf("%s were found on %d held-out training images, of %d trials (highest %s, then lowest loss)", what, t.held, len(t.searched), t.score()))
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// searchTable lists the trials.
func (t *tuning) searchTable() report.Table {
	out := report.Table{Name: "search", Title: fmt.Sprintf("search, on %d held-out training images", t.held), Columns: []string{"lr", "weight decay", t.score() + " %", "loss"}}
	for _, s := range t.searched {
		row := []string{number(s.rate), number(s.decay), "-", "diverged"}
		if !math.IsInf(s.loss, 0) {
			row[2], row[3] = report.Percent(s.score), strconv.FormatFloat(s.loss, 'f', 4, 64)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}
