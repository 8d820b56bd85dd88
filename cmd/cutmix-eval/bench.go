package main

import (
	"context"

	"cutmix-eval/evaluation"
	"cutmix-eval/tasks/bench"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

// benchOptions are what the flags of bench say.
type benchOptions struct {
	options
	Task bench.Config
}

func newBench(s streams, run func(context.Context, benchOptions) error) *cobra.Command {
	o := benchOptions{newOptions(), bench.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "How fast a model and its data run here",
		Long: `bench times reading and decoding, resizing, the model alone and everything
together, in turns, and gives images per second, processor time per image, their
ratio and the memory used. Labels are not looked at. What is measured is what the
tasks run, so the flags --threads, --workers and --batch can be tried out here.`,
		Example: `  cutmix-eval bench
  cutmix-eval bench --model resnet50.onnx --data imagenet/val --limit 1000
  cutmix-eval bench --model resnet50.onnx --data val.tar --batch 16 --workers 1 --format json`,
		Args: noArgs,
	}
	o.add(cmd)
	count(cmd, &o.Task.Rounds, "rounds", "rounds; the median and the range are given")
	count(cmd, &o.Task.Images, "images", "images per stage and round (default: all, at least 8 batches)")
	if run == nil {
		run = func(ctx context.Context, o benchOptions) error { return runBench(ctx, s, o) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := usage(o.Task.Validate()); err != nil {
			return err
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func runBench(ctx context.Context, s streams, o benchOptions) error {
	return o.opened(s, func(c *evaluation.Classifier, im *evaluation.Images) error {
		progress, finish := func(int, int) {}, func() {}
		if !o.Quiet && terminal(s.err) {
			bar := newBar(s.err, int64(2*o.Task.Rounds), "bench", progressbar.OptionShowCount())
			progress, finish = func(done, _ int) { _ = bar.Set(done) }, func() { _ = bar.Clear() }
		}
		defer finish()
		r, err := bench.Run(ctx, o.Task, c, im, progress)
		if err != nil {
			return err
		}
		finish()
		return finishReport(s, r, o.Format, r.Dataset.Bad, o.Quiet)
	})
}
