package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"strings"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/corruption"
	"cutmix-eval/tasks/ood"

	"github.com/spf13/cobra"
)

// corruptionFlags are the flags of corruption and of datasets corrupt.
type corruptionFlags struct {
	config   corruption.Config
	names    []string
	baseline string
}

func (f *corruptionFlags) add(cmd *cobra.Command) {
	f.config = corruption.DefaultConfig()
	c := &f.config
	fs := cmd.Flags()
	fs.StringSliceVar(&f.names, "corruption", nil, "only these corruptions, separated by commas; benchmark (the 15) or all (19, the default)")
	fs.IntSliceVar(&c.Severities, "severity", c.Severities, "only these severities")
	fs.IntVar((*int)(&c.Set), "set", 0, "parameters for images of size 224, 299, 64 or 32 (default: by the images' size)")
	fs.StringVar(&c.Frost, "frost", "", "`FOLDER` with the benchmark's frost1 to frost5, or fetched (datasets fetch frost; default: built-in textures)")
}

// parse turns names into corruptions.
func (f *corruptionFlags) parse() error {
	c := &f.config
	switch {
	case len(f.names) == 0 || len(f.names) == 1 && f.names[0] == "all":
	case len(f.names) == 1 && f.names[0] == "benchmark":
		c.Corruptions = corrupt.Benchmark()
	default:
		c.Corruptions = nil
		for _, n := range f.names {
			name, err := corrupt.ParseName(n)
			if err != nil {
				return err
			}
			c.Corruptions = append(c.Corruptions, name)
		}
	}
	switch f.baseline {
	case "", "alexnet":
	case "none":
		c.Baseline = nil
	default:
		b, err := corruption.ReadBaseline(f.baseline)
		if err != nil {
			return err
		}
		c.Baseline = &b
	}
	return c.Validate()
}

func newCorruption(s streams) *cobra.Command {
	var flags shared
	var f corruptionFlags
	experiment := string(corruption.Corruptions)
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
		Args: cobra.NoArgs,
	}
	flags.add(cmd)
	flags.addOut(cmd)
	flags.addShard(cmd)
	f.add(cmd)
	c := &f.config
	fs := cmd.Flags()
	var names []string
	for _, e := range corruption.Experiments() {
		names = append(names, string(e))
	}
	fs.StringVar(&experiment, "experiment", experiment, strings.Join(names, ", "))
	fs.StringVar(&c.Corrupted, "corrupted", "", "`FOLDER` of corrupted images: CORRUPTION/SEVERITY/CLASS, or CIFAR-C's .npy files (default: made from --data)")
	fs.Float64Var(&c.CleanError, "clean-error", 0, "with --corrupted, the model's top-1 error on clean images as a `FRACTION`, for relative mCE")
	fs.IntVar(&c.JPEG, "jpeg", 0, "put images through a JPEG file of this quality, as the published ones were through 85; 0 for none")
	fs.IntVar(&c.Steps, "steps", c.Steps, "levels of the other experiments")
	fs.StringVar(&f.baseline, "baseline", "alexnet", "errors that CE is relative to: alexnet, none, or a JSON file")
	fs.StringVar(&c.OOD, "ood-run", "", "`RUN` of ood with the same model: how well corrupted images are told from its sets, by msp")
	fs.IntVar(&c.Bins, "bins", c.Bins, "bins of the calibration errors")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		shared, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		c.Experiment = corruption.Experiment(experiment)
		for _, flag := range []string{"corruption", "severity", "set", "frost", "jpeg", "bins", "baseline"} {
			if cmd.Flags().Changed(flag) && c.Experiment != corruption.Corruptions {
				return usageError{fmt.Errorf("--%s says nothing about %s", flag, experiment)}
			}
		}
		if cmd.Flags().Changed("steps") && c.Experiment == corruption.Corruptions {
			return usageError{errors.New("--steps is of the other experiments")}
		}
		if c.Corrupted != "" {
			if cmd.Flags().Changed("data") {
				return usageError{errors.New("--data and --corrupted are two sources; give one (--clean-error for relative mCE)")}
			}
			for _, flag := range []string{"split", "data-root", "data-format"} {
				if cmd.Flags().Changed(flag) {
					return usageError{fmt.Errorf("--%s says nothing about --corrupted", flag)}
				}
			}
			shared.Data, shared.Format = evaluation.DefaultData, datasets.Auto // replaced when the corrupted images are opened
			c.Labels, shared.Labels = shared.Labels, ""
			c.Subset, shared.Subset = shared.Subset, ""
		}
		if err := f.parse(); err != nil {
			return usageError{err}
		}
		if c.OOD != "" {
			if c.OOD, err = filepath.Abs(c.OOD); err != nil {
				return err
			}
			if !ood.IsRun(c.OOD) {
				return usageError{fmt.Errorf("--ood-run: %q is not a run of ood", c.OOD)}
			}
		}
		return runTask(cmd.Context(), s, shared, &flags, format, func(setup *evaluation.Setup, install runtime.Progress) (job, *evaluation.Records, error) {
			j, err := corruption.Open(cmd.Context(), setup, f.config, flags.store, tool(), install)
			if err != nil {
				return nil, nil, err
			}
			return j, j.Records, nil
		}, nil)
	}
	return cmd
}

