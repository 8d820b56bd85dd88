//go:build unix

// Package usage tells what this process has used so far.
package usage

import (
	goruntime "runtime"
	"syscall"
	"time"
)

// CPU is the processor time of all threads, user and system.
func CPU() time.Duration {
	r := rusage()
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// PeakMemory is the largest resident size in bytes, 0 where it is not known.
func PeakMemory() int64 {
	r := rusage()
	if goruntime.GOOS == "darwin" {
		return r.Maxrss
	}
	return r.Maxrss * 1024
}

func rusage() (r syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic("usage: " + err.Error()) // the arguments are right
	}
	return r
}
