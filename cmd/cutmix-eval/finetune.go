package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/tasks/finetune"

	"github.com/spf13/cobra"
)

// finetuneFlags are the flags of finetune.
type finetuneFlags struct {
	options              finetune.Options
	mix, augment, head   string
	cropScale, cropRatio string
	weights, selection   string
	suite                string
	task                 finetune.Config
}

func newFinetune(s streams) *cobra.Command {
	var flags shared
	f := finetuneFlags{task: finetune.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "finetune",
		Short: "Tune the classifier head with CutMix batches and write a new ONNX file",
		Long: `finetune trains a new head for a classifier whose other layers stay as they are:
images are cropped, mirrored and mixed anew in every epoch, the backbone gives their
features, and the head learns from them. It writes an ONNX file with the new head
in place of the old one, loads it again, and reports its accuracy beside the old
head's (where the classes are the same), a linear probe's and a k-NN classifier's,
with intervals and paired tests.

--mix cutmix is the CutMix of the authors' code; --cutmix-box, --mix-labels,
--mix-scheduled, --mix-per-image and --mix-uncorrected are the ablations of the
paper and what other programs do. --mix feature-cutmix pastes boxes of the last
feature map instead, which is computed once, so that epochs cost next to nothing.

The best epoch is chosen on --val, or on a part of the training images (--split);
--test images choose nothing. Everything is kept in OUT.run (--run): features, a
checkpoint after every epoch, the log and the report. The same command goes on
where it was stopped, to the same bits.

--suite FILE tunes several backbones on several data sets and prints one table:
JSON of "models" (name, model) and "data" (name, train, val, test).`,
		Example: `  cutmix-eval finetune --out tuned.onnx
  cutmix-eval finetune --model resnet50.onnx --train photos/train --val photos/val --out tuned.onnx
  cutmix-eval finetune --model resnet50.onnx --train photos --split 0.8 --mix feature-cutmix --epochs 50 --out tuned.onnx
  cutmix-eval finetune --model resnet50.onnx --train photos --mix none --augment none --optimizer lbfgs --search --out tuned.onnx
  cutmix-eval finetune --suite transfer.json --out runs/transfer`,
		Args: cobra.NoArgs,
	}
	flags.addModel(cmd)
	fs := cmd.Flags()
	fs.StringVar(&flags.config.Data, "train", "", "training images: folder, tar file, image list, CIFAR binary (default with no --val: scenes:new-train)")
	fs.StringVar(&f.options.Val, "val", "", "images that choose the epoch (default: a part of the training images, see --split)")
	fs.StringVar(&f.options.Test, "test", "", "images that choose nothing, for the numbers at the end")
	flags.addReading(cmd)
	t := &f.task
	fs.Float64Var(&t.Split, "split", t.Split, "share of the images that trains where there is no --val; the rest validates, by class")
	fs.IntVar(&flags.config.Limit, "limit", 0, "use only `N` training images, as evenly over the classes as possible")
	fs.StringVar(&f.options.Out, "out", "", "ONNX `FILE` to write; with --suite, a folder")
	fs.StringVar(&f.options.Dir, "run", "", "folder for features, checkpoint, log and report (default: OUT.run)")
	fs.BoolVar(&f.options.Restart, "restart", false, "begin anew though there is another training in OUT.run; features that fit are used")
	fs.StringVar(&f.suite, "suite", "", "JSON `FILE` of several backbones and data sets")
	fs.StringVar(&t.Multi, "multi-label", "", "`FILE` or VOC folder with several labels an image: the head gets a sigmoid loss, and mAP is reported")
	fs.StringVar(&t.MultiSplit, "multi-split", "", "of a VOC folder, the lists of the training images (default: the only one)")
	fs.StringVar(&t.MultiVal, "multi-val-split", "", "of a VOC folder, the lists of the validation images (of --val; default: of --train)")
	fs.StringVar(&t.MultiTest, "multi-test-split", "", "of a VOC folder, the lists of the test images (of --test; default: of --train)")

	m := &t.Mix
	fs.StringVar(&f.mix, "mix", string(m.Method), "cutmix, feature-cutmix, mixup, cutout or none")
	fs.Float64Var(&m.Alpha, "alpha", m.Alpha, "parameter of the Beta distribution of lambda (the paper's beta)")
	fs.Float64Var(&m.Prob, "mix-prob", m.Prob, "probability that a batch is mixed")
	fs.StringVar(&m.Box, "cutmix-box", m.Box, "uniform, gaussian (around the middle) or fixed (half the side)")
	fs.StringVar(&m.Labels, "mix-labels", m.Labels, "shares (by area), one-hot (to the larger part) or complete (half each)")
	fs.BoolVar(&m.Scheduled, "mix-scheduled", false, "let the probability rise from 0 over the training")
	fs.BoolVar(&m.PerImage, "mix-per-image", false, "draw box, lambda and chance for every image, not for a batch")
	fs.BoolVar(&m.Uncorrected, "mix-uncorrected", false, "label by the lambda that was drawn, not by the area that was pasted")
	fs.Float64Var(&m.Length, "cutout-length", m.Length, "side of Cutout's square, as a share of the image's")
	fs.StringVar(&f.augment, "augment", "crop-flip", "crop-flip, crop, flip or none (feature-cutmix and lbfgs: none)")
	fs.StringVar(&f.cropScale, "crop-scale", "0.5,1", "share of the area that random crops have, `LOW,HIGH`")
	fs.StringVar(&f.cropRatio, "crop-ratio", "", "width to height of random crops, `LOW,HIGH` (default 3/4 to 4/3)")

	fs.StringVar(&f.head, "head", "new", "new, or keep: go on with the model's own (the same classes)")
	fs.IntVar(&t.Hidden, "hidden", 0, "units of a hidden layer with ReLU; 0 for none")
	fs.Float64Var(&t.Dropout, "dropout", 0, "share of features and hidden units that is dropped")
	fs.BoolVar(&t.Standardize, "standardize", t.Standardize, "train on features of mean 0 and deviation 1; the file's head is scaled back")
	fs.IntVar(&t.Epochs, "epochs", t.Epochs, "times that every image is seen")
	fs.IntVar(&t.Batch, "batch-size", t.Batch, "images a step")
	fs.StringVar(&t.Optimizer, "optimizer", t.Optimizer, "sgd (Nesterov), adamw, or lbfgs (to the optimum, without mixing)")
	fs.Float64Var(&t.Rate, "lr", 0, "learning rate (default: as suits the features; it is printed)")
	fs.Float64Var(&t.Momentum, "momentum", t.Momentum, "of sgd")
	fs.Float64Var(&t.Decay, "weight-decay", t.Decay, "of weights, not of biases")
	fs.StringVar(&t.Schedule.Kind, "schedule", t.Schedule.Kind, "cosine, step (a tenth at 1/2 and 3/4) or constant")
	fs.Float64Var(&t.Schedule.Warmup, "warmup", 0, "share of all steps in which the rate rises")
	fs.Float64Var(&t.Smoothing, "label-smoothing", 0, "share of the label that is spread over all classes")
	fs.StringVar(&f.weights, "class-weights", "none", "none, or balanced: every class weighs the same")
	fs.BoolVar(&t.Search, "search", false, "find learning rate and weight decay on a fifth of the training images")
	fs.IntVar(&t.Patience, "patience", 0, "stop after `N` epochs without a better one; 0: never")
	fs.StringVar(&f.selection, "select", "best", "best (epoch on the validation images) or last")
	fs.IntVar(&t.Neighbours, "knn", t.Neighbours, "neighbours of the k-NN baseline")
	fs.Float64Var(&t.Probe, "probe-decay", t.Probe, "weight decay of the linear-probe baseline")
	fs.IntVar(&t.Bins, "bins", t.Bins, "bins of the calibration error")
	fs.IntVar(&t.Replicates, "bootstrap", t.Replicates, "bootstrap replicates of the intervals, at least 100")
	flags.addRunning(cmd)
	fs.IntVar(&flags.allowBad, "allow-bad", 0, "accept up to `N` images that cannot be read")
	flags.complete(cmd, "mix", names(finetune.Methods())...)
	for flag, values := range map[string][]string{
		"cutmix-box": {"uniform", "gaussian", "fixed"}, "mix-labels": {"shares", "one-hot", "complete"}, "augment": {"crop-flip", "crop", "flip", "none"},
		"head": {"new", "keep"}, "optimizer": {"sgd", "adamw", "lbfgs"}, "schedule": {"cosine", "step", "constant"}, "class-weights": {"none", "balanced"}, "select": {"best", "last"},
	} {
		flags.complete(cmd, flag, values...)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		if err := f.parse(cmd, &c); err != nil {
			return usageError{err}
		}
		return runFinetune(cmd.Context(), s, c, &f, &flags, format)
	}
	return cmd
}

