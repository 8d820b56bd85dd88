//go:build unix

package main

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// wrong puts something that is no readable file of the right kind at path, which is free.
func wrong(rng *rand.Rand, path string, folder bool) (what string, err error) {
	switch rng.IntN(10) {
	case 0:
		return "a FIFO", syscall.Mkfifo(path, 0o666)
	case 1:
		l, err := net.Listen("unix", path)
		if err != nil { // a path that is too long for one
			return "a FIFO", syscall.Mkfifo(path, 0o666)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		return "a socket", l.Close()
	case 2, 3:
		device := pick(rng, "/dev/zero", "/dev/null", "/dev/full", "/dev/random", "/dev/tty")
		return "a link to " + device, os.Symlink(device, path)
	case 4:
		return "a dangling link", os.Symlink("not-there", path)
	case 5:
		return "a link to itself", os.Symlink(filepath.Base(path), path)
	case 6:
		return "not there", nil
	case 7:
		if folder {
			return "a folder without rights", os.Mkdir(path, 0)
		}
		return "a file without rights", os.WriteFile(path, []byte("secret"), 0)
	case 8:
		if folder {
			return "an empty file", os.WriteFile(path, nil, 0o644)
		}
		return "an empty folder", os.Mkdir(path, 0o755)
	}
	if folder {
		return "an empty folder", os.Mkdir(path, 0o755)
	}
	return "/proc/self/mem", os.Symlink("/proc/self/mem", path)
}

// copyTree copies a file or a folder, keeping links out.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(p, from))
		if p == from {
			at = to
		}
		if d.IsDir() {
			return os.MkdirAll(at, 0o777)
		}
		return copyFile(p, at)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if e := out.Close(); err == nil {
		err = e
	}
	return err
}

// filesIn lists the files below a folder, sorted.
func filesIn(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, p)
		}
		return err
	})
	return out, err
}

// spoiled is what was made hostile in an input.
type spoiled struct {
	what string
	file string // that was changed, within the input; empty for the input itself
	kind bool   // the input itself is of a wrong kind and must be refused
}

// spoil changes an input, a file or folder at path that is the case's own.
func spoil(rng *rand.Rand, path string) (spoiled, error) {
	info, err := os.Stat(path)
	if err != nil {
		return spoiled{}, err
	}
	name := filepath.Base(path)
	if rng.IntN(5) == 0 {
		if err := os.RemoveAll(path); err != nil {
			return spoiled{}, err
		}
		what, err := wrong(rng, path, info.IsDir())
		return spoiled{what: name + " is " + what, kind: true}, err
	}
	file := path
	within := ""
	if info.IsDir() {
		all, err := filesIn(path)
		if err != nil || len(all) == 0 {
			return spoiled{}, fmt.Errorf("%s holds no files: %w", path, err)
		}
		// Locks are empty; each of the other files is as likely.
		for ok := false; !ok; ok = !strings.Contains(file, "/locks/") {
			file = pick(rng, all...)
		}
		if within, err = filepath.Rel(path, file); err != nil {
			return spoiled{}, err
		}
		name += "/" + within
		if rng.IntN(6) == 0 {
			if err := os.Remove(file); err != nil {
				return spoiled{}, err
			}
			what, err := wrong(rng, file, false)
			return spoiled{what: name + " is " + what, file: within}, err
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return spoiled{}, err
	}
	changed, what := changeFor(file)(rng, data)
	return spoiled{what: name + ": " + what, file: within}, os.WriteFile(file, changed, 0o644)
}
