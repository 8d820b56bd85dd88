package ood

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"cutmix-eval/metrics"
)

// export writes every image's set, prediction and scores as "csv" or "jsonl". A score that
// is not finite, and whether an image without a label is right, is empty in CSV and null in
// JSON.
func (res *result) export(w io.Writer, format string) error {
	names := []string{"set", "role", "group", "id", "right", "prediction", "confidence"}
	for _, u := range res.used {
		names = append(names, u.Name)
	}
	c := csv.NewWriter(w)
	var put func(row []any) error
	switch format {
	case "csv":
		if err := c.Write(names); err != nil {
			return err
		}
		put = func(row []any) error { return c.Write(cells(row)) }
	case "jsonl":
		put = func(row []any) error { return writeObject(w, names, row) }
	default:
		return fmt.Errorf("export format %q is not one of csv, jsonl", format)
	}
	for _, s := range slices.Concat(res.id, res.out) {
		for i, id := range s.ids {
			row := []any{s.Name, string(s.Role), s.Group, id, nil, s.prediction[i], s.confidence[i]}
			if s.labelled {
				row[4] = s.right[i]
			}
			for k := range res.used {
				if v := s.values[k][i]; metrics.Finite(v) {
					row = append(row, v)
				} else {
					row = append(row, nil)
				}
			}
			if err := put(row); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

// cells are values for CSV.
func cells(row []any) []string {
	out := make([]string, len(row))
	for i, v := range row {
		switch v := v.(type) {
		case nil:
		case float64:
			out[i] = strconv.FormatFloat(v, 'g', -1, 64)
		default:
			out[i] = fmt.Sprint(v)
		}
	}
	return out
}

// writeObject writes values as a line of JSON, in the order of their names.
func writeObject(w io.Writer, names []string, row []any) error {
	line := []byte{'{'}
	for i, v := range row {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if i > 0 {
			line = append(line, ',')
		}
		line = append(append(strconv.AppendQuote(line, names[i]), ':'), text...)
	}
	_, err := w.Write(append(line, '}', '\n'))
	return err
}
