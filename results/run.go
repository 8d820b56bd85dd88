package results

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cutmix-eval/internal/filelock"
	"cutmix-eval/internal/npy"

	"github.com/parquet-go/parquet-go"
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
			if err := r.Manifest.Key.same(dirs[0], m.Key); errors.As(err, &different) {
				return nil, fmt.Errorf("%q and %q hold different runs: their %s is %s and %s", dirs[0], dir, different.Field, different.Here, different.Asked)
			}
			if !slices.Equal(r.selection, sel) {
				return nil, fmt.Errorf("%q and %q were run with different --limit or --seed; run both with the same", dirs[0], dir)
			}
			// What describes the run may differ in paths; one is taken, whatever the order.
			if string(m.About) < string(r.Manifest.About) {
				r.Manifest.About = m.About
			}
			r.Manifest.Reused = max(r.Manifest.Reused, m.Reused)
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
	dir, err := os.MkdirTemp("", "cutmix-eval-run-*")
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
		case n == partsName, n == locksName, n == selectionName, strings.HasPrefix(n, temporary):
			ours++ // another process is about to make it, or died doing so
		}
	}
	if ours < len(entries) {
		return nil, fmt.Errorf("folder %q is not empty and %w; choose another --out", dir, ErrNoRun)
	}
	return nil, nil
}

// Claim opens the run in dir to write a share of it, making it where there is none,
// and keeps other processes from writing the same samples until Close. m and selection
// are what the run is to be; a run that is another one is a *DifferentRunError, and an
// array that it does not keep is an error. Samples that are asked for and not among
// the run's are added to them. Half-written files of processes that died in the share
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
		if more && others {
			return nil, fmt.Errorf("other processes are at work on run %q with another --limit or --seed; give the same, or wait", dir)
		}
		if !more {
			m.Limit, m.Seed = r.Manifest.Limit, r.Manifest.Seed
			selection = r.selection
		}
		next := r.Manifest
		next.About, next.Limit, next.Seed = m.About, m.Limit, m.Seed
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
		if n, _ := fmt.Sscanf(e.Name(), "shard-%d-of-%d", &s.I, &s.N); n == 2 && s.I >= 0 && s.I < s.N {
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
		name, half := strings.CutPrefix(e.Name(), temporary)
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

// View makes the run report on the given samples only, and describes it otherwise;
// nothing is written.
func (r *Run) View(about []byte, selection []int) {
	r.Manifest.About = compact(about)
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
	return r.Manifest.Key.same(r.dirs[0], key)
}

// Close gives the claim back, and deletes a temporary run.
func (r *Run) Close() error {
	if r.release != nil {
		r.release()
		r.release = nil
	}
	if r.temporary {
		return os.RemoveAll(r.dirs[0])
	}
	return nil
}

func tablePath(dir string, p int) string {
	return filepath.Join(dir, partsName, fmt.Sprintf("%06d.parquet", p))
}

func arrayPath(dir string, p int, name string, rows int) string {
	return filepath.Join(dir, partsName, fmt.Sprintf("%06d.%s.%d.npy", p, name, rows))
}

// Metadata of a table.
const (
	metaRun  = "cutmix_eval.run"
	metaRows = "cutmix_eval.rows" // sample indexes, as ranges: "0-31,40"
	metaSum  = "cutmix_eval.crc." // and an array's name: CRC-32C of its values
)

// scan finds the parts in dir.
func (r *Run) scan(dir string) error {
	entries, err := os.ReadDir(filepath.Join(dir, partsName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening run %q: %w", dir, err)
	}
	id := r.Manifest.Key.id()
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".parquet")
		if !ok || strings.HasPrefix(name, temporary) {
			continue
		}
		p, err := strconv.Atoi(name)
		path := tablePath(dir, p)
		if err != nil || filepath.Base(path) != e.Name() {
			return fmt.Errorf("run %q holds a strange file parts/%s; remove it", dir, e.Name())
		}
		run, rows, sums, err := partMeta(path, r.Manifest.Arrays)
		if err == nil && run == id {
			err = r.plausible(dir, p, rows)
		}
		if err != nil {
			r.Damaged = append(r.Damaged, fmt.Sprintf("%s (%v)", path, err))
			continue
		}
		if run != id {
			return fmt.Errorf("%s belongs to another run (%s, this one is %s); move it away", path, run, id)
		}
		if have := r.parts[p]; len(rows) > len(have.rows) { // directories may overlap
			r.parts[p] = part{dir, rows, sums}
		}
	}
	for _, o := range shares(dir) {
		r.shards = max(r.shards, o.N)
	}
	return nil
}

