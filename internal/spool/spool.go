// Package spool keeps rows of numbers in a temporary file, so that several
// passes over them need no memory that grows with their number.
package spool

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
)

// Rows is a list of rows of the same length, each with a label. Append first,
// then read. Not safe for concurrent use.
type Rows struct {
	f     *os.File
	gone  bool // deleted already
	w     *bufio.Writer
	width int
	n     int
	label []int32
	buf   []byte
}

// New makes an empty list of rows of width values.
func New(width int) (*Rows, error) {
	f, err := os.CreateTemp("", "cutmix-eval-rows-*")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file for logits: %w", err)
	}
	// Where an open file can lose its name, nothing is left behind whatever happens.
	gone := os.Remove(f.Name()) == nil
	return &Rows{f: f, gone: gone, w: bufio.NewWriterSize(f, 1<<16), width: width, buf: make([]byte, 4*width)}, nil
}

// Append adds a row.
func (r *Rows) Append(v []float32, label int) error {
	if len(v) != r.width {
		panic("spool: row of another length")
	}
	for i, x := range v {
		binary.LittleEndian.PutUint32(r.buf[4*i:], math.Float32bits(x))
	}
	if _, err := r.w.Write(r.buf); err != nil {
		return fmt.Errorf("writing logits to %s: %w", r.f.Name(), err)
	}
	r.n++
	r.label = append(r.label, int32(label))
	return nil
}

// Each returns the rows i for which pick(i) holds (all where pick is nil), in
// order. A row is valid until the next one. When ctx ends, or the file cannot be
// read back, the rows end early and err is set.
func (r *Rows) Each(ctx context.Context, pick func(i int) bool, err *error) iter.Seq2[[]float32, int] {
	return func(yield func([]float32, int) bool) {
		if e := r.w.Flush(); e != nil {
			*err = fmt.Errorf("writing logits to %s: %w", r.f.Name(), e)
			return
		}
		in := bufio.NewReaderSize(io.NewSectionReader(r.f, 0, int64(r.n)*int64(r.width)*4), 1<<16)
		raw, row := make([]byte, 4*r.width), make([]float32, r.width)
		for i := range r.n {
			if e := ctx.Err(); e != nil {
				*err = e
				return
			}
			if _, e := io.ReadFull(in, raw); e != nil {
				*err = fmt.Errorf("reading logits back from %s: %w", r.f.Name(), e)
				return
			}
			if pick != nil && !pick(i) {
				continue
			}
			for k := range row {
				row[k] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*k:]))
			}
			if !yield(row, int(r.label[i])) {
				return
			}
		}
	}
}

// Close deletes the file.
func (r *Rows) Close() error {
	if r.gone {
		return r.f.Close()
	}
	return errors.Join(r.f.Close(), os.Remove(r.f.Name()))
}
