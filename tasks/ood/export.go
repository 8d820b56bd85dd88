package ood

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Export writes every image's set, prediction and scores as "csv" or "jsonl". A score
// that is not finite is empty in CSV and null in JSON.
func (r *Runs) Export(ctx context.Context, w io.Writer, format string) error {
	if format != "csv" && format != "jsonl" {
		return fmt.Errorf("export format %q is not one of csv, jsonl", format)
	}
	res, err := r.Evaluate(ctx)
	if err != nil {
		return err
	}
	names := []string{"set", "role", "group", "id", "right", "prediction", "confidence"}
	for _, u := range res.used {
		names = append(names, u.Name)
	}
	c := csv.NewWriter(w)
	if format == "csv" {
		if err := c.Write(names); err != nil {
			return err
		}
	}
	for _, s := range append(res.id, res.out...) {
		for i, id := range s.ids {
			right := any(nil)
			if s.labelled {
				right = s.right[i]
			}
			row := []any{s.Name, string(s.Role), s.Group, id, right, s.prediction[i], s.confidence[i]}
			for k := range res.used {
				if v := s.values[k][i]; math.IsNaN(v) || math.IsInf(v, 0) {
					row = append(row, nil)
				} else {
					row = append(row, v)
				}
			}
			if err := put(w, c, format, names, row); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

func put(w io.Writer, c *csv.Writer, format string, names []string, row []any) error {
	if format == "csv" {
		cells := make([]string, len(row))
		for i, v := range row {
			switch v := v.(type) {
			case nil:
			case float64:
				cells[i] = strconv.FormatFloat(v, 'g', -1, 64)
			default:
				cells[i] = fmt.Sprint(v)
			}
		}
		return c.Write(cells)
	}
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
