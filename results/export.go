package results

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// Export writes all wanted records of a run as "csv" or "jsonl", under the names
// the table has. Lists are separated by spaces in CSV. NaN is empty in CSV and null
// in JSON.
func Export[T any, P Record[T]](ctx context.Context, r *Run, w io.Writer, format string) error {
	names := columns(reflect.TypeFor[T]())
	var put func(values []reflect.Value) error
	finish := func() error { return nil }
	switch format {
	case "csv":
		c := csv.NewWriter(w)
		if err := c.Write(names); err != nil {
			return err
		}
		cells := make([]string, len(names))
		put = func(values []reflect.Value) error {
			for i, v := range values {
				cells[i] = cell(v)
			}
			return c.Write(cells)
		}
		finish = func() error { c.Flush(); return c.Error() }
	case "jsonl":
		put = func(values []reflect.Value) error {
			var b strings.Builder
			for i, v := range values {
				sep := ','
				if i == 0 {
					sep = '{'
				}
				text, err := json.Marshal(v.Interface())
				if err != nil {
					text = []byte("null") // NaN or infinite
				}
				fmt.Fprintf(&b, "%c%q:%s", sep, names[i], text)
			}
			b.WriteString("}\n")
			_, err := io.WriteString(w, b.String())
			return err
		}
	default:
		return fmt.Errorf("export format %q is not one of csv, jsonl", format)
	}
	err := Each[T, P](ctx, r, nil, func(row *T, _ [][]float32) error {
		return put(fields(reflect.ValueOf(row).Elem(), nil))
	})
	if err != nil {
		return err
	}
	return finish()
}

// columns are the names in the table, those of embedded rows first.
func columns(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, columns(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		out = append(out, name)
	}
	return out
}

func fields(v reflect.Value, out []reflect.Value) []reflect.Value {
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			out = fields(v.Field(i), out)
		} else {
			out = append(out, v.Field(i))
		}
	}
	return out
}

func cell(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = cell(v.Index(i))
		}
		return strings.Join(parts, " ")
	case reflect.Float32, reflect.Float64:
		f := v.Float()
		if f != f {
			return ""
		}
		return strconv.FormatFloat(f, 'g', -1, v.Type().Bits())
	}
	return fmt.Sprint(v.Interface())
}
