package main

import (
	"context"

	"cutmix-eval/tasks/doctor"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

// pixelsOptions are what the flags of models doctor say.
type pixelsOptions struct {
	options
	Task doctor.Config
}

func newModelsDoctor(s streams, run func(context.Context, pixelsOptions) error) *cobra.Command {
	o := pixelsOptions{newOptions(), doctor.DefaultConfig()}
	cmd := &cobra.Command{
		Use: "doctor MODEL", Short: "Look for the pixels that fit a model best", Args: arguments(1, 1),
		Long: `doctor runs a model on some labelled images that are prepared in other ways than
the present one: red and blue exchanged, samples of 0..1, 0..255 and -1..1, the
usual means and deviations, squashed or by the shorter side and cropped, other
filters. What fits best is tested on images that had no part in the choice, and
told with the flags to give. Nothing is changed: whether the model was trained so
is for you to say.

It needs labels, and outputs in the order of the classes: with a wrong order
everything is near chance.`,
		Example: `  cutmix-eval models doctor resnet50.onnx --data imagenet/val
  cutmix-eval models doctor net.onnx --data test.tar --labels labels.csv --format json`,
	}
	cmd.Flags().SortFlags = false
	text(cmd, &o.Model.Output, "output", "NAME", outputUsage)
	o.addData(cmd)
	count(cmd, &o.Task.Choose, "choose", "at most N images to choose on")
	count(cmd, &o.Task.Confirm, "confirm", "at most N other images to test the choice on")
	addAllowBad(cmd, &o.AllowBad)
	o.addRunning(cmd)
	if run == nil {
		run = func(ctx context.Context, o pixelsOptions) error { return runModelsDoctor(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := usage(o.Task.Validate()); err != nil {
			return err
		}
		o.Model.Model = args[0]
		return run(cmd.Context(), o)
	}
	return cmd
}

func runModelsDoctor(ctx context.Context, s streams, o pixelsOptions) error {
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
	progress, finish := doctorBar(s, o.Quiet)
	defer finish()
	r, err := doctor.Run(ctx, o.Task, c, im, progress)
	if err != nil {
		return err
	}
	finish()
	return finishReport(s, r, o.Format, o.AllowBad, o.Quiet)
}

// doctorBar shows how many images the doctor has tried. How many there will be is not known.
func doctorBar(s streams, quiet bool) (progress func(images int), finish func()) {
	if quiet || !terminal(s.err) {
		return nil, func() {}
	}
	bar := newBar(s.err, -1, "trying other pixels", progressbar.OptionShowCount())
	return func(images int) { _ = bar.Set(images) }, func() { _ = bar.Clear() }
}
