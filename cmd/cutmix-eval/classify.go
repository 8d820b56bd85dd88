package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/predictions"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/binary"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/multilabel"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// classifyOptions are what the flags of classify say.
type classifyOptions struct {
	options
	Task        classify.Config
	Binary      binary.Config     // of a model with one output
	Multi       multilabel.Config // of images with several labels
	Predictions string            // file of scores that are computed already; empty: the model runs
	Given       []string          // flags that say nothing about some of the tasks
}

func newClassify(s streams, run func(context.Context, classifyOptions) error) *cobra.Command {
	o := classifyOptions{options: newOptions(), Task: classify.DefaultConfig(), Binary: binary.DefaultConfig(), Multi: multilabel.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "classify",
		Short: "Accuracy and calibration of a classifier",
		Long: `classify runs a classifier over labelled images and reports top-1 and top-5
accuracy, NLL, Brier score, calibration errors, the area under the risk-coverage
curve, the temperature that fits best, accuracy by class and the most confused
pairs, each with a 95 % interval.

` + wrapped("What the data are is recognised by their contents and printed in the report: "+strings.Join(datasets.KindWords(), ", ")+" (datasets list has more).") + `

A model that ends in Softmax is recognised; its logits are read before it.

Where nothing in or beside the model's file says how its pixels are to be
prepared, or accuracy is low, other ways are tried on some of the images, and a
better one is told with the flags to give (models doctor does it alone).

A model with one output tells two classes apart: of data with two classes it gets
accuracy, precision, recall and the like at --threshold, AUROC, average precision,
NLL, Brier score and operating points. The positive class is named in the report.

With --multi-label images are of any number of classes each: mean average precision
in its variants, and precision, recall and F1 by class and overall.

With --predictions no model runs: the class scores, or predicted classes, are in a
file (.npy, .npz, CSV, Parquet, JSON or JSON Lines). Rows with names of images are
matched to --data or --labels by them, others by their order; labels may be in the
file as well. Whether scores are logits or probabilities is found out and said.`,
		Example: `  cutmix-eval classify
  cutmix-eval classify --model resnet50.onnx --data imagenet/val
  cutmix-eval classify --model resnet50.onnx --data val_flat --labels LOC_val_solution.csv
  cutmix-eval classify --model resnet50.onnx --data imagenet-r --restrict
  cutmix-eval classify --model resnet50.onnx --data imagenet/val --labels real.json
  cutmix-eval classify --model resnet18.onnx --data pathmnist.npz --split test
  cutmix-eval classify --model dogs_vs_cats.onnx --data pets --positive dog
  cutmix-eval classify --model voc.onnx --data VOC2007/JPEGImages \
    --multi-label VOC2007 --multi-split test
  cutmix-eval classify --model net.onnx --data test.tar --resize 32 --crop 32 --format json
  cutmix-eval classify --predictions scores.npy --labels labels.npy
  cutmix-eval classify --predictions scores.csv --data imagenet/val --out runs/tensorrt`,
		Args: noArgs,
	}
	o.add(cmd)
	o.addStore(cmd)
	text(cmd, &o.Predictions, "predictions", "FILE",
		"scores that another program computed (.npy, .npz, CSV, Parquet, JSON), in place of a model; their labels are in the file, in --labels or in --data")
	cmd.Flags().BoolVar(&o.Task.Restrict, "restrict", false, "let only the outputs that are classes of the data compete (ImageNet-A, -R)")
	text(cmd, &o.Binary.Positive, "positive", "CLASS", "one output: class that it stands for (default: the second of the data's two)")
	text(cmd, &o.Multi.Path, "multi-label", "PATH", "annotations of images with several labels: a file, a VOC folder, numpy's labels")
	text(cmd, &o.Multi.Split, "multi-split", "NAME", "lists of the images in a VOC folder (default: the only one)")
	declare(cmd, "threshold", "P", "0.5", "one output, several labels: probability above which an image is taken for the class",
		into(&o.Binary.Threshold, probability))
	choice(cmd, &o.Binary.Scale, "scores", "one output, several labels, predictions: what the scores are where the graph does not say it",
		evaluation.Automatic+"\tby their values", evaluation.Logit, evaluation.Probability)
	count(cmd, &o.Task.Bins, "bins", "bins of the calibration errors")
	count(cmd, &o.Task.Replicates, "bootstrap", "bootstrap replicates of the intervals; 0 for none")
	count(cmd, &o.Task.Pairs, "pairs", "most confused pairs to list")
	cmd.Flags().BoolVar(&o.Task.Doctor, "doctor", o.Task.Doctor, "try other pixels on some images, where preprocessing is only assumed or accuracy is low")
	if run == nil {
		run = func(ctx context.Context, o classifyOptions) error { return runClassify(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, f := range []string{"restrict", "positive", "threshold", "scores", "bins", "pairs"} {
			if cmd.Flags().Changed(f) {
				o.Given = append(o.Given, f)
			}
		}
		if err := usage(cmp.Or(o.check(cmd), o.checkPredictions(cmd), o.settle())); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

// settle hands on what the tasks share.
func (o *classifyOptions) settle() error {
	b, m := &o.Binary, &o.Multi
	b.Bins, b.Replicates = o.Task.Bins, o.Task.Replicates
	m.Threshold, m.Scale, m.Replicates = b.Threshold, b.Scale, b.Replicates
	if m.Path == "" && m.Split != "" {
		return errors.New("--multi-split says nothing without --multi-label")
	}
	return cmp.Or(o.Task.Validate(), b.Validate(), m.Validate())
}

// checkPredictions refuses flags that say how a model runs where none does. Without --data the
// predictions have their own labels.
func (o *classifyOptions) checkPredictions(cmd *cobra.Command) (err error) {
	if o.Predictions == "" {
		return nil
	}
	if !cmd.Flags().Changed("data") {
		o.Data.Path = ""
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case err != nil:
		case slices.Contains([]string{
			"predictions", "data", "labels", "class-order", "subset", "limit", "seed",
			"format", "quiet", "out", "shard", "allow-bad", "restrict", "bins", "bootstrap", "pairs", "positive", "threshold", "scores",
		}, f.Name):
		case slices.Contains([]string{"data-format", "data-root", "split"}, f.Name):
			if o.Data.Path == "" {
				err = fmt.Errorf("--%s says nothing about --predictions without --data", f.Name)
			}
		case f.Name == "label-column":
			if o.Data.Labels == "" {
				err = errors.New("--label-column says nothing without --labels")
			}
		case slices.Contains([]string{"multi-label", "multi-split"}, f.Name):
			err = fmt.Errorf("--%s says nothing about --predictions, which are of one class per image", f.Name)
		default:
			err = fmt.Errorf("--%s says nothing about --predictions, for no model runs", f.Name)
		}
	})
	return err
}

// idle refuses flags that would change nothing.
func (o *classifyOptions) idle(of string, flags ...string) error {
	for _, f := range flags {
		if slices.Contains(o.Given, f) {
			return usageError{fmt.Errorf("--%s says nothing about %s", f, of)}
		}
	}
	return nil
}

func runClassify(ctx context.Context, s streams, o classifyOptions) error {
	if o.Predictions != "" {
		return onPredictions(ctx, s, o)
	}
	var advice func() string
	progress, finish := doctorBar(s, o.Quiet)
	defer finish()
	o.Task.Trying = progress
	err := o.onImages(ctx, s, func(c *evaluation.Classifier, im *evaluation.Images) (tasks.Job, error) {
		defer finish()
		if o.Multi.Path != "" {
			if err := o.idle("images with several labels", "positive", "restrict", "bins", "pairs"); err != nil {
				return nil, err
			}
			return multilabel.Open(ctx, c, im, o.Multi, o.Store)
		}
		j, err := o.open(ctx, c, im)
		if job, ok := j.(*classify.Job); ok && err == nil {
			advice = func() string { return job.Advice }
		}
		return j, err
	})
	if advice != nil && advice() != "" && !o.Quiet {
		fmt.Fprintf(s.err, "warning: %s\n", advice())
	}
	return err
}

// open is the task for images with one label each: by the number of the model's outputs.
func (o *classifyOptions) open(ctx context.Context, c *evaluation.Classifier, s evaluation.Samples) (tasks.Job, error) {
	outputs, err := c.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	if outputs == 1 {
		what := "a model with one output"
		if o.Predictions != "" {
			what = "predictions of one score per image"
		}
		if err := o.idle(what, "restrict", "pairs"); err != nil {
			return nil, err
		}
		j, err := binary.Open(ctx, c, s, o.Binary, o.Store)
		if err != nil {
			return nil, err
		}
		return j, nil
	}
	idle := []string{"positive", "threshold"}
	what := fmt.Sprintf("predictions of %d classes", outputs)
	if o.Predictions == "" {
		idle, what = append(idle, "scores"), fmt.Sprintf("a model with %d outputs", outputs)
	}
	if err := o.idle(what, idle...); err != nil {
		return nil, err
	}
	j, err := classify.Open(ctx, c, s, o.Task, o.Store)
	if err != nil {
		return nil, err
	}
	return j, nil
}

// onPredictions opens scores that are computed already.
func onPredictions(ctx context.Context, s streams, o classifyOptions) error {
	t, err := predictions.Read(o.Predictions)
	if err != nil {
		return err
	}
	if t.Hard {
		if err := o.idle("predicted classes alone", "restrict", "bins", "scores"); err != nil {
			return err
		}
	}
	o.Running.Tool = tool()
	c, images, err := evaluation.Predicted(t, o.Data, o.Binary.Scale, o.Running)
	if err != nil {
		return err
	}
	defer images.Close()
	defer c.Close()
	j, err := o.open(ctx, c, images)
	if err != nil {
		return err
	}
	return runJob(ctx, s, &o.options, j)
}
