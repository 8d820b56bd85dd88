package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"cutmix-eval/internal/cache"
	"cutmix-eval/runtime"

	"github.com/spf13/cobra"
)

func newRuntime(s streams) *cobra.Command {
	return group(&cobra.Command{Use: "runtime", Short: "The ONNX Runtime library: where it is, installing it"},
		newRuntimeStatus(s, nil), newRuntimeInstall(s, nil))
}

func newRuntimeStatus(s streams, run func(ctx context.Context, lib string) error) *cobra.Command {
	lib := ""
	cmd := &cobra.Command{
		Use: "status", Short: "Print every place that is searched and what is there", Args: noArgs,
		Example: "  cutmix-eval runtime status\n  cutmix-eval runtime status --ort-lib /opt/onnxruntime/lib",
	}
	addLibrary(cmd, &lib)
	if run == nil {
		run = func(_ context.Context, lib string) error { return runStatus(s, lib) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), lib) }
	return cmd
}

func runStatus(s streams, lib string) error {
	if err := printPlaces(s, lib); err != nil {
		return err
	}
	c, err := runtime.Find(lib)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "\nin use: ONNX Runtime %s, %s\n", c.Version, c.Path)
	return err
}

func newRuntimeInstall(s streams, run func(ctx context.Context, quiet bool) error) *cobra.Command {
	quiet := false
	cmd := &cobra.Command{
		Use: "install", Short: "Install the pinned library into the user cache", Args: noArgs,
		Long: `install downloads the pinned ONNX Runtime with npm, under the user's own npm
settings, verifies it by checksum and puts it into the user cache. The tasks do
the same by themselves when they find no library.

` + cache.EnvDir + ` moves the cache; ` + cache.EnvOffline + `=1 forbids downloads.`,
	}
	cmd.Flags().BoolVar(&quiet, "quiet", false, "no progress bar")
	if run == nil {
		run = func(ctx context.Context, quiet bool) error { return runInstall(ctx, s, quiet) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), quiet) }
	return cmd
}

func runInstall(ctx context.Context, s streams, quiet bool) error {
	c, err := runtime.Install(ctx, installProgress(s.err, quiet))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "ONNX Runtime %s, %s\n", c.Version, c.Path)
	return err
}

func printPlaces(s streams, lib string) error {
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, c := range runtime.Search(lib) {
		found := "ONNX Runtime " + c.Version
		if !c.Usable() {
			found = c.Problem
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Source, c.Path, found)
	}
	return t.Flush()
}