// plausible checks that rows may be those of part p, and that its arrays are there.
func (r *Run) plausible(dir string, p int, rows []int) error {
	for _, a := range r.Manifest.Arrays {
		path := arrayPath(dir, p, a.Name, len(rows))
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("its array %s is missing", filepath.Base(path))
		}
		if want := int64(len(npy.Header("f4", len(rows), a.Width)) + 4*len(rows)*a.Width); info.Size() != want {
			return fmt.Errorf("its array %s has %d bytes, not %d", filepath.Base(path), info.Size(), want)
		}
	}
	size := r.Manifest.Key.PartSize
	if len(rows) == 0 || !slices.IsSorted(rows) || rows[0] < p*size || rows[len(rows)-1] >= min((p+1)*size, r.Manifest.Key.Data.N) {
		return errors.New("its rows are not those of this part")
	}
	return nil
}

func partMeta(path string, arrays []Array) (run string, rows []int, sums map[string]string, err error) {
	defer recovered(&err)
	f, err := os.Open(path)
	if err != nil {
		return "", nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, nil, err
	}
	t, err := openTable(f, info.Size())
	if err != nil {
		return "", nil, nil, err
	}
	run, _ = t.Lookup(metaRun)
	sums = map[string]string{}
	for _, a := range arrays {
		sums[a.Name], _ = t.Lookup(metaSum + a.Name)
	}
	rows, err = rowsOf(t)
	return run, rows, sums, err
}

// openTable reads a table's footer, after its length has been found plausible.
func openTable(f *os.File, size int64) (*parquet.File, error) {
	var tail [8]byte
	if size < 12 {
		return nil, errors.New("it is cut off")
	}
	if _, err := f.ReadAt(tail[:], size-8); err != nil {
		return nil, err
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:])); string(tail[4:]) != "PAR1" || n > size-12 {
		return nil, errors.New("it is cut off or damaged at its end")
	}
	t, err := parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("it is cut off or damaged: %w", err)
	}
	return t, nil
}

// rowsOf are the sample indexes that a table names.
func rowsOf(t *parquet.File) ([]int, error) {
	text, _ := t.Lookup(metaRows)
	rows, err := parseRanges(text)
	if err == nil && int64(len(rows)) != t.NumRows() {
		err = fmt.Errorf("it has %d rows and names %d", t.NumRows(), len(rows))
	}
	return rows, err
}

// recovered turns a panic of the Parquet reader on damaged bytes into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("it is damaged: %v", r)
	}
}

func ranges(v []int) string {
	var b strings.Builder
	for i := 0; i < len(v); {
		j := i
		for j+1 < len(v) && v[j+1] == v[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(v[i]))
		if j > i {
			b.WriteString("-" + strconv.Itoa(v[j]))
		}
		i = j + 1
	}
	return b.String()
}

func parseRanges(s string) ([]int, error) {
	const most = 1 << 20
	var out []int
	if s == "" {
		return nil, errors.New("it names no rows")
	}
	for _, f := range strings.Split(s, ",") {
		a, b, both := strings.Cut(f, "-")
		from, err := strconv.Atoi(a)
		to := from
		if both && err == nil {
			to, err = strconv.Atoi(b)
		}
		if err != nil || from < 0 || to < from || to-from > most || len(out) > most || len(out) > 0 && from <= out[len(out)-1] {
			return nil, fmt.Errorf("its rows are named %q", s)
		}
		for ; from <= to; from++ {
			out = append(out, from)
		}
	}
	return out, nil
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
			out = append(out, v)
		}
	}
	return out
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
	missing := r.Missing(Shard{})
	if len(missing) == 0 {
		return nil
	}
	n, _ := r.wanted()
	var where string
	if r.shards > 1 {
		var lack []string
		for i := range r.shards {
			s := Shard{i, r.shards}
			if m := len(r.Missing(s)); m > 0 {
				lack = append(lack, fmt.Sprintf("%s (%d images)", s, m))
			}
		}
		where = "shards " + strings.Join(lack, ", ") + " are missing"
		if len(lack) == 1 {
			where = "shard " + lack[0] + " is missing"
		}
	} else {
		var parts []int
		for _, v := range missing {
			if p := v / r.Manifest.Key.PartSize; len(parts) == 0 || parts[len(parts)-1] != p {
				parts = append(parts, p)
			}
		}
		where = "parts " + ranges(parts) + " are missing or not whole"
	}
	damaged := ""
	if len(r.Damaged) > 0 {
		damaged = "; damaged: " + strings.Join(r.Damaged, ", ")
	}
	return fmt.Errorf("run %s: %w: %d of %d images are there; %s%s; run the same command again to go on",
		strings.Join(quoted(r.dirs), " "), ErrIncomplete, n-len(missing), n, where, damaged)
}

func quoted(v []string) []string {
	out := make([]string, len(v))
	for i, s := range v {
		out[i] = strconv.Quote(s)
	}
	return out
}

// In says whether a sample belongs to a share.
func (r *Run) In(s Shard, index int) bool { return s.has(index / r.Manifest.Key.PartSize) }
