package main

import (
	"context"
	"fmt"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/tasks/bench"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

func newBench(s streams) *cobra.Command {
	var flags shared
	task := bench.DefaultConfig()
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
		Args: cobra.NoArgs,
	}
	flags.add(cmd)
	cmd.Flags().IntVar(&task.Rounds, "rounds", task.Rounds, "rounds; the median and the range are given")
	cmd.Flags().IntVar(&task.Images, "images", task.Images, "images per stage and round (default: all, at least 8 batches)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		if err := task.Validate(); err != nil {
			return usageError{err}
		}
		return runBench(cmd.Context(), s, c, task, format, flags.quiet)
	}
	return cmd
}

func runBench(ctx context.Context, s streams, c evaluation.Config, task bench.Config, format report.Format, quiet bool) error {
	setup, err := evaluation.Open(ctx, c, installProgress(s.err, quiet))
	if err != nil {
		return err
	}
	defer setup.Close()
	progress, finish := func(int, int) {}, func() {}
	if !quiet && terminal(s.err) {
		bar := newBar(s.err, int64(2*task.Rounds), "bench", progressbar.OptionShowCount())
		progress, finish = func(done, _ int) { _ = bar.Set(done) }, func() { _ = bar.Clear() }
	}
	defer finish()
	in := setup.Pipeline(setup.Selected, nil)
	res, err := bench.Run(ctx, task, bench.Input{
		N: in.N, Load: func() evaluation.Load { return setup.Load(setup.Selected) }, Recipe: setup.Recipe,
		NewBatch: in.NewBatch, Batch: in.Batch, Workers: in.Workers,
	}, progress)
	if err != nil {
		return err
	}
	finish()
	r := setup.Report(tool())
	r.Runtime, r.Config = setup.Runtime(), c.Told(task)
	res.Fill(r)
	if format != report.Text {
		return finishReport(s, r, format, res.Bad, quiet)
	}
	fmt.Fprintf(s.out, "%s on %s, %s\n", r.Model.Name, r.Dataset.Name, r.Runtime)
	if err := res.Table().Write(s.out); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\n%s\n", res.Notes())
	for _, w := range r.Warnings {
		fmt.Fprintf(s.out, "\nwarning: %s\n", w)
	}
	return nil
}
