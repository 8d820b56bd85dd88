package results

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"

	"cutmix-eval/internal/regular"
)

// Rows reads the values of single samples of one array, in any order. What parts hold is
// checked when they are first read. Close it. Not safe for concurrent use.
type Rows struct {
	run     *Run
	array   int
	checked map[int]bool
	open    map[int]rowFile
	buf     []byte
}

type rowFile struct {
	f      *os.File
	offset int64
}

// mostOpen bounds the number of files that are open at a time.
var mostOpen = 128

// Rows is a reader of the array called name.
func (r *Run) Rows(name string) (*Rows, error) {
	k, err := r.array(name)
	if err != nil {
		return nil, err
	}
	return &Rows{run: r, array: k, checked: map[int]bool{}, open: map[int]rowFile{}}, nil
}

// Read writes the values of a sample to dst, which has the array's width.
func (v *Rows) Read(dst []float32, index int) error {
	r := v.run
	p := index / r.Manifest.Key.PartSize
	at, ok := slices.BinarySearch(r.parts[p].rows, index)
	width := r.Manifest.Arrays[v.array].Width
	if !ok || len(dst) != width {
		return fmt.Errorf("there is no record of sample %d with %d values", index, len(dst))
	}
	f, ok := v.open[p]
	if !ok {
		var err error
		if f, err = v.file(p); err != nil {
			return err
		}
	}
	v.buf = slices.Grow(v.buf[:0], 4*width)[:4*width]
	if n, err := f.f.ReadAt(v.buf, f.offset+int64(at)*int64(len(v.buf))); n < len(v.buf) {
		return fmt.Errorf("reading %s: %w", f.f.Name(), err)
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(v.buf[4*i:]))
	}
	return nil
}

// file opens a part's file.
func (v *Rows) file(p int) (rowFile, error) {
	r := v.run
	rows := len(r.parts[p].rows)
	if !v.checked[p] {
		if _, err := r.readArray(p, v.array, rows); err != nil {
			return rowFile{}, err
		}
		v.checked[p] = true
	}
	if len(v.open) >= mostOpen {
		if err := v.Close(); err != nil {
			return rowFile{}, err
		}
	}
	spec := r.Manifest.Arrays[v.array]
	f, err := regular.Open(arrayPath(r.parts[p].dir, p, spec.Name, rows))
	if err != nil {
		return rowFile{}, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return rowFile{}, err
	}
	v.open[p] = rowFile{f, info.Size() - 4*int64(rows)*int64(spec.Width)}
	return v.open[p], nil
}

// Close closes the files; another Read opens them again.
func (v *Rows) Close() error {
	var first error
	for p, f := range v.open {
		if err := f.f.Close(); err != nil && first == nil {
			first = err
		}
		delete(v.open, p)
	}
	return first
}
