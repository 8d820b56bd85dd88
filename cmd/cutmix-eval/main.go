// Command cutmix-eval evaluates image classifiers in ONNX files: accuracy,
// calibration and what the CutMix paper claims, without Python.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"cutmix-eval/internal/pin"
	"cutmix-eval/internal/scratch"
	wording "cutmix-eval/internal/text"
	"cutmix-eval/results"

	"github.com/spf13/cobra"
)

// Exit codes; the root command's help lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitBadImages   = 3
	exitNotPinned   = 4
	exitInterrupted = 130
)

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	code := make(chan int, 1)
	go func() { code <- run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}) }()
	select {
	case c := <-code:
		os.Exit(c)
	case <-ctx.Done():
		stop() // a second signal ends the program at once
	}
	os.Exit(interrupted(code, patience, results.Writing))
}

// patience is how long an interrupted program waits for its work to end by itself: a long list of
// files, a model that is being opened and a large batch know nothing of the signal.
const patience = 900 * time.Millisecond

// interrupted waits for the exit code of work that was told to end. When that takes longer than
// patience, it waits only for records that are being written. Whatever else is left half done was
// not in its place yet: files are put there when they are whole.
func interrupted(code <-chan int, patience time.Duration, writing func() bool) int {
	after := time.After(patience)
	for {
		select {
		case c := <-code:
			return c
		case <-after:
			if writing() {
				after = time.After(patience / 20)
				continue
			}
			_ = scratch.Clear() // what is left is in the system's folder for such files
			fmt.Fprintln(os.Stderr, "cutmix-eval: interrupted")
			return exitInterrupted
		}
	}
}

// streams are what commands read and write: the result goes to out and nothing
// else does; progress and warnings go to err.
type streams struct {
	out, err io.Writer
}

// firstError remembers the first error of writing, so that a full disk or a
// closed pipe is told whatever wrote.
type firstError struct {
	w   io.Writer
	err error
}

func (f *firstError) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil && f.err == nil {
		f.err = err
	}
	return n, err
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage marks an error, if there is one, as one of usage.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// badImagesError says that the work is done, but some images could not be used.
type badImagesError struct{ bad, all int }

func (e badImagesError) Error() string {
	return fmt.Sprintf("%d of %d images could not be read and are left out of the numbers "+
		"(named in the report; --allow-bad %d accepts them)", e.bad, e.all, e.bad)
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	started := false
	out := &firstError{w: s.out}
	s.out = out
	root := newRoot(s, &started)
	root.SetArgs(args)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if out.err != nil && (err == nil || errors.As(err, new(badImagesError))) {
		err = fmt.Errorf("writing to standard output: %w", out.err)
	}
	if err == nil {
		return exitDone
	}
	if !started { // cobra refused flags, arguments or the command itself
		err = usageError{err}
	}
	code := exitCode(ctx, err)
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	if code == exitInterrupted {
		text = strings.ReplaceAll(text, ctx.Err().Error(), "interrupted")
	}
	fmt.Fprintf(s.err, "cutmix-eval: %s\n", wording.Visible(wording.Shortened(text)))
	if code == exitUsage {
		fmt.Fprintln(s.err, "Run the command with --help to see how it is used.")
	}
	return code
}

func exitCode(ctx context.Context, err error) int {
	var usage usageError
	var bad badImagesError
	var mismatch *pin.MismatchError
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &mismatch):
		return exitNotPinned
	case errors.As(err, &bad):
		return exitBadImages
	}
	return exitFailed
}

func newRoot(s streams, started *bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "cutmix-eval",
		Short: "Evaluate image classifiers in ONNX files",
		Long: `cutmix-eval runs an image classifier from an ONNX file and gives the numbers
PyTorch would give, with an interval on each, without Python.

Without flags its tasks run an embedded model that was trained with CutMix on
embedded scenes.

Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    done, but some images could not be read (--allow-bad N accepts up to N)
  4    a file is not the one that was pinned
  130  interrupted (with --out, the same command goes on where it stopped)`,
		Example: `  cutmix-eval demo
  cutmix-eval classify
  cutmix-eval classify --model resnet50.onnx --data imagenet/val
  cutmix-eval doctor`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) { *started = true },
	}
	group(root, newDemo(s, nil), newClassify(s, nil), newLocalize(s, nil), newOOD(s, nil, nil), newCorruption(s, nil), newFinetune(s, nil),
		newReport(s, nil), newCompare(s, nil), newBench(s, nil), newModels(s), newDatasets(s),
		newRuntime(s), newDoctor(s, nil), newVersion(s))
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages", "FlagUsagesWrapped 100"))
	return root
}
