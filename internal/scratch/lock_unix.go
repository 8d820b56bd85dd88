//go:build !windows

package scratch

import (
	"context"
	"os"
	"path/filepath"

	"cutmix-eval/internal/filelock"
)

// lockName is a file of a folder that is locked as long as the folder is in use.
const lockName = ".lock"

// hold locks a folder until what it returns is called or the process ends. A folder that cannot
// be locked is one that no other process removes.
func hold(dir string) (release func()) {
	// The lock gets its name when it is held, so that no other process can be quicker.
	early := filepath.Join(dir, lockName+".new")
	release, err := filelock.Acquire(context.Background(), early, 0)
	if err != nil {
		return nil
	}
	if err := os.Rename(early, filepath.Join(dir, lockName)); err != nil {
		release()
		return nil
	}
	return release
}

// clean removes the folders of processes that ended without doing so.
func clean() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*", lockName)) // the pattern is right
	for _, lock := range locks {
		release, err := filelock.Acquire(context.Background(), lock, 0)
		if err != nil { // it is in use, or another user's
			continue
		}
		_ = os.RemoveAll(filepath.Dir(lock)) // what stays does no harm
		release()
	}
}
