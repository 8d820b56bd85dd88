package results

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/npy"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/text"

	"github.com/parquet-go/parquet-go"
)

// Metadata of a table.
const (
	metaRun  = "cutmix_eval.run"
	metaRows = "cutmix_eval.rows" // sample indexes, as ranges: "0-31,40"
	metaSum  = "cutmix_eval.crc." // and an array's name: CRC-32C of its values
)

func tablePath(dir string, p int) string {
	return filepath.Join(dir, partsName, fmt.Sprintf("%06d.parquet", p))
}

func arrayPath(dir string, p int, name string, rows int) string {
	return filepath.Join(dir, partsName, fmt.Sprintf("%06d.%s.%d.npy", p, name, rows))
}

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
		if !ok || strings.HasPrefix(name, atomicfile.Temporary) {
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
	f, err := regular.Open(path)
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
func openTable(f io.ReaderAt, size int64) (*parquet.File, error) {
	if size < 12 {
		return nil, errCutOff
	}
	var tail [8]byte
	if _, err := f.ReadAt(tail[:], size-8); err != nil {
		return nil, err
	}
	if _, err := footer(tail[:], size); err != nil {
		return nil, err
	}
	t, err := parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("it is cut off or damaged: %w", text.Ended(err))
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
