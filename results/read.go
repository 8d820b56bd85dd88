package results

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"cutmix-eval/internal/regular"

	"github.com/parquet-go/parquet-go"
)

// Only is the run with the parts of one share, for reading while others are written.
func (r *Run) Only(s Shard) *Run {
	out := *r
	out.parts = map[int]part{}
	for p, v := range r.parts {
		if s.has(p) {
			out.parts[p] = v
		}
	}
	out.release, out.temporary = nil, false // they stay with r
	return &out
}

// Each calls f for every wanted row that is there, in the order of samples, with
// the arrays named; row and arrays are valid until f returns. It reads one part
// after the other, so memory does not grow with the run.
func Each[T any, P Record[T]](ctx context.Context, r *Run, names []string, f func(row *T, arrays [][]float32) error) error {
	want := make([]int, len(names)) // place in the manifest
	for i, name := range names {
		var err error
		if want[i], err = r.array(name); err != nil {
			return err
		}
	}
	selected := r.chosen()
	views := make([][]float32, len(names))
	for _, p := range r.partNumbers() {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := readTable[T](r, p)
		if err != nil {
			return err
		}
		arrays := make([][]float32, len(names))
		for i, k := range want {
			if arrays[i], err = r.readArray(p, k, len(rows)); err != nil {
				return err
			}
		}
		for i := range rows {
			if !selected(P(&rows[i]).at()) {
				continue
			}
			for k := range names {
				w := r.Manifest.Arrays[want[k]].Width
				views[k] = arrays[k][i*w : (i+1)*w : (i+1)*w]
			}
			if err := f(&rows[i], views); err != nil {
				return err
			}
		}
	}
	return nil
}

// EachRow calls f for every wanted row, of any task, with the time at which its part was written.
func (r *Run) EachRow(ctx context.Context, f func(row Row, written time.Time) error) error {
	for _, p := range r.partNumbers() {
		info, err := os.Stat(tablePath(r.parts[p].dir, p))
		if err != nil {
			return fmt.Errorf("reading run %q: %w", r.dirs[0], err)
		}
		one := *r
		one.parts = map[int]part{p: r.parts[p]}
		err = Each[anyRow](ctx, &one, nil, func(row *anyRow, _ [][]float32) error { return f(row.Row, info.ModTime()) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Oldest is when the part was written that was written first; the zero time without parts.
func (r *Run) Oldest() (time.Time, error) {
	var oldest time.Time
	for _, p := range r.partNumbers() {
		info, err := os.Stat(tablePath(r.parts[p].dir, p))
		if err != nil {
			return oldest, fmt.Errorf("reading run %q: %w", r.dirs[0], err)
		}
		if at := info.ModTime(); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, nil
}

// anyRow is a record of any task.
type anyRow struct{ Row }

// array is the place of an array in the manifest.
func (r *Run) array(name string) (int, error) {
	k := slices.IndexFunc(r.Manifest.Arrays, func(a Array) bool { return a.Name == name })
	if k < 0 {
		return k, fmt.Errorf("run %q has no %s: run it again with --save %s, in another folder", r.dirs[0], name, name)
	}
	return k, nil
}

// chosen says of sample after sample, in ascending order, whether it is wanted.
func (r *Run) chosen() func(at int) bool {
	left := r.selection
	return func(at int) bool {
		if r.selection == nil {
			return true
		}
		for len(left) > 0 && left[0] < at {
			left = left[1:]
		}
		return len(left) > 0 && left[0] == at
	}
}

// Values reads one array of a run again and again. What fits into keep bytes stays
// in memory from one reading to the next. Not safe for concurrent use.
type Values struct {
	run   *Run
	array int // in the manifest
	keep  int
	parts map[int][]float32
}

// Values is a reader of the array called name.
func (r *Run) Values(name string) (*Values, error) {
	k, err := r.array(name)
	if err != nil {
		return nil, err
	}
	const keep = 64 << 20
	return &Values{run: r, array: k, keep: keep, parts: map[int][]float32{}}, nil
}

// Each calls f for the values of every wanted sample that is there, in order, until
// f returns false; they are valid until then.
func (v *Values) Each(ctx context.Context, f func(index int, values []float32) bool) error {
	r, w := v.run, v.run.Manifest.Arrays[v.array].Width
	selected := r.chosen()
	for _, p := range r.partNumbers() {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := r.parts[p].rows
		values, ok := v.parts[p]
		if !ok {
			var err error
			if values, err = r.readArray(p, v.array, len(rows)); err != nil {
				return err
			}
			if v.keep -= 4 * len(values); v.keep >= 0 {
				v.parts[p] = values
			}
		}
		for i, at := range rows {
			if !selected(at) {
				continue
			}
			if !f(at, values[i*w:(i+1)*w:(i+1)*w]) {
				return nil
			}
		}
	}
	return nil
}

// HasArray says whether the run stores an array, and how wide it is.
func (r *Run) HasArray(name string) (width int, ok bool) {
	for _, a := range r.Manifest.Arrays {
		if a.Name == name {
			return a.Width, true
		}
	}
	return 0, false
}

func readPart[T any](r *Run, p int) (rows []T, arrays [][]float32, err error) {
	if rows, err = readTable[T](r, p); err != nil {
		return nil, nil, err
	}
	for k := range r.Manifest.Arrays {
		a, err := r.readArray(p, k, len(rows))
		if err != nil {
			return nil, nil, err
		}
		arrays = append(arrays, a)
	}
	return rows, arrays, nil
}

func (r *Run) readArray(p, k, rows int) ([]float32, error) {
	spec := r.Manifest.Arrays[k]
	path := arrayPath(r.parts[p].dir, p, spec.Name, rows)
	v, err := floats(path, rows, spec.Width)
	if err == nil && r.parts[p].sums[spec.Name] != checksum(v) {
		err = fmt.Errorf("reading %s: its values are damaged; remove it and run the same command again", path)
	}
	return v, err
}

var errChanged = errors.New("another process is writing it; wait for that one to end")

func readTable[T any](r *Run, p int) (rows []T, err error) {
	path := tablePath(r.parts[p].dir, p)
	defer func() {
		if err != nil {
			if !errors.Is(err, errChanged) {
				err = fmt.Errorf("%w; remove it and run the same command again", err)
			}
			err = fmt.Errorf("reading %s: %w", path, err)
		}
	}()
	defer recovered(&err)
	data, err := regular.Read(path, maxArray)
	if err != nil {
		return nil, err
	}
	if err := checkSeal(data); err != nil {
		return nil, err
	}
	t, err := openTable(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if now, err := rowsOf(t); err != nil || !slices.Equal(now, r.parts[p].rows) {
		return nil, errors.Join(err, errChanged)
	}
	in := parquet.NewGenericReader[T](t)
	rows = make([]T, len(r.parts[p].rows))
	n, err := in.Read(rows)
	if n == len(rows) && errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && n != len(rows) {
		err = fmt.Errorf("it has %d rows, not %d", n, len(rows))
	}
	return rows, errors.Join(err, in.Close())
}
