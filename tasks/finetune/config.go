// Package finetune trains a new head for a classifier whose other layers stay as they are, on
// batches mixed by CutMix (Yun et al., ICCV 2019) or its relatives, and writes the classifier
// with that head.
package finetune

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"cutmix-eval/augment"
	"cutmix-eval/heads"
	"cutmix-eval/metrics"
)

// Name is the task's name in studies and reports.
const Name = "finetune"

// Optimizers that can be asked for.
const (
	SGDName   = "sgd"
	AdamWName = "adamw"
	LBFGSName = "lbfgs" // to the optimum, where features are fixed
)

// Training is how the head is trained.
type Training struct {
	Mix     augment.Mix   `json:"mix"`
	Augment augment.Views `json:"augment"`
	Keep    bool          `json:"keep_head"` // go on with the model's own head
	Hidden  int           `json:"hidden"`    // units of a hidden layer; 0 for none
	Dropout float64       `json:"dropout"`   // of features and hidden units
	// Standardize gives the head features of mean 0 and deviation 1 over the training images,
	// as they are without augmentation; its first layer is scaled back in the file. Linear
	// probes are trained so (He et al., CVPR 2022, "batch norm without affine").
	Standardize bool           `json:"standardize"`
	Epochs      int            `json:"epochs"`
	Batch       int            `json:"batch_size"` // images per step; the last one of an epoch can be smaller
	Optimizer   string         `json:"optimizer"`
	Rate        float64        `json:"lr"` // 0: as suits the features
	Momentum    float64        `json:"momentum"`
	Decay       float64        `json:"weight_decay"` // of weights, not of biases
	Schedule    heads.Schedule `json:"schedule"`
	Smoothing   float64        `json:"label_smoothing"`
	Balanced    bool           `json:"balanced"` // classes weigh the same, however many images they have
	Search      bool           `json:"search"`   // find rate and weight decay on a held-out part of the training images
	Patience    int            `json:"patience"` // epochs without a better one before training ends; 0: all epochs
	Last        bool           `json:"last"`     // keep the last epoch's head, not the best one's
}

// Config holds what the task can be told.
type Config struct {
	Training
	Split      float64 `json:"split"`           // share of the images that trains, where no validation data are given
	Neighbours int     `json:"knn"`             // of the k-NN baseline
	Probe      float64 `json:"probe_decay"`     // weight decay of the linear probe
	Bins       int     `json:"bins"`            // of the calibration error
	Replicates int     `json:"bootstrap"`       // of intervals
	Multi      string  `json:"multi_label"`     // file or folder with several labels per image; empty: one
	MultiSplit string  `json:"multi_split"`     // of it that trains, where it has several
	MultiVal   string  `json:"multi_val_split"` // of it that validates
	MultiTest  string  `json:"multi_test_split"`
}

// DefaultConfig is what the command line starts from: CutMix as in the paper's CIFAR
// experiments (beta 1, probability 0.5).
func DefaultConfig() Config {
	return Config{
		Training: Training{
			Mix:         augment.Mix{Method: augment.CutMix, Alpha: 1, Prob: 0.5, Box: "uniform", Labels: "shares", Length: 0.5},
			Augment:     augment.Views{Crop: true, Scale: [2]float64{0.5, 1}, Ratio: [2]float64{3. / 4, 4. / 3}, Flip: 0.5},
			Standardize: true, Epochs: 20, Batch: 64, Optimizer: SGDName, Momentum: 0.9, Decay: 1e-4, Schedule: heads.Schedule{Kind: "cosine"},
		},
		Split: 0.8, Neighbours: 20, Probe: 1e-4, Bins: 15, Replicates: 1000,
	}
}

// settle fills what follows from other options.
func (t *Training) settle() {
	if t.Optimizer == LBFGSName { // which has none of these
		t.Epochs, t.Batch, t.Rate, t.Momentum, t.Schedule, t.Patience, t.Last = 1, 1, 0, 0, heads.Schedule{Kind: "constant"}, 0, true
		t.Standardize = false // its weight decay is of weights for plain features
	}
	if t.Fixed() {
		t.Augment = augment.Views{Scale: t.Augment.Scale, Ratio: t.Augment.Ratio}
	}
}

