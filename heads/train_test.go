package heads

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/linear"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// clouds are rows of three classes: normal distributions around corners.
func clouds(n int) *Rows {
	s := &Set{Targets: Targets{Classes: 3}, Features: 4}
	rng := Starting.Rand(5, 0, 0)
	for i := range n {
		s.Class = append(s.Class, i%3)
		for k := range 4 {
			v := rng.NormFloat64()
			if k == i%3 {
				v += 2
			}
			s.X = append(s.X, float32(v))
		}
	}
	return &Rows{Set: s, Targets: &s.Targets, Batch: 32, Seed: 1}
}

// trainerFor is a trainer for rows of clouds, which validate by top-1.
func trainerFor(r *Rows, c Training) *Trainer {
	c.Schedule.Kind = "cosine"
	return &Trainer{
		Training: c, Network: c.Network(r.Set.X, linear.Layer{In: 4}, 3, Softmax, 1), Seed: 1,
		Validate: func(n *Network) (loss, score float64) {
			loss, scores := r.Set.Measure(n)
			for i, c := range r.Set.Class {
				if row := scores[i*3 : (i+1)*3]; row[c] == slices.Max(row) {
					score += 1 / float64(r.Set.N())
				}
			}
			return loss, score
		},
	}
}

// TestTrainReachesOptimum: SGD and AdamW come to the loss that L-BFGS finds.
func TestTrainReachesOptimum(t *testing.T) {
	r := clouds(301) // the last batch is smaller
	s, err := trainerFor(r, Training{Optimizer: LBFGSName}).Optimum(context.Background(), r.Set, r.Targets, nil)
	if err != nil {
		t.Fatal(err)
	}
	best := s.Log[0].Loss
	if d := math.Abs(s.Log[0].ValLoss - best); d > 1e-6 { // scores are float32
		t.Errorf("the loss is measured as %v, not %v", s.Log[0].ValLoss, best)
	}
	for _, c := range []Training{
		{Optimizer: SGDName, Momentum: 0.9, Rate: 0.1, Epochs: 300}, {Optimizer: AdamWName, Rate: 0.03, Epochs: 300},
	} {
		t.Run(c.Optimizer, func(t *testing.T) {
			s, err := trainerFor(r, c).Train(context.Background(), r, State{})
			if err != nil {
				t.Fatal(err)
			}
			first, last := s.Log[0].ValLoss, s.Log[len(s.Log)-1].ValLoss
			if first < best+1e-3 { // from zeros the loss is log 3
				t.Errorf("the loss is %v after an epoch, the optimum %v", first, best)
			}
			if last < best-1e-6 || last > best+1e-4 { // a cosine ends at 0, so the noise of batches dies down
				t.Errorf("the loss is %v in the end, the optimum %v", last, best)
			}
		})
	}
}

// TestTrainResumes: training that was stopped after any epoch ends with the same bits, whatever
// the optimizer keeps.
func TestTrainResumes(t *testing.T) {
	r := clouds(100)
	for name, c := range map[string]Training{
		"sgd":     {Optimizer: SGDName, Momentum: 0.9, Rate: 0.5, Epochs: 6},
		"adamw":   {Optimizer: AdamWName, Rate: 0.1, Epochs: 6},
		"dropout": {Optimizer: SGDName, Momentum: 0.9, Rate: 0.1, Epochs: 6, Hidden: 7, Dropout: 0.3},
		"plain":   {Optimizer: SGDName, Rate: 0.1, Epochs: 6},
	} {
		t.Run(name, func(t *testing.T) {
			whole := trainerFor(r, c)
			want, err := whole.Train(context.Background(), r, State{})
			if err != nil {
				t.Fatal(err)
			}
			for stop := 1; stop < 6; stop++ {
				stopped := errors.New("stopped")
				tr := trainerFor(r, c)
				var kept State
				tr.Saved = func(s State) error {
					if len(s.Log) < stop {
						return nil
					}
					kept = State{Log: slices.Clone(s.Log), Params: slices.Clone(s.Params), Best: slices.Clone(s.Best)}
					for _, v := range s.Optimizer {
						kept.Optimizer = append(kept.Optimizer, slices.Clone(v))
					}
					return stopped
				}
				if _, err := tr.Train(context.Background(), r, State{}); !errors.Is(err, stopped) {
					t.Fatal(err)
				}
				tr = trainerFor(r, c)
				got, err := tr.Train(context.Background(), r, kept)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got, cmpopts.IgnoreFields(Epoch{}, "Seconds", "Head"), cmpopts.EquateEmpty()); d != "" {
					t.Errorf("stopped after epoch %d: %s", stop, d)
				}
				if !slices.Equal(tr.Network.Params, whole.Network.Params) {
					t.Errorf("stopped after epoch %d, other parameters are chosen", stop)
				}
			}
		})
	}
}

