package finetune

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"cutmix-eval/heads"
)

// Source gives the training data, epoch by epoch.
type Source interface {
	// Epoch calls each for the batches of an epoch, from 0 on, in order. Batches are valid until
	// each returns.
	Epoch(ctx context.Context, epoch int, each func(Batch) error) error
	// Steps is the number of batches of an epoch.
	Steps() int
}

// Batch is what the head learns from in one step: rows of features, and their targets.
type Batch struct {
	X []float32
	Y []float64
}

// Epoch is what an epoch of training gave.
type Epoch struct {
	Epoch    int        `json:"epoch"` // from 1 on
	Rate     float64    `json:"lr"`    // learning rate of its last step
	Loss     float64    `json:"train_loss"`
	ValLoss  float64    `json:"val_loss"`
	ValScore float64    `json:"val_score"`      // top-1, or mAP where images have several labels
	Seconds  float64    `json:"seconds"`        // all
	Head     float64    `json:"head_seconds"`   // of them, training the head
	Best     bool       `json:"best,omitempty"` // its head is better than all before
	Fit      *heads.Fit `json:"fit,omitempty"`  // of L-BFGS, whose only epoch it is
}

// better says whether an epoch's head is to be preferred to another's.
func (e Epoch) better(than Epoch) bool {
	if e.ValScore != than.ValScore {
		return e.ValScore > than.ValScore
	}
	return e.ValLoss < than.ValLoss
}

// state is all that a training needs to go on.
type state struct {
	history   []Epoch
	at, best  []float64 // parameters: now, and of the best epoch
	optimizer [][]float64
}

// trainer trains a head.
type trainer struct {
	config  Training
	seed    uint64
	network *heads.Network
	// validate measures the network on the validation images.
	validate func(*heads.Network) (loss, score float64)
	// saved, if not nil, is called after every epoch.
	saved func(state) error
	// told, if not nil, is called after every epoch.
	told func(Epoch)
}

func (t *trainer) optimizer() heads.Optimizer {
	if t.config.Optimizer == AdamWName {
		return &heads.AdamW{Decay: t.config.Decay, Decayed: t.network.Weights()}
	}
	return &heads.SGD{Momentum: t.config.Momentum, Nesterov: t.config.Momentum > 0, Decay: t.config.Decay, Decayed: t.network.Weights()}
}

// run trains, from where s stopped; the zero state is the beginning. The network has the
// chosen epoch's parameters then.
func (t *trainer) run(ctx context.Context, src Source, s state) (state, error) {
	c := t.config
	o := t.optimizer()
	if len(s.history) > 0 {
		copy(t.network.Params, s.at)
		if err := o.Restore(s.optimizer, len(t.network.Params)); err != nil {
			return s, err
		}
	}
	var best Epoch
	stale := 0
	for _, e := range s.history {
		if stale++; e.Best {
			best, stale = e, 0
		}
	}
	steps := src.Steps()
	grad := make([]float64, len(t.network.Params))
	for epoch := len(s.history); epoch < c.Epochs && (c.Patience == 0 || stale < c.Patience); epoch++ {
		start := time.Now()
		var inHead time.Duration
		e := Epoch{Epoch: epoch + 1}
		step, rows := 0, 0
		err := src.Epoch(ctx, epoch, func(b Batch) error {
			began := time.Now()
			e.Rate = c.Rate * c.Schedule.Rate(epoch*steps+step, c.Epochs*steps)
			loss := t.network.Gradient(grad, b.X, b.Y, random(t.seed, dropping, epoch, step))
			o.Step(t.network.Params, grad, e.Rate)
			if math.IsNaN(loss) || math.IsInf(loss, 0) || !finite(t.network.Params) {
				return diverged{fmt.Sprintf("the loss became %v in epoch %d, batch %d of %d", loss, epoch+1, step+1, steps), c}
			}
			n := len(b.X) / t.network.Features()
			e.Loss += loss * float64(n)
			rows += n
			step++
			inHead += time.Since(began)
			return nil
		})
		if err != nil {
			return s, err
		}
		e.Loss /= float64(rows)
		e.ValLoss, e.ValScore = t.validate(t.network)
		if math.IsNaN(e.ValLoss) || math.IsInf(e.ValLoss, 0) {
			return s, diverged{fmt.Sprintf("the validation loss became %v in epoch %d", e.ValLoss, epoch+1), c}
		}
		if stale++; len(s.history) == 0 || e.better(best) {
			e.Best, best, stale = true, e, 0
			s.best = slices.Clone(t.network.Params)
		}
		e.Seconds, e.Head = time.Since(start).Seconds(), inHead.Seconds()
		s.history = append(s.history, e)
		s.at, s.optimizer = t.network.Params, o.State()
		if t.saved != nil {
			if err := t.saved(s); err != nil {
				return s, err
			}
		}
		if t.told != nil {
			t.told(e)
		}
	}
	if !c.Last {
		copy(t.network.Params, s.best)
	}
	return s, nil
}

