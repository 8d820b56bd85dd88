package results

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cutmix-eval/internal/filelock"

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

// part is a part that is there.
type part struct {
	dir  string
	rows []int // sample indexes, ascending
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
	mu        sync.Mutex // of parts, while a Writer works
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
			if err := r.Manifest.Key.same(dirs[0], m.Key); err != nil {
				return nil, fmt.Errorf("%q does not belong to the same run: %w", dir, err)
			}
			if !slices.Equal(r.selection, sel) {
				return nil, fmt.Errorf("%q and %q were run with different --limit or --seed; run both with the same", dirs[0], dir)
			}
			// What describes the run may differ in paths; one is taken, whatever the order.
			if string(m.About) < string(r.Manifest.About) {
				r.Manifest.About = m.About
			}
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
	if err := os.Mkdir(filepath.Join(dir, "parts"), 0o755); err != nil {
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
		case n == "parts", n == "locks", n == selectionName, strings.HasPrefix(n, temporary):
			ours++ // another process is about to make it, or died doing so
		}
	}
	if ours < len(entries) {
		return nil, fmt.Errorf("folder %q is not empty and %w; choose another --out", dir, ErrNoRun)
	}
	return nil, nil
}

// Create makes a run in dir. Where another process has just made the same one,
// that is taken.
func Create(ctx context.Context, dir string, m Manifest, selection []int) (*Run, error) {
	if err := os.MkdirAll(filepath.Join(dir, "parts"), 0o755); err != nil {
		return nil, fmt.Errorf("making run %q: %w", dir, err)
	}
	release, err := filelock.Acquire(ctx, filepath.Join(dir, "locks", "manifest"), time.Minute)
	if err != nil {
		return nil, fmt.Errorf("making run %q: %w", dir, err)
	}
	defer release()
	m.Format, m.About = FormatVersion, compact(m.About)
	if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
		r, err := Open(dir)
		if err != nil {
			return nil, err
		}
		return r, r.Check(m.Key)
	}
	if selection != nil {
		if err := writeSelection(dir, selection, true); err != nil {
			return nil, err
		}
	}
	if err := m.write(dir, true); err != nil {
		return nil, err
	}
	return &Run{Manifest: m, dirs: []string{dir}, parts: map[int]part{}, selection: selection}, nil
}

// Check says whether the run has the records that key determines. A key without a
// device fits any.
func (r *Run) Check(key Key) error {
	if key.Device == (Device{}) {
		key.Device = r.Manifest.Key.Device
	}
	return r.Manifest.Key.same(r.dirs[0], key)
}

// Update changes what describes the run and which samples it is to have; records
// that are there stay.
func (r *Run) Update(m Manifest, selection []int) error {
	m.About = compact(m.About)
	same := string(m.About) == string(r.Manifest.About) && m.Limit == r.Manifest.Limit && m.Seed == r.Manifest.Seed
	if same && slices.Equal(selection, r.selection) {
		return nil
	}
	dir := r.dirs[0]
	next := r.Manifest
	next.About, next.Limit, next.Seed = m.About, m.Limit, m.Seed
	if !slices.Equal(selection, r.selection) {
		if selection == nil {
			if err := os.Remove(filepath.Join(dir, selectionName)); err != nil {
				return err
			}
		} else if err := writeSelection(dir, selection, true); err != nil {
			return err
		}
	}
	if err := next.write(dir, true); err != nil {
		return err
	}
	r.Manifest, r.selection = next, selection
	return nil
}

// Claim keeps other processes from working on the same share of the run until
// Close, and removes what one that died there left half-written.
func (r *Run) Claim(ctx context.Context, s Shard) error {
	if r.temporary || r.release != nil {
		return nil
	}
	dir := r.dirs[0]
	name := fmt.Sprintf("shard-%d-of-%d", s.I, max(s.N, 1))
	release, err := filelock.Acquire(ctx, filepath.Join(dir, "locks", name), 0)
	if errors.Is(err, filelock.ErrHeld) {
		return fmt.Errorf("run %q, shard %s: %w", dir, s, err)
	}
	if err != nil {
		return fmt.Errorf("working on run %q: %w", dir, err)
	}
	r.release, r.shards = release, max(r.shards, s.N)
	left, err := filepath.Glob(filepath.Join(dir, "parts", temporary+"*"))
	if err != nil {
		return err
	}
	for _, f := range left {
		p, err := strconv.Atoi(strings.SplitN(strings.TrimPrefix(filepath.Base(f), temporary), ".", 2)[0])
		if err == nil && s.has(p) {
			if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
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
	return filepath.Join(dir, "parts", fmt.Sprintf("%06d.parquet", p))
}

func arrayPath(dir string, p int, name string, rows int) string {
	return filepath.Join(dir, "parts", fmt.Sprintf("%06d.%s.%d.npy", p, name, rows))
}

// Metadata of a table.
const (
	metaRun  = "cutmix_eval.run"
	metaRows = "cutmix_eval.rows" // sample indexes, as ranges: "0-31,40"
)

// scan finds the parts in dir.
func (r *Run) scan(dir string) error {
	entries, err := os.ReadDir(filepath.Join(dir, "parts"))
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
		run, rows, err := partMeta(path)
		if err == nil && run == id {
			err = r.plausible(p, rows)
		}
		if err != nil {
			r.Damaged = append(r.Damaged, fmt.Sprintf("%s (%v)", path, err))
			continue
		}
		if run != id {
			return fmt.Errorf("%s belongs to another run (%s, this one is %s); move it away", path, run, id)
		}
		if have := r.parts[p]; len(rows) > len(have.rows) { // directories may overlap
			r.parts[p] = part{dir, rows}
		}
	}
	locks, err := filepath.Glob(filepath.Join(dir, "locks", "shard-*-of-*"))
	if err != nil {
		return err
	}
	for _, l := range locks {
		_, n, _ := strings.Cut(filepath.Base(l), "-of-")
		if v, err := strconv.Atoi(n); err == nil {
			r.shards = max(r.shards, v)
		}
	}
	return nil
}

// plausible checks that rows may be those of part p.
func (r *Run) plausible(p int, rows []int) error {
	size := r.Manifest.Key.PartSize
	if len(rows) == 0 || !slices.IsSorted(rows) || rows[0] < p*size || rows[len(rows)-1] >= min((p+1)*size, r.Manifest.Key.Data.N) {
		return errors.New("its rows are not those of this part")
	}
	return nil
}

func partMeta(path string) (run string, rows []int, err error) {
	defer recovered(&err)
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	t, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return "", nil, fmt.Errorf("it is cut off or damaged: %w", err)
	}
	run, _ = t.Lookup(metaRun)
	text, _ := t.Lookup(metaRows)
	if rows, err = parseRanges(text); err != nil {
		return "", nil, err
	}
	if int64(len(rows)) != t.NumRows() {
		return "", nil, fmt.Errorf("it has %d rows and names %d", t.NumRows(), len(rows))
	}
	return run, rows, nil
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
