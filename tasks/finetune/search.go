package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"cutmix-eval/augment"
	"cutmix-eval/heads"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
	"cutmix-eval/results"
)

// searchedPart is the share of the training images that trains in a search.
const searchedPart = 0.8

// search finds learning rate and weight decay: heads are trained on four fifths of the training
// images, by the features of the images as they are, and judged by the rest. Validation images
// are not looked at. Trials are kept as they end.
func (j *Job) search(ctx context.Context, key results.Key, t *tuned, train *examples) error {
	fit, held := heads.Split(train.Class, train.content, searchedPart, j.seed+1)
	if len(held) == 0 {
		return fmt.Errorf("%d training images are too few to hold some out for --search", train.N())
	}
	part, judge := train.only("search", fit), train.only("search", held)
	all := heads.Trials(t.config.Rate)
	kept, err := j.loadSearch(key, len(all))
	if err != nil {
		return err
	}
	kept.Held = judge.N()
	done, end := j.options.stage("search", len(all))
	defer end()
	for _, one := range all[len(kept.Trials):] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if one, err = j.attempt(ctx, t.config, one, train, part, judge); err != nil {
			return err
		}
		kept.Trials = append(kept.Trials, one)
		text, err := json.MarshalIndent(kept, "", "  ")
		if err != nil {
			return err
		}
		if err := put(j.options.Folder(), searchName, append(text, '\n')); err != nil {
			return err
		}
		done(len(kept.Trials))
	}
	best, ok := heads.BestTrial(kept.Trials)
	if !ok {
		return fmt.Errorf("every learning rate of the search made the loss infinite; give a lower --lr than %v", t.config.Rate)
	}
	t.config.Rate, t.config.Decay = best.Rate, best.Decay
	what := fmt.Sprintf("learning rate %.4g and weight decay %.4g", best.Rate, best.Decay)
	if best.Rate == 0 {
		what = fmt.Sprintf("weight decay %.4g", best.Decay)
	}
	t.notes = append(t.notes, fmt.Sprintf("%s were found on %d held-out training images, of %d trials (highest %s, then lowest loss)",
		what, kept.Held, len(all), j.config.score()))
	return nil
}

// attempt trains a head with a trial's learning rate and weight decay, and judges it.
func (j *Job) attempt(ctx context.Context, c Training, one heads.Trial, train, part, judge *examples) (heads.Trial, error) {
	c.Rate, c.Decay = one.Rate, one.Decay
	c.Mix.Method, c.Patience, c.Last = augment.None, 0, true
	n, y := j.network(c, train.X), c.Targets(part.Targets)
	var err error
	if c.Optimizer == heads.LBFGSName {
		var h *heads.Head
		if h, _, err = part.Problem(y, c.Decay, n.Criterion).Optimum(ctx, near, nil); err == nil {
			n.Set(h.W, h.B)
		}
	} else {
		tr := heads.Trainer{Training: c.Training, Network: n, Seed: j.seed}
		tr.Validate = func(*heads.Network) (loss, score float64) { return 0, 0 }
		_, err = tr.Train(ctx, &heads.Rows{Set: &part.Set, Targets: y, Batch: c.Batch, Seed: j.seed}, heads.State{})
	}
	var diverged *heads.DivergedError
	if err != nil && !errors.As(err, &diverged) {
		return one, err
	}
	if err == nil {
		one.Loss, one.Score = measure(n, judge)
	}
	if one.Diverged = err != nil || math.IsNaN(one.Loss) || math.IsInf(one.Loss, 0); one.Diverged {
		one.Loss, one.Score = 0, 0
	}
	return one, nil
}

// search is search.json.
type search struct {
	Version int           `json:"version"` // of checkpoints
	Key     results.Key   `json:"key"`     // of the training
	Held    int           `json:"held"`    // images that the trials were judged by
	Trials  []heads.Trial `json:"trials"`
}

func readSearch(dir string) (search, error) {
	var s search
	data, err := regular.Read(filepath.Join(dir, searchName), regular.Small)
	if err == nil {
		err = strict.Explain(json.Unmarshal(data, &s))
	}
	return s, err
}

// loadSearch reads the trials that were kept of a search of n; none where it is damaged.
func (j *Job) loadSearch(key results.Key, n int) (search, error) {
	begun := search{Version: checkpointVersion, Key: key}
	dir := j.options.Folder()
	s, err := readSearch(dir)
	var path *fs.PathError
	switch {
	case j.options.Restart || errors.Is(err, fs.ErrNotExist):
		return begun, nil
	case errors.As(err, &path):
		return begun, err
	case err != nil || len(s.Trials) > n || s.Version != checkpointVersion:
		return begun, nil // it is done again
	}
	if err := s.Key.Same(dir, key); err != nil {
		return begun, fmt.Errorf("%w; or begin anew with --restart", err)
	}
	return s, nil
}
