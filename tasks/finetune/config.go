// Package finetune trains a new head for a classifier whose other layers stay as they are, on
// batches mixed by CutMix (Yun et al., ICCV 2019) or its relatives, and writes the classifier
// with that head.
package finetune

import (
	"cmp"
	"errors"
	"fmt"

	"cutmix-eval/augment"
	"cutmix-eval/heads"
	"cutmix-eval/metrics"
)

// Name is the task's name in studies and reports.
const Name = "finetune"

// Training is how the head is trained.
type Training struct {
	Mix     augment.Mix   `json:"mix"`
	Augment augment.Views `json:"augment"`
	heads.Training
}

// Config holds what the task can be told.
type Config struct {
	Training
	Split      float64 `json:"split"`            // share of the images that trains, where no validation data are given
	Neighbours int     `json:"knn"`              // of the k-NN baseline
	Probe      float64 `json:"probe_decay"`      // weight decay of the linear probe
	Bins       int     `json:"bins"`             // of the calibration error
	Replicates int     `json:"bootstrap"`        // of intervals
	Multi      string  `json:"multi_label"`      // file or folder with several labels per image; empty: one
	MultiSplit string  `json:"multi_split"`      // of it that trains, where it has several
	MultiVal   string  `json:"multi_val_split"`  // of it that validates
	MultiTest  string  `json:"multi_test_split"` // of it that tests
}

// DefaultConfig is what the command line starts from: CutMix as in the paper's CIFAR
// experiments (beta 1, probability 0.5).
func DefaultConfig() Config {
	return Config{
		Training: Training{
			Mix:     augment.Mix{Method: augment.CutMix, Alpha: 1, Prob: 0.5, Box: "uniform", Labels: "shares", Length: 0.5},
			Augment: augment.Views{Crop: true, Scale: [2]float64{0.5, 1}, Ratio: [2]float64{3. / 4, 4. / 3}, Flip: 0.5},
			Training: heads.Training{
				Standardize: true, Epochs: 20, Batch: 64, Optimizer: heads.SGDName, Momentum: 0.9, Decay: 1e-4,
				Schedule: heads.Schedule{Kind: "cosine"},
			},
		},
		Split: 0.8, Neighbours: 20, Probe: 1e-4, Bins: 15, Replicates: 1000,
	}
}

// settle fills what follows from other options.
func (t *Training) settle() {
	if t.Settle(); t.Fixed() {
		t.Augment = augment.Views{Scale: t.Augment.Scale, Ratio: t.Augment.Ratio}
	}
}

// Fixed says whether every image has the same features, or feature map, in all epochs: they
// are computed once.
func (t Training) Fixed() bool {
	m := t.Mix.Method
	return t.Optimizer == heads.LBFGSName || m == augment.FeatureCutMix || m == augment.None && !t.Augment.Any()
}

// Validate says what in it makes no sense.
func (t Training) Validate() error {
	switch m := t.Mix.Method; {
	case t.Batch == 1 && (m == augment.CutMix || m == augment.FeatureCutMix || m == augment.Mixup):
		return errors.New("one image alone is not mixed: give a larger --batch-size, or --mix none")
	case t.Optimizer == heads.LBFGSName && m != augment.None:
		return fmt.Errorf("lbfgs finds the optimum of fixed features, and %s changes them: give --mix none, or another --optimizer", m)
	}
	return errors.Join(t.Training.Validate(), t.Mix.Validate(), t.Augment.Validate())
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
	case c.Multi == "" && c.MultiSplit+c.MultiVal+c.MultiTest != "":
		return errors.New("lists of --multi-label are named, and that is not given")
	case c.Multi != "" && c.Keep:
		return errors.New("images of several labels get a new head: no --head keep")
	case c.Multi != "" && c.Balanced:
		return errors.New("classes of images of several labels are not weighted: no --class-weights")
	case c.Multi != "" && c.Mix.Labels == "one-hot":
		return errors.New("images of several labels have no one-hot label")
	}
	return cmp.Or(metrics.CheckBins(c.Bins, 2), metrics.CheckReplicates(c.Replicates), c.Training.Validate())
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

// String is the training in words.
func (t Training) String() string {
	s := t.Head() + ", " + t.Mix.String()
	if t.Augment.Crop {
		s += fmt.Sprintf(", random crops of %.4g to %.4g of the area", t.Augment.Scale[0], t.Augment.Scale[1])
	}
	if t.Augment.Flip > 0 {
		s += fmt.Sprintf(", flips %.4g", t.Augment.Flip)
	}
	return s + ", " + t.Steps()
}
