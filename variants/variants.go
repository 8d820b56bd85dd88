// Package variants computes images from the images of a dataset: those under the corruptions
// of ImageNet-C, and those of the occlusion and in-between-class experiments of the CutMix
// paper. They are made as they are looked at, as another dataset, or written to disk in
// ImageNet-C's layout; such folders are read, too. The pixels themselves are of package
// corrupt.
package variants

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"cutmix-eval/corrupt"
)

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

// Variant is what was done to an image.
type Variant struct {
	Name  string  `json:"name"`  // a corruption, or the experiment; empty: nothing
	Level float64 `json:"level"` // severity; share of the image's side, or of the second image
}

func (v Variant) String() string {
	if v.Name == "" {
		return "clean"
	}
	return v.Name + "/" + v.Digits()
}

// Digits is the variant's level in words, with at most four digits.
func (v Variant) Digits() string { return strconv.FormatFloat(v.Level, 'g', 4, 64) }

// Benchmark says which corruptions of ImageNet-C are made, and how.
type Benchmark struct {
	Corruptions []corrupt.Name `json:"corruptions"`
	Severities  []int          `json:"severities"`     // 1 to 5
	Set         corrupt.Set    `json:"set"`            // of parameters; 0: by the images' size
	JPEG        int            `json:"jpeg,omitempty"` // quality of a JPEG round trip behind; 0: none
	Frost       string         `json:"frost,omitempty"`
}

// DefaultBenchmark is all nineteen corruptions at all severities.
func DefaultBenchmark() Benchmark {
	return Benchmark{Corruptions: corrupt.All(), Severities: []int{1, 2, 3, 4, 5}}
}

// Validate says what makes no sense.
func (b Benchmark) Validate() error {
	switch {
	case len(b.Corruptions) == 0 || len(b.Severities) == 0:
		return errors.New("no corruption or no severity is named")
	case b.Set != 0 && !slices.Contains(corrupt.Sets(), b.Set):
		return fmt.Errorf("there are no parameters for size %d, only for 224, 299, 64 and 32", b.Set)
	case b.JPEG < 0 || b.JPEG > 100:
		return fmt.Errorf("JPEG quality %d is not one of 1 to 100", b.JPEG)
	}
	seen := map[any]bool{}
	for _, n := range b.Corruptions {
		if _, err := corrupt.ParseName(string(n)); err != nil || seen[n] {
			return errors.Join(err, fmt.Errorf("corruption %q is named twice or is none", n))
		}
		seen[n] = true
	}
	for _, s := range b.Severities {
		if s < 1 || s > corrupt.Severities || seen[s] {
			return fmt.Errorf("severity %d is not one of 1 to %d, or named twice", s, corrupt.Severities)
		}
		seen[s] = true
	}
	return nil
}

// Config says which variants are made of every image.
type Config struct {
	Experiment Experiment
	Benchmark      // of Corruptions
	Steps      int // of the other experiments: equal steps from nothing to all
}

// Validate says what makes no sense.
func (c Config) Validate() error {
	if all := Experiments(); !slices.Contains(all, c.Experiment) {
		return fmt.Errorf("experiment %q is not one of %v", c.Experiment, all)
	}
	if err := c.Benchmark.Validate(); err != nil {
		return err
	}
	if c.Steps < 1 || c.Steps > 100 {
		return fmt.Errorf("%d steps are not 1 to 100", c.Steps)
	}
	return nil
}

// List lists them, the image itself first.
func (c Config) List() []Variant {
	out := []Variant{{}}
	if c.Experiment != Corruptions {
		for k := 1; k <= c.Steps; k++ {
			out = append(out, Variant{string(c.Experiment), float64(k) / float64(c.Steps)})
		}
		return out
	}
	for _, n := range c.Corruptions {
		for _, s := range c.Severities {
			out = append(out, Variant{string(n), float64(s)})
		}
	}
	return out
}
