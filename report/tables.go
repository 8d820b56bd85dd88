package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// csv writes one row per metric, the groups' after the whole's.
func (r *Report) csv(w io.Writer) error {
	c := csv.NewWriter(w)
	num := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	if err := c.Write([]string{"task", "model", "dataset", "kind", "group", "metric", "value", "unit", "n", "low", "high", "level", "method", "higher_is_better", "p", "p_adjusted", "test", "note"}); err != nil {
		return err
	}
	p := func(v *float64) string {
		if v == nil {
			return ""
		}
		return num(*v)
	}
	row := func(kind, group string, m Metric) error {
		low, high, level, method := "", "", "", ""
		if iv := m.Interval; iv != nil {
			low, high, level, method = num(iv.Low), num(iv.High), num(iv.Level), iv.Method
		}
		return c.Write([]string{r.Task, r.Model.Name, r.Dataset.Name, kind, group, m.Name, num(m.Value), m.Unit, strconv.Itoa(m.N),
			low, high, level, method, strconv.FormatBool(m.HigherIsBetter), p(m.P), p(m.PAdjusted), m.Test, m.Note})
	}
	for _, m := range r.Metrics {
		if err := row("all", "", m); err != nil {
			return err
		}
	}
	for _, g := range r.Groups {
		for _, m := range g.Metrics {
			if err := row(g.Kind, g.Name, m); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

func (r *Report) markdown(w io.Writer) error {
	b := &strings.Builder{}
	if r.Model.Name == "" { // several models, or data sets
		fmt.Fprintf(b, "### %s\n\n", r.Task)
	} else {
		fmt.Fprintf(b, "### %s: %s on %s\n\n", r.Task, escape(r.Model.Name), escape(r.Dataset.Name))
	}
	n := r.Dataset.N
	if len(r.Metrics) > 0 {
		n = r.Metrics[0].N
	}
	if n > 0 {
		fmt.Fprintf(b, "n = %s; shares in percent; 95 %% intervals. Pixels: %s (%s).\n\n", thousands(n), escape(r.Preprocessing.Summary), r.Preprocessing.Source)
	}
	if r.Options != "" {
		fmt.Fprintf(b, "Options: %s\n\n", escape(r.Options))
	}
	if len(r.Metrics) > 0 {
		table(b, []string{"metric", "value", "interval", "method"}, len(r.Metrics), func(i int) []string {
			m := r.Metrics[i]
			v, iv := m.Text()
			method := ""
			if m.Interval != nil {
				method = m.Interval.Method
			}
			return []string{m.Name, v, iv, method}
		})
	}
	for _, kind := range kinds(r.Groups) {
		var rows [][]string
		tested := false
		for _, g := range r.Groups {
			for _, m := range g.Metrics {
				if g.Kind == kind {
					v, iv := m.Text()
					p := ""
					if m.PAdjusted != nil {
						p, tested = fmt.Sprintf("%.2g (%s)", *m.PAdjusted, m.Test), true
					}
					rows = append(rows, []string{g.Name, m.Name, v, iv, strconv.Itoa(m.N), p})
				}
			}
		}
		head := []string{kind, "metric", "value", "interval", "n", "p"}
		if !tested {
			head = head[:5]
		}
		b.WriteString("\n")
		table(b, head, len(rows), func(i int) []string { return rows[i][:len(head)] })
	}
	for _, t := range r.Tables {
		fmt.Fprintf(b, "\n%s\n\n", escape(t.Title))
		table(b, t.Columns, len(t.Rows), func(i int) []string { return t.Rows[i] })
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(b, "\n> warning: %s\n", escape(warning))
	}
	if len(r.BadImages) > 0 {
		fmt.Fprintf(b, "\n%d images could not be read and are left out:\n\n", len(r.BadImages))
		for _, bad := range r.BadImages {
			fmt.Fprintf(b, "- %s: %s\n", bad.ID, bad.Reason)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// table writes a Markdown table with padded cells.
func table(b *strings.Builder, head []string, n int, row func(int) []string) {
	rows := [][]string{head}
	for i := range n {
		rows = append(rows, row(i))
	}
	width := make([]int, len(head))
	for _, r := range rows {
		for c := range r {
			r[c] = escape(r[c])
			width[c] = max(width[c], utf8.RuneCountInString(r[c]), 3)
		}
	}
	for i, r := range rows {
		for c, cell := range r {
			fmt.Fprintf(b, "| %s%s ", cell, strings.Repeat(" ", width[c]-utf8.RuneCountInString(cell)))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, n := range width {
				fmt.Fprintf(b, "|%s", strings.Repeat("-", n+2))
			}
			b.WriteString("|\n")
		}
	}
}
