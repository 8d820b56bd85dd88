package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"cutmix-eval/internal/strict"
)

// written is a report as JSON.
type written struct {
	SchemaVersion int `json:"schema_version"`
	Head
	Timing     *Timing            `json:"timing,omitempty"`
	Metrics    map[string]float64 `json:"metrics"`
	Numbers    []*Number          `json:"numbers"`
	Tables     []Table            `json:"tables,omitempty"`
	Histograms []Histogram        `json:"histograms,omitempty"`
	BadImages  []BadImage         `json:"bad_images,omitempty"`
	Warnings   []string           `json:"warnings"`
}

// MarshalJSON writes schema version 2; docs/report.md describes it.
func (r *Report) MarshalJSON() ([]byte, error) {
	out := written{
		SchemaVersion: SchemaVersion, Head: r.Head, Timing: r.Timing, Metrics: r.metrics(), Numbers: r.Numbers,
		Histograms: r.Histograms, BadImages: r.BadImages, Warnings: r.Warnings,
	}
	if out.Numbers == nil {
		out.Numbers = []*Number{}
	}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	for _, s := range r.Sections {
		if t, ok := s.(Table); ok {
			out.Tables = append(out.Tables, t)
		}
	}
	return marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes: head, numbers, tables and the rest, but not
// which of the numbers are drawn where.
func (r *Report) UnmarshalJSON(data []byte) error {
	var in written
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if in.SchemaVersion != SchemaVersion {
		return fmt.Errorf("the report has schema version %d, and this program reads %d", in.SchemaVersion, SchemaVersion)
	}
	*r = Report{
		Head: in.Head, Timing: in.Timing, Numbers: in.Numbers, Histograms: in.Histograms, BadImages: in.BadImages, Warnings: in.Warnings,
	}
	for _, t := range in.Tables {
		r.Show(t)
	}
	return nil
}

// metrics are the numbers of the whole by name: those without keys, and the main ones that
// have no keys but those of MainAt.
func (r *Report) metrics() map[string]float64 {
	out := map[string]float64{}
	for _, n := range r.Main {
		if n.At.Same(r.MainAt) {
			out[n.Name] = n.Value
		}
	}
	for _, n := range r.Numbers {
		if len(n.At) == 0 {
			out[n.Name] = n.Value
		}
	}
	return out
}

// writtenTable is a table as JSON: rows have a value for each column.
type writtenTable struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// MarshalJSON writes numbers as numbers, shares as fractions, nothing as null.
func (t Table) MarshalJSON() ([]byte, error) {
	out := writtenTable{Name: t.Name, Title: t.Title, Columns: []string{}, Rows: [][]any{}}
	for _, c := range t.Columns {
		out.Columns = append(out.Columns, c.Name)
	}
	for _, cells := range t.Rows {
		row := []any{}
		for _, c := range cells {
			row = append(row, c.exact())
		}
		out.Rows = append(out.Rows, row)
	}
	return marshal(out)
}

// UnmarshalJSON reads words and numbers; numbers have no unit.
func (t *Table) UnmarshalJSON(data []byte) error {
	var in writtenTable
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*t = Table{Name: in.Name, Title: in.Title}
	for _, name := range in.Columns {
		t.Columns = append(t.Columns, Column{name, name})
	}
	for _, row := range in.Rows {
		var cells []Cell
		for _, v := range row {
			switch v := v.(type) {
			case nil:
				cells = append(cells, Cell{})
			case string:
				cells = append(cells, Word(v))
			case float64:
				cells = append(cells, Plain(v, None).General())
			default:
				cells = append(cells, Word(fmt.Sprint(v)))
			}
		}
		t.Rows = append(t.Rows, cells)
	}
	return nil
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return strict.Explain(e.Encode(v))
}
