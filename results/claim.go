package results

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/filelock"
	"cutmix-eval/internal/regular"
)

// Claim opens the run in dir to write a share of it, making it where there is none,
// and keeps other processes from writing the same samples until Close. m and selection
// are what the run is to be; a run that is another one is a *DifferentRunError, and an
// array that it does not keep is an error. The run's samples can grow: a selection must
// hold them or be among them. Half-written files of processes that died in the share
// are removed.
//
// Shares of one division can be written at once; shares of different divisions, and a
// share beside the whole, cannot.
func Claim(ctx context.Context, dir string, m Manifest, selection []int, s Shard) (_ *Run, err error) {
	if err := os.MkdirAll(filepath.Join(dir, partsName), 0o755); err != nil {
		return nil, fmt.Errorf("making run %q: %w", dir, err)
	}
	// Everything below happens in one process at a time.
	release, err := filelock.Acquire(ctx, filepath.Join(dir, locksName, "manifest"), time.Minute)
	if err != nil {
		return nil, fmt.Errorf("opening run %q: %w", dir, err)
	}
	defer release()
	if err := atomicfile.Clean(dir, manifestName, selectionName); err != nil {
		return nil, fmt.Errorf("opening run %q: %w", dir, err)
	}
	share, others, err := claim(ctx, dir, s)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			share()
		}
	}()
	m.Format, m.About = FormatVersion, compact(m.About)
	r := &Run{Manifest: m, dirs: []string{dir}, parts: map[int]part{}, selection: selection}
	if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
		if r, err = Open(dir); err != nil {
			return nil, err
		}
		if err := r.Check(m.Key); err != nil {
			return nil, err
		}
		for _, a := range m.Arrays {
			if w, ok := r.HasArray(a.Name); !ok || w != a.Width {
				return nil, fmt.Errorf("run %q keeps no %s of %d values; choose another --out", dir, a.Name, a.Width)
			}
		}
		more := !within(selection, r.selection)
		if more && !within(r.selection, selection) {
			return nil, fmt.Errorf("run %q %w (--limit %d with seed %d): give that seed and a larger --limit, or none, or choose another --out", dir, ErrOtherSamples, r.Manifest.Limit, r.Manifest.Seed)
		}
		if more && others {
			return nil, fmt.Errorf("other processes are at work on run %q with another --limit or --seed; give the same, or wait", dir)
		}
		if !more {
			m.Limit, m.Seed = r.Manifest.Limit, r.Manifest.Seed
			selection = r.selection
		}
		next := r.Manifest
		next.About, next.Limit, next.Seed = m.About, m.Limit, m.Seed
		if len(m.Notes) > 0 {
			next.Notes = m.Notes
		}
		if m.Reused != "" {
			next.Reused = m.Reused
		}
		r.Manifest, r.selection = next, selection
	}
	if selection == nil {
		if err := os.Remove(filepath.Join(dir, selectionName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	} else if err := writeSelection(dir, selection, true); err != nil {
		return nil, err
	}
	if err := r.Manifest.write(dir, true); err != nil {
		return nil, err
	}
	r.release, r.shards = share, max(r.shards, s.N)
	return r, r.tidy(s)
}

// within says whether every sample of a is in b; nil is all samples.
func within(a, b []int) bool {
	if b == nil {
		return true
	}
	if a == nil {
		return false
	}
	for _, v := range a {
		if _, ok := slices.BinarySearch(b, v); !ok {
			return false
		}
	}
	return true
}

// claim takes the lock of a share. others says whether other shares of the same
// division are being written.
func claim(ctx context.Context, dir string, s Shard) (release func(), others bool, err error) {
	name := func(i, n int) string {
		return filepath.Join(dir, locksName, fmt.Sprintf("shard-%d-of-%d", i, n))
	}
	mine := name(s.I, max(s.N, 1))
	release, err = filelock.Acquire(ctx, mine, 0)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, false, fmt.Errorf("run %q, shard %s: %w", dir, s, err)
	}
	if err != nil {
		return nil, false, fmt.Errorf("working on run %q: %w", dir, err)
	}
	for _, o := range shares(dir) {
		if name(o.I, o.N) == mine {
			continue
		}
		free, err := filelock.Acquire(ctx, name(o.I, o.N), 0)
		switch {
		case err == nil:
			free()
		case !errors.Is(err, filelock.ErrHeld):
			release()
			return nil, false, fmt.Errorf("working on run %q: %w", dir, err)
		case o.N != max(s.N, 1):
			release()
			return nil, false, fmt.Errorf("run %q: another process is at work on its shard %s, which overlaps shard %s; divide the run in one way at a time", dir, o, s)
		default:
			others = true
		}
	}
	return release, others, nil
}

// shares lists the shares that the run in dir was ever worked on in, by their locks.
func shares(dir string) []Shard {
	entries, err := os.ReadDir(filepath.Join(dir, locksName))
	if err != nil {
		return nil
	}
	var out []Shard
	for _, e := range entries {
		var s Shard
		if n, _ := fmt.Sscanf(e.Name(), "shard-%d-of-%d", &s.I, &s.N); n == 2 && s.I >= 0 && s.I < s.N && s.N <= maxShards {
			out = append(out, s)
		}
	}
	return out
}

// tidy removes what processes that died left in a share: files that are not whole,
// and arrays whose table was replaced.
func (r *Run) tidy(s Shard) error {
	dir := filepath.Join(r.dirs[0], partsName)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, half := strings.CutPrefix(e.Name(), atomicfile.Temporary)
		number, rest, _ := strings.Cut(name, ".")
		p, err := strconv.Atoi(number)
		if err != nil || !s.has(p) {
			continue
		}
		if !half {
			f := strings.Split(rest, ".") // NAME.ROWS.npy
			have, ok := r.parts[p]
			if len(f) != 3 || f[2] != "npy" || !ok || f[1] == strconv.Itoa(len(have.rows)) {
				continue
			}
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ErrOtherSamples is wrapped where a run's samples neither hold those that are asked for nor
// are among them.
var ErrOtherSamples = errors.New("has other samples")

// IsRun says whether dir holds a run, damaged or not.
func IsRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, manifestName))
	return err == nil
}

// files of a run beside its manifest and selection: parts, and what processes that died left.
var partFile = regexp.MustCompile(`^(` + regexp.QuoteMeta(atomicfile.Temporary) + `)?\d{6,}\.([^.]+\.\d+\.npy|parquet)`)

// Discard removes the run in dir, damaged or not. What is no file of a run stays, and so does a
// folder that holds something else, or no manifest. No process may be at work on the run.
func Discard(dir string) error {
	text, err := regular.Read(filepath.Join(dir, manifestName), regular.Small)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var m struct{ Format *int }
	if err == nil && json.Unmarshal(text, &m) == nil && m.Format == nil { // not damaged: something else
		err = fmt.Errorf("%s is no run's", filepath.Join(dir, manifestName))
	}
	if err != nil {
		return err
	}
	var errs []error
	remove := func(path string) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for folder, ours := range map[string]func(name string) bool{
		partsName: partFile.MatchString,
		locksName: func(name string) bool { return name == "manifest" || strings.HasPrefix(name, "shard-") },
	} {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			if ours(e.Name()) {
				remove(filepath.Join(dir, folder, e.Name()))
			}
		}
	}
	remove(filepath.Join(dir, selectionName))
	remove(filepath.Join(dir, manifestName))
	for _, folder := range []string{filepath.Join(dir, partsName), filepath.Join(dir, locksName), dir} {
		_ = os.Remove(folder) // where it is empty
	}
	return errors.Join(errs...)
}
