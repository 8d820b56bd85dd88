//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Bounds of one process. The address space is bounded so that a process that asks for too much
// fails, and not the machine.
const (
	addressSpace = 12 << 30
	captured     = 8 << 20 // bytes of standard output and error that are kept
)

// process is one call of the program.
type process struct {
	program string
	args    []string
	dir     string   // its working folder
	env     []string // beside this process's own
	limit   time.Duration
	stdout  *os.File // in place of keeping it
	signal  syscall.Signal
	after   time.Duration // until the signal is sent, where there is one
}

// outcome is how a process ended.
type outcome struct {
	code     int            // -1: by a signal
	signal   syscall.Signal // that it ended by
	late     bool           // it was killed, because it took too long
	out, err string
	peak     int64 // bytes of memory
	took     time.Duration
	stopping time.Duration // from the signal to the end; 0 where it had ended before
}

// keeper keeps the beginning of what is written.
type keeper struct{ bytes.Buffer }

func (k *keeper) Write(p []byte) (int, error) {
	k.Buffer.Write(p[:min(len(p), max(0, captured-k.Len()))])
	return len(p), nil
}

// run starts a process and waits for its end.
func (p process) run() (outcome, error) {
	var out, errs keeper
	script := fmt.Sprintf(`ulimit -v %d; ulimit -c 0; exec "$@"`, int64(addressSpace)>>10)
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", p.program}, p.args...)...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if p.stdout != nil {
		cmd.Stdout = p.stdout
	}
	cmd.WaitDelay = 2 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 { // whatever goes wrong must not harm the machine
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var o outcome
	var err error
	var struck time.Time
	blow := make(<-chan time.Time)
	if p.signal != 0 {
		blow = time.After(p.after)
	}
	overdue := time.After(p.limit)
	for done := false; !done; {
		select {
		case err = <-ended:
			done = true
		case <-blow:
			struck = time.Now()
			_ = cmd.Process.Signal(p.signal) // it may have ended
		case <-overdue:
			o.late = true
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			err, done = <-ended, true
		}
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return outcome{}, err
	}
	o.took, o.out, o.err = time.Since(begun), out.String(), errs.String()
	if !struck.IsZero() {
		o.stopping = time.Since(struck)
	}
	state := cmd.ProcessState
	o.code = state.ExitCode()
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		o.signal = s.Signal()
	}
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		o.peak = peakOf(u)
	}
	return o, nil
}

// nobody is the user and group without rights, as whom a superuser's processes run.
const nobody = 65534

// hand gives all below a folder to the user that processes run as.
func hand(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, nobody, nobody)
	})
}
