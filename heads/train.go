package heads

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// Source gives what a head learns from, epoch by epoch.
type Source interface {
	// Steps is the number of batches of an epoch.
	Steps() int
	// Epoch calls each for the batches of an epoch, from 0 on, in order. A batch is rows of
	// features and their targets, valid until each returns.
	Epoch(ctx context.Context, epoch int, each func(x []float32, y []float64) error) error
}

// Epoch is what an epoch of training gave.
type Epoch struct {
	Epoch    int     `json:"epoch"` // from 1 on
	Rate     float64 `json:"lr"`    // of its last step
	Loss     float64 `json:"train_loss"`
	ValLoss  float64 `json:"val_loss"`
	ValScore float64 `json:"val_score"`      // what epochs are chosen by
	Seconds  float64 `json:"seconds"`        // all
	Head     float64 `json:"head_seconds"`   // of them, training the head
	Best     bool    `json:"best,omitempty"` // its head is better than all before
	Fit      *Fit    `json:"fit,omitempty"`  // of L-BFGS, whose only epoch it is
}

// better says whether an epoch's head is to be preferred to another's.
func (e Epoch) better(than Epoch) bool {
	if e.ValScore != than.ValScore {
		return e.ValScore > than.ValScore
	}
	return e.ValLoss < than.ValLoss
}

// Log is the epochs of a training.
type Log []Epoch

// Chosen is the epoch whose head is kept: the last one, or the best. The log has a best one.
func (l Log) Chosen(last bool) Epoch {
	for i := len(l) - 1; ; i-- {
		if last || l[i].Best {
			return l[i]
		}
	}
}

// Check says whether the log has a best epoch.
func (l Log) Check() error {
	if !slices.ContainsFunc(l, func(e Epoch) bool { return e.Best }) {
		return errors.New("it names no best epoch")
	}
	return nil
}

