package predictions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// parquet takes a column of lists of scores, or a column of scores for each class, as this
// program's export and pandas write them.
func (t *Table) parquet(data []byte) (err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics on some damaged files
			err = fmt.Errorf("its Parquet is damaged: %v", r)
		}
	}()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("its Parquet is damaged: %w", err)
	}
	leaves := f.Schema().Columns()
	id, label, list, beside := -1, -1, -1, -1
	var single []int
	for c, path := range leaves {
		name := strings.ToLower(path[0])
		leaf, _ := f.Schema().Lookup(path...)
		kind := leaf.Node.Type().Kind()
		float := kind == parquet.Float || kind == parquet.Double
		switch {
		case id < 0 && slices.Contains(idNames, name) && len(path) == 1:
			id = c
		case label < 0 && slices.Contains(labelNames, name) && len(path) == 1:
			label = c
		case float && leaf.MaxRepetitionLevel > 0 && (list < 0 || slices.Contains(scoreNames, name)):
			list = c
		case float && leaf.MaxRepetitionLevel == 0:
			if slices.Contains(aside, name) {
				beside = c
			}
			single = append(single, c)
		}
	}
	switch {
	case list >= 0:
		single = nil
		t.Kind = fmt.Sprintf("column %s of a Parquet file", leaves[list][0])
	case beside >= 0:
		return asideError(beside, leaves[beside][0])
	case len(single) > 0:
		for _, c := range single {
			t.Names = append(t.Names, leaves[c][0])
		}
	default:
		return errors.New("none of its columns holds scores (floats, or lists of them)")
	}
	rows := parquet.NewReader(f)
	defer rows.Close()
	buf := make([]parquet.Row, 64)
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			if err := t.row(row, id, label, list, single); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("its Parquet is damaged: %w", err)
		}
		if n == 0 {
			return errors.New("its Parquet is damaged: it ends before its last row")
		}
	}
}

func (t *Table) row(row parquet.Row, id, label, list int, single []int) error {
	t.N++
	before := len(t.Scores)
	for _, v := range row {
		c := v.Column()
		switch {
		case c == id:
			t.IDs = append(t.IDs, v.String())
		case c == label:
			t.Labels = append(t.Labels, v.String())
		case c == list || list < 0 && slices.Contains(single, c):
			if v.IsNull() {
				return fmt.Errorf("row %d lacks a score", t.N)
			}
			if v.Kind() == parquet.Double {
				t.Scores = append(t.Scores, float32(v.Double()))
			} else {
				t.Scores = append(t.Scores, v.Float())
			}
		}
	}
	n := len(t.Scores) - before
	if t.N == 1 {
		t.Classes = n
	}
	if n != t.Classes {
		return fmt.Errorf("row %d has %d scores, the first %d", t.N, n, t.Classes)
	}
	return nil
}
