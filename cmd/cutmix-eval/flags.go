package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks"

	"github.com/spf13/cobra"
)

// options are what the flags that tasks share say.
type options struct {
	Model    evaluation.ModelConfig
	Data     evaluation.DataConfig
	Running  evaluation.Running
	Store    evaluation.Store
	Format   report.Format
	AllowBad int
	Quiet    bool
}

func newOptions() options {
	return options{
		Model: evaluation.DefaultModelConfig(), Data: evaluation.DefaultDataConfig(), Running: evaluation.DefaultRunning(), Format: report.Text,
	}
}

// classifier opens the model.
func (o *options) classifier(s streams) (*evaluation.Classifier, error) {
	o.Running.Install, o.Running.Tool = installProgress(s.err, o.Quiet), tool()
	return evaluation.OpenClassifier(o.Model, o.Running)
}

// opened opens model and images, and does something with them.
func (o *options) opened(s streams, do func(*evaluation.Classifier, *evaluation.Images) error) error {
	c, err := o.classifier(s)
	if err != nil {
		return err
	}
	defer c.Close()
	im, err := c.Images(o.Data)
	if err != nil {
		return err
	}
	defer im.Close()
	return do(c, im)
}

// onImages opens model and images, and does a job with them.
func (o *options) onImages(ctx context.Context, s streams, open func(*evaluation.Classifier, *evaluation.Images) (tasks.Job, error)) error {
	return o.opened(s, func(c *evaluation.Classifier, im *evaluation.Images) error {
		j, err := open(c, im)
		if err != nil {
			return err
		}
		return runJob(ctx, s, o, j)
	})
}

// add declares the flags of a task that runs a model over data.
func (o *options) add(cmd *cobra.Command) {
	o.addModel(cmd)
	o.addData(cmd)
	o.addRunning(cmd)
}

// addData declares the flags that choose the data.
func (o *options) addData(cmd *cobra.Command) {
	c := &o.Data
	text(cmd, &c.Path, "data", "PATH", strings.Join(datasets.KindWords(), ", ")+", or scenes[:SPLIT]")
	addReading(cmd, &c.Format, &c.Labels, &c.LabelColumn, &c.Root)
	text(cmd, &c.Split, "split", "NAME", splitUsage)
	choose(cmd, &c.Order, "class-order", "", "order in which the classes are the model's outputs (default: found)",
		meaning[datasets.ClassOrder]{"text\tby bytes: torchvision, Keras", datasets.TextOrder},
		meaning[datasets.ClassOrder]{"natural\tdigits by number, case ignored: timm", datasets.NaturalOrder},
		meaning[datasets.ClassOrder]{"caseless\tcase ignored", datasets.CaselessText},
		meaning[datasets.ClassOrder]{"numeric\tby number", datasets.NumericOrder},
		meaning[datasets.ClassOrder]{"from-1\tnumbers of outputs that count from 1", datasets.FromOne})
	text(cmd, &c.Subset, "subset", "FILE", "use only the images that FILE names, one per line (paths or file names)")
	count(cmd, &c.Limit, "limit", "use at most N images, as evenly over the classes as possible; 0: all")
}

// addModel declares the flags that choose the model.
func (o *options) addModel(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	text(cmd, &o.Model.Model, "model", "FILE", "ONNX file, or the name of a model (see models list)")
	text(cmd, &o.Model.Output, "output", "NAME", outputUsage)
}

// Help of flags that several commands have.
const (
	outputUsage = "name of the model's output with the class scores (default: found)"
	splitUsage  = "split to use, where the data have several (default: val, else test)"
)

// addReading declares the flags that say how data are read.
func addReading(cmd *cobra.Command, format *datasets.Format, labels, column, root *string) {
	choice(cmd, format, "data-format", "format of the data", datasets.Formats()...)
	text(cmd, labels, "labels", "FILE",
		`labels of the images (CSV, "name label" lines, devkit ground truth), or a class map ("class output" lines, JSON)`)
	text(cmd, column, "label-column", "NAME", "column of the table with the labels, by its name or its number from 1 (default: found)")
	text(cmd, root, "data-root", "FOLDER", "folder that the paths of an image list are relative to")
}

// addRunning declares the flags that say how pixels are prepared, where the model runs and
// what is printed.
func (o *options) addRunning(cmd *cobra.Command) {
	c := &o.Running
	o.addPixels(cmd)
	addDevice(cmd, &c.Device)
	countTo(cmd, &c.Threads, mostThreads, "threads", "CPU threads of the model (default: all cores)")
	addWorkers(cmd, &c.Workers)
	count(cmd, &c.Batch, "batch", "images per run of the model (default: by image size)")
	addLibrary(cmd, &c.Library)
	addSeed(cmd, &o.Data.Seed, "seed of everything random")
	o.addLayout(cmd)
	addFormat(cmd, &o.Format)
	cmd.Flags().BoolVar(&o.Quiet, "quiet", false, "no progress bar, no warnings on stderr")
}

