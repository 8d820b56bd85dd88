// Package filelock keeps processes from working on the same files at once.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cutmix-eval/internal/regular"
)

// ErrHeld is wrapped when another process holds the lock for too long.
var ErrHeld = errors.New("another process is at work there")

// Acquire takes the lock that the file at path stands for, waiting up to wait
// for it, and returns what gives it back. The file is made, and left, empty; the
// lock goes with the process that holds it, however that ends.
func Acquire(ctx context.Context, path string, wait time.Duration) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if _, err := regular.Check(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(wait)
	for {
		held, err := Try(f)
		switch {
		case err == nil && !held:
			return func() { f.Close() }, nil
		case err != nil:
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		case time.Now().After(deadline):
			f.Close()
			return nil, fmt.Errorf("%w (lock file %s)", ErrHeld, path)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