func newDatasetsFetch(s streams) *cobra.Command {
	quiet := false
	cmd := &cobra.Command{
		Use: "fetch frost", Short: "Download what corruptions need, verified",
		Long: `fetch downloads the five frost textures of ImageNet-C's scripts from their repository
into the cache, checked against pinned checksums; --frost fetched then uses them.`,
		Example: "  cutmix-eval datasets fetch frost",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "frost" {
				return usageError{fmt.Errorf("%q cannot be fetched; frost can", args[0])}
			}
			dir, err := corruption.FetchFrosts(cmd.Context(), func(name string, done, total int64) {
				if !quiet && done == total {
					fmt.Fprintf(s.err, "%s: %d bytes\n", name, total)
				}
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.out, dir)
			return err
		},
	}
	cmd.Flags().BoolVar(&quiet, "quiet", false, "say nothing on stderr")
	return cmd
}

func newDatasetsCorrupt(s streams) *cobra.Command {
	var f corruptionFlags
	var o datasets.Options
	e := corruption.Export{Quality: 85}
	recipe, out, format, dataFormat, quiet := "imagenet", "", "jpeg", string(datasets.Auto), false
	cmd := &cobra.Command{
		Use: "corrupt PATH", Short: "Write corrupted images in ImageNet-C's layout",
		Long: `corrupt writes the corruptions of ImageNet-C of every image to folders
CORRUPTION/SEVERITY/CLASS: as JPEG files of quality 85, as the published ones are, or
as PNG files with the exact pixels. Images are resized and cropped first as --recipe
says. Files that are there are kept: the same command again goes on.`,
		Example: `  cutmix-eval datasets corrupt imagenet/val --out imagenet-c --frost frosts
  cutmix-eval datasets corrupt photos --out photos-c --recipe none --corruption fog,snow --severity 3 --format png`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Format, err = datasets.ParseFormat(dataFormat); err != nil {
				return usageError{err}
			}
			if recipe != "none" {
				e.Recipe, err = imageproc.NamedRecipe(recipe)
			} else {
				e.Recipe = imageproc.Standard()
				e.Recipe.Resize, e.Recipe.Crop = imageproc.Size{}, imageproc.Size{}
			}
			if err == nil {
				err = f.parse()
			}
			switch {
			case err != nil:
			case out == "":
				err = errors.New("--out DIR is missing")
			case format != "jpeg" && format != "png":
				err = fmt.Errorf("--format %q is not one of jpeg, png", format)
			case e.Quality < 1 || e.Quality > 100:
				err = fmt.Errorf("--quality %d is not one of 1 to 100", e.Quality)
			case e.Limit < 0 || e.Workers < 0:
				err = errors.New("--limit and --workers cannot be below 0")
			}
			if err != nil {
				return usageError{err}
			}
			e.PNG, e.Config = format == "png", f.config
			return runCorrupt(cmd.Context(), s, args[0], o, e, out, quiet)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&out, "out", "", "folder to write")
	f.add(cmd)
	fs.StringVar(&recipe, "recipe", recipe, "how images are resized and cropped: "+recipeNames()+", or none")
	fs.StringVar(&format, "format", format, "jpeg or png")
	fs.IntVar(&e.Quality, "quality", e.Quality, "of JPEG files")
	fs.IntVar(&e.Limit, "limit", 0, "use only `N` images, as evenly over the classes as possible")
	fs.Uint64Var(&e.Seed, "seed", 0, "seed of the corruptions")
	fs.StringVar(&dataFormat, "data-format", dataFormat, "auto, folders, flat, list, cifar, tiny-imagenet or scenes")
	fs.StringVar(&o.Labels, "labels", "", "labels of the images, or a class map")
	fs.StringVar(&o.Split, "split", "", "which split to use, where the data has several")
	fs.IntVar(&e.Workers, "workers", 0, "goroutines (default: one a core)")
	fs.BoolVar(&quiet, "quiet", false, "no progress bar")
	return cmd
}

func runCorrupt(ctx context.Context, s streams, path string, o datasets.Options, e corruption.Export, out string, quiet bool) error {
	d, err := datasets.Open(path, o)
	if err != nil {
		return err
	}
	defer d.Close()
	if e.Workers == 0 {
		e.Workers = goruntime.GOMAXPROCS(0)
	}
	if e.Config.Set == 0 {
		size, ok := e.Recipe.Fixed()
		if !ok { // the images' own
			im, err := d.Loader().Load(0)
			if err != nil {
				return fmt.Errorf("%s: %w", d.Samples[0].ID, err)
			}
			size = imageproc.Size{H: im.H, W: im.W}
		}
		e.Config.Set = corrupt.SetFor(size.W, size.H)
	}
	n := len(d.Samples)
	if e.Limit > 0 {
		n = min(n, e.Limit)
	}
	all := n * len(e.Config.Corruptions) * len(e.Config.Severities)
	progress, finish := imageBar(s.err, quiet, all, "corrupt")
	defer finish()
	written, bad, err := corruption.Write(ctx, d, e, out, progress)
	finish()
	for _, b := range bad {
		fmt.Fprintf(s.err, "bad image: %s: %s\n", b.ID, b.Reason)
	}
	if err != nil {
		return fmt.Errorf("corrupting %s: %w (%d files are written; the same command goes on)", d.Name, err, written)
	}
	all -= len(bad) * len(e.Config.Corruptions) * len(e.Config.Severities)
	_, err = fmt.Fprintf(s.out, "%d images in %s (%d written now), parameters for size %d\n", all, out, written, e.Config.Set)
	if err == nil && len(bad) > 0 {
		return checkFailed{len(bad), n}
	}
	return err
}
