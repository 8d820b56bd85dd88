package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"

	"github.com/spf13/cobra"
)

// shared are the flags that every task has.
type shared struct {
	config evaluation.Config

	dataFormat, device, format string
	resize, crop, fit, filter  string
	mean, std, color, span     string
	shard, save                string
	store                      evaluation.Store
	allowBad                   int
	quiet                      bool
}

func (f *shared) add(cmd *cobra.Command) {
	f.addModel(cmd)
	c, fs := &f.config, cmd.Flags()
	fs.StringVar(&c.Data, "data", c.Data, "folder, tar file, image list, CIFAR binary, or scenes[:SPLIT]")
	f.addReading(cmd)
	fs.StringVar(&c.Split, "split", "", "which split to use, where the data has several (default: val, else test)")
	fs.StringVar(&c.Subset, "subset", "", "use only the images that this `FILE` names, one a line (paths or file names)")
	fs.IntVar(&c.Limit, "limit", 0, "use only `N` images, as evenly over the classes as possible")
	f.addRunning(cmd)
}

// addModel adds those that choose the model.
func (f *shared) addModel(cmd *cobra.Command) {
	f.config = evaluation.DefaultConfig()
	c := &f.config
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&c.Model, "model", c.Model, "ONNX file, or a name in models.lock (models list)")
	fs.StringVar(&c.Output, "output", "", "name of the model's output with the class scores (default: found)")
}

// addReading adds those that say how data are read.
func (f *shared) addReading(cmd *cobra.Command) {
	c, fs := &f.config, cmd.Flags()
	fs.StringVar(&f.dataFormat, "data-format", string(datasets.Auto), "auto, folders, flat, list, cifar, tiny-imagenet or scenes")
	fs.StringVar(&c.Labels, "labels", "", "labels of the images (CSV, \"name label\" lines, devkit ground truth), or a class map (\"class output\" lines, JSON)")
	fs.StringVar(&c.Root, "data-root", "", "folder that the paths of an image list are relative to")
	f.complete(cmd, "data-format", names(datasets.Formats())...)
}

// addRunning adds those of pixels, device and output.
func (f *shared) addRunning(cmd *cobra.Command) {
	c, fs := &f.config, cmd.Flags()
	fs.StringVar(&c.Recipe, "recipe", "", "named preprocessing: "+recipeNames())
	fs.StringVar(&f.resize, "resize", "", "shorter side in pixels, HEIGHTxWIDTH for both sides, or none")
	fs.StringVar(&f.fit, "fit", "", "what --resize means: shorter (keep the aspect ratio) or squash")
	fs.StringVar(&f.crop, "crop", "", "centre crop: side in pixels, HEIGHTxWIDTH, or none")
	fs.StringVar(&f.filter, "interpolation", "", "nearest, box, bilinear, hamming, bicubic or lanczos, as Pillow has them")
	fs.StringVar(&f.mean, "mean", "", "three numbers `a,b,c` subtracted from the channels")
	fs.StringVar(&f.std, "std", "", "three numbers `a,b,c` that the channels are divided by")
	fs.StringVar(&f.color, "color", "", "channel order: rgb or bgr")
	fs.StringVar(&f.span, "range", "", "range of the samples before mean and std: 0..1 or 0..255")
	fs.StringVar(&f.device, "device", "cpu", "cpu, cuda[:N], tensorrt[:N], webgpu, coreml, directml[:N] or openvino")
	fs.IntVar(&c.Threads, "threads", 0, "threads of the model on the CPU (default: all cores)")
	fs.IntVar(&c.Workers, "workers", 0, "goroutines that decode images (default: one a core)")
	fs.IntVar(&c.Batch, "batch", 0, "images a run of the model (default: by image size)")
	fs.StringVar(&c.Library, "ort-lib", "", "ONNX Runtime library file or its folder (default: searched; see doctor)")
	fs.Uint64Var(&c.Seed, "seed", 0, "seed of everything random")
	fs.StringVar(&f.format, "format", string(report.Text), "text, json, csv or md")
	fs.BoolVar(&f.quiet, "quiet", false, "no progress bar, no warnings on stderr")

	f.complete(cmd, "device", runtime.DeviceNames()...)
	f.complete(cmd, "format", "text", "json", "csv", "md")
	f.complete(cmd, "fit", "shorter", "squash")
	f.complete(cmd, "color", "rgb", "bgr")
	f.complete(cmd, "range", "0..1", "0..255")
	f.complete(cmd, "interpolation", names(imageproc.Filters())...)
	var recipes []string
	for _, r := range imageproc.RecipeNames() {
		recipes = append(recipes, r[0]+"\t"+r[1])
	}
	f.complete(cmd, "recipe", recipes...)
}

// complete says what a flag's values can be.
func (f *shared) complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag does not exist
	}
}

func names[T ~string](v []T) []string {
	var out []string
	for _, n := range v {
		out = append(out, string(n))
	}
	return out
}

// addOut adds the flags of tasks that keep records.
func (f *shared) addOut(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.store.Dir, "out", "", "run directory: records are kept there, and the same command goes on where it stopped")
	fs.IntVar(&f.allowBad, "allow-bad", 0, "accept up to `N` images that cannot be read")
}

