package finetune

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// identity is what the training depends on.
func (t *tuning) identity() results.Key {
	s := t.setup
	kept := t.config.Training
	kept.Last = false // a checkpoint holds both heads
	return results.Key{
		Task: Name, Model: evaluation.ModelKey(s.Model), Preprocessing: s.Recipe.Fingerprint(),
		Data: results.Data{Fingerprint: s.Data.Fingerprint() + " " + t.evaluated[0].setup.Data.Fingerprint(), N: t.train.n(), Labels: strings.Join(t.truth.classes, ","), Truth: t.targetsSum()},
		Config: struct {
			Training
			Split float64 `json:"split"`
			Seed  uint64  `json:"seed"`
			Limit int     `json:"limit"`
		}{kept, t.config.Split, s.Config.Seed, s.Config.Limit},
		Device: t.sets[0].rec.Manifest.Key.Device,
	}
}

// targetsSum is a checksum of what the images that train and validate are.
func (t *tuning) targetsSum() string {
	h := sha256.New()
	for _, s := range []*set{t.train, t.evaluated[0]} {
		for i, c := range s.class {
			_ = binary.Write(h, binary.LittleEndian, [2]int64{int64(c), s.content[i]}) // a hash takes everything
		}
		_ = binary.Write(h, binary.LittleEndian, s.several)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// targets are what images are trained on: smoothed, and weighted by class.
func (t *tuning) targets(s *set) *labels {
	y := s.labels
	if y.smoothing = t.config.Smoothing; t.config.Balanced {
		y.balanced()
	}
	return &y
}

// validator measures a network on images: mean loss without smoothing and weights, and top-1
// or mAP.
func (t *tuning) validator(s *set) func(*heads.Network) (float64, float64) {
	c := len(t.truth.classes)
	return func(n *heads.Network) (float64, float64) {
		scores := n.Scores(s.x)
		loss, hits := 0.0, 0
		z, y := make([]float64, c), make([]float64, c)
		for i := range s.n() {
			row := scores[i*c : (i+1)*c]
			for k, v := range row {
				z[k] = float64(v)
			}
			s.row(y, i)
			loss += n.Of(z, y)
			if metrics.Argmax(row) == s.class[i] {
				hits++
			}
		}
		loss /= float64(s.n())
		if n.Criterion == heads.Sigmoid {
			return loss, meanAP(scores, s.several, c)
		}
		return loss, float64(hits) / float64(s.n())
	}
}

func meanAP(scores []float32, y []float64, c int) float64 {
	return metrics.NewMultiLabel(scores, y, c).Evaluate(slices.Repeat([]uint16{1}, len(y)/c))[0]
}

// score is what epochs are chosen by.
func (t *tuning) score() string {
	if t.truth.multi != nil {
		return "map"
	}
	return "top1"
}

// newNetwork is the head before training.
func (t *tuning) newNetwork(c Training) *heads.Network {
	n := heads.NewNetwork(t.head.Features, c.Hidden, len(t.truth.classes), c.Dropout, t.criterion(), random(t.setup.Config.Seed, starting, 0, 0))
	if c.Standardize {
		n.Scale = heads.ScalingOf(t.train.x, t.head.Features)
	}
	if c.Keep {
		wide := func(v []float32) []float64 {
			out := make([]float64, len(v))
			for i, x := range v {
				out[i] = float64(x)
			}
			return out
		}
		n.Set(wide(t.head.Weight), wide(t.head.Bias))
	}
	return n
}

// tune trains the head.
func (t *tuning) tune(ctx context.Context) (err error) {
	s := t.setup
	t.key = t.identity() // by the options that were given
	if t.config.Rate == 0 && t.config.Optimizer != LBFGSName {
		if n := t.newNetwork(t.config.Training); t.config.Optimizer == AdamWName {
			t.config.Rate = n.AdamWRate(t.train.x)
		} else {
			t.config.Rate = n.SGDRate(t.train.x)
		}
	}
	if t.config.Search {
		if err := t.search(ctx); err != nil {
			return err
		}
	}
	t.network = t.newNetwork(t.config.Training)
	dir := t.options.Folder()
	if t.options.Restart {
		if err := os.Remove(filepath.Join(dir, checkpointName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if t.state, err = load(dir, t.key, len(t.network.Params)); err != nil {
		return fmt.Errorf("%w; or begin anew with --restart", err)
	}
	if len(t.state.history) == 0 { // what other heads gave is not this one's
		if err := os.Remove(filepath.Join(dir, reportName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, run := range []string{tunedName + "val", tunedName + "test", beforeName + "val", beforeName + "test"} {
			if err := results.Discard(filepath.Join(dir, run)); err != nil {
				return err
			}
		}
	}
	if t.config.Optimizer == LBFGSName {
		return t.optimum(ctx)
	}
	src, closer, err := t.source(ctx)
	if err != nil {
		return err
	}
	defer closer()
	tr := trainer{config: t.config.Training, seed: s.Config.Seed, network: t.network, validate: t.validator(t.evaluated[0])}
	tr.saved = func(st state) error { return errors.Join(save(dir, t.key, st), t.writeLog(st.history)) }
	tr.told = func(e Epoch) {
		if t.options.Told != nil {
			t.options.Told(e, t.config.Epochs, t.score())
		}
	}
	t.state, err = tr.run(ctx, src, t.state)
	if n := len(t.state.history); err != nil && n > 0 && !errors.As(err, &diverged{}) {
		err = fmt.Errorf("%w (%d of %d epochs are kept in %s; run the same command again to go on)", err, n, t.config.Epochs, t.options.Folder())
	}
	return err
}

// source is where the training's features come from.
func (t *tuning) source(ctx context.Context) (Source, func(), error) {
	y := t.targets(t.train)
	c := t.config.Training
	if c.Fixed() {
		src := &stored{config: c, seed: t.setup.Config.Seed, features: t.head.Features, x: t.train.x, y: y}
		if c.Mix.Method != FeatureCutMix {
			return src, func() {}, nil
		}
		rows, err := t.train.rec.Rows(mapsArray)
		if err != nil {
			return nil, nil, err
		}
		width, _ := t.train.rec.HasArray(mapsArray)
		channels := t.head.Features
		h, w, err := t.mapSides(ctx, width/channels)
		if err != nil {
			return nil, nil, err
		}
		src.maps = &featureMaps{channels: channels, h: h, w: w, read: func(dst []float32, i int) error { return rows.Read(dst, t.train.at[i]) }}
		return src, func() { _ = rows.Close() }, nil
	}
	done := func(int) {}
	end := func() {}
	left := c.Epochs - len(t.state.history)
	if left > 0 {
		s := t.setup
		s.Stop()
		s.Taps, s.Penultimate = []string{t.head.Penultimate}, true
		if err := s.Start(ctx, t.options.Install); err != nil {
			return nil, nil, err
		}
		if now := (results.Device{ORT: s.Library.Version, Name: s.Session.Device.String()}); now != t.key.Device {
			return nil, nil, fmt.Errorf("the features in %s are of ONNX Runtime %s on %s, and this is %s on %s: train there, or choose another --out", t.sets[0].dir, t.key.Device.ORT, t.key.Device.Name, now.ORT, now.Name)
		}
		if err := t.mixable(); err != nil {
			return nil, nil, err
		}
	}
	at := -1
	src := &pixels{config: c, seed: t.setup.Config.Seed, setup: t.setup, samples: t.train.at, features: t.head.Features, y: y}
	src.progress = func(epoch, n int) {
		if epoch != at {
			end()
			what := fmt.Sprintf("epoch %d/%d", epoch+1, c.Epochs)
			if k := len(t.state.history); k > 0 {
				e := t.state.history[k-1]
				what += fmt.Sprintf(" (loss %.4f, val %s %s %%)", e.Loss, t.score(), report.Percent(e.ValScore))
			}
			done, end = t.options.stage(what, len(t.train.at))
			at = epoch
		}
		done(n)
	}
	return src, func() { end(); t.setup.Stop() }, nil
}

// mapSides are the sides of the feature map, which is not always square.
func (t *tuning) mapSides(ctx context.Context, places int) (h, w int, err error) {
	side := int(math.Round(math.Sqrt(float64(places))))
	size := t.setup.Size()
	if size.H == size.W && side*side == places {
		return side, side, nil
	}
	s := t.setup
	s.Stop()
	s.Taps, s.Penultimate = []string{t.head.FeatureMap}, false
	if err := s.Start(ctx, t.options.Install); err != nil {
		return 0, 0, err
	}
	_, h, w, err = mapShape(s, t.head)
	s.Stop()
	return h, w, err
}

// optimum finds the head of least loss.
func (t *tuning) optimum(ctx context.Context) error {
	if len(t.state.history) > 0 {
		copy(t.network.Params, t.state.at)
		return nil
	}
	p := t.problem(t.train, t.targets(t.train), t.config.Decay)
	done, end := t.options.stage("L-BFGS", heads.Exact.Steps)
	h, fit, err := p.Optimum(ctx, heads.Exact, done)
	end()
	if err != nil {
		return err
	}
	t.network.Set(h.W, h.B)
	loss, err := p.Loss(h)
	if err != nil {
		return err
	}
	e := Epoch{Epoch: 1, Loss: loss, Best: true, Fit: &fit}
	e.ValLoss, e.ValScore = t.validator(t.evaluated[0])(t.network)
	t.state = state{history: []Epoch{e}, at: t.network.Params, best: t.network.Params}
	return save(t.options.Folder(), t.key, t.state)
}

func (t *tuning) problem(s *set, y *labels, decay float64) *heads.Problem {
	return &heads.Problem{N: s.n(), C: len(t.truth.classes), D: t.head.Features, X: s.x, Y: y.rows(), L2: decay, Criterion: t.criterion()}
}
