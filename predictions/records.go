package predictions

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// records takes one object per row. The scores may be fields, called as the classes, or a list or
// object in one of them.
func (t *Table) records(v []value) error {
	nested := ""
	if ranking(v[0]) == nil {
		nested = scoreField(v[0])
	}
	first, over := flat(v[0], nested)
	if len(first) == 0 {
		return errors.New("its records have no scores")
	}
	t.passedOver("field", over)
	var header []string
	for _, f := range first {
		header = append(header, f.name)
	}
	at := 0
	return t.sheet(header, func() ([]cell, string, int, error) {
		if at == len(v) {
			return nil, "", 0, io.EOF
		}
		fields, _ := flat(v[at], nested)
		at++
		named := make(map[string]cell, len(fields))
		for _, f := range fields {
			named[f.name] = f.cell
		}
		row := make([]cell, len(header))
		for k, name := range header {
			c, ok := named[name]
			if !ok {
				return nil, "", 0, fmt.Errorf("row %d has no %q, which the first has; each row needs the scores of all classes", at, name)
			}
			row[k] = c
		}
		if len(fields) != len(header) {
			return nil, "", 0, fmt.Errorf("row %d has %d fields and scores, the first %d; each row needs the scores of all classes", at, len(fields), len(header))
		}
		return row, "row", at, nil
	})
}

// flat is the fields of a record with a single value each. Those of the field nested, a list or
// object, are called by their number or name; over are other lists and objects.
func flat(record value, nested string) (fields []field, over []string) {
	if r := ranking(record); r != nil {
		return r.fields, nil
	}
	for _, f := range record.fields {
		r := ranking(f.value)
		switch {
		case f.isCell():
			fields = append(fields, f)
		case f.name != nested:
			over = append(over, f.name)
		case r != nil:
			fields = append(fields, r.fields...)
		case f.isObject():
			fields = append(fields, f.fields...)
		default:
			for k, c := range cells(f.list) {
				fields = append(fields, field{strconv.Itoa(k), value{cell: c}})
			}
		}
	}
	return fields, over
}

// ranking is a list of classes with their scores, as Hugging Face's pipelines give it, as an object of
// classes; nil where a value is none.
func ranking(v value) *value {
	if !v.isList() || !all(v.list, value.isObject) {
		return nil
	}
	out := value{kind: '{'}
	for _, x := range v.list {
		class, named := x.find("label")
		score, scored := x.find("score")
		if !named || !scored || !class.isCell() || !score.isCell() {
			return nil
		}
		out.fields = append(out.fields, field{class.text, score})
	}
	return &out
}

// scoreField is the field with the scores of a record: a list or object, called as such, or the only
// one. Empty for none.
func scoreField(record value) string {
	var lists []string
	for _, f := range record.fields {
		if f.isList() && all(f.list, func(v value) bool { return v.isCell() && v.number }) || f.isObject() || ranking(f.value) != nil {
			lists = append(lists, f.name)
		}
	}
	return scoreList(lists)
}
