//go:build !windows

package atomicfile

import (
	"os"

	"cutmix-eval/internal/filelock"

	"golang.org/x/sys/unix"
)

// hold locks a file that is being written, by a descriptor that outlasts f, so that no other
// process takes it for one that was left. Where files cannot be locked it does nothing.
func hold(f *os.File) (release func()) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	own := os.NewFile(uintptr(fd), f.Name())
	_, _ = filelock.Try(own) // no one else has it
	return func() { _ = own.Close() }
}

// held says whether another process may be writing a file.
func held(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return true
	}
	defer f.Close()
	held, err := filelock.Try(f)
	return held || err != nil
}