// addShard adds that of tasks that can be divided.
func (f *shared) addShard(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.shard, "shard", "", "do only share `i/n` of the run (0/n to n-1/n), or auto: from a Slurm array or a Kubernetes indexed job")
}

// addStore adds those of tasks whose records are one run.
func (f *shared) addStore(cmd *cobra.Command) {
	f.addOut(cmd)
	f.addShard(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.save, "save", "", "arrays to keep in the run: logits, features (penultimate vectors), maps (localize)")
	fs.StringVar(&f.store.Reuse, "reuse", "", "`RUN` of the same model, pixels and data to take scores from instead of running the model")
}

func recipeNames() string {
	var names []string
	for _, r := range imageproc.RecipeNames() {
		names = append(names, r[0])
	}
	return strings.Join(names, ", ")
}

// parse turns the flags into a configuration. Its errors are about usage.
func (f *shared) parse(cmd *cobra.Command) (evaluation.Config, report.Format, error) {
	c := f.config
	format, err := f.parseInto(cmd, &c)
	if err != nil {
		return c, format, usageError{err}
	}
	return c, format, nil
}

func (f *shared) parseInto(cmd *cobra.Command, c *evaluation.Config) (format report.Format, err error) {
	if format, err = report.ParseFormat(f.format); err != nil {
		return "", err
	}
	if c.Format, err = datasets.ParseFormat(f.dataFormat); err != nil {
		return "", err
	}
	if c.Device, err = runtime.ParseDevice(f.device); err != nil {
		return "", err
	}
	if c.Recipe != "" {
		if _, err := imageproc.NamedRecipe(c.Recipe); err != nil {
			return "", err
		}
	}
	for name, v := range map[string]int{"limit": c.Limit, "threads": c.Threads, "workers": c.Workers, "batch": c.Batch, "allow-bad": f.allowBad} {
		if v < 0 {
			return "", fmt.Errorf("--%s %d is below 0", name, v)
		}
	}
	if f.store.Shard, err = results.ParseShard(f.shard, os.Getenv); err != nil {
		return "", err
	}
	if f.store.Save, err = evaluation.ParseSave(f.save); err != nil {
		return "", fmt.Errorf("--save: %w", err)
	}
	if f.store.Dir == "" && f.shard != "" {
		return "", errors.New("--shard needs a run directory: give --out")
	}
	if f.store.Dir == "" && f.save != "" {
		return "", errors.New("--save needs a run directory: give --out")
	}
	ch := &c.Changes
	for flag, set := range map[string]func() error{
		"resize":        func() error { return assign(&ch.Resize, f.resize, imageproc.ParseSize) },
		"crop":          func() error { return assign(&ch.Crop, f.crop, imageproc.ParseSize) },
		"interpolation": func() error { return assign(&ch.Interpolation, f.filter, imageproc.ParseFilter) },
		"mean":          func() error { return assign(&ch.Mean, f.mean, triple) },
		"std":           func() error { return assign(&ch.Std, f.std, positive) },
		"fit": func() error {
			return assign(&ch.Fit, f.fit, func(s string) (imageproc.Fit, error) {
				return oneOf(s, map[string]imageproc.Fit{"shorter": imageproc.Shorter, "squash": imageproc.Squash})
			})
		},
		"color": func() error {
			return assign(&ch.BGR, f.color, func(s string) (bool, error) { return oneOf(s, map[string]bool{"rgb": false, "bgr": true}) })
		},
		"range": func() error {
			return assign(&ch.Range, f.span, func(s string) (int, error) { return oneOf(s, map[string]int{"0..1": 1, "0..255": 255}) })
		},
	} {
		if cmd.Flags().Changed(flag) {
			if err := set(); err != nil {
				return "", fmt.Errorf("--%s: %w", flag, err)
			}
		}
	}
	return format, nil
}

func assign[T any](to **T, s string, parse func(string) (T, error)) error {
	v, err := parse(s)
	if err != nil {
		return err
	}
	*to = &v
	return nil
}

func oneOf[T any](s string, values map[string]T) (T, error) {
	v, ok := values[strings.ToLower(s)]
	if !ok {
		var names []string
		for n := range values {
			names = append(names, n)
		}
		return v, fmt.Errorf("%q is not one of %s", s, strings.Join(names, ", "))
	}
	return v, nil
}

// positive is triple for numbers that are divided by.
func positive(s string) ([3]float32, error) {
	v, err := triple(s)
	for _, x := range v {
		if err == nil && !(x > 0) {
			err = fmt.Errorf("%v is not above 0", x)
		}
	}
	return v, err
}

func triple(s string) (v [3]float32, err error) {
	parts := strings.Split(s, ",")
	if len(parts) != 3 {
		return v, fmt.Errorf("%q is not three numbers separated by commas", s)
	}
	for i, p := range parts {
		x, err := strconv.ParseFloat(strings.TrimSpace(p), 32)
		if err != nil {
			return v, fmt.Errorf("%q is not a number", p)
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return v, fmt.Errorf("%q is not a finite number", p)
		}
		v[i] = float32(x)
	}
	return v, nil
}