// diverged is a training whose loss is no number any more.
type diverged struct {
	what   string
	config Training
}

func (d diverged) Error() string {
	return fmt.Sprintf("%s: the learning rate of %v or the weight decay of %v is too high; give a lower one with --lr or --weight-decay", d.what, d.config.Rate, d.config.Decay)
}

func finite(v []float64) bool {
	sum := 0.0
	for _, x := range v {
		sum += x - x
	}
	return sum == 0
}

// chosen is the epoch whose head is kept.
func (s state) chosen(last bool) Epoch {
	if last {
		return s.history[len(s.history)-1]
	}
	var best Epoch
	for _, e := range s.history {
		if e.Best {
			best = e
		}
	}
	return best
}

// stored is a source of features that were computed before.
type stored struct {
	config   Training
	seed     uint64
	features int
	x        []float32 // rows of features
	y        *labels
	maps     *featureMaps // of which features are made anew, mixed; nil: features stay
	batch    Batch
}

// featureMaps are the last feature maps of the training images.
type featureMaps struct {
	channels, h, w int
	read           func(dst []float32, i int) error // of training image i
}

func (s *stored) n() int { return len(s.x) / s.features }

// Steps is the number of batches of an epoch.
func (s *stored) Steps() int { return steps(s.n(), s.config.Batch) }

func steps(n, batch int) int { return (n + batch - 1) / batch }

// Epoch gives the batches of an epoch.
func (s *stored) Epoch(ctx context.Context, epoch int, each func(Batch) error) error {
	order := random(s.seed, ordering, epoch, 0).Perm(s.n())
	var buf [][]float32
	for step := range s.Steps() {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := order[step*s.config.Batch : min((step+1)*s.config.Batch, len(order))]
		var p *mixing
		if s.maps != nil {
			progress := float64(epoch*s.Steps()+step) / float64(s.config.Epochs*s.Steps())
			p = s.config.Mix.plan(random(s.seed, mixingOf, epoch, step), len(at), s.maps.h, s.maps.w, progress)
		}
		x := s.batch.X[:0]
		if p == nil {
			for _, i := range at {
				x = append(x, s.x[i*s.features:(i+1)*s.features]...)
			}
		} else {
			for len(buf) < len(at) {
				buf = append(buf, make([]float32, s.maps.channels*s.maps.h*s.maps.w))
			}
			for k, i := range at {
				if err := s.maps.read(buf[k], i); err != nil {
					return err
				}
			}
			x = slices.Grow(x, len(at)*s.features)[:len(at)*s.features]
			for k := range at {
				pooled(x[k*s.features:(k+1)*s.features], buf[k], buf[p.partner[k]], s.maps.channels, s.maps.h, s.maps.w, p.box[k])
			}
		}
		s.batch.X, s.batch.Y = x, p.targets(s.batch.Y, s.y, at)
		if err := each(s.batch); err != nil {
			return err
		}
	}
	return nil
}
