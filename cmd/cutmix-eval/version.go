package main

import (
	"fmt"
	goruntime "runtime"
	"runtime/debug"

	"cutmix-eval/report"
	"cutmix-eval/runtime"

	"github.com/spf13/cobra"
)

// version is set by releases with -ldflags "-X main.version=…".
var version = "0.1.0-dev"

// tool says what this program is, for reports.
func tool() report.Tool {
	t := report.Tool{Name: "cutmix-eval", Version: version}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				t.Commit = s.Value
			}
		}
	}
	return t
}

func newVersion(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Version of this program and of what it was built with", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			t := tool()
			fmt.Fprintf(s.out, "cutmix-eval %s", t.Version)
			if t.Commit != "" {
				fmt.Fprintf(s.out, " (%.12s)", t.Commit)
			}
			_, err := fmt.Fprintf(s.out, ", %s, %s/%s, for ONNX Runtime 1.%d or newer (pinned: %s)\n",
				goruntime.Version(), goruntime.GOOS, goruntime.GOARCH, runtime.MinimumMinor, runtime.PinnedVersion)
			return err
		},
	}
}
