package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"cutmix-eval/augment"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/report"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/finetune"

	"github.com/spf13/cobra"
)

// finetuneOptions are what the flags of finetune say. Data are the training
// images; Files names the others and what is written.
type finetuneOptions struct {
	options
	Files finetune.Options
	Suite string
	Task  finetune.Config
}

// Ways of --augment.
const (
	cropFlip = "crop-flip"
	cropOnly = "crop"
	flipOnly = "flip"
	asIs     = "none"
)

func newFinetune(s streams, run func(context.Context, finetuneOptions) error) *cobra.Command {
	o := finetuneOptions{options: newOptions(), Task: finetune.DefaultConfig()}
	o.Data.Path = ""
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
--test images are used only for the final numbers. Everything is kept in OUT.run
(--run): features, a checkpoint after every epoch, the log and the runs of the heads, of
which report makes the numbers again. A run that was interrupted resumes and gives
bit-identical results. Memory grows with the number of images, by their features.

--suite FILE tunes several backbones on several data sets and prints one table:
JSON of "models" (name, model) and "data" (name, train, val, test).`,
		Example: `  cutmix-eval finetune --out tuned.onnx
  cutmix-eval finetune --model resnet50.onnx --train photos/train --val photos/val --out tuned.onnx
  cutmix-eval finetune --model resnet50.onnx --train photos --split 0.8 --mix feature-cutmix \
    --epochs 50 --out tuned.onnx
  cutmix-eval finetune --model resnet50.onnx --train photos --mix none --augment none \
    --optimizer lbfgs --search --out tuned.onnx
  cutmix-eval finetune --suite transfer.json --out runs/transfer`,
		Args: noArgs,
	}
	o.addModel(cmd)
	t, flags := &o.Task, cmd.Flags()
	text(cmd, &o.Data.Path, "train", "PATH",
		"training images, whatever --data of classify takes (default with no --val: scenes:new-train)")
	text(cmd, &o.Files.Val, "val", "PATH",
		"validation images, which choose the epoch (default: a part of the training images, see --split)")
	text(cmd, &o.Files.Test, "test", "PATH", "test images, used only for the final numbers")
	addReading(cmd, &o.Data.Format, &o.Data.Labels, &o.Data.LabelColumn, &o.Data.Root)
	number(cmd, &t.Split, "split", "without --val, the share of each class that trains; the rest validates")
	count(cmd, &o.Data.Limit, "limit", "use at most N training images, as evenly over the classes as possible; 0: all")
	text(cmd, &o.Files.Out, "out", "FILE", "ONNX file to write; with --suite, a folder")
	text(cmd, &o.Files.Dir, "run", "FOLDER", "folder for features, checkpoint, log and runs (default: OUT.run)")
	flags.BoolVar(&o.Files.Restart, "restart", false, "start again even if OUT.run holds another training; features that fit are used")
	text(cmd, &o.Suite, "suite", "FILE", "JSON file of several backbones and data sets")
	text(cmd, &t.Multi, "multi-label", "PATH", "multi-label data, a file or VOC folder: the head gets a sigmoid loss, and mAP is reported")
	text(cmd, &t.MultiSplit, "multi-split", "NAME", "lists of the training images in a VOC folder (default: the only one)")
	text(cmd, &t.MultiVal, "multi-val-split", "NAME", "lists of the validation images in a VOC folder (of --val; default: of --train)")
	text(cmd, &t.MultiTest, "multi-test-split", "NAME", "lists of the test images in a VOC folder (of --test; default: of --train)")

	m := &t.Mix
	choice(cmd, &m.Method, "mix", "how the images of a batch are mixed", augment.Methods()...)
	number(cmd, &m.Alpha, "alpha", "parameter of the Beta distribution of lambda (the paper's beta)")
	number(cmd, &m.Prob, "mix-prob", "probability that a batch is mixed")
	choice(cmd, &m.Box, "cutmix-box", "how boxes are drawn", "uniform", "gaussian\taround the middle", "fixed\thalf the side")
	choice(cmd, &m.Labels, "mix-labels", "labels of mixed images", "shares\tby area", "one-hot\tto the larger part", "complete\thalf each")
	flags.BoolVar(&m.Scheduled, "mix-scheduled", false, "let the probability of mixing rise from 0 over the training")
	flags.BoolVar(&m.PerImage, "mix-per-image", false, "draw box, lambda and chance per image, not per batch")
	flags.BoolVar(&m.Uncorrected, "mix-uncorrected", false, "label by the lambda that was drawn, not by the area that was pasted")
	number(cmd, &m.Length, "cutout-length", "side of Cutout's square, as a share of the image's")
	augment := cropFlip
	choice(cmd, &augment, "augment", "augmentation before images are mixed (none for feature-cutmix and lbfgs)",
		cropFlip, cropOnly, flipOnly, asIs)
	declare(cmd, "crop-scale", "LOW,HIGH", "0.5,1", "share of the area that random crops have", into(&t.Augment.Scale, span))
	declare(cmd, "crop-ratio", "LOW,HIGH", "", "width to height of random crops (default: 3/4 to 4/3)", into(&t.Augment.Ratio, span))

	choose(cmd, &t.Keep, "head", "new", "head that is trained",
		meaning[bool]{"new", false}, meaning[bool]{"keep\tthe model's own, for the same classes", true})
	count(cmd, &t.Hidden, "hidden", "units of a hidden layer with ReLU; 0 for none")
	number(cmd, &t.Dropout, "dropout", "share of features and hidden units that is dropped")
	flags.BoolVar(&t.Standardize, "standardize", t.Standardize,
		"train on features of mean 0 and deviation 1; the file's head is scaled back")
	count(cmd, &t.Epochs, "epochs", "times that every image is seen")
	count(cmd, &t.Batch, "batch-size", "images per step")
	choice(cmd, &t.Optimizer, "optimizer", "how the loss is minimised",
		heads.SGDName+"\tNesterov", heads.AdamWName, heads.LBFGSName+"\tto the optimum, without mixing")
	declare(cmd, "lr", "X", "", "learning rate (default: as suits the features; it is printed)", into(&t.Rate, aboveZero))
	number(cmd, &t.Momentum, "momentum", "momentum of sgd")
	number(cmd, &t.Decay, "weight-decay", "decay of weights, not of biases")
	choice(cmd, &t.Schedule.Kind, "schedule", "course of the learning rate", "cosine", "step\ta tenth at 1/2 and 3/4", "constant")
	number(cmd, &t.Schedule.Warmup, "warmup", "share of all steps in which the rate rises")
	number(cmd, &t.Smoothing, "label-smoothing", "share of the label that is spread over all classes")
	choose(cmd, &t.Balanced, "class-weights", "none", "weights of the classes in the loss", meaning[bool]{"none", false},
		meaning[bool]{"balanced\tevery class weighs the same", true})
	flags.BoolVar(&t.Search, "search", false, "find learning rate and weight decay on a fifth of the training images")
	count(cmd, &t.Patience, "patience", "stop after N epochs without improvement; 0: never")
	choose(cmd, &t.Last, "select", "best", "epoch that is kept",
		meaning[bool]{"best\ton the validation images", false}, meaning[bool]{"last", true})
	count(cmd, &t.Neighbours, "knn", "neighbours of the k-NN baseline")
	number(cmd, &t.Probe, "probe-decay", "weight decay of the linear-probe baseline")
	count(cmd, &t.Bins, "bins", "bins of the calibration error")
	count(cmd, &t.Replicates, "bootstrap", "bootstrap replicates of the intervals, at least 100")
	o.addRunning(cmd)
	addAllowBad(cmd, &o.AllowBad)
	if run == nil {
		run = func(ctx context.Context, o finetuneOptions) error { return runFinetune(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := usage(o.check(cmd.Flags().Changed, augment)); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func aboveZero(s string) (float64, error) {
	v, err := finite(s)
	if err == nil && !(v > 0) {
		err = refuse("%v is not above 0", v)
	}
	return v, err
}

// check refuses flags that make no sense together, and settles what follows from others.
func (o *finetuneOptions) check(given func(string) bool, augment string) error {
	if err := o.files(given); err != nil {
		return err
	}
	if err := o.idle(given); err != nil {
		return err
	}
	if err := o.augment(augment, given); err != nil {
		return err
	}
	return o.Task.Validate()
}

// files refuses flags about files that make no sense together, and names those of the
// default data.
func (o *finetuneOptions) files(given func(string) bool) error {
	f := &o.Files
	switch {
	case f.Out == "" && o.Suite != "":
		return errors.New("--suite needs --out FOLDER, where its files go")
	case f.Out == "":
		return errors.New("--out FILE.onnx is missing: the file to write")
	case o.Suite == "" && filepath.Ext(f.Out) != ".onnx":
		return fmt.Errorf("--out %q does not end in .onnx", f.Out)
	case given("split") && f.Val != "":
		return errors.New("--split divides the training images, and --val says which validate: give one")
	}
	if o.Suite != "" {
		for _, flag := range []string{"train", "val", "test", "labels", "limit", "run", "model", "multi-label"} {
			if given(flag) {
				return fmt.Errorf("--%s says what the suite says; give one", flag)
			}
		}
		return nil
	}
	if o.Data.Path == "" {
		if f.Val != "" || f.Test != "" {
			return errors.New("--train is missing: the images to train on")
		}
		o.Data.Path, f.Test = "scenes:new-train", "scenes:new-test"
		if !given("split") {
			f.Val = "scenes:new-val"
		}
	}
	return nil
}

// augment sets what is done to images before they are mixed.
func (o *finetuneOptions) augment(way string, given func(string) bool) error {
	t := &o.Task
	t.Augment.Crop = way == cropFlip || way == cropOnly
	if way == cropOnly || way == asIs {
		t.Augment.Flip = 0
	}
	if t.Fixed() && given("augment") && way != asIs {
		why := "--mix " + string(t.Mix.Method)
		if t.Optimizer == heads.LBFGSName {
			why = "--optimizer lbfgs"
		}
		return fmt.Errorf("--augment %s makes new images in every epoch, and %s uses features that are computed once: "+
			"give --augment none", way, why)
	}
	return nil
}

// mixFlags are the flags of mixing, with the ways of --mix that they say something about.
var mixFlags = []struct {
	name    string
	methods []augment.Method
}{
	{"alpha", []augment.Method{augment.CutMix, augment.FeatureCutMix, augment.Mixup}},
	{"mix-prob", []augment.Method{augment.CutMix, augment.FeatureCutMix, augment.Mixup, augment.Cutout}},
	{"cutmix-box", []augment.Method{augment.CutMix, augment.FeatureCutMix}},
	{"mix-labels", []augment.Method{augment.CutMix, augment.FeatureCutMix, augment.Mixup}},
	{"mix-scheduled", []augment.Method{augment.CutMix, augment.FeatureCutMix, augment.Mixup, augment.Cutout}},
	{"mix-per-image", []augment.Method{augment.CutMix, augment.FeatureCutMix, augment.Mixup}},
	{"mix-uncorrected", []augment.Method{augment.CutMix, augment.FeatureCutMix}},
	{"cutout-length", []augment.Method{augment.Cutout}},
}

// idle refuses flags that would change nothing.
func (o *finetuneOptions) idle(given func(string) bool) error {
	t := &o.Task
	for _, flag := range mixFlags {
		if given(flag.name) && !slices.Contains(flag.methods, t.Mix.Method) {
			return fmt.Errorf("--%s says nothing about --mix %s", flag.name, t.Mix.Method)
		}
	}
	if t.Optimizer == heads.LBFGSName {
		for _, flag := range []string{"lr", "batch-size", "epochs", "momentum", "schedule", "warmup", "patience", "select", "standardize"} {
			if given(flag) {
				return fmt.Errorf("--%s says nothing about --optimizer lbfgs, which goes to the optimum of all images at once", flag)
			}
		}
	}
	if given("momentum") && t.Optimizer == heads.AdamWName {
		return errors.New("--momentum says nothing about --optimizer adamw")
	}
	return nil
}

func runFinetune(ctx context.Context, s streams, o finetuneOptions) error {
	f := o.Files
	f.Stage = func(what string, n int) (func(int), func()) { return imageBar(s.err, o.Quiet, n, what) }
	f.Told = func(e heads.Epoch, of int, score string) {
		if !o.Quiet {
			fmt.Fprintf(s.err, "epoch %d/%d: loss %.4f, val loss %.4f, val %s %s, %.1f s\n",
				e.Epoch, of, e.Loss, e.ValLoss, score, report.Plain(e.ValScore, report.Fraction).Full(), e.Seconds)
		}
	}
	if o.Suite != "" {
		return runSuite(ctx, s, o, f)
	}
	o.Data.Prefer, o.Store.Dir = "train", f.Folder()
	return o.onImages(ctx, s, func(c *evaluation.Classifier, im *evaluation.Images) (tasks.Job, error) {
		return finetune.Open(ctx, c, im, o.Task, f)
	})
}

func runSuite(ctx context.Context, s streams, o finetuneOptions, f finetune.Options) error {
	suite, err := finetune.ReadSuite(o.Suite)
	if err != nil {
		return err
	}
	o.Running.Install, o.Running.Tool = installProgress(s.err, o.Quiet), tool()
	res, err := suite.Run(ctx, finetune.Inputs{Model: o.Model, Running: o.Running, Data: o.Data}, o.Task, f)
	if err != nil {
		return err
	}
	r, err := res.Report(ctx)
	if err != nil {
		return err
	}
	return finishReport(s, r, o.Format, o.AllowBad, o.Quiet)
}
