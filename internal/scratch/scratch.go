// Package scratch makes temporary folders and knows which are there, so that a program that must
// end at once can remove them. Those of a process that was killed are removed by the next one.
package scratch

import (
	"errors"
	"os"
	"sync"
)

var (
	mu      sync.Mutex
	dirs    = map[string]func(){} // what gives back the lock, by folder
	cleaned bool
)

// prefix begins the names of all folders that are made here.
const prefix = "cutmix-eval-"

// Dir makes a folder in the system's for temporary files. what says what it is for, in its name.
func Dir(what string) (string, error) {
	mu.Lock()
	defer mu.Unlock()
	if !cleaned {
		cleaned = true
		clean()
	}
	dir, err := os.MkdirTemp("", prefix+what+"-*")
	if err == nil {
		dirs[dir] = hold(dir)
	}
	return dir, err
}

// Remove removes a folder that Dir has made.
func Remove(dir string) error {
	mu.Lock()
	defer mu.Unlock()
	return remove(dir)
}

func remove(dir string) error {
	release := dirs[dir]
	delete(dirs, dir)
	err := os.RemoveAll(dir)
	if release != nil {
		release()
	}
	return err
}

// Clear removes all folders that are left.
func Clear() error {
	mu.Lock()
	defer mu.Unlock()
	var errs []error
	for dir := range dirs {
		errs = append(errs, remove(dir))
	}
	return errors.Join(errs...)
}