// parse turns the flags into a configuration.
func (f *finetuneFlags) parse(cmd *cobra.Command, c *evaluation.Config) error {
	t := &f.task
	given := cmd.Flags().Changed
	switch {
	case f.options.Out == "" && f.suite != "":
		return errors.New("--suite needs --out FOLDER, where its files go")
	case f.options.Out == "":
		return errors.New("--out FILE.onnx is missing: the file to write")
	case f.suite == "" && filepath.Ext(f.options.Out) != ".onnx":
		return fmt.Errorf("--out %q does not end in .onnx", f.options.Out)
	case given("lr") && !(t.Rate > 0):
		return fmt.Errorf("--lr %v is not above 0", t.Rate)
	case given("split") && f.options.Val != "":
		return errors.New("--split divides the training images, and --val says which validate: give one")
	}
	if f.suite != "" {
		for _, flag := range []string{"train", "val", "test", "labels", "limit", "run", "model", "multi-label"} {
			if given(flag) {
				return fmt.Errorf("--%s says what the suite says; give one", flag)
			}
		}
	} else if c.Data == "" {
		if f.options.Val != "" || f.options.Test != "" {
			return errors.New("--train is missing: the images to train on")
		}
		c.Data, f.options.Val, f.options.Test = "scenes:new-train", "scenes:new-val", "scenes:new-test"
		if given("split") {
			f.options.Val = ""
		}
	}
	t.Mix.Method = finetune.Method(f.mix)
	for _, flag := range []struct {
		name, value string
		set         func(choice int)
		choices     []string
	}{
		{"augment", f.augment, func(k int) {
			t.Augment.Crop = k == 0 || k == 1
			if k == 1 || k == 3 {
				t.Augment.Flip = 0
			}
		}, []string{"crop-flip", "crop", "flip", "none"}},
		{"head", f.head, func(k int) { t.Keep = k == 1 }, []string{"new", "keep"}},
		{"class-weights", f.weights, func(k int) { t.Balanced = k == 1 }, []string{"none", "balanced"}},
		{"select", f.selection, func(k int) { t.Last = k == 1 }, []string{"best", "last"}},
	} {
		index := map[string]int{}
		for k, name := range flag.choices {
			index[name] = k
		}
		k, err := oneOf(flag.value, index)
		if err != nil {
			return fmt.Errorf("--%s: %w", flag.name, err)
		}
		flag.set(k)
	}
	if err := f.idle(given); err != nil {
		return err
	}
	if t.Fixed() && given("augment") && f.augment != "none" {
		return fmt.Errorf("--augment %s makes new images in every epoch, and %s uses features that are computed once: give --augment none", f.augment, map[bool]string{true: "--optimizer lbfgs", false: "--mix " + f.mix}[t.Optimizer == finetune.LBFGSName])
	}
	for flag, to := range map[string]*[2]float64{"crop-scale": &t.Augment.Scale, "crop-ratio": &t.Augment.Ratio} {
		if !given(flag) {
			continue
		}
		low, high, ok := strings.Cut(cmd.Flag(flag).Value.String(), ",")
		var errs [2]error
		to[0], errs[0] = strconv.ParseFloat(strings.TrimSpace(low), 64)
		to[1], errs[1] = strconv.ParseFloat(strings.TrimSpace(high), 64)
		if !ok || errs[0] != nil || errs[1] != nil {
			return fmt.Errorf("--%s %q is not two numbers LOW,HIGH", flag, cmd.Flag(flag).Value)
		}
	}
	return t.Validate()
}

