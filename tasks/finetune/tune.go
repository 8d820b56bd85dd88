package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cutmix-eval/augment"
	"cutmix-eval/heads"
	"cutmix-eval/metrics"
	"cutmix-eval/results"
)

// tuned is a head that was trained.
type tuned struct {
	network *heads.Network
	config  Training // with the learning rate and weight decay that were taken
	log     heads.Log
	notes   []string // how these were found
}

// tune trains the head on the images of train, judged by those of val.
func (j *Job) tune(ctx context.Context, train, val *examples) (*tuned, error) {
	key := j.key(train, val) // by the options that were given
	t := &tuned{config: j.config.Training}
	c := &t.config
	c.Rate = c.Suited(j.network(*c, train.X), train.X)
	if c.Search {
		if err := j.search(ctx, key, t, train); err != nil {
			return nil, err
		}
	}
	t.network = j.network(*c, train.X)
	dir := j.options.Folder()
	if j.options.Restart {
		if err := os.Remove(filepath.Join(dir, checkpointName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	s, err := loadCheckpoint(dir, key, len(t.network.Params))
	if err != nil {
		return nil, fmt.Errorf("%w; or begin anew with --restart", err)
	}
	if err := begin(dir, len(s.Log) == 0); err != nil {
		return nil, err
	}
	tr := &heads.Trainer{Training: c.Training, Network: t.network, Seed: j.seed}
	tr.Validate = func(n *heads.Network) (loss, score float64) { return measure(n, val) }
	tr.Saved = func(s heads.State) error {
		return errors.Join(saveCheckpoint(dir, key, s), writeLog(dir, s.Log, j.config.score()))
	}
	switch {
	case c.Optimizer != heads.LBFGSName:
		s, err = j.descend(ctx, tr, s, key, *c, train)
	case len(s.Log) > 0:
		copy(t.network.Params, s.Params)
	default:
		done, end := j.options.stage("L-BFGS", heads.Exact.Steps)
		s, err = tr.Optimum(ctx, &train.Set, c.Targets(train.Targets), done)
		if end(); err == nil {
			err = tr.Saved(s)
		}
	}
	t.log = s.Log
	return t, err
}

// key is what the training depends on.
func (j *Job) key(train, val *examples) results.Key {
	kept := j.config.Training
	kept.Last = false                   // a checkpoint holds both heads
	key := j.roles[0].pass.Manifest.Key // model, pixels and device
	return results.Key{
		Task: Name, Model: key.Model, Preprocessing: key.Preprocessing, Device: key.Device,
		Data: results.Data{
			Fingerprint: train.images.Fingerprint() + " " + val.images.Fingerprint(), N: train.N(),
			Labels: strings.Join(j.classes, ","), Truth: sum(train, val),
		},
		Config: struct {
			Training
			Split float64 `json:"split"`
			Seed  uint64  `json:"seed"`
			Limit int     `json:"limit"`
		}{kept, j.config.Split, j.seed, train.images.Config.Limit},
	}
}

// network is the head before training on rows of features.
func (j *Job) network(c Training, x []float32) *heads.Network {
	return c.Network(x, j.head.Layer(), len(j.classes), j.config.criterion(), j.seed)
}

// measure is the mean loss of a network on images, without smoothing and weights, and its top-1
// or mAP.
func measure(n *heads.Network, e *examples) (loss, score float64) {
	loss, scores := e.Measure(n)
	if n.Criterion == heads.Sigmoid {
		return loss, metrics.NewMultiLabel(scores, e.Several, e.Classes).Evaluate(once(e.N()))[0]
	}
	hits := 0
	for i, c := range e.Class {
		if metrics.Argmax(scores[i*e.Classes:(i+1)*e.Classes]) == c {
			hits++
		}
	}
	return loss, float64(hits) / float64(e.N())
}

// descend trains by steps down the gradient, from where s stopped.
func (j *Job) descend(ctx context.Context, tr *heads.Trainer, s heads.State, key results.Key, c Training, train *examples) (
	heads.State, error) {
	src, end, err := j.source(ctx, key, c, train, c.Epochs > len(s.Log))
	if err != nil {
		return s, err
	}
	defer end()
	save := tr.Saved
	tr.Saved = func(s heads.State) error {
		err := save(s)
		if err == nil && j.options.Told != nil {
			j.options.Told(s.Log[len(s.Log)-1], c.Epochs, j.config.score())
		}
		return err
	}
	s, err = tr.Train(ctx, src, s)
	var diverged *heads.DivergedError
	switch n := len(s.Log); {
	case errors.As(err, &diverged):
		err = fmt.Errorf("%w: the learning rate of %v or the weight decay of %v is too high; "+
			"give a lower one with --lr or --weight-decay", err, c.Rate, c.Decay)
	case err != nil && n > 0:
		err = fmt.Errorf("%w (%d of %d epochs are kept in %s; run the same command again to go on)", err, n, c.Epochs, j.options.Folder())
	}
	return s, err
}

// source is where the features of a training come from, and what is to be called in the end.
// Where nothing is left to train, no engine is started.
func (j *Job) source(ctx context.Context, key results.Key, c Training, train *examples, left bool) (heads.Source, func(), error) {
	y := c.Targets(train.Targets)
	if !c.Fixed() {
		src := &pixels{config: c, seed: j.seed, base: j.base, images: train.images, samples: train.at, targets: y}
		if !left {
			return src, func() {}, nil
		}
		var err error
		if src.engine, err = j.base.EngineFor(ctx, train.images, train.at, j.head.Penultimate); err != nil {
			return nil, nil, err
		}
		if j.base.Alone() {
			return nil, nil, fmt.Errorf("the features of model %q depend on the other images of a batch, so they cannot be trained on pictures that change: "+
				"give --augment none and no --mix", j.base.Model.Name)
		}
		now := j.base.Device(src.engine)
		if key.Device.Kernels == "" {
			now.Kernels = "" // an older version made the features
		}
		if now != key.Device {
			return nil, nil, fmt.Errorf("the features in %s were made on %s, and this is %s: train there, or choose another --out",
				j.roles[0].pass.Dir(), key.Device, now)
		}
		if src.feature = output(src.engine, j.head.Penultimate); src.feature < 0 {
			return nil, nil, fmt.Errorf("the model's session has no output %q", j.head.Penultimate)
		}
		if err := j.mixable(src.engine); err != nil {
			return nil, nil, err
		}
		end := src.report(c.Epochs, j.options.stage)
		return src, func() { end(); j.base.Stop() }, nil
	}
	src := &heads.Rows{Set: &train.Set, Targets: y, Batch: c.Batch, Seed: j.seed}
	if c.Mix.Method != augment.FeatureCutMix {
		return src, func() {}, nil
	}
	rows, err := train.pass.Rows(mapsArray)
	if err != nil {
		return nil, nil, err
	}
	m := &augment.Maps{Channels: j.head.Features, H: train.size.Rows, W: train.size.Columns}
	m.Read = func(dst []float32, i int) error { return rows.Read(dst, train.at[i]) }
	src.Mix = func(x []float32, epoch, step int, at []int) (partner []int, own []float64, err error) {
		progress := float64(epoch*src.Steps()+step) / float64(c.Epochs*src.Steps())
		p, err := m.Mix(x, at, c.Mix, heads.Mixing.Rand(j.seed, epoch, step), progress)
		partner, own = p.Labels()
		return partner, own, err
	}
	return src, func() { _ = rows.Close() }, nil
}