// addLayout declares the flag that says how a flat colour input lies.
func (o *options) addLayout(cmd *cobra.Command) {
	choose(cmd, &o.Model.Layout, "layout", "", "order of the values of a flat colour input",
		meaning[*imageproc.Layout]{"NCHW\tthree planes", new(imageproc.NCHW)}, meaning[*imageproc.Layout]{"NHWC\tpixel by pixel", new(imageproc.NHWC)})
}

// addOut declares the flags of tasks that keep records.
func (o *options) addOut(cmd *cobra.Command) {
	text(cmd, &o.Store.Dir, "out", "FOLDER", "run directory: records are kept there, and the same command goes on where it stopped")
	addAllowBad(cmd, &o.AllowBad)
}

// addShard declares the flag of tasks that can be divided.
func (o *options) addShard(cmd *cobra.Command) {
	declare(cmd, "shard", "I/N", "",
		"do only this share of the run (0/N to N-1/N), or auto: from a Slurm array or a Kubernetes indexed job",
		into(&o.Store.Shard, func(s string) (results.Shard, error) { return results.ParseShard(s, os.Getenv) }))
	complete(cmd, "shard", "auto")
}

// addStore declares the flags of tasks whose records are one run.
func (o *options) addStore(cmd *cobra.Command) {
	o.addOut(cmd)
	o.addShard(cmd)
	choices(cmd, &o.Store.Save, "save", "arrays to keep in the run",
		evaluation.Logits, evaluation.Features+"\tpenultimate vectors", evaluation.Maps+"\tof localize")
	text(cmd, &o.Store.Reuse, "reuse", "RUN", "take scores from this run of the same model, pixels and data instead of running the model")
}

// check refuses flags that make no sense together.
func (o *options) check(cmd *cobra.Command) error {
	for _, flag := range []string{"shard", "save"} {
		if o.Store.Dir == "" && cmd.Flags().Changed(flag) {
			return fmt.Errorf("--%s needs a run directory: give --out", flag)
		}
	}
	return nil
}

// addRecipe declares the flag that takes a named recipe, or one of the other words.
func addRecipe(cmd *cobra.Command, to *string, usage string, others ...string) {
	var names, remarks []string
	for _, r := range imageproc.RecipeNames() {
		names, remarks = append(names, r[0]), append(remarks, r[0]+"\t"+r[1])
	}
	names, remarks = append(names, others...), append(remarks, others...)
	declare(cmd, "recipe", "NAME", *to, usage+": "+either(names), into(to, func(s string) (string, error) {
		_, err := one(s, names)
		if info, found := os.Stat(s); err != nil && found == nil && info.Mode().IsRegular() && cmd.Flags().Lookup("preprocessing") != nil {
			err = refuse("%q is a file: give it with --preprocessing", s)
		}
		return s, err
	}))
	complete(cmd, "recipe", remarks...)
}

func addDevice(cmd *cobra.Command, to *runtime.Device) {
	declare(cmd, "device", "NAME", to.String(),
		"cpu, cuda[:N], tensorrt[:N], webgpu, coreml, directml[:N] or openvino", into(to, runtime.ParseDevice))
	complete(cmd, "device", runtime.DeviceNames()...)
}

func addLibrary(cmd *cobra.Command, to *string) {
	text(cmd, to, "ort-lib", "PATH", "ONNX Runtime library file or its folder (default: searched for; see doctor)")
}

// mostThreads bounds threads and goroutines, each of which costs memory.
const mostThreads = 1024

func addWorkers(cmd *cobra.Command, to *int) {
	countTo(cmd, to, mostThreads, "workers", "goroutines that decode images (default: one per core)")
}

func addSeed(cmd *cobra.Command, to *uint64, usage string) {
	declare(cmd, "seed", "N", fmt.Sprint(*to), usage, into(to, seed))
}

func addFormat(cmd *cobra.Command, to *report.Format) {
	choice(cmd, to, "format", "what is printed", report.Text, report.JSON, report.CSV, report.Markdown)
}

func addAllowBad(cmd *cobra.Command, to *int) {
	count(cmd, to, "allow-bad", "accept up to N images that cannot be read")
}

// noArgs refuses arguments: of a command that takes flags only, and the name of a command
// that a group does not have.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !cmd.HasSubCommands():
		return fmt.Errorf("%q is one argument too many: %s takes flags only", args[0], cmd.CommandPath())
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), didYouMean(args[0], "", names))
}

// arguments insists on at least this many arguments, and at most that many; most below 0 is
// any number.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("an argument is missing: %s", usageLine(cmd))
		case most >= 0 && len(args) > most:
			return fmt.Errorf("%q is one argument too many: %s", args[most], usageLine(cmd))
		}
		return nil
	}
}

func usageLine(cmd *cobra.Command) string { return strings.TrimSuffix(cmd.UseLine(), " [flags]") }

// group makes a command that only has others: by itself it shows its help.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	return cmd
}
