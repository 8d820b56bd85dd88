package results

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/scratch"
)

// Row is what every task's records begin with; embed it. Status is OK or Bad; the
// columns of a bad image other than these hold nothing of meaning.
type Row struct {
	Index  int64  `parquet:"index"`       // of the sample in its dataset
	ID     string `parquet:"id"`          // path within the dataset
	Class  string `parquet:"class,dict"`  // name of its label, empty without one
	Status string `parquet:"status,dict"` // ok or bad
	Error  string `parquet:"error,dict"`  // why the image is bad
	Width  int32  `parquet:"width"`       // of the picture as stored, 0 if bad
	Height int32  `parquet:"height"`
	Sum    uint32 `parquet:"crc32c"` // checksum of the picture's bytes as stored; 0 where that is not known
}

// Record is a row of a task: a struct that embeds Row.
type Record[T any] interface {
	*T
	at() int
}

func (r *Row) at() int { return int(r.Index) }

// The values of Row.Status.
const (
	OK  = "ok"
	Bad = "bad"
)

// Folders of a run.
const (
	partsName = "parts"
	locksName = "locks"
)

// part is a part that is there.
type part struct {
	dir  string
	rows []int             // sample indexes, ascending
	sums map[string]string // checksums of arrays by name
}

// Run is a run directory, or several that hold shares of one run. Reading is safe
// from several goroutines; writing and reading at the same time is not.
type Run struct {
	Manifest Manifest
	// Damaged names parts that cannot be read; they count as missing.
	Damaged []string

	dirs      []string
	parts     map[int]part
	selection []int // nil: all
	shards    int   // in how many shares it was run, as far as is known
	temporary bool
	release   func()
}

