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
	if c.Rate == 0 && c.Optimizer != LBFGSName {
		if n := j.network(*c, train); c.Optimizer == AdamWName {
			c.Rate = n.AdamWRate(train.x)
		} else {
			c.Rate = n.SGDRate(train.x)
		}
	}
	if c.Search {
		if err := j.search(ctx, key, t, train); err != nil {
			return nil, err
		}
	}
	t.network = j.network(*c, train)
	dir := j.options.folder()
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
	saved := func(s heads.State) error {
		return errors.Join(saveCheckpoint(dir, key, s), writeLog(dir, s.Log, j.config.score()))
	}
	if c.Optimizer == LBFGSName {
		s, err = j.optimum(ctx, t, train, val, s, saved)
	} else {
		s, err = j.descend(ctx, key, t, train, val, s, saved)
	}
	t.log = s.Log
	return t, err
}

// key is what the training depends on.
func (j *Job) key(train, val *examples) results.Key {
	kept := j.config.Training
	kept.Last = false // a checkpoint holds both heads
	device := j.roles[0].pass.Manifest.Key.Device
	return results.Key{
		Task: Name, Model: results.Model{SHA256: j.base.Model.SHA256, Output: j.base.Model.Logits}, Preprocessing: train.images.Recipe.Fingerprint(),
		Data: results.Data{
			Fingerprint: train.images.Fingerprint() + " " + val.images.Fingerprint(), N: train.n(), Labels: strings.Join(j.classes, ","), Truth: sum(train, val),
		},
		Config: struct {
			Training
			Split float64 `json:"split"`
			Seed  uint64  `json:"seed"`
			Limit int     `json:"limit"`
		}{kept, j.config.Split, j.seed, train.images.Config.Limit},
		Device: device,
	}
}

