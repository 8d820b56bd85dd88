package main

import (
	"fmt"

	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"

	"github.com/spf13/cobra"
)

func newCompare(s streams) *cobra.Command {
	c := compare.DefaultConfig()
	format, quiet := string(report.Text), false
	cmd := &cobra.Command{
		Use:   "compare RUN RUN [RUN ...]",
		Short: "Runs of different models on the same images, paired",
		Long: `compare pairs the records of runs by image: McNemar's exact test for accuracy, a
paired bootstrap for everything else, an interval and a sentence for every
difference. Every run is compared with the first; where that makes several tests,
p-values are corrected after Holm. Runs of other images or labels are refused.`,
		Example: `  cutmix-eval classify --model base.onnx --data val --out runs/base
  cutmix-eval classify --model cutmix.onnx --data val --out runs/cutmix
  cutmix-eval compare runs/base runs/cutmix`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, dirs []string) error {
			f, err := report.ParseFormat(format)
			if err == nil {
				err = c.Validate()
			}
			if err != nil {
				return usageError{err}
			}
			var runs []compare.Run
			for _, dir := range dirs {
				run, err := openTask(false, dir)
				if err != nil {
					return err
				}
				source, err := run.source(cmd.Context(), run.Run)
				if err != nil {
					return fmt.Errorf("run %q: %w", dir, err)
				}
				runs = append(runs, compare.Run{Dir: dir, Source: source})
			}
			res, err := compare.Compare(cmd.Context(), c, runs)
			if err != nil {
				return err
			}
			return finishReport(s, res.Report(c, tool()), f, 0, quiet)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&c.AllPairs, "all-pairs", false, "compare every run with every other")
	fs.IntVar(&c.Replicates, "bootstrap", c.Replicates, "bootstrap replicates, at least 100")
	fs.Uint64Var(&c.Seed, "seed", 0, "seed of the bootstrap")
	fs.StringVar(&format, "format", format, "text, json, csv or md")
	fs.BoolVar(&quiet, "quiet", false, "no warnings on stderr")
	return cmd
}
