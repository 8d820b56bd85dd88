package predictions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"cutmix-eval/internal/npy"
)

// value is a value of JSON, with objects in the order in which they are written.
type value struct {
	cell
	list   []value // of a list
	fields []field // of an object
	kind   json.Delim
}

type field struct {
	name string
	value
}

func (v value) isList() bool   { return v.kind == '[' }
func (v value) isObject() bool { return v.kind == '{' }
func (v value) isCell() bool   { return v.kind == 0 }

func (v value) find(name string) (value, bool) {
	for _, f := range v.fields {
		if strings.EqualFold(f.name, name) {
			return f.value, true
		}
	}
	return value{}, false
}

func all(v []value, is func(value) bool) bool {
	return len(v) > 0 && !slices.ContainsFunc(v, func(x value) bool { return !is(x) })
}

// isDeep bounds how deep values lie in each other.
const isDeep = 16

func readValue(d *json.Decoder, deep int) (value, error) {
	token, err := d.Token()
	if err != nil {
		return value{}, err
	}
	switch x := token.(type) {
	case string:
		return value{cell: textCell(x, false)}, nil
	case json.Number:
		return value{cell: textCell(x.String(), false)}, nil
	case bool:
		return value{cell: cell{text: fmt.Sprint(x)}}, nil
	case json.Delim:
		v := value{kind: x}
		if deep > isDeep {
			return v, errors.New("its values lie too deep in each other")
		}
		seen := map[string]bool{}
		for d.More() {
			var f field
			if x == '{' {
				name, err := d.Token()
				if err != nil {
					return v, err
				}
				f.name, _ = name.(string)
				if seen[f.name] {
					return v, fmt.Errorf("it has %q twice in one object", f.name)
				}
				seen[f.name] = true
			}
			if f.value, err = readValue(d, deep+1); err != nil {
				return v, err
			}
			if x == '{' {
				v.fields = append(v.fields, f)
			} else {
				v.list = append(v.list, f.value)
			}
		}
		_, err := d.Token()
		return v, err
	}
	return value{cell: numberCell(math.NaN())}, nil // null
}

// values are those of an object.
func (v value) values() []value {
	out := make([]value, len(v.fields))
	for i, f := range v.fields {
		out[i] = f.value
	}
	return out
}

// nulls is JSON with null in place of NaN and Infinity, which Python writes outside of strings.
func nulls(data []byte) []byte {
	var out []byte
	inside, from := false, 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case !inside && (c == 'N' || c == 'I' || c == '-'):
			for _, word := range []string{"NaN", "-Infinity", "Infinity"} {
				if bytes.HasPrefix(data[i:], []byte(word)) {
					out = append(append(out, data[from:i]...), "null"...)
					from = i + len(word)
					i = from - 1
					break
				}
			}
		}
	}
	if from == 0 {
		return data
	}
	return append(out, data[from:]...)
}

// arrayOf is a list of numbers, texts or lists of numbers as an array; nil where it is none of them.
func arrayOf(v value) (*npy.Array, error) {
	switch {
	case !v.isList() || len(v.list) == 0:
		return nil, nil
	case all(v.list, func(v value) bool { return v.isCell() && v.number }):
		a := npy.Array{Shape: []int{len(v.list)}}
		for _, x := range v.list {
			a.Data = append(a.Data, x.value)
		}
		return &a, nil
	case all(v.list, value.isCell):
		a := npy.Array{Shape: []int{len(v.list)}}
		for _, x := range v.list {
			a.Text = append(a.Text, x.text)
		}
		return &a, nil
	case !all(v.list, value.isList):
		return nil, nil
	}
	a := npy.Array{Shape: []int{len(v.list), len(v.list[0].list)}}
	for i, row := range v.list {
		if len(row.list) != a.Shape[1] {
			return nil, fmt.Errorf("row %d has %d scores, the first %d", i+1, len(row.list), a.Shape[1])
		}
		for _, x := range row.list {
			if !x.isCell() || !x.number {
				return nil, fmt.Errorf("row %d has %q, which is no score", i+1, x.text)
			}
			a.Data = append(a.Data, x.value)
		}
	}
	return &a, nil
}
