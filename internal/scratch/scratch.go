// Package scratch makes temporary folders and knows which are there, so that a program that must
// end at once can remove them.
package scratch

import (
	"errors"
	"os"
	"sync"
)

var (
	mu   sync.Mutex
	dirs = map[string]bool{}
)

// Dir makes a folder in the system's for temporary files. pattern is that of os.MkdirTemp.
func Dir(pattern string) (string, error) {
	dir, err := os.MkdirTemp("", pattern)
	if err == nil {
		mu.Lock()
		dirs[dir] = true
		mu.Unlock()
	}
	return dir, err
}

// Remove removes a folder that Dir has made.
func Remove(dir string) error {
	mu.Lock()
	delete(dirs, dir)
	mu.Unlock()
	return os.RemoveAll(dir)
}

// Clear removes all folders that are left.
func Clear() error {
	mu.Lock()
	defer mu.Unlock()
	var errs []error
	for dir := range dirs {
		errs = append(errs, os.RemoveAll(dir))
		delete(dirs, dir)
	}
	return errors.Join(errs...)
}
