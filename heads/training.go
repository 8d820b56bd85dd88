package heads

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"cutmix-eval/linear"
)

// Optimizers that can be asked for.
const (
	SGDName   = "sgd"
	AdamWName = "adamw"
	LBFGSName = "lbfgs" // to the optimum, of rows that stay the same
)

// Training says how a head is trained.
type Training struct {
	Keep    bool    `json:"keep_head"` // go on with a linear head that is there
	Hidden  int     `json:"hidden"`    // units of a hidden layer; 0 for none
	Dropout float64 `json:"dropout"`   // of features and hidden units
	// Standardize gives the head features of mean 0 and deviation 1 over the rows that train. Linear
	// probes are trained so (He et al., CVPR 2022, "batch norm without affine").
	Standardize bool     `json:"standardize"`
	Epochs      int      `json:"epochs"`
	Batch       int      `json:"batch_size"` // rows per step; the last one of an epoch can be smaller
	Optimizer   string   `json:"optimizer"`
	Rate        float64  `json:"lr"` // 0: as suits the features
	Momentum    float64  `json:"momentum"`
	Decay       float64  `json:"weight_decay"` // of weights, not of biases
	Schedule    Schedule `json:"schedule"`
	Smoothing   float64  `json:"label_smoothing"`
	Balanced    bool     `json:"balanced"` // classes weigh the same, however many rows they have
	Search      bool     `json:"search"`   // find rate and weight decay on rows that are held out
	Patience    int      `json:"patience"` // epochs without a better one before training ends; 0: all epochs
	Last        bool     `json:"last"`     // keep the last epoch's head, not the best one's
}

// Settle fills what follows from other options.
func (t *Training) Settle() {
	if t.Optimizer == LBFGSName { // which has none of these
		t.Epochs, t.Batch, t.Rate, t.Momentum, t.Schedule, t.Patience, t.Last = 1, 1, 0, 0, Schedule{Kind: "constant"}, 0, true
		t.Standardize = false // its weight decay is of weights for plain features
	}
}

// Validate says what in it makes no sense.
func (t Training) Validate() error {
	switch {
	case t.Hidden < 0 || t.Hidden > 1<<16:
		return fmt.Errorf("a hidden layer of %d units is not within 0 and 65536", t.Hidden)
	case !(t.Dropout >= 0 && t.Dropout < 1):
		return fmt.Errorf("a dropout of %v is not a share below 1", t.Dropout)
	case t.Epochs < 1 || t.Epochs > 1_000_000:
		return fmt.Errorf("%d epochs are not 1 to 1000000", t.Epochs)
	case t.Batch < 1 || t.Batch > 1<<24:
		return fmt.Errorf("a batch size of %d is not 1 to %d", t.Batch, 1<<24)
	case !slices.Contains([]string{SGDName, AdamWName, LBFGSName}, t.Optimizer):
		return fmt.Errorf("optimizer %q is not one of sgd, adamw, lbfgs", t.Optimizer)
	case !(t.Rate >= 0 && t.Rate < 1e6):
		return fmt.Errorf("a learning rate of %v is not above 0 and below 1e6", t.Rate)
	case !(t.Decay >= 0 && t.Decay < 1e6):
		return fmt.Errorf("a weight decay of %v is not within 0 and 1e6", t.Decay)
	case !(t.Momentum >= 0 && t.Momentum < 1):
		return fmt.Errorf("a momentum of %v is not a share below 1", t.Momentum)
	case !(t.Smoothing >= 0 && t.Smoothing < 1):
		return fmt.Errorf("a label smoothing of %v is not a share below 1", t.Smoothing)
	case t.Patience < 0:
		return fmt.Errorf("a patience of %d epochs", t.Patience)
	case t.Optimizer == LBFGSName && (t.Hidden > 0 || t.Dropout > 0 || t.Keep):
		return errors.New("lbfgs finds the optimum of one linear layer: no hidden layer, no dropout, no old head")
	case t.Keep && t.Hidden > 0:
		return errors.New("the old head has no hidden layer: give --head new")
	case t.Patience > 0 && t.Last:
		return errors.New("to stop early is to keep the best epoch: give --patience without --select last")
	}
	return t.Schedule.Validate()
}

// Network is the head before training on rows of features. own is the linear head that Keep goes on
// with, and has its numbers of features and, then, of classes.
func (t Training) Network(x []float32, own linear.Layer, classes int, k Criterion, seed uint64) *Network {
	n := NewNetwork(own.In, t.Hidden, classes, t.Dropout, k, Starting.Rand(seed, 0, 0))
	if t.Standardize {
		n.Scale = ScalingOf(x, own.In)
	}
	if t.Keep {
		n.Set(double(own.Weight), double(own.Bias))
	}
	return n
}

func double(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// Suited is the learning rate: the one given, or what suits the rows of x.
func (t Training) Suited(n *Network, x []float32) float64 {
	switch {
	case t.Rate > 0 || t.Optimizer == LBFGSName:
		return t.Rate
	case t.Optimizer == AdamWName:
		return n.AdamWRate(x)
	}
	return n.SGDRate(x)
}

// Targets are what a head is trained on: smoothed, and weighted by class.
func (t Training) Targets(y Targets) *Targets {
	if y.Smoothing = t.Smoothing; t.Balanced {
		y.Balance()
	}
	return &y
}

// optimizer is that of a network.
func (t Training) optimizer(n *Network) Optimizer {
	if t.Optimizer == AdamWName {
		return &AdamW{Decay: t.Decay, Decayed: n.Weights()}
	}
	return &SGD{Momentum: t.Momentum, Nesterov: t.Momentum > 0, Decay: t.Decay, Decayed: n.Weights()}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// Head says in words which head is trained.
func (t Training) Head() string {
	s := "new linear head"
	if t.Keep {
		s = "the model's own head"
	}
	if t.Hidden > 0 {
		s = fmt.Sprintf("new head with %d hidden units", t.Hidden)
	}
	if t.Dropout > 0 {
		s += ", dropout " + number(t.Dropout)
	}
	return s
}

// Steps says in words how it is trained.
func (t Training) Steps() string {
	s := "optimum by L-BFGS, weight decay " + number(t.Decay)
	if t.Optimizer != LBFGSName {
		s = t.descent()
	}
	if t.Smoothing > 0 {
		s += ", label smoothing " + number(t.Smoothing)
	}
	if t.Balanced {
		s += ", balanced classes"
	}
	return s
}

func (t Training) descent() string {
	rate := "by the features"
	if t.Rate > 0 {
		rate = number(t.Rate)
	}
	s := fmt.Sprintf("%s, rate %s, %s", t.Optimizer, rate, t.Schedule.Kind)
	if t.Schedule.Warmup > 0 {
		s += " after a warm-up of " + number(t.Schedule.Warmup)
	}
	if t.Optimizer == SGDName && t.Momentum != 0.9 {
		s += ", momentum " + number(t.Momentum)
	}
	s += fmt.Sprintf(", weight decay %s, batches of %d", number(t.Decay), t.Batch)
	if !t.Standardize {
		s += ", plain features"
	}
	return s
}