// Fixed says whether every image has the same features, or feature map, in all epochs: they
// are computed once.
func (t Training) Fixed() bool {
	m := t.Mix.Method
	return t.Optimizer == LBFGSName || m == augment.FeatureCutMix || m == augment.None && !t.Augment.Any()
}

// Validate says what in it makes no sense.
func (t Training) Validate() error {
	switch pairs := t.Mix.Method != augment.None && t.Mix.Method != augment.Cutout; {
	case t.Hidden < 0 || t.Hidden > 1<<16:
		return fmt.Errorf("a hidden layer of %d units is not within 0 and 65536", t.Hidden)
	case !(t.Dropout >= 0 && t.Dropout < 1):
		return fmt.Errorf("a dropout of %v is not a share below 1", t.Dropout)
	case t.Epochs < 1 || t.Batch < 1:
		return fmt.Errorf("%d epochs of batches of %d", t.Epochs, t.Batch)
	case t.Batch == 1 && pairs && t.Mix.Validate() == nil:
		return errors.New("one image alone is not mixed: give a larger --batch-size, or --mix none")
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
	case t.Optimizer == LBFGSName && t.Mix.Method != augment.None:
		return fmt.Errorf("lbfgs finds the optimum of fixed features, and %s changes them: give --mix none, or another --optimizer", t.Mix.Method)
	case t.Optimizer == LBFGSName && (t.Hidden > 0 || t.Dropout > 0 || t.Keep):
		return errors.New("lbfgs finds the optimum of one linear layer: no hidden layer, no dropout, no old head")
	case t.Keep && t.Hidden > 0:
		return errors.New("the old head has no hidden layer: give --head new")
	case t.Patience > 0 && t.Last:
		return errors.New("to stop early is to keep the best epoch: give --patience without --select last")
	}
	return errors.Join(t.Mix.Validate(), t.Augment.Validate(), t.Schedule.Validate())
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case !(c.Split > 0 && c.Split < 1):
		return fmt.Errorf("a training share of %v is not between 0 and 1", c.Split)
	case c.Neighbours < 1:
		return fmt.Errorf("%d neighbours", c.Neighbours)
	case !(c.Probe >= 0 && c.Probe < 1e6):
		return fmt.Errorf("a weight decay of %v", c.Probe)
	case c.Bins < 2:
		return fmt.Errorf("%d bins: at least 2 are needed", c.Bins)
	case c.Multi == "" && c.MultiSplit+c.MultiVal+c.MultiTest != "":
		return errors.New("lists of --multi-label are named, and that is not given")
	case c.Multi != "" && c.Keep:
		return errors.New("images of several labels get a new head: no --head keep")
	case c.Multi != "" && c.Balanced:
		return errors.New("classes of images of several labels are not weighted: no --class-weights")
	case c.Multi != "" && c.Mix.Labels == "one-hot":
		return errors.New("images of several labels have no one-hot label")
	}
	if err := metrics.CheckReplicates(c.Replicates); err != nil {
		return err
	}
	return c.Training.Validate()
}

// several says whether images have several labels.
func (c Config) several() bool { return c.Multi != "" }

// criterion is that of the head's loss.
func (c Config) criterion() heads.Criterion {
	if c.several() {
		return heads.Sigmoid
	}
	return heads.Softmax
}

// score names what epochs are chosen by.
func (c Config) score() string {
	if c.several() {
		return "map"
	}
	return "top1"
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// String is the training in words.
func (t Training) String() string {
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
	s += ", " + t.Mix.String()
	if t.Augment.Crop {
		s += fmt.Sprintf(", random crops of %s to %s of the area", number(t.Augment.Scale[0]), number(t.Augment.Scale[1]))
	}
	if t.Augment.Flip > 0 {
		s += ", flips " + number(t.Augment.Flip)
	}
	if t.Optimizer == LBFGSName {
		s += ", optimum by L-BFGS, weight decay " + number(t.Decay)
	} else {
		s += t.steps()
	}
	if t.Smoothing > 0 {
		s += ", label smoothing " + number(t.Smoothing)
	}
	if t.Balanced {
		s += ", balanced classes"
	}
	return s
}

// steps is the part of String about steps down the gradient.
func (t Training) steps() string {
	rate := "by the features"
	if t.Rate > 0 {
		rate = number(t.Rate)
	}
	s := fmt.Sprintf(", %s, rate %s, %s", t.Optimizer, rate, t.Schedule.Kind)
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
