package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/cache"
	"cutmix-eval/runtime"

	"github.com/spf13/cobra"
)

func newDoctor(s streams, run func(ctx context.Context, lib string) error) *cobra.Command {
	lib := ""
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check what this machine can run", Args: noArgs,
		Long: `doctor prints where the ONNX Runtime library was looked for, which version is
used, which devices really start (each is tried with the embedded model), which
image decoder runs and how many threads there are.`,
		Example: "  cutmix-eval doctor\n  cutmix-eval doctor --ort-lib /opt/onnxruntime-gpu/lib",
	}
	addLibrary(cmd, &lib)
	if run == nil {
		run = func(ctx context.Context, lib string) error { return runDoctor(ctx, s, lib) }
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), lib) }
	return cmd
}

func runDoctor(ctx context.Context, s streams, lib string) error {
	say := func(format string, a ...any) { fmt.Fprintf(s.out, format+"\n", a...) }
	say("program   cutmix-eval %s, %s, %s/%s", version, goruntime.Version(), goruntime.GOOS, goruntime.GOARCH)
	say("cores     %d (threads of the model and decoders, unless --threads and --workers say otherwise)", goruntime.GOMAXPROCS(0))
	say("decoder   %s", imageproc.DecoderName)
	dir, err := cache.Dir()
	if err != nil {
		dir = err.Error()
	}
	offline := ""
	if cache.Offline() {
		offline = "; downloads are forbidden by " + cache.EnvOffline
	}
	say("cache     %s%s", dir, offline)
	npm, err := exec.LookPath("npm")
	if err != nil {
		npm = "not found (needed only to install ONNX Runtime)"
	}
	say("npm       %s", npm)
	say("\nONNX Runtime library, in the order of search")
	if err := printPlaces(s, lib); err != nil {
		return err
	}
	c, err := runtime.Ensure(ctx, lib, installProgress(s.err, false))
	if err != nil {
		return err
	}
	say("in use: ONNX Runtime %s, %s", c.Version, c.Path)
	say("\ndevices")
	for _, name := range runtime.DeviceNames() {
		if err := ctx.Err(); err != nil {
			return err
		}
		place, err := starts(ctx, lib, runtime.Device{Name: name})
		if err != nil {
			say("  %-9s no: %s", name, reason(err))
			continue
		}
		say("  %-9s starts%s", name, place)
	}
	if os.Getenv("VK_ICD_FILENAMES") != "" {
		say("VK_ICD_FILENAMES is set to %s", os.Getenv("VK_ICD_FILENAMES"))
	}
	return nil
}

// starts runs the embedded model on a device, and says where its nodes ran.
func starts(ctx context.Context, library string, d runtime.Device) (place string, err error) {
	r := evaluation.DefaultRunning()
	r.Library, r.Device = library, d
	c, err := evaluation.OpenClassifier(evaluation.DefaultModelConfig(), r)
	if err != nil {
		return "", err
	}
	defer c.Close()
	e, err := c.Engine(ctx)
	if err != nil {
		return "", err
	}
	return e.Runtime().PlacementText, nil
}

// reason shortens an error to what the provider said.
func reason(err error) string {
	s := err.Error()
	var inner error = err
	for inner != nil {
		s = inner.Error()
		inner = errors.Unwrap(inner)
	}
	return s
}
