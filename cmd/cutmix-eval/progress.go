package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"cutmix-eval/runtime"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal says whether w is one: bars are for people only.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// imageBar shows how many of n images are done, with rate and time left. The
// functions it returns do nothing where no bar is wanted.
func imageBar(w io.Writer, quiet bool, n int, what string) (progress func(done int), finish func()) {
	if quiet || !terminal(w) {
		return func(int) {}, func() {}
	}
	bar := newBar(w, int64(n), what, progressbar.OptionShowIts(), progressbar.OptionSetItsString("images"), progressbar.OptionShowCount())
	return func(done int) { _ = bar.Set(done) }, func() { _ = bar.Clear() }
}

func newBar(w io.Writer, n int64, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(n, append([]progressbar.Option{
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30),
		progressbar.OptionUseANSICodes(true),
	}, more...)...)
}

// installProgress tells about an installation of ONNX Runtime: a bar on a
// terminal, otherwise one line.
func installProgress(w io.Writer, quiet bool) runtime.Progress {
	if quiet {
		return nil
	}
	var bar *progressbar.ProgressBar
	said := false
	return func(done, total int64) {
		if !said {
			said = true
			fmt.Fprintf(w, "installing ONNX Runtime %s (%d MB, once, into the user cache)\n", runtime.PinnedVersion, total/1_000_000)
			if terminal(w) {
				bar = newBar(w, total, "downloading", progressbar.OptionShowBytes(true))
			}
		}
		if bar != nil {
			_ = bar.Set64(done)
		}
	}
}