// mixFlags are the flags of mixing, with the ways of --mix that they say something about.
var mixFlags = map[string][]finetune.Method{
	"alpha":           {finetune.CutMix, finetune.FeatureCutMix, finetune.Mixup},
	"mix-prob":        {finetune.CutMix, finetune.FeatureCutMix, finetune.Mixup, finetune.Cutout},
	"cutmix-box":      {finetune.CutMix, finetune.FeatureCutMix},
	"mix-labels":      {finetune.CutMix, finetune.FeatureCutMix, finetune.Mixup},
	"mix-scheduled":   {finetune.CutMix, finetune.FeatureCutMix, finetune.Mixup, finetune.Cutout},
	"mix-per-image":   {finetune.CutMix, finetune.FeatureCutMix, finetune.Mixup},
	"mix-uncorrected": {finetune.CutMix, finetune.FeatureCutMix},
	"cutout-length":   {finetune.Cutout},
}

// idle says which flag would say nothing.
func (f *finetuneFlags) idle(given func(string) bool) error {
	t := &f.task
	for _, flag := range slices.Sorted(maps.Keys(mixFlags)) {
		if given(flag) && slices.Contains(finetune.Methods(), t.Mix.Method) && !slices.Contains(mixFlags[flag], t.Mix.Method) {
			return fmt.Errorf("--%s says nothing about --mix %s", flag, t.Mix.Method)
		}
	}
	if t.Optimizer == finetune.LBFGSName {
		for _, flag := range []string{"lr", "batch-size", "epochs", "momentum", "schedule", "warmup", "patience", "select", "standardize"} {
			if given(flag) {
				return fmt.Errorf("--%s says nothing about --optimizer lbfgs, which goes to the optimum of all images at once", flag)
			}
		}
	}
	if given("momentum") && t.Optimizer == finetune.AdamWName {
		return errors.New("--momentum says nothing about --optimizer adamw")
	}
	return nil
}

func runFinetune(ctx context.Context, s streams, c evaluation.Config, f *finetuneFlags, flags *shared, format report.Format) error {
	o := f.options
	o.Tool, o.Install = tool(), installProgress(s.err, flags.quiet)
	o.Stage = func(what string, n int) (func(int), func()) { return imageBar(s.err, flags.quiet, n, what) }
	o.Told = func(e finetune.Epoch, of int, score string) {
		if !flags.quiet {
			fmt.Fprintf(s.err, "epoch %d/%d: loss %.4f, val loss %.4f, val %s %s %%, %.1f s\n", e.Epoch, of, e.Loss, e.ValLoss, score, report.Percent(e.ValScore), e.Seconds)
		}
	}
	if f.suite != "" {
		suite, err := finetune.ReadSuite(f.suite)
		if err != nil {
			return err
		}
		r, err := finetune.RunSuite(ctx, suite, c, f.task, o, o.Out)
		if err != nil {
			return err
		}
		return finishReport(s, r, format, flags.allowBad, flags.quiet)
	}
	r, err := finetune.Run(ctx, c, f.task, o)
	if err != nil {
		return err
	}
	return finishReport(s, r, format, flags.allowBad, flags.quiet)
}