// network is the head before training. Without training images its features are not scaled.
func (j *Job) network(c Training, train *examples) *heads.Network {
	d := j.head.Features
	n := heads.NewNetwork(d, c.Hidden, len(j.classes), c.Dropout, j.config.criterion(), heads.Starting.Rand(j.seed, 0, 0))
	if c.Standardize {
		n.Scale = heads.ScalingOf(train.x, d)
	}
	if c.Keep {
		n.Set(wide(j.head.Weight), wide(j.head.Bias))
	}
	return n
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// measure is the mean loss of a network on images, without smoothing and weights, and its top-1
// or mAP.
func measure(n *heads.Network, e *examples) (loss, score float64) {
	c, hits := e.Classes, 0
	scores := n.Scores(e.x)
	z, y := make([]float64, c), make([]float64, c)
	for i := range e.n() {
		row := scores[i*c : (i+1)*c]
		for k, v := range row {
			z[k] = float64(v)
		}
		e.Row(y, i)
		loss += n.Of(z, y)
		if metrics.Argmax(row) == e.Class[i] {
			hits++
		}
	}
	loss /= float64(e.n())
	if n.Criterion == heads.Sigmoid {
		return loss, metrics.NewMultiLabel(scores, e.Several, c).Evaluate(once(e.n()))[0]
	}
	return loss, float64(hits) / float64(e.n())
}

// trainer trains a network as c says, from its rate and weight decay.
func (j *Job) trainer(c Training, n *heads.Network) *heads.Trainer {
	var o heads.Optimizer = &heads.SGD{Momentum: c.Momentum, Nesterov: c.Momentum > 0, Decay: c.Decay, Decayed: n.Weights()}
	if c.Optimizer == AdamWName {
		o = &heads.AdamW{Decay: c.Decay, Decayed: n.Weights()}
	}
	return &heads.Trainer{
		Network: n, Optimizer: o, Rate: c.Rate, Schedule: c.Schedule, Epochs: c.Epochs, Patience: c.Patience, Last: c.Last, Seed: j.seed,
	}
}

// descend trains by steps down the gradient, from where s stopped.
func (j *Job) descend(ctx context.Context, key results.Key, t *tuned, train, val *examples, s heads.State, saved func(heads.State) error) (heads.State, error) {
	c := t.config
	src, end, err := j.source(ctx, key, c, train, c.Epochs > len(s.Log))
	if err != nil {
		return s, err
	}
	defer end()
	tr := j.trainer(c, t.network)
	tr.Validate = func(n *heads.Network) (loss, score float64) { return measure(n, val) }
	tr.Saved = func(s heads.State) error {
		err := saved(s)
		if err == nil && j.options.Told != nil {
			j.options.Told(s.Log[len(s.Log)-1], c.Epochs, j.config.score())
		}
		return err
	}
	s, err = tr.Train(ctx, src, s)
	var diverged *heads.DivergedError
	switch n := len(s.Log); {
	case errors.As(err, &diverged):
		err = fmt.Errorf("%w: the learning rate of %v or the weight decay of %v is too high; give a lower one with --lr or --weight-decay", err, c.Rate, c.Decay)
	case err != nil && n > 0:
		err = fmt.Errorf("%w (%d of %d epochs are kept in %s; run the same command again to go on)", err, n, c.Epochs, j.options.folder())
	}
	return s, err
}

// source is where the features of a training come from, and what is to be called in the end.
// Where nothing is left to train, no engine is started.
func (j *Job) source(ctx context.Context, key results.Key, c Training, train *examples, left bool) (heads.Source, func(), error) {
	y := train.targets(c)
	if !c.Fixed() {
		src := &pixels{config: c, seed: j.seed, base: j.base, images: train.images, samples: train.at, targets: y}
		if !left {
			return src, func() {}, nil
		}
		var err error
		if src.engine, err = j.base.Engine(ctx, j.head.Penultimate); err != nil {
			return nil, nil, err
		}
		if now := src.engine.Device(); now != key.Device {
			return nil, nil, fmt.Errorf("the features in %s are of ONNX Runtime %s on %s, and this is %s on %s: train there, or choose another --out",
				j.roles[0].pass.Dir(), key.Device.ORT, key.Device.Name, now.ORT, now.Name)
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
	src := &heads.Rows{Targets: y, Features: j.head.Features, X: train.x, Batch: c.Batch, Seed: j.seed}
	if c.Mix.Method != augment.FeatureCutMix {
		return src, func() {}, nil
	}
	rows, err := train.pass.Rows(mapsArray)
	if err != nil {
		return nil, nil, err
	}
	m := &featureMaps{config: c, seed: j.seed, steps: src.Steps(), channels: j.head.Features, size: train.size}
	m.read = func(dst []float32, i int) error { return rows.Read(dst, train.at[i]) }
	src.Mix = m.mix
	return src, func() { _ = rows.Close() }, nil
}

// featureMaps are the last feature maps of the training images, which are mixed.
type featureMaps struct {
	config   Training
	seed     uint64
	steps    int // of an epoch
	channels int
	size     mapSize
	read     func(dst []float32, i int) error // of training image i

	buf [][]float32
}

// mix writes the features of a batch of mixed maps, where it is mixed.
func (m *featureMaps) mix(x []float32, epoch, step int, at []int) (partner []int, own []float64, err error) {
	h, w := m.size.Rows, m.size.Columns
	progress := float64(epoch*m.steps+step) / float64(m.config.Epochs*m.steps)
	p := m.config.Mix.Plan(heads.Mixing.Rand(m.seed, epoch, step), len(at), h, w, progress)
	if p == nil {
		return nil, nil, nil
	}
	for len(m.buf) < len(at) {
		m.buf = append(m.buf, make([]float32, m.channels*h*w))
	}
	for k, i := range at {
		if err := m.read(m.buf[k], i); err != nil {
			return nil, nil, err
		}
	}
	for k := range at {
		augment.Pooled(x[k*m.channels:(k+1)*m.channels], m.buf[k], m.buf[p.Partner[k]], m.channels, h, w, p.Box[k])
	}
	return p.Partner, p.Own, nil
}

// optimum finds the head of least loss.
func (j *Job) optimum(ctx context.Context, t *tuned, train, val *examples, s heads.State, saved func(heads.State) error) (heads.State, error) {
	if len(s.Log) > 0 {
		copy(t.network.Params, s.Params)
		return s, nil
	}
	p := j.problem(train, train.targets(t.config), t.config.Decay)
	done, end := j.options.stage("L-BFGS", heads.Exact.Steps)
	h, fit, err := p.Optimum(ctx, heads.Exact, done)
	end()
	if err != nil {
		return s, err
	}
	t.network.Set(h.W, h.B)
	e := heads.Epoch{Epoch: 1, Best: true, Fit: &fit}
	if e.Loss, err = p.Loss(h); err != nil {
		return s, err
	}
	e.ValLoss, e.ValScore = measure(t.network, val)
	s = heads.State{Log: heads.Log{e}, Params: t.network.Params, Best: t.network.Params}
	return s, saved(s)
}

// problem is that of the best linear head on images.
func (j *Job) problem(e *examples, y *heads.Targets, decay float64) *heads.Problem {
	return &heads.Problem{N: e.n(), C: e.Classes, D: j.head.Features, X: e.x, Y: y.Rows(), L2: decay, Criterion: j.config.criterion()}
}
