package predictions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/parquetfooter"

	"github.com/parquet-go/parquet-go"
)

// parquet takes a column of lists of scores, or columns as those of CSV, as this program's export and
// pandas write them.
func (t *Table) parquet(data []byte) (err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics on some damaged files
			err = fmt.Errorf("its Parquet is damaged: %v", r)
		}
	}()
	if _, err := parquetfooter.Read(bytes.NewReader(data), int64(len(data))); err != nil {
		return err
	}
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("its Parquet is damaged: %w", err)
	}
	s := leavesOf(f)
	if s.list >= 0 {
		t.Kind = fmt.Sprintf("column %s of a Parquet file", f.Schema().Columns()[s.list][0])
	}
	t.passedOver("column", s.over)
	r := parquet.NewReader(f)
	defer r.Close()
	buf := make([]parquet.Row, 64)
	var ready []parquet.Row
	var header []string
	row, width, n := []cell{}, -1, 0
	next := func() ([]cell, string, int, error) {
		if len(ready) == 0 {
			k, err := r.ReadRows(buf)
			if k == 0 {
				if err == nil {
					err = errors.New("it ends before its last row")
				}
				if errors.Is(err, io.EOF) {
					return nil, "", 0, io.EOF
				}
				return nil, "", 0, fmt.Errorf("its Parquet is damaged: %w", err)
			}
			ready = buf[:k]
		}
		row = s.cells(row[:0], ready[0])
		ready = ready[1:]
		n++
		if width < 0 {
			width = len(row)
		}
		if len(row) != width {
			return nil, "", 0, fmt.Errorf("row %d has %d values, the first %d", n, len(row), width)
		}
		return row, "row", n, nil
	}
	first, what, number, err := next()
	if errors.Is(err, io.EOF) {
		return errors.New("it has no rows")
	}
	if err != nil {
		return err
	}
	header = append(header, s.names...)
	for k := range len(first) - len(s.names) { // of the list
		header = append(header, strconv.Itoa(k))
	}
	if len(header) == 0 {
		return errors.New("none of its columns holds scores (numbers, or lists of them)")
	}
	again := true
	return t.sheet(header, func() ([]cell, string, int, error) {
		if again {
			again = false
			return first, what, number, nil
		}
		return next()
	})
}

// leaves are the columns of a Parquet file that are read: those of single values, and one of lists.
type leaves struct {
	place []int    // by column, of its cell in a row; -1 for others
	names []string // of those cells
	list  int      // column; -1 for none
	over  []string
}

func leavesOf(f *parquet.File) leaves {
	s := leaves{list: -1}
	var lists []string
	columns := f.Schema().Columns()
	for c, path := range columns {
		leaf, _ := f.Schema().Lookup(path...)
		kind := leaf.Node.Type().Kind()
		text := kind == parquet.ByteArray
		number := kind != parquet.ByteArray && kind != parquet.FixedLenByteArray && kind != parquet.Int96
		name := path[0]
		s.place = append(s.place, -1)
		switch {
		case leaf.MaxRepetitionLevel == 0 && len(path) == 1 && (number || text),
			leaf.MaxRepetitionLevel == 0 && text && path[len(path)-1] == "path": // Hugging Face's image{bytes, path}
			s.place[c], s.names = len(s.names), append(s.names, name)
		case leaf.MaxRepetitionLevel == 1 && number:
			lists = append(lists, name)
		default:
			s.over = append(s.over, strings.Join(path, "."))
		}
	}
	scores := scoreList(lists)
	for c, path := range columns {
		switch name := path[0]; {
		case name == scores:
			s.list = c
		case slices.Contains(lists, name):
			s.over = append(s.over, name)
		}
	}
	return s
}

// cells appends the cells of a row: single values, then those of the list.
func (s leaves) cells(to []cell, row parquet.Row) []cell {
	at := len(to)
	to = append(to, make([]cell, len(s.names))...)
	for _, v := range row {
		if k := s.place[v.Column()]; k >= 0 {
			to[at+k] = cellOf(v)
		} else if v.Column() == s.list {
			to = append(to, cellOf(v))
		}
	}
	return to
}

func cellOf(v parquet.Value) cell {
	if v.IsNull() {
		return cell{}
	}
	switch v.Kind() {
	case parquet.Double:
		return numberCell(v.Double())
	case parquet.Float:
		return numberCell(float64(v.Float()))
	case parquet.Int32:
		return numberCell(float64(v.Int32()))
	case parquet.Int64:
		return numberCell(float64(v.Int64()))
	case parquet.Boolean:
		if v.Boolean() {
			return numberCell(1)
		}
		return numberCell(0)
	}
	return textCell(string(v.ByteArray()), false)
}
