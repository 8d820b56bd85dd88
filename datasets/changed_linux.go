package datasets

import (
	"io/fs"
	"syscall"
	"time"
)

// changedAt is when a file was last written, renamed or copied to its place, whichever was later.
func changedAt(info fs.FileInfo) time.Time {
	at := info.ModTime()
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if c := time.Unix(s.Ctim.Unix()); c.After(at) {
			at = c
		}
	}
	return at
}
