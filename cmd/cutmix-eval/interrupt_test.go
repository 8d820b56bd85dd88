package main

import (
	"bytes"
	"errors"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestInterrupted: work that ends in time gives its own code; other work is left, but not while
// records are being written.
func TestInterrupted(t *testing.T) {
	const soon = 20 * time.Millisecond
	never := func() bool { return false }
	code := make(chan int, 1)
	if c := interrupted(code, soon, never); c != exitInterrupted {
		t.Errorf("work without end: %d", c)
	}
	code <- exitDone
	if c := interrupted(code, time.Hour, never); c != exitDone {
		t.Errorf("work that has ended: %d", c)
	}
	asked := 0
	writing := func() bool {
		if asked++; asked == 3 {
			code <- exitFailed
		}
		return true
	}
	if c := interrupted(code, soon, writing); c != exitFailed || asked != 3 {
		t.Errorf("while records were written: %d, asked %d times", c, asked)
	}
}

// TestSignals: a program that knows nothing of signals, reading what never ends, is ended by each,
// and by hanging up only where the terminal's end is not to be ignored.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		nohup  bool
	}{{syscall.SIGINT, false}, {syscall.SIGTERM, false}, {syscall.SIGHUP, false}, {syscall.SIGHUP, true}} {
		if c.signal == syscall.SIGHUP && signal.Ignored(syscall.SIGHUP) {
			continue // the tests themselves run under nohup, and so does the program
		}
		cmd := program(t, "classify", "--data", "scenes:train", "--bootstrap", "100000")
		if c.nohup {
			cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`}, cmd.Args...)
			cmd.Path = "/bin/sh"
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		time.Sleep(500 * time.Millisecond)
		_ = cmd.Process.Signal(c.signal)
		if c.nohup {
			select {
			case err := <-ended:
				t.Errorf("nohup: %v %s", err, stderr.String())
			case <-time.After(300 * time.Millisecond):
				_ = cmd.Process.Kill()
				<-ended
			}
			continue
		}
		var exit *exec.ExitError
		if err := <-ended; !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
			t.Errorf("%v: %v %s", c.signal, err, stderr.String())
		}
	}
}