// Open opens a run for reading: one directory, or several with shares of the same
// run, in any order.
func Open(dirs ...string) (*Run, error) {
	if len(dirs) == 0 {
		return nil, errors.New("no run directory is named")
	}
	r := &Run{dirs: dirs, parts: map[int]part{}}
	for i, dir := range dirs {
		m, err := readManifest(dir)
		if err != nil {
			return nil, err
		}
		sel, err := readSelection(dir, m.Key.Data.N)
		if err != nil {
			return nil, err
		}
		switch {
		case i == 0:
			r.Manifest, r.selection = m, sel
		default:
			var different *DifferentRunError
			if err := r.Manifest.Key.Same(dirs[0], m.Key); errors.As(err, &different) {
				hint := ""
				if different.Field == "device.integer_kernels" {
					hint = "; with other kernels a quantised model gives other scores, so run all shares on processors of one kind"
				}
				return nil, fmt.Errorf("%q and %q hold different runs: one has %s, the other %s%s", dirs[0], dir, different.said(different.Here), different.said(different.Asked), hint)
			}
			if !slices.Equal(r.selection, sel) {
				return nil, fmt.Errorf("%q and %q were run with different --limit or --seed; run both with the same", dirs[0], dir)
			}
			// What describes the run may differ in paths; one is taken, whatever the order.
			if string(m.About) < string(r.Manifest.About) {
				r.Manifest.About = m.About
			}
			for _, note := range m.Notes {
				if !slices.Contains(r.Manifest.Notes, note) {
					r.Manifest.Notes = append(slices.Clip(r.Manifest.Notes), note)
				}
			}
			r.Manifest.Reused = max(r.Manifest.Reused, m.Reused)
			r.Manifest.Arrays = slices.DeleteFunc(slices.Clone(r.Manifest.Arrays), func(a Array) bool { return !slices.Contains(m.Arrays, a) })
		}
	}
	for _, dir := range dirs {
		if err := r.scan(dir); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Temporary makes a run that is deleted when it is closed.
func Temporary(m Manifest, selection []int) (*Run, error) {
	dir, err := scratch.Dir("run")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder for records: %w", err)
	}
	m.Key.PartSize = 1024 // nothing to resume or divide: few files, little memory
	m.Format = FormatVersion
	r := &Run{Manifest: m, dirs: []string{dir}, parts: map[int]part{}, selection: selection, temporary: true}
	if err := os.Mkdir(filepath.Join(dir, partsName), 0o755); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Find opens the run in dir to go on with it. It returns nil where there is none:
// the folder does not exist or is empty. A folder with other things in it is an
// error.
func Find(dir string) (*Run, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening run %q: %w", dir, err)
	}
	ours := 0
	for _, e := range entries {
		switch n := e.Name(); {
		case n == manifestName:
			return Open(dir)
		case n == partsName, n == locksName, n == selectionName, strings.HasPrefix(n, atomicfile.Temporary):
			ours++ // another process is about to make it, or died doing so
		}
	}
	if task, err := TaskOf(dir); err == nil && task != "" {
		return nil, fmt.Errorf("folder %q holds a run of %s; choose another --out", dir, task)
	}
	if ours < len(entries) {
		return nil, fmt.Errorf("folder %q is not empty and %w; choose another --out", dir, ErrNoRun)
	}
	return nil, nil
}

// View makes the run report on the given samples only, and describes it as m does;
// nothing is written.
func (r *Run) View(m Manifest, selection []int) {
	r.Manifest.About, r.Manifest.Limit, r.Manifest.Seed = compact(m.About), m.Limit, m.Seed
	r.selection = selection
}

// Has says whether the run is to have all of the given samples (nil being all).
func (r *Run) Has(selection []int) bool { return within(selection, r.selection) }

// Check says whether the run has the records that key determines. A key without a
// device fits any.
func (r *Run) Check(key Key) error {
	if key.Device == (Device{}) {
		key.Device = r.Manifest.Key.Device
	}
	if r.Manifest.Key.Device.Kernels == "" {
		key.Device.Kernels = "" // an older version began the run
	}
	return r.Manifest.Key.Same(r.dirs[0], key)
}

// Close gives the claim back, and deletes a temporary run.
func (r *Run) Close() error {
	if r.release != nil {
		r.release()
		r.release = nil
	}
	if r.temporary {
		return scratch.Remove(r.dirs[0])
	}
	return nil
}

// wanted is the number of samples the run is to have, and says which.
func (r *Run) wanted() (n int, at func(i int) int) {
	if r.selection != nil {
		return len(r.selection), func(i int) int { return r.selection[i] }
	}
	return r.Manifest.Key.Data.N, func(i int) int { return i }
}

// Missing lists the samples of a share that are wanted and not there, ascending.
func (r *Run) Missing(s Shard) []int {
	var out []int
	r.eachMissing(s, func(v int) { out = append(out, v) })
	return out
}

// eachMissing calls f for the samples of a share that are wanted and not there, ascending.
func (r *Run) eachMissing(s Shard, f func(v int)) {
	n, at := r.wanted()
	size := r.Manifest.Key.PartSize
	last, have := -1, []int(nil)
	for i := range n {
		v := at(i)
		p := v / size
		if !s.has(p) {
			continue
		}
		if p != last {
			last, have = p, r.parts[p].rows
		}
		for len(have) > 0 && have[0] < v {
			have = have[1:]
		}
		if len(have) == 0 || have[0] != v {
			f(v)
		}
	}
}

// Share is the number of samples that a share is to have.
func (r *Run) Share(s Shard) int {
	count := 0
	n, at := r.wanted()
	for i := range n {
		if s.has(at(i) / r.Manifest.Key.PartSize) {
			count++
		}
	}
	return count
}

// ErrIncomplete is wrapped where records are missing.
var ErrIncomplete = errors.New("the run is not complete")

// Complete says which records are missing, shard by shard where the run was
// divided.
func (r *Run) Complete() error {
	missing, parts, shards := 0, []int(nil), make([]int, max(r.shards, 1))
	size := r.Manifest.Key.PartSize
	r.eachMissing(Shard{}, func(v int) {
		missing++
		p := v / size
		shards[p%len(shards)]++
		if len(parts) == 0 || parts[len(parts)-1] != p {
			parts = append(parts, p)
		}
	})
	if missing == 0 {
		return nil
	}
	n, _ := r.wanted()
	var where string
	if r.shards > 1 {
		var lack []string
		for i, m := range shards {
			if m > 0 {
				lack = append(lack, fmt.Sprintf("%s (%d images)", Shard{i, r.shards}, m))
			}
		}
		where = "shards " + strings.Join(lack, ", ") + " are missing"
		if len(lack) == 1 {
			where = "shard " + lack[0] + " is missing"
		}
	} else {
		where = "parts " + ranges(parts) + " are missing or not whole"
	}
	damaged := ""
	if len(r.Damaged) > 0 {
		damaged = "; damaged: " + strings.Join(r.Damaged, ", ")
	}
	return fmt.Errorf("run %s: %w: %d of %d images are there; %s%s; run the same command again to go on",
		strings.Join(quoted(r.dirs), " "), ErrIncomplete, n-missing, n, where, damaged)
}

func quoted(v []string) []string {
	out := make([]string, len(v))
	for i, s := range v {
		out[i] = strconv.Quote(s)
	}
	return out
}
