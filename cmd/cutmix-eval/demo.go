package main

import (
	"context"
	"fmt"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/demo"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

func newDemo(s streams) *cobra.Command {
	c, task := evaluation.DefaultConfig(), demo.DefaultConfig()
	device, format, quiet := "cpu", string(report.Text), false
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A baseline and a CutMix model side by side, on embedded scenes",
		Long: `demo runs two small embedded networks, one trained plainly and one with CutMix,
on the embedded test scenes and prints their numbers with paired differences.
How they were trained, and that CutMix does not win everywhere, is told in
models/README.md.`,
		Example: "  cutmix-eval demo\n  cutmix-eval demo --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := report.ParseFormat(format)
			if err == nil {
				c.Device, err = runtime.ParseDevice(device)
			}
			if err == nil && c.Limit < 0 {
				err = fmt.Errorf("--limit %d is below 0", c.Limit)
			}
			if err == nil {
				task.Localize.Replicates, task.Finetune.Replicates = task.Classify.Replicates, task.Classify.Replicates
				err = task.Classify.Validate()
			}
			if err != nil {
				return usageError{err}
			}
			return runDemo(cmd.Context(), s, c, task, f, quiet)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&device, "device", device, "cpu, cuda[:N], tensorrt[:N], webgpu, coreml, directml[:N] or openvino")
	fs.StringVar(&c.Library, "ort-lib", "", "ONNX Runtime library file or its folder (default: searched; see doctor)")
	fs.IntVar(&c.Limit, "limit", 0, "use only `N` scenes")
	fs.IntVar(&task.Classify.Replicates, "bootstrap", task.Classify.Replicates, "bootstrap replicates of the intervals, at least 100")
	fs.Uint64Var(&c.Seed, "seed", 0, "seed of everything random")
	fs.StringVar(&format, "format", format, "text, json, csv or md")
	fs.BoolVar(&quiet, "quiet", false, "no progress bar")
	return cmd
}

func runDemo(ctx context.Context, s streams, c evaluation.Config, task demo.Config, format report.Format, quiet bool) error {
	if task.Classify.Replicates == 0 {
		return usageError{fmt.Errorf("--bootstrap 0: the demo shows paired differences, which need at least 100 replicates")}
	}
	progress, finish := func(float64) {}, func() {}
	if !quiet && terminal(s.err) {
		var bar *progressbar.ProgressBar
		progress = func(done float64) {
			const parts = 1000
			if bar == nil {
				bar = newBar(s.err, parts, "demo")
			}
			_ = bar.Set(int(done * parts))
		}
		finish = func() {
			if bar != nil {
				_ = bar.Clear()
			}
		}
	}
	defer finish()
	res, err := demo.Run(ctx, c, task, installProgress(s.err, quiet), progress)
	if err != nil {
		return err
	}
	finish()
	r := res.Report(tool())
	r.Config = c.Told(task)
	if format != report.Text {
		return finishReport(s, r, format, 0, quiet)
	}
	fmt.Fprintf(s.out, "Two small ResNets, trained on the embedded scenes: one plainly, one with CutMix (models/README.md)\n")
	if err := res.Table().Write(s.out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "\n%s\n%.1f s on %s; smaller is better for nll, brier, ece and aurc\n", res.FloorsText(), res.Elapsed.Seconds(), r.Runtime.Device)
	return err
}