// TestTrainChooses: the best epoch's parameters are kept, or the last one's; patience ends it.
func TestTrainChooses(t *testing.T) {
	r := clouds(50)
	scores := []float64{0.5, 0.7, 0.6, 0.7, 0.65, 0.6, 0.9, 0.1}
	losses := []float64{1, 1, 1, 0.9, 1, 1, 1, 1}
	for name, c := range map[string]struct {
		last           bool
		patience       int
		epochs, chosen int
	}{
		"best": {false, 0, 8, 7}, "last": {true, 0, 8, 8},
		"patience 1": {false, 1, 3, 2}, "patience 2": {false, 2, 6, 4}, "patience 3": {false, 3, 8, 7},
	} {
		t.Run(name, func(t *testing.T) {
			tr := trainerFor(r, Training{Rate: 0.1, Epochs: 8})
			tr.Last, tr.Patience = c.last, c.patience
			var all [][]float64
			tr.Validate = func(n *Network) (loss, score float64) {
				all = append(all, slices.Clone(n.Params))
				return losses[len(all)-1], scores[len(all)-1]
			}
			s, err := tr.Train(context.Background(), r, State{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]int{c.epochs, c.chosen}, []int{len(s.Log), s.Log.Chosen(c.last).Epoch}); d != "" {
				t.Errorf("epochs, chosen: %s", d)
			}
			if !slices.Equal(tr.Network.Params, all[c.chosen-1]) {
				t.Error("the network has another epoch's parameters")
			}
		})
	}
}

