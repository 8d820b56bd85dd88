package main

import "syscall"

// peakOf is the most memory that a process had, in bytes.
func peakOf(u *syscall.Rusage) int64 { return u.Maxrss }
