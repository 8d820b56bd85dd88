package report

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// csv writes a row for each number. Keys have a column each, in the order in which they first
// occur; a number's own model and dataset stand in the columns of the report's.
func (r *Report) csv(w io.Writer) error {
	var keys []KeyName
	for _, n := range r.Numbers {
		for _, k := range n.At {
			if k.Name != KeyModel && k.Name != KeyDataset && !slices.Contains(keys, k.Name) {
				keys = append(keys, k.Name)
			}
		}
	}
	head := []string{"task", "model", "dataset"}
	for _, k := range keys {
		head = append(head, string(k))
	}
	head = append(head, "metric", "value", "unit", "n", "low", "high", "confidence_level", "method", "better",
		"p", "p_adjusted", "test", "note")
	rows := [][]string{head}
	for _, n := range r.Numbers {
		row := []string{r.Task, cmp.Or(n.At.Get(KeyModel), r.Model.Name), cmp.Or(n.At.Get(KeyDataset), r.Dataset.Name)}
		for _, k := range keys {
			row = append(row, n.At.Get(k))
		}
		low, high, level, method := "", "", "", ""
		if iv := n.Interval; iv != nil {
			low, high, level, method = exact(iv.Low), exact(iv.High), exact(iv.Level), iv.Method
		}
		p, adjusted, test := "", "", ""
		if t := n.Test; t != nil {
			p, adjusted, test = exact(t.P), exact(t.PAdjusted), t.Name
		}
		rows = append(rows, append(row, n.Name, exact(n.Value), string(n.Unit), strconv.Itoa(n.N),
			low, high, level, method, string(n.Better), p, adjusted, test, n.Note))
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// csv writes a row for each of the table's.
func (t Table) csv(w io.Writer) error {
	var head []string
	for _, c := range t.Columns {
		head = append(head, c.Name)
	}
	rows := [][]string{head}
	for _, cells := range t.Rows {
		var row []string
		for _, c := range cells {
			switch v := c.exact().(type) {
			case nil:
				row = append(row, "")
			case float64:
				row = append(row, exact(v))
			case [2]float64:
				row = append(row, exact(v[0])+" to "+exact(v[1]))
			default:
				row = append(row, fmt.Sprint(v))
			}
		}
		rows = append(rows, row)
	}
	return csv.NewWriter(w).WriteAll(rows)
}

func exact(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
