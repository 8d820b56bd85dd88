package results

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"
)

// Writer adds records to a run, part by part, in the background. T is the
// task's row, which embeds Row. Not safe for concurrent use.
type Writer[T any] struct {
	run   *Run
	index func(*T) int
	size  int

	now    batch[T]      // the part being filled
	spare  chan batch[T] // memory to use again
	full   chan batch[T]
	failed chan error // at most one
	done   chan struct{}
	err    error
}

// batch is rows of one part, with their arrays.
type batch[T any] struct {
	part   int
	rows   []T
	arrays [][]float32
}

// NewWriter begins writing to a run that this process has claimed.
func NewWriter[T any, P Record[T]](r *Run) *Writer[T] {
	index := func(t *T) int { return P(t).at() }
	w := &Writer[T]{
		run: r, index: index, size: r.Manifest.Key.PartSize,
		spare: make(chan batch[T], 2), full: make(chan batch[T]), failed: make(chan error, 1), done: make(chan struct{}),
	}
	for range 2 {
		w.spare <- batch[T]{arrays: make([][]float32, len(r.Manifest.Arrays))}
	}
	w.now = batch[T]{part: -1, arrays: make([][]float32, len(r.Manifest.Arrays))}
	go func() {
		defer close(w.done)
		for b := range w.full {
			if err := writePart(r, index, b); err != nil {
				w.failed <- err
				for range w.full { // nothing more is written
				}
				return
			}
			w.spare <- b
		}
	}()
	return w
}

// Add adds a row and the values of its arrays, in the order of the manifest; they
// are copied. Rows come in ascending order of their index. nil arrays of a bad
// image are stored as zeros.
func (w *Writer[T]) Add(row T, arrays ...[]float32) error {
	if w.err != nil {
		return w.err
	}
	i := w.index(&row)
	if n := len(w.now.rows); n > 0 && w.index(&w.now.rows[n-1]) >= i {
		panic("results: rows out of order")
	}
	if p := i / w.size; p != w.now.part {
		if err := w.hand(); err != nil {
			return err
		}
		w.now.part = p
	}
	w.now.rows = append(w.now.rows, row)
	for k, spec := range w.run.Manifest.Arrays {
		if k < len(arrays) && arrays[k] != nil {
			if len(arrays[k]) != spec.Width {
				panic(fmt.Sprintf("results: %d values of %s, not %d", len(arrays[k]), spec.Name, spec.Width))
			}
			w.now.arrays[k] = append(w.now.arrays[k], arrays[k]...)
		} else {
			w.now.arrays[k] = append(w.now.arrays[k], make([]float32, spec.Width)...)
		}
	}
	return nil
}

// hand gives the part that was filled to the background.
func (w *Writer[T]) hand() error {
	if len(w.now.rows) == 0 {
		return nil
	}
	select {
	case w.full <- w.now:
	case w.err = <-w.failed:
		return w.err
	}
	select {
	case w.now = <-w.spare:
		w.now.rows = w.now.rows[:0]
		for k := range w.now.arrays {
			w.now.arrays[k] = w.now.arrays[k][:0]
		}
	case w.err = <-w.failed:
		return w.err
	}
	return nil
}

// Close writes what was added, the part that is not whole included, waits for it
// to be on the disk and returns the first error of writing.
func (w *Writer[T]) Close() error {
	if w.err == nil {
		_ = w.hand() // the error is in w.err
	}
	close(w.full)
	<-w.done
	if w.err == nil {
		select {
		case w.err = <-w.failed:
		default:
		}
	}
	return w.err
}

// writing counts the parts that are on their way to the disk.
var writing atomic.Int32

// Writing says whether a part is on its way to the disk, in any run of the process.
func Writing() bool { return writing.Load() > 0 }

// writePart writes a part, together with the rows that are there already.
func writePart[T any](r *Run, index func(*T) int, b batch[T]) error {
	writing.Add(1)
	defer writing.Add(-1)
	dir := r.dirs[0]
	old, ok := r.parts[b.part]
	if ok {
		rows, arrays, err := readPart[T](r, b.part)
		if err != nil {
			return err
		}
		b = merge(r.Manifest.Arrays, index, b, batch[T]{b.part, rows, arrays})
		if len(b.rows) < len(old.rows) {
			panic("results: a part lost rows")
		}
	}
	for k, spec := range r.Manifest.Arrays {
		if err := writeFloats(arrayPath(dir, b.part, spec.Name, len(b.rows)), !r.temporary, spec.Width, b.arrays[k]); err != nil {
			return err
		}
	}
	sums := map[string]string{}
	options := []parquet.WriterOption{parquet.Compression(&parquet.Zstd), parquet.KeyValueMetadata(metaRun, r.Manifest.Key.id())}
	for k, spec := range r.Manifest.Arrays {
		sums[spec.Name] = checksum(b.arrays[k])
		options = append(options, parquet.KeyValueMetadata(metaSum+spec.Name, sums[spec.Name]))
	}
	at := make([]int, len(b.rows))
	for i := range b.rows {
		at[i] = index(&b.rows[i])
	}
	var file bytes.Buffer
	t := parquet.NewGenericWriter[T](&file, append(options, parquet.KeyValueMetadata(metaRows, ranges(at)))...)
	_, err := t.Write(b.rows)
	if err := errors.Join(err, t.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", tablePath(dir, b.part), err)
	}
	table, err := sealed(file.Bytes())
	if err != nil {
		return fmt.Errorf("writing %s: %w", tablePath(dir, b.part), err)
	}
	err = save(tablePath(dir, b.part), !r.temporary, func(f io.Writer) error {
		_, err := f.Write(table)
		return err
	})
	if err != nil {
		return err
	}
	if ok && len(old.rows) != len(b.rows) { // the arrays of the table that is no more
		for _, spec := range r.Manifest.Arrays {
			if err := os.Remove(arrayPath(old.dir, b.part, spec.Name, len(old.rows))); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	r.parts[b.part] = part{dir, at, sums} // only the Writer looks at parts while it works
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of values as they are stored.
func checksum(values []float32) string {
	var buf [4096]byte
	sum := uint32(0)
	for len(values) > 0 {
		n := min(len(values), len(buf)/4)
		for i, v := range values[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
		}
		sum = crc32.Update(sum, castagnoli, buf[:4*n])
		values = values[n:]
	}
	return fmt.Sprintf("%08x", sum)
}

// merge puts two sets of rows into one, in order; those of a count where both
// have a row.
func merge[T any](specs []Array, index func(*T) int, a, b batch[T]) batch[T] {
	out := batch[T]{part: a.part, arrays: make([][]float32, len(specs))}
	take := func(from batch[T], i int) {
		out.rows = append(out.rows, from.rows[i])
		for k, s := range specs {
			out.arrays[k] = append(out.arrays[k], from.arrays[k][i*s.Width:(i+1)*s.Width]...)
		}
	}
	i, j := 0, 0
	for i < len(a.rows) || j < len(b.rows) {
		switch {
		case j == len(b.rows) || i < len(a.rows) && index(&a.rows[i]) < index(&b.rows[j]):
			take(a, i)
			i++
		case i == len(a.rows) || index(&b.rows[j]) < index(&a.rows[i]):
			take(b, j)
			j++
		default:
			take(a, i)
			i, j = i+1, j+1
		}
	}
	return out
}

// Part numbers of the run, ascending.
func (r *Run) partNumbers() []int {
	var out []int
	for p := range r.parts {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}
