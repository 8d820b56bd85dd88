// Package atomicfile writes files that are there whole or not at all.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Temporary begins the names of files that are not whole yet.
const Temporary = ".tmp-"

// Save writes a file under another name beside it, and gives it its own when it is whole
// and on the disk. A file of that name is replaced; after an error it is as it was.
func Save(path string, write func(io.Writer) error) error { return save(path, true, write) }

// SaveUnsynced is Save for files that need not outlast a power failure: it does not wait
// for the disk.
func SaveUnsynced(path string, write func(io.Writer) error) error { return save(path, false, write) }

// Clean removes what processes that were killed left in dir, which need not exist, of files of
// these names, or of any; what another process is writing stays.
func Clean(dir string, names ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var errs []error
	for _, e := range entries {
		half, ok := strings.CutPrefix(e.Name(), Temporary)
		at := strings.LastIndexByte(half, '-')
		if !ok || at < 0 || !e.Type().IsRegular() || len(names) > 0 && !slices.Contains(names, half[:at]) {
			continue
		}
		if path := filepath.Join(dir, e.Name()); !held(path) {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// create makes the file that is written before it gets the name path, and holds it.
func create(path string) (f *os.File, release func(), err error) {
	for {
		f, err = os.CreateTemp(filepath.Dir(path), Temporary+filepath.Base(path)+"-*")
		if err != nil {
			return nil, nil, err
		}
		release = hold(f)
		if _, err := os.Stat(f.Name()); err == nil {
			return f, release, nil
		}
		release() // another process took it for one that was left, before it was held
		_ = f.Close()
	}
}

func save(path string, durable bool, write func(io.Writer) error) (err error) {
	f, release, err := create(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer release()
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name()) // nothing of it is of use
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if err = write(w); err != nil {
		return err
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if durable {
		if err = f.Sync(); err != nil {
			return err
		}
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil || !durable {
		return err
	}
	d, err := os.Open(filepath.Dir(path)) // the name is to be on the disk too
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && runtime.GOOS != "windows" {
		return err
	}
	return nil
}
