package main

import (
	"fmt"
	"text/tabwriter"

	"cutmix-eval/internal/cache"
	"cutmix-eval/runtime"

	"github.com/spf13/cobra"
)

func newRuntime(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "runtime", Short: "The ONNX Runtime library: where it is, installing it",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	lib := ""
	status := &cobra.Command{
		Use: "status", Short: "Print every place that is searched and what is there", Args: cobra.NoArgs,
		Example: "  cutmix-eval runtime status\n  cutmix-eval runtime status --ort-lib /opt/onnxruntime/lib",
		RunE: func(*cobra.Command, []string) error {
			if err := printPlaces(s, lib); err != nil {
				return err
			}
			c, err := runtime.Find(lib)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.out, "\nin use: ONNX Runtime %s, %s\n", c.Version, c.Path)
			return err
		},
	}
	status.Flags().StringVar(&lib, "ort-lib", "", "ONNX Runtime library file or its folder")
	quiet := false
	install := &cobra.Command{
		Use: "install", Short: "Install the pinned library into the user cache", Args: cobra.NoArgs,
		Long: `install downloads the pinned ONNX Runtime with npm, under the user's own npm
settings, verifies it by checksum and puts it into the user cache. The tasks do
the same by themselves when they find no library.

` + cache.EnvDir + ` moves the cache; ` + cache.EnvOffline + `=1 forbids downloads.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := runtime.Install(cmd.Context(), installProgress(s.err, quiet))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.out, "ONNX Runtime %s, %s\n", c.Version, c.Path)
			return err
		},
	}
	install.Flags().BoolVar(&quiet, "quiet", false, "no progress bar")
	cmd.AddCommand(status, install)
	return cmd
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