// WriteCSV writes the log as a table. score names what epochs are chosen by.
func (l Log) WriteCSV(w io.Writer, score string) error {
	exact := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	seconds := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
	rows := [][]string{{"epoch", "lr", "train_loss", "val_loss", "val_" + score, "seconds", "head_seconds", "best"}}
	for _, e := range l {
		rows = append(rows, []string{
			strconv.Itoa(e.Epoch), exact(e.Rate), exact(e.Loss), exact(e.ValLoss), exact(e.ValScore),
			seconds(e.Seconds), seconds(e.Head), strconv.FormatBool(e.Best),
		})
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// State is all that a training needs to resume.
type State struct {
	Log          Log
	Params, Best []float64 // parameters: now, and of the best epoch
	Optimizer    [][]float64
}

// Check says what of a state makes no sense for so many parameters.
func (s State) Check(parameters int) error {
	for _, v := range s.Optimizer {
		if len(v) != parameters && len(v) > 1 || !finite(v) {
			return fmt.Errorf("it holds %d values of the optimizer, not %d, or some that are not finite", len(v), parameters)
		}
	}
	if err := s.Log.Check(); err != nil {
		return err
	}
	if len(s.Params) != parameters || len(s.Best) != parameters || !finite(s.Params) || !finite(s.Best) {
		return fmt.Errorf("it holds %d parameters of %d, or some that are not finite", len(s.Params), parameters)
	}
	return nil
}

// Trainer trains a network by gradient descent.
type Trainer struct {
	Training // its learning rate is known
	Network  *Network
	Seed     uint64 // of dropout
	// Validate measures the network after an epoch.
	Validate func(*Network) (loss, score float64)
	// Saved, if not nil, is called after every epoch. An error of it ends the training.
	Saved func(State) error
}

// DivergedError is a training whose loss is no number any more.
type DivergedError struct{ What string }

func (e *DivergedError) Error() string { return e.What }

func diverged(format string, a ...any) error { return &DivergedError{fmt.Sprintf(format, a...)} }

// Train trains from where s stopped; the zero state is the beginning. The network has the chosen
// epoch's parameters then. The state that is returned is that of the last whole epoch. An error is
// a *DivergedError, the context's, the source's, or one of Saved.
func (t *Trainer) Train(ctx context.Context, src Source, s State) (State, error) {
	n, o := t.Network, t.optimizer(t.Network)
	if len(s.Log) > 0 {
		copy(n.Params, s.Params)
		if err := o.Restore(s.Optimizer, len(n.Params)); err != nil {
			return s, err
		}
	}
	var best Epoch
	stale := 0
	for _, e := range s.Log {
		if stale++; e.Best {
			best, stale = e, 0
		}
	}
	for epoch := len(s.Log); epoch < t.Epochs && (t.Patience == 0 || stale < t.Patience); epoch++ {
		e, err := t.epoch(ctx, src, o, epoch)
		if err != nil {
			return s, err
		}
		if stale++; len(s.Log) == 0 || e.better(best) {
			e.Best, best, stale = true, e, 0
			s.Best = slices.Clone(n.Params)
		}
		s.Log = append(s.Log, e)
		s.Params, s.Optimizer = n.Params, o.State()
		if t.Saved != nil {
			if err := t.Saved(s); err != nil {
				return s, err
			}
		}
	}
	if !t.Last {
		copy(n.Params, s.Best)
	}
	return s, nil
}

// Optimum finds the network of least loss, which is linear, for the targets y of a set, in one
// epoch. done, if not nil, is called with the number of steps.
func (t *Trainer) Optimum(ctx context.Context, s *Set, y *Targets, done func(steps int)) (State, error) {
	p := s.Problem(y, t.Decay, t.Network.Criterion)
	h, fit, err := p.Optimum(ctx, Exact, done)
	if err != nil {
		return State{}, err
	}
	t.Network.Set(h.W, h.B)
	e := Epoch{Epoch: 1, Best: true, Fit: &fit}
	if e.Loss, err = p.Loss(h); err != nil {
		return State{}, err
	}
	e.ValLoss, e.ValScore = t.Validate(t.Network)
	return State{Log: Log{e}, Params: t.Network.Params, Best: t.Network.Params}, nil
}

// epoch trains for one epoch, from 0 on.
func (t *Trainer) epoch(ctx context.Context, src Source, o Optimizer, epoch int) (Epoch, error) {
	n, e := t.Network, Epoch{Epoch: epoch + 1}
	start, inHead := time.Now(), time.Duration(0)
	grad := make([]float64, len(n.Params))
	step, steps, rows := 0, src.Steps(), 0
	err := src.Epoch(ctx, epoch, func(x []float32, y []float64) error {
		began := time.Now()
		e.Rate = t.Rate * t.Schedule.Rate(epoch*steps+step, t.Epochs*steps)
		loss := n.Gradient(grad, x, y, Dropping.Rand(t.Seed, epoch, step))
		o.Step(n.Params, grad, e.Rate)
		if math.IsNaN(loss) || math.IsInf(loss, 0) || !finite(n.Params) {
			return diverged("the loss became %v in epoch %d, batch %d of %d", loss, epoch+1, step+1, steps)
		}
		k := len(x) / n.Features()
		e.Loss += loss * float64(k)
		rows += k
		step++
		inHead += time.Since(began)
		return nil
	})
	if err != nil {
		return e, err
	}
	e.Loss /= float64(rows)
	if e.ValLoss, e.ValScore = t.Validate(n); math.IsNaN(e.ValLoss) || math.IsInf(e.ValLoss, 0) {
		return e, diverged("the validation loss became %v in epoch %d", e.ValLoss, epoch+1)
	}
	e.Seconds, e.Head = time.Since(start).Seconds(), inHead.Seconds()
	return e, nil
}

// Rows is a source of rows of features, in another order in every epoch.
type Rows struct {
	Set     *Set
	Targets *Targets // in place of the set's own
	Batch   int      // rows per step; the last one of an epoch can be smaller
	Seed    uint64
	// Mix, if not nil, may write the rows at of a step anew, mixed with each other. It says how their
	// targets are mixed, as Targets.Mixed takes it; nil: they stay.
	Mix func(x []float32, epoch, step int, at []int) (partner []int, own []float64, err error)

	x []float32
	y []float64
}

// Steps is the number of batches of an epoch.
func (r *Rows) Steps() int { return (r.Set.N() + r.Batch - 1) / r.Batch }

// Epoch gives the batches of an epoch.
func (r *Rows) Epoch(ctx context.Context, epoch int, each func(x []float32, y []float64) error) error {
	step := 0
	for at := range slices.Chunk(Order(r.Seed, epoch, r.Set.N()), r.Batch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.x = r.x[:0]
		for _, i := range at {
			r.x = append(r.x, r.Set.X[i*r.Set.Features:(i+1)*r.Set.Features]...)
		}
		var partner []int
		var own []float64
		if r.Mix != nil {
			var err error
			if partner, own, err = r.Mix(r.x, epoch, step, at); err != nil {
				return err
			}
		}
		r.y = r.Targets.Mixed(r.y, at, partner, own)
		if err := each(r.x, r.y); err != nil {
			return err
		}
		step++
	}
	return nil
}

// finite says whether all values are numbers.
func finite(v []float64) bool {
	sum := 0.0
	for _, x := range v {
		sum += x - x
	}
	return sum == 0
}
