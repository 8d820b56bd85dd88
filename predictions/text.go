package predictions

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"cutmix-eval/internal/text"
)

// text takes JSON, or rows of cells.
func (t *Table) text(data []byte) error {
	data, err := text.UTF8(data)
	if err != nil {
		return err
	}
	if bytes.IndexByte(data[:min(len(data), 1<<12)], 0) >= 0 {
		return fmt.Errorf("it is of a kind that is not read; %s", readForms)
	}
	if start := bytes.TrimSpace(data[:min(len(data), 1<<12)]); len(start) > 0 && (start[0] == '[' || start[0] == '{') {
		t.Kind = "JSON"
		return t.json(data)
	}
	t.Kind = "CSV"
	return t.csv(data)
}

// csv takes rows of scores, separated by commas, semicolons, tabs, bars or spaces. A header, a column
// of images and one of labels may be there.
func (t *Table) csv(data []byte) error {
	comma := separator(data)
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.Comment, r.LazyQuotes, r.TrimLeadingSpace, r.ReuseRecord = comma, '#', true, comma != '\t', true
	var row []cell
	read := func() ([]cell, string, int, error) {
		record, err := r.Read()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w; a table of scores has as many cells in every row", err)
			}
			return nil, "", 0, err
		}
		row = row[:0]
		for _, s := range record {
			row = append(row, textCell(s, comma != ','))
		}
		line, _ := r.FieldPos(0)
		return row, "line", line, nil
	}
	type one struct {
		row  []cell
		line int
	}
	var first []one
	var ahead [][]cell
	for len(first) < looked {
		row, _, line, err := read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		row = slices.Clone(row)
		first, ahead = append(first, one{row, line}), append(ahead, row)
	}
	var header []string
	if len(first) > 0 && isHeader(ahead) {
		for _, c := range ahead[0] {
			header = append(header, c.text)
		}
		first = first[1:]
	}
	return t.sheet(header, func() ([]cell, string, int, error) {
		if len(first) > 0 {
			o := first[0]
			first = first[1:]
			return o.row, "line", o.line, nil
		}
		return read()
	})
}

// isHeader says whether the first of some rows is one of names: a column is called as columns of
// images, labels and the like are, or classes are called by numbers that count, or no cell but perhaps
// the first is a number.
func isHeader(rows [][]cell) bool {
	row := rows[0]
	if slices.ContainsFunc(row, func(c cell) bool { return slices.Contains(extensions, strings.ToLower(path.Ext(c.text))) }) {
		return false
	}
	for i, c := range row {
		name := strings.ToLower(c.text)
		known := slices.Contains(idNames, name) || slices.Contains(labelNames, name) || slices.Contains(predictedNames, name) || slices.Contains(aside, name) ||
			i == 0 && len(row) > 1 && (slices.Contains(indexNames, name) || strings.HasPrefix(name, "unnamed:"))
		if known {
			return true
		}
	}
	if slices.ContainsFunc(row, func(c cell) bool { return picture(c.text) }) {
		return false
	}
	if numbersOfClasses(row) {
		scores := func(row []cell) bool {
			return slices.ContainsFunc(row, func(c cell) bool { return c.number && (!c.whole() || c.value < 0) })
		}
		return len(row) > 3 || slices.ContainsFunc(rows[1:], scores)
	}
	return len(row) > 1 && !slices.ContainsFunc(row[1:], func(c cell) bool { return c.number })
}

// numbersOfClasses says whether cells, perhaps but for the first, are the numbers of classes.
func numbersOfClasses(row []cell) bool {
	var names []string
	for i, c := range row {
		if i > 0 || c.number {
			names = append(names, c.text)
		}
	}
	numbers := wholeNumbers(names)
	return len(numbers) > 1 && (counts(numbers, 0) || counts(numbers, 1))
}

// separator is what separates the cells of the first line.
func separator(data []byte) rune {
	for line := range bytes.Lines(data) {
		if line[0] == '#' || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		for _, c := range "\t;,|" {
			if bytes.ContainsRune(line, c) {
				return c
			}
		}
		if bytes.ContainsRune(bytes.TrimSpace(line), ' ') {
			return ' '
		}
		break
	}
	return ','
}