// TestTrainEnds: a loss that is no number is an error; an end of the context ends the training.
func TestTrainEnds(t *testing.T) {
	r := clouds(50)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := trainerFor(r, Training{Rate: 0.1, Epochs: 8}).Train(ctx, r, State{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for i := range r.Set.X {
		r.Set.X[i] *= 1e20
	}
	var diverged *DivergedError
	if _, err := trainerFor(r, Training{Rate: 1e300, Epochs: 200}).Train(context.Background(), r, State{}); !errors.As(err, &diverged) {
		t.Errorf("%v", err)
	}
}

// TestRowsMix: rows that are mixed have mixed targets; others stay.
func TestRowsMix(t *testing.T) {
	set := &Set{Targets: Targets{Classes: 2, Class: []int{0, 1, 1}}, Features: 1, X: []float32{1, 2, 3}}
	r := &Rows{Set: set, Targets: &set.Targets, Batch: 2}
	r.Mix = func(x []float32, _, step int, at []int) ([]int, []float64, error) {
		if step > 0 {
			return nil, nil, nil
		}
		x[0], x[1] = x[0]+10, x[1]+10
		return []int{1, 0}, []float64{0.25, 0.25}, nil
	}
	var x []float32
	var y []float64
	err := r.Epoch(context.Background(), 0, func(bx []float32, by []float64) error {
		x, y = append(x, bx...), append(y, by...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	order := Order(0, 0, 3)
	wantX := []float32{set.X[order[0]] + 10, set.X[order[1]] + 10, set.X[order[2]]}
	hot := r.Targets.Rows()
	row := func(i int) []float64 { return hot[2*order[i] : 2*order[i]+2] }
	var wantY []float64
	for _, pair := range [][2]int{{0, 1}, {1, 0}} {
		for c := range 2 {
			wantY = append(wantY, 0.25*row(pair[0])[c]+0.75*row(pair[1])[c])
		}
	}
	if d := cmp.Diff(wantX, x); d != "" {
		t.Errorf("rows: %s", d)
	}
	if d := cmp.Diff(append(wantY, row(2)...), y); d != "" {
		t.Errorf("targets: %s", d)
	}
}

// TestStateCheck: what is wrong with a state is said.
func TestStateCheck(t *testing.T) {
	good := State{Log: Log{{Epoch: 1, Best: true}}, Params: []float64{1, 2}, Best: []float64{3, 4}, Optimizer: [][]float64{{1}, {5, 6}, nil}}
	for name, edit := range map[string]func(s *State){
		"good":               func(*State) {},
		"no best epoch":      func(s *State) { s.Log = Log{{Epoch: 1}} },
		"parameters":         func(s *State) { s.Params = []float64{1} },
		"infinite":           func(s *State) { s.Best = []float64{1, math.Inf(1)} },
		"optimizer":          func(s *State) { s.Optimizer = [][]float64{{1, 2, 3}} },
		"infinite optimizer": func(s *State) { s.Optimizer = [][]float64{{math.NaN()}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			edit(&s)
			if err := s.Check(2); (err == nil) != (name == "good") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestTrials: rates around the one given, or weight decays alone; the best is of the highest
// score, then of the lowest loss, then the first.
func TestTrials(t *testing.T) {
	if n, m := len(Trials(0.1)), len(Trials(0)); n != 20 || m != 5 {
		t.Errorf("%d and %d trials", n, m)
	}
	if got := Trials(0.5)[8]; got != (Trial{Rate: 0.5}) {
		t.Errorf("in the middle: %+v", got)
	}
	best, ok := BestTrial([]Trial{
		{Score: 0.9, Diverged: true}, {Score: 0.5, Loss: 2}, {Score: 0.5, Loss: 1, Decay: 1}, {Score: 0.5, Loss: 1, Decay: 2},
	})
	if want := (Trial{Score: 0.5, Loss: 1, Decay: 1}); !ok || best != want {
		t.Errorf("%+v, want %+v", best, want)
	}
	if _, ok := BestTrial([]Trial{{Diverged: true}}); ok {
		t.Error("a trial that diverged is the best")
	}
}

// TestTrainingValidate: what makes no sense is said.
func TestTrainingValidate(t *testing.T) {
	good := Training{Epochs: 5, Batch: 8, Optimizer: SGDName, Momentum: 0.9, Schedule: Schedule{Kind: "step"}}
	for want, edit := range map[string]func(c *Training){
		"":                 func(*Training) {},
		"hidden layer":     func(c *Training) { c.Hidden = -1 },
		"dropout":          func(c *Training) { c.Dropout = 1 },
		"epochs":           func(c *Training) { c.Epochs = 0 },
		"optimizer":        func(c *Training) { c.Optimizer = "lamb" },
		"learning rate":    func(c *Training) { c.Rate = math.NaN() },
		"weight decay":     func(c *Training) { c.Decay = -1 },
		"momentum":         func(c *Training) { c.Momentum = 1 },
		"smoothing":        func(c *Training) { c.Smoothing = 1 },
		"patience":         func(c *Training) { c.Patience = -1 },
		"one linear layer": func(c *Training) { c.Optimizer, c.Hidden = LBFGSName, 3 },
		"no hidden layer":  func(c *Training) { c.Keep, c.Hidden = true, 3 },
		"--select last":    func(c *Training) { c.Patience, c.Last = 1, true },
		"schedule":         func(c *Training) { c.Schedule.Kind = "poly" },
		"warm-up":          func(c *Training) { c.Schedule.Warmup = 1 },
	} {
		t.Run(want, func(t *testing.T) {
			c := good
			edit(&c)
			err := c.Validate()
			if (err == nil) != (want == "") {
				t.Fatalf("%v", err)
			}
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
		})
	}
}
