// Package corruption evaluates a classifier on corrupted images: ImageNet-C from disk or
// made on the fly, mCE, and the occlusion and in-between-class experiments of the CutMix
// paper (Yun et al., ICCV 2019), whose code was not released.
package corruption

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"cutmix-eval/corrupt"
)

// Name is the task's name in run directories and reports.
const Name = "corruption"

// Experiment names what is done to images.
type Experiment string

// The experiments: the corruptions of ImageNet-C, and those of the CutMix paper.
const (
	Corruptions Experiment = "corruptions"
	Centre      Experiment = "center-occlusion"   // a hole in the middle
	Boundary    Experiment = "boundary-occlusion" // everything but the middle
	Mixup       Experiment = "in-between-mixup"   // two images, blended
	CutMix      Experiment = "in-between-cutmix"  // the middle of another image
)

// Experiments lists them.
func Experiments() []Experiment {
	return []Experiment{Corruptions, Centre, Boundary, Mixup, CutMix}
}

// Config holds the task's options.
type Config struct {
	Experiment  Experiment     `json:"experiment"`
	Corruptions []corrupt.Name `json:"corruptions"`    // those to evaluate
	Severities  []int          `json:"severities"`     // 1 to 5
	Set         corrupt.Set    `json:"set"`            // of parameters; 0: by the model's image size
	JPEG        int            `json:"jpeg,omitempty"` // quality of a JPEG round trip behind; 0: none
	Frost       string         `json:"frost,omitempty"`
	Corrupted   string         `json:"corrupted,omitempty"`   // folder of corrupted images; empty: made here
	Subset      string         `json:"subset,omitempty"`      // file that names the images of Corrupted to use
	Labels      string         `json:"labels,omitempty"`      // class map of Corrupted
	CleanError  float64        `json:"clean_error,omitempty"` // for relative mCE, where clean images are not evaluated; 0: not known
	Steps       int            `json:"steps,omitempty"`       // of the other experiments: levels from nothing to all
	Baseline    *Baseline      `json:"baseline"`              // that errors are divided by; nil: none
	OOD         string         `json:"ood,omitempty"`         // run of ood, whose sets corrupted images are told from
	Bins        int            `json:"bins"`                  // of the calibration errors
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config {
	b := AlexNet()
	return Config{Experiment: Corruptions, Corruptions: corrupt.All(), Severities: []int{1, 2, 3, 4, 5}, Steps: 8, Baseline: &b, Bins: 15}
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case !slices.Contains(Experiments(), c.Experiment):
		return fmt.Errorf("experiment %q is not one of %v", c.Experiment, Experiments())
	case len(c.Corruptions) == 0 || len(c.Severities) == 0:
		return errors.New("no corruption or no severity is named")
	case c.Set != 0 && !slices.Contains(corrupt.Sets(), c.Set):
		return fmt.Errorf("there are no parameters for size %d, only for 224, 299, 64 and 32", c.Set)
	case c.JPEG < 0 || c.JPEG > 100:
		return fmt.Errorf("JPEG quality %d is not one of 1 to 100", c.JPEG)
	case c.Steps < 1 || c.Steps > 100:
		return fmt.Errorf("%d steps are not 1 to 100", c.Steps)
	case c.Bins < 1:
		return fmt.Errorf("%d bins", c.Bins)
	case !(c.CleanError >= 0 && c.CleanError < 1):
		return fmt.Errorf("clean error %v is not a fraction", c.CleanError)
	case c.CleanError > 0 && c.Corrupted == "":
		return errors.New("the clean error is measured where images are corrupted here")
	case c.OOD != "" && c.Experiment != Corruptions:
		return fmt.Errorf("%s has no detection of other images", c.Experiment)
	case c.Corrupted != "" && (c.Experiment != Corruptions || c.JPEG != 0 || c.Set != 0 || c.Frost != ""):
		return errors.New("corrupted images from a folder are taken as they are")
	}
	seen := map[any]bool{}
	for _, n := range c.Corruptions {
		if _, err := corrupt.ParseName(string(n)); err != nil || seen[n] {
			return errors.Join(err, fmt.Errorf("corruption %q is named twice or is none", n))
		}
		seen[n] = true
	}
	for _, s := range c.Severities {
		if s < 1 || s > corrupt.Severities || seen[s] {
			return fmt.Errorf("severity %d is not one of 1 to %d, or named twice", s, corrupt.Severities)
		}
		seen[s] = true
	}
	return nil
}

// Variant is what was done to an image.
type Variant struct {
	Name  string  `json:"name"`  // a corruption, or the experiment; empty: nothing
	Level float64 `json:"level"` // severity; share of the image's side, or of the second image
}

func (v Variant) String() string {
	if v.Name == "" {
		return "clean"
	}
	return v.Name + "/" + v.level()
}

// level is the variant's level in words, with at most four digits.
func (v Variant) level() string { return strconv.FormatFloat(v.Level, 'g', 4, 64) }
