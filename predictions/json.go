package predictions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cutmix-eval/internal/npy"
)

// json takes lists of scores or predicted classes, objects of images and these, records, or columns;
// as one value, or one in each line.
func (t *Table) json(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(nulls(data)))
	d.UseNumber()
	var values []value
	for d.More() {
		v, err := readValue(d, 0)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("it is cut off")
			}
			return fmt.Errorf("its JSON is damaged near byte %d: %w", d.InputOffset(), err)
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return errors.New("its JSON is damaged: it begins with no value")
	}
	if len(values) > 1 {
		t.Kind = "JSON Lines"
		return t.list(values)
	}
	if v := values[0]; v.isObject() {
		return t.object(v)
	}
	return t.list(values[0].list)
}

const jsonForms = "it is to be a list of scores or predicted classes for each image, an object of images and these, or records such as {\"image\": \"a.png\", \"scores\": [0.1, 0.9]}"

// list takes one value per row.
func (t *Table) list(v []value) error {
	switch {
	case len(v) == 0:
		return errors.New("it has no rows")
	case all(v, value.isCell):
		row := func(v value) []cell { return []cell{v.cell} }
		if all(v, func(v value) bool { return v.number }) {
			return t.jsonRows(nil, v, row)
		}
		return t.jsonRows([]string{"prediction"}, v, row)
	case all(v, value.isObject), all(v, func(v value) bool { return ranking(v) != nil }):
		return t.records(v)
	case all(v, value.isList):
		return t.jsonRows(nil, v, func(v value) []cell { return cells(v.list) })
	}
	return fmt.Errorf("its JSON mixes forms; %s", jsonForms)
}

// jsonRows takes rows of the cells of values.
func (t *Table) jsonRows(header []string, v []value, row func(value) []cell) error {
	width := len(row(v[0]))
	at := 0
	return t.sheet(header, func() ([]cell, string, int, error) {
		if at == len(v) {
			return nil, "", 0, io.EOF
		}
		out := row(v[at])
		if at++; len(out) != width {
			return nil, "", 0, fmt.Errorf("row %d has %d scores, the first %d", at, len(out), width)
		}
		if width == 0 {
			return nil, "", 0, fmt.Errorf("row %d is empty", at)
		}
		return out, "row", at, nil
	})
}

// cells are values of a list; one that is none is a text, which is no score.
func cells(v []value) []cell {
	out := make([]cell, len(v))
	for i, x := range v {
		if out[i] = x.cell; !x.isCell() {
			out[i] = cell{text: "a list or object"}
		}
	}
	return out
}

// object takes an object of images, of columns or of lists.
func (t *Table) object(v value) error {
	if len(v.fields) == 0 {
		return errors.New("it has no rows")
	}
	columns, split := v.find("columns")
	if data, ok := v.find("data"); ok && split && columns.isList() && data.isList() { // pandas, orient="split"
		return t.split(columns, data)
	}
	known, pictures := false, false
	var lists []value
	for _, f := range v.fields {
		name := strings.ToLower(f.name)
		known = known || slices.Contains(idNames, name) || slices.Contains(labelNames, name) || slices.Contains(scoreNames, name)
		pictures = pictures || picture(f.name)
		if f.isList() {
			lists = append(lists, f.value)
		}
	}
	switch {
	case len(lists) == 1 && all(lists[0].list, value.isObject) && ranking(lists[0]) == nil: // {"results": [records]}
		return t.list(lists[0].list)
	case known && len(lists) > 0 && !pictures:
		return t.fieldsOf(v)
	case all(v.values(), value.isObject) && countFields(v) && known:
		return t.byColumn(v)
	case all(v.values(), value.isObject) && countFields(v) && !pictures:
		return errors.New("whether its outer names are columns or images is unclear; write records (pandas: orient=\"records\")")
	}
	return t.byImage(v)
}

// byImage takes an object of one image per field: its scores or predicted class, or a record of them.
func (t *Table) byImage(v value) error {
	rows := v.values()
	alone := all(rows, value.isCell)
	if !alone && !all(rows, func(v value) bool { return v.isList() && ranking(v) == nil }) && !all(rows, func(v value) bool { return v.isObject() || ranking(v) != nil }) {
		return fmt.Errorf("some of its images have other forms of scores than others; %s", jsonForms)
	}
	for i, f := range v.fields {
		image := field{"image", value{cell: cell{text: f.name}}}
		rest := []field{{"scores", f.value}}
		switch {
		case alone:
			rest[0].name = "prediction"
		case f.isObject() && (scoreField(f.value) != "" || !all(f.values(), value.isCell)): // a record
			rest = f.fields
		}
		rows[i] = value{kind: '{', fields: append([]field{image}, rest...)}
	}
	return t.records(rows)
}

// countFields says whether the objects in v all have the names 0, 1 and so on.
func countFields(v value) bool {
	for _, f := range v.fields {
		for k, g := range f.fields {
			if g.name != fmt.Sprint(k) {
				return false
			}
		}
	}
	return true
}

// byColumn takes columns, each an object of rows by number, as pandas writes them by default.
func (t *Table) byColumn(v value) error {
	var records []value
	n := len(v.fields[0].fields)
	for i := range n {
		record := value{kind: '{'}
		for _, f := range v.fields {
			if len(f.fields) != n {
				return fmt.Errorf("its column %s has %d rows, the first %d", f.name, len(f.fields), n)
			}
			record.fields = append(record.fields, field{f.name, f.fields[i].value})
		}
		records = append(records, record)
	}
	if n == 0 {
		return errors.New("it has no rows")
	}
	return t.records(records)
}

// split takes a list of columns' names and one of rows.
func (t *Table) split(columns, data value) error {
	var records []value
	for i, row := range data.list {
		if len(row.list) != len(columns.list) {
			return fmt.Errorf("row %d has %d values, and there are %d columns", i+1, len(row.list), len(columns.list))
		}
		record := value{kind: '{'}
		for k, name := range columns.list {
			record.fields = append(record.fields, field{name.text, row.list[k]})
		}
		records = append(records, record)
	}
	if len(records) == 0 {
		return errors.New("it has no rows")
	}
	return t.records(records)
}

// fieldsOf takes lists by name, as arrays of a .npz file.
func (t *Table) fieldsOf(v value) error {
	arrays := map[string]npy.Array{}
	var over []string
	for _, f := range v.fields {
		a, err := arrayOf(f.value)
		if err != nil {
			return fmt.Errorf("its list %s: %w", f.name, err)
		}
		if a == nil {
			over = append(over, f.name)
			continue
		}
		arrays[f.name] = *a
	}
	if err := t.arrays(arrays); err != nil {
		return err
	}
	t.Kind = "lists in JSON"
	t.passedOver("field", over)
	return nil
}
