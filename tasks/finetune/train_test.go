package finetune

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/heads"
)

// clouds are rows of three classes: normal distributions around corners.
func clouds(n int) (x []float32, y []float64) {
	rng := random(5, starting, 0, 0)
	for i := range n {
		for k := range 4 {
			v := rng.NormFloat64()
			if k == i%3 {
				v += 2
			}
			x = append(x, float32(v))
		}
		row := make([]float64, 3)
		row[i%3] = 1
		y = append(y, row...)
	}
	return x, y
}

func trainerFor(c Training, x []float32, y []float64) (*trainer, *stored) {
	n := heads.NewNetwork(4, c.Hidden, 3, c.Dropout, heads.Softmax, random(1, starting, 0, 0))
	p := heads.Problem{N: len(x) / 4, C: 3, D: 4, X: x, Y: y}
	validate := func(n *heads.Network) (float64, float64) {
		hits := 0
		scores := n.Scores(p.X)
		for i := range p.N {
			row := scores[i*3 : (i+1)*3]
			if y[i*3+slices.Index(row, slices.Max(row))] == 1 {
				hits++
			}
		}
		if c.Hidden > 0 {
			return 0, float64(hits) / float64(p.N)
		}
		loss, err := p.Loss(&heads.Head{C: 3, D: 4, W: n.Params[:12], B: n.Params[12:]})
		if err != nil {
			panic(err)
		}
		return loss, float64(hits) / float64(p.N)
	}
	of := &labels{classes: 3}
	for i := range p.N {
		of.class = append(of.class, i%3)
	}
	return &trainer{config: c, seed: 1, network: n, validate: validate}, &stored{config: c, seed: 1, features: 4, x: x, y: of}
}

func training(epochs int, optimizer string, rate float64) Training {
	c := DefaultConfig().Training
	c.Mix.Method, c.Epochs, c.Optimizer, c.Rate, c.Batch, c.Decay = None, epochs, optimizer, rate, 32, 0
	return c
}

// TestTrainerReachesOptimum: SGD and AdamW come to the loss that L-BFGS finds.
func TestTrainerReachesOptimum(t *testing.T) {
	x, y := clouds(301) // the last batch is smaller
	p := heads.Problem{N: 301, C: 3, D: 4, X: x, Y: y}
	h, _, err := p.Optimum(context.Background(), heads.Exact, nil)
	if err != nil {
		t.Fatal(err)
	}
	best, err := p.Loss(h)
	if err != nil {
		t.Fatal(err)
	}
	for name, rate := range map[string]float64{SGDName: 0.1, AdamWName: 0.03} {
		tr, src := trainerFor(training(300, name, rate), x, y)
		s, err := tr.run(context.Background(), src, state{})
		if err != nil {
			t.Fatal(err)
		}
		first, last := s.history[0], s.history[len(s.history)-1]
		// A cosine ends at 0, so the noise of batches dies down; from zeros the loss is log 3.
		if !(last.ValLoss-best < 1e-4) || !(first.ValLoss > best+1e-3) || last.ValLoss < best {
			t.Errorf("%s: loss %v after an epoch, %v in the end, optimum %v", name, first.ValLoss, last.ValLoss, best)
		}
	}
}

// TestTrainerGoesOn: training that was stopped after any epoch ends with the same bits,
// whatever the optimizer keeps.
func TestTrainerGoesOn(t *testing.T) {
	x, y := clouds(100)
	for name, c := range map[string]Training{
		"sgd":     training(6, SGDName, 0.5),
		"adamw":   training(6, AdamWName, 0.1),
		"dropout": func() Training { c := training(6, SGDName, 0.1); c.Dropout, c.Hidden = 0.3, 7; return c }(),
		"plain":   func() Training { c := training(6, SGDName, 0.1); c.Momentum = 0; return c }(),
	} {
		tr, src := trainerFor(c, x, y)
		want, err := tr.run(context.Background(), src, state{})
		if err != nil {
			t.Fatal(err)
		}
		result := slices.Clone(tr.network.Params)
		for stop := 1; stop < 6; stop++ {
			dir := t.TempDir()
			stopped := errors.New("stopped")
			tr, src := trainerFor(c, x, y)
			tr.saved = func(s state) error {
				if err := save(dir, key(), s); err != nil {
					return err
				}
				if len(s.history) == stop {
					return stopped
				}
				return nil
			}
			if _, err := tr.run(context.Background(), src, state{}); !errors.Is(err, stopped) {
				t.Fatal(err)
			}
			tr, src = trainerFor(c, x, y)
			s, err := load(dir, key(), len(tr.network.Params))
			if err != nil || len(s.history) != stop {
				t.Fatalf("%s: %d epochs are kept, want %d: %v", name, len(s.history), stop, err)
			}
			got, err := tr.run(context.Background(), src, s)
			if err != nil || !slices.Equal(tr.network.Params, result) || len(got.history) != 6 || got.chosen(false).Epoch != want.chosen(false).Epoch {
				t.Errorf("%s: stopped after epoch %d, it ends otherwise: %v", name, stop, err)
			}
		}
	}
}

// TestTrainerChooses: the best epoch's head is kept, or the last one's; patience ends it.
func TestTrainerChooses(t *testing.T) {
	x, y := clouds(50)
	scores := []float64{0.5, 0.7, 0.6, 0.7, 0.65, 0.6, 0.9, 0.1}
	losses := []float64{1, 1, 1, 0.9, 1, 1, 1, 1}
	for _, c := range []struct {
		last     bool
		patience int
		epochs   int
		chosen   int
	}{{false, 0, 8, 7}, {true, 0, 8, 8}, {false, 2, 6, 4}, {false, 3, 8, 7}, {false, 1, 3, 2}} {
		tr, src := trainerFor(training(8, SGDName, 0.1), x, y)
		tr.config.Last, tr.config.Patience = c.last, c.patience
		var all [][]float64
		tr.validate = func(n *heads.Network) (float64, float64) {
			k := len(all)
			all = append(all, slices.Clone(n.Params))
			return losses[k], scores[k]
		}
		s, err := tr.run(context.Background(), src, state{})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.history) != c.epochs || s.chosen(c.last).Epoch != c.chosen || !slices.Equal(tr.network.Params, all[c.chosen-1]) {
			t.Errorf("%+v: %d epochs, epoch %d chosen", c, len(s.history), s.chosen(c.last).Epoch)
		}
	}
}

// TestTrainerDiverges: a loss that is no number is an error that says what to do, not a head.
func TestTrainerDiverges(t *testing.T) {
	x, y := clouds(50)
	for i := range x {
		x[i] *= 1e20
	}
	tr, src := trainerFor(training(200, SGDName, 1e300), x, y)
	if _, err := tr.run(context.Background(), src, state{}); err == nil || !strings.Contains(err.Error(), "--lr") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tr.run(ctx, src, state{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
