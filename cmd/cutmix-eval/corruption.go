package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"cutmix-eval/corrupt"
	"cutmix-eval/corrupt/baseline"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/corruption"
	"cutmix-eval/tasks/ood"
	"cutmix-eval/variants"

	"github.com/spf13/cobra"
)

// corruptionOptions are what the flags of corruption say.
type corruptionOptions struct {
	options
	Task corruption.Config
}

func newCorruption(s streams, run func(context.Context, corruptionOptions) error) *cobra.Command {
	o := corruptionOptions{newOptions(), corruption.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "corruption",
		Short: "Accuracy under corruption (ImageNet-C), occlusion and mixing",
		Long: `corruption measures what corrupted images do to a classifier: the 15 corruptions of
ImageNet-C and the 4 extra ones at five severities, made on the fly from clean
images (--data), value for value as the benchmark's scripts make them, or read from
its folders (--corrupted). It reports errors, corruption errors (CE), mCE and
relative mCE, with AlexNet's errors or a file's as the baseline.

--experiment chooses one of the CutMix paper's instead: a hole in the middle of the
image, everything but the middle hidden, and images between two classes, by blending
or by pasting the middle of another; each as a curve over its level.`,
		Example: `  cutmix-eval corruption --limit 200
  cutmix-eval corruption --model net.onnx --data imagenet/val --frost frosts --jpeg 85
  cutmix-eval corruption --model net.onnx --corrupted /data/imagenet-c
  cutmix-eval corruption --experiment center-occlusion --steps 8`,
		Args: noArgs,
	}
	o.add(cmd)
	o.addOut(cmd)
	o.addShard(cmd)
	c := &o.Task
	addCorruptions(cmd, &c.Benchmark)
	choice(cmd, &c.Experiment, "experiment", "what is done to the images", variants.Experiments()...)
	text(cmd, &c.Corrupted, "corrupted", "FOLDER",
		"corrupted images: CORRUPTION/SEVERITY/CLASS, or CIFAR-C's .npy files (default: made from --data)")
	number(cmd, &c.CleanError, "clean-error", "with --corrupted, the model's top-1 error on clean images as a fraction, for relative mCE")
	count(cmd, &c.JPEG, "jpeg", "put images through a JPEG file of this quality, as the published ones were through 85; 0 for none")
	count(cmd, &c.Steps, "steps", "levels of the other experiments")
	declare(cmd, "baseline", "NAME", "alexnet", "errors that CE is relative to: alexnet, none or a JSON file", into(&c.Baseline, errorsOf))
	complete(cmd, "baseline", "alexnet", "none")
	declare(cmd, "ood-run", "RUN", "",
		"run of ood with the same model: also measure how well msp separates corrupted images from its sets", into(&c.OOD, oodRun))
	count(cmd, &c.Bins, "bins", "bins of the calibration errors")
	if run == nil {
		run = func(ctx context.Context, o corruptionOptions) error { return runCorruption(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := usage(o.check(cmd)); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

// addCorruptions declares the flags that say which corruptions are made, and how.
func addCorruptions(cmd *cobra.Command, b *variants.Benchmark) {
	declare(cmd, "corruption", "NAMES", "", "only these corruptions, several with commas; benchmark (the 15) or all (19, the default)",
		several(&b.Corruptions, corruptions))
	groups := []string{"benchmark\tthe 15 of ImageNet-C's mCE", "all\tthose and the 4 extra ones"}
	completeSeveral(cmd, "corruption", append(groups, plain(corrupt.All())...)...)
	declare(cmd, "severity", "N",
		"1,2,3,4,5", "only these severities, 1 to 5, several with commas", several(&b.Severities, func(s string) ([]int, error) {
			n, err := severity(s)
			return []int{n}, err
		}))
	var sets []meaning[corrupt.Set]
	for _, set := range corrupt.Sets() {
		sets = append(sets, meaning[corrupt.Set]{strconv.Itoa(int(set)), set})
	}
	choose(cmd, &b.Set, "set", "", "take the parameters for this image size, not for the nearest to the images'", sets...)
	addFrost(cmd, &b.Frost)
}

func addFrost(cmd *cobra.Command, to *string) {
	text(cmd, to, "frost", "FOLDER",
		"folder with the benchmark's frost1 to frost5, or fetched (see datasets fetch; default: built-in textures)")
}

// corruptions are those that a word names.
func corruptions(s string) ([]corrupt.Name, error) {
	switch s {
	case "all":
		return corrupt.All(), nil
	case "benchmark":
		return corrupt.Benchmark(), nil
	}
	_, err := one(s, plain(corrupt.All()))
	return []corrupt.Name{corrupt.Name(s)}, err
}

func severity(s string) (int, error) {
	return within(s, 1, corrupt.Severities)
}

// errorsOf are those of a baseline; nil for none.
func errorsOf(s string) (*baseline.Errors, error) {
	switch s {
	case "", "alexnet":
		return new(baseline.AlexNet()), nil
	case "none":
		return nil, nil
	}
	b, err := baseline.Read(s)
	return &b, err
}

// oodRun is the path of a run of ood.
func oodRun(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	dir, err := filepath.Abs(s)
	if err != nil {
		return dir, err
	}
	if _, err := results.OpenStudy(true, dir); errors.Is(err, results.ErrOldStudy) {
		return dir, err
	}
	if task, err := results.TaskOf(dir); err != nil || task != ood.Name {
		return dir, refuse("%q is not a run of ood", s)
	}
	return dir, nil
}

// check refuses flags that make no sense together, and sorts out to which images the others
// belong.
func (o *corruptionOptions) check(cmd *cobra.Command) error {
	if err := o.options.check(cmd); err != nil {
		return err
	}
	c, given := &o.Task, cmd.Flags().Changed
	for _, flag := range []string{"corruption", "severity", "set", "frost", "jpeg", "bins", "baseline"} {
		if given(flag) && c.Experiment != variants.Corruptions {
			return fmt.Errorf("--%s says nothing about %s", flag, c.Experiment)
		}
	}
	if given("steps") && c.Experiment == variants.Corruptions {
		return errors.New("--steps is of the other experiments")
	}
	if c.Corrupted == "" {
		return c.Validate()
	}
	if given("data") {
		return errors.New("--data and --corrupted are two sources; give one (--clean-error for relative mCE)")
	}
	for _, flag := range []string{"split", "data-root", "data-format"} {
		if given(flag) {
			return fmt.Errorf("--%s says nothing about --corrupted", flag)
		}
	}
	on := &o.Data
	on.Path, on.Format = evaluation.DefaultData, datasets.Auto // replaced when the corrupted images are opened
	c.Labels, on.Labels = on.Labels, ""
	c.Subset, on.Subset = on.Subset, ""
	return c.Validate()
}

func runCorruption(ctx context.Context, s streams, o corruptionOptions) error {
	return o.onImages(ctx, s, func(c *evaluation.Classifier, im *evaluation.Images) (tasks.Job, error) {
		return corruption.Open(ctx, c, im, o.Task, o.Store)
	})
}
