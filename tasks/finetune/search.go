package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"cutmix-eval/heads"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// trial is one learning rate and weight decay that the search has tried.
type trial struct {
	Rate     float64 `json:"lr"`
	Decay    float64 `json:"weight_decay"`
	Diverged bool    `json:"diverged,omitempty"`
	Loss     float64 `json:"loss"` // on the held-out part
	Score    float64 `json:"score"`
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
// at. Trials are kept as they end.
func (t *tuning) search(ctx context.Context) (err error) {
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
	if c.Optimizer != LBFGSName {
		rates, decays = nil, decaysToTry
		for _, f := range rateFactors {
			rates = append(rates, c.Rate*f)
		}
	}
	done, end := t.options.stage("search", len(rates)*len(decays))
	defer end()
	t.held = judge.n()
	if t.searched, err = t.loadSearch(); err != nil {
		return err
	}
	for k := len(t.searched); k < len(rates)*len(decays); k++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		one := trial{Rate: rates[k/len(decays)], Decay: decays[k%len(decays)]}
		c.Rate, c.Decay = one.Rate, one.Decay
		n := t.newNetwork(c)
		if c.Optimizer == LBFGSName {
			h, _, err := t.problem(part, y, one.Decay).Optimum(ctx, near, nil)
			if err != nil {
				return err
			}
			n.Set(h.W, h.B)
		} else {
			tr := trainer{config: c, seed: t.setup.Config.Seed, network: n, validate: func(*heads.Network) (float64, float64) { return 0, 0 }}
			src := &stored{config: c, seed: t.setup.Config.Seed, features: t.head.Features, x: part.x, y: y}
			if _, err := tr.run(ctx, src, state{}); errors.As(err, &diverged{}) {
				one.Diverged = true
			} else if err != nil {
				return err
			}
		}
		if !one.Diverged {
			one.Loss, one.Score = validate(n)
			one.Diverged = math.IsNaN(one.Loss) || math.IsInf(one.Loss, 0)
		}
		if one.Diverged {
			one.Loss, one.Score = 0, 0
		}
		t.searched = append(t.searched, one)
		if err := t.saveSearch(); err != nil {
			return err
		}
		done(len(t.searched))
	}
	best := -1
	for k, one := range t.searched {
		if !one.Diverged && (best < 0 || one.Score > t.searched[best].Score || one.Score == t.searched[best].Score && one.Loss < t.searched[best].Loss) {
			best = k
		}
	}
	if best < 0 {
		return fmt.Errorf("every learning rate of the search made the loss infinite; give a lower --lr than %v", t.config.Rate)
	}
	t.config.Rate, t.config.Decay = t.searched[best].Rate, t.searched[best].Decay
	what := fmt.Sprintf("learning rate %s and weight decay %s", number(t.config.Rate), number(t.config.Decay))
	if c.Optimizer == LBFGSName {
		what = "weight decay " + number(t.config.Decay)
	}
	t.alike = append(t.alike, fmt.Sprintf("%s were found on %d held-out training images, of %d trials (highest %s, then lowest loss)", what, t.held, len(t.searched), t.score()))
	return nil
}

// kept is a search in a file of the folder.
type kept struct {
	Version int         `json:"version"` // of checkpoints
	Key     results.Key `json:"key"`
	Trials  []trial     `json:"trials"`
}

const searchName = "search.json"

func (t *tuning) saveSearch() error {
	text, err := json.MarshalIndent(kept{checkpointVersion, t.key, t.searched}, "", "  ")
	if err != nil {
		return err
	}
	return t.put(searchName, append(text, '\n'))
}

// loadSearch reads the trials that were kept.
func (t *tuning) loadSearch() ([]trial, error) {
	if t.options.Restart {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(t.options.Folder(), searchName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var k kept
	if json.Unmarshal(data, &k) != nil || len(k.Trials) > len(rateFactors)*len(decaysToTry) {
		return nil, nil // damaged: it is done again
	}
	if k.Version != checkpointVersion {
		return nil, fmt.Errorf("%s of %q is of version %d, and this program reads %d; begin anew with --restart",
			searchName, t.options.Folder(), k.Version, checkpointVersion)
	}
	if err := k.Key.Same(t.options.Folder(), t.key); err != nil {
		return nil, fmt.Errorf("%w; or begin anew with --restart", err)
	}
	return k.Trials, nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// searchTable lists the trials.
func (t *tuning) searchTable() report.Table {
	out := report.Table{Name: "search", Title: fmt.Sprintf("search, on %d held-out training images", t.held), Columns: []string{"lr", "weight decay", t.score() + " %", "loss"}}
	for _, s := range t.searched {
		row := []string{number(s.Rate), number(s.Decay), "-", "diverged"}
		if s.Rate == 0 {
			row[0] = "-" // L-BFGS
		}
		if !s.Diverged {
			row[2], row[3] = report.Percent(s.Score), strconv.FormatFloat(s.Loss, 'f', 4, 64)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}
