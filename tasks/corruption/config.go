// Package corruption evaluates a classifier on corrupted images: ImageNet-C from disk or
// made on the fly, mCE, and the occlusion and in-between-class experiments of the CutMix
// paper (Yun et al., ICCV 2019), whose code was not released.
package corruption

import (
	"errors"
	"fmt"

	"cutmix-eval/corrupt/baseline"
	"cutmix-eval/metrics"
	"cutmix-eval/variants"
)

// Name is the task's name in run directories and reports.
const Name = "corruption"

// Config holds the task's options.
type Config struct {
	Experiment         variants.Experiment `json:"experiment"`
	variants.Benchmark                     // of variants.Corruptions; without a set: that of the model's image size

	Corrupted  string           `json:"corrupted,omitempty"`   // folder of corrupted images; empty: made here
	Subset     string           `json:"subset,omitempty"`      // file that names the images of Corrupted to use
	Labels     string           `json:"labels,omitempty"`      // class map of Corrupted
	CleanError float64          `json:"clean_error,omitempty"` // for relative mCE, where clean images are not evaluated; 0: not known
	Steps      int              `json:"steps,omitempty"`       // of the other experiments: levels from nothing to all
	Baseline   *baseline.Errors `json:"baseline"`              // that errors are divided by; nil: none
	OOD        string           `json:"ood,omitempty"`         // run of ood, whose sets corrupted images are told from
	Bins       int              `json:"bins"`                  // of the calibration errors
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config {
	b := baseline.AlexNet()
	return Config{Experiment: variants.Corruptions, Benchmark: variants.DefaultBenchmark(), Steps: 8, Baseline: &b, Bins: 15}
}

// variants are those that are made of every image.
func (c Config) variants() variants.Config {
	return variants.Config{Experiment: c.Experiment, Benchmark: c.Benchmark, Steps: c.Steps}
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	if err := c.variants().Validate(); err != nil {
		return err
	}
	if err := metrics.CheckBins(c.Bins, 1); err != nil {
		return err
	}
	switch {
	case !(c.CleanError >= 0 && c.CleanError < 1):
		return fmt.Errorf("clean error %v is not a fraction", c.CleanError)
	case c.CleanError > 0 && c.Corrupted == "":
		return errors.New("the clean error is measured where images are corrupted here")
	case c.OOD != "" && c.Experiment != variants.Corruptions:
		return fmt.Errorf("%s has no detection of other images", c.Experiment)
	case c.Corrupted != "" && (c.Experiment != variants.Corruptions || c.JPEG != 0 || c.Set != 0 || c.Frost != ""):
		return errors.New("corrupted images from a folder are taken as they are")
	}
	return nil
}
