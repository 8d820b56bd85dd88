package predictions

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/strict"
	"cutmix-eval/internal/text"
)

// json takes a list of class numbers, a list of lists of scores, or an object of images and
// either.
func (t *Table) json(data []byte) error {
	var hard []float64
	if json.Unmarshal(data, &hard) == nil {
		return t.hard(hard)
	}
	var rows [][]float64
	if json.Unmarshal(data, &rows) == nil {
		return t.rows(rows)
	}
	byID := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &byID); err != nil {
		return fmt.Errorf("its JSON is no list of class numbers, no list of lists of scores and no object of images and scores: %w", strict.Explain(err))
	}
	for id := range byID {
		t.IDs = append(t.IDs, id)
	}
	slices.Sort(t.IDs)
	for _, id := range t.IDs {
		var row []float64
		var one float64
		switch {
		case json.Unmarshal(byID[id], &row) == nil:
			rows = append(rows, row)
		case json.Unmarshal(byID[id], &one) == nil:
			hard = append(hard, one)
		default:
			return fmt.Errorf("its value of %q is neither a class number nor a list of scores", text.Bounded(id))
		}
	}
	switch {
	case len(rows) > 0 && len(hard) > 0:
		return errors.New("some of its images have class numbers, others scores")
	case len(hard) > 0:
		return t.hard(hard)
	}
	return t.rows(rows)
}

func (t *Table) rows(rows [][]float64) error {
	t.N = len(rows)
	for i, row := range rows {
		if i == 0 {
			t.Classes = len(row)
		}
		if len(row) != t.Classes {
			return fmt.Errorf("row %d has %d scores, the first %d", i+1, len(row), t.Classes)
		}
		for _, v := range row {
			t.Scores = append(t.Scores, float32(v))
		}
	}
	return nil
}

// csv takes rows of scores, separated by commas, semicolons, tabs or spaces. A header, a column
// of images and one of labels may be there.
func (t *Table) csv(data []byte) error {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	r.Comma, r.Comment, r.LazyQuotes, r.TrimLeadingSpace, r.ReuseRecord = comma(data), '#', true, true, true
	var header []string
	id, label := -1, -1
	var scores []int
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w; a table of scores has as many cells in every row", err)
		}
		line, _ := r.FieldPos(0)
		if scores == nil {
			if header == nil && isHeader(row) {
				header = slices.Clone(row)
				continue
			}
			if id, label, scores, err = columns(header, row); err != nil {
				return err
			}
		}
		t.N++
		if id >= 0 {
			t.IDs = append(t.IDs, row[id])
		}
		if label >= 0 {
			t.Labels = append(t.Labels, row[label])
		}
		for _, c := range scores {
			v, err := strconv.ParseFloat(strings.TrimSpace(row[c]), 32)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return fmt.Errorf("line %d: %q in column %d is no score", line, text.Bounded(row[c]), c+1)
			}
			t.Scores = append(t.Scores, float32(v))
		}
	}
	t.Classes = len(scores)
	if t.Classes == 1 && !fractions(t.Scores) { // class numbers
		classes := make([]float64, len(t.Scores))
		for i, v := range t.Scores {
			classes[i] = float64(v)
		}
		t.Scores, t.Classes = nil, 0
		return t.hard(classes)
	}
	if header != nil {
		for _, c := range scores {
			t.Names = append(t.Names, strings.TrimSpace(header[c]))
		}
	}
	return nil
}

func fractions(v []float32) bool {
	return slices.ContainsFunc(v, func(x float32) bool { return float64(x) != math.Trunc(float64(x)) || x < 0 })
}

// isHeader says whether a first row is one of names: the first or a label's column is called
// as such columns are, or no cell but perhaps the first is a number.
func isHeader(row []string) bool {
	named := func(cell string, names []string) bool {
		return slices.Contains(names, strings.ToLower(strings.TrimSpace(cell)))
	}
	return named(row[0], idNames) || slices.ContainsFunc(row, func(cell string) bool { return named(cell, labelNames) }) ||
		!slices.ContainsFunc(row[min(1, len(row)-1):], number)
}

func number(cell string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(cell), 32)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// aside are names of columns that tables of predictions have beside scores.
var aside = []string{
	"correct", "confidence", "loss", "nll", "entropy", "fold", "split", "rank", "margin", "top1", "top5", "score_max", "max_prob", "brier", "error", "epoch", "row",
}

// alone are names of a single column of predictions or scores, which are no classes'.
var alone = []string{"prediction", "predictions", "pred", "preds", "predicted", "predicted_class", "pred_class", "y_pred", "probability", "prob", "score", "class_id", "class_index"}

func asideError(column int, name string) error {
	return fmt.Errorf("column %d is called %q, which is no class; leave in the file a column of images, one of labels and those of the classes' scores", column+1, text.Bounded(strings.TrimSpace(name)))
}

// columns says what the columns are, by the header or, without one, by the first row: the
// first may be images, the others are scores.
func columns(header, row []string) (id, label int, scores []int, err error) {
	id, label = -1, -1
	for c, cell := range row {
		name := ""
		if header != nil {
			if len(header) != len(row) {
				return 0, 0, nil, fmt.Errorf("its header has %d cells, its rows %d", len(header), len(row))
			}
			name = strings.ToLower(strings.TrimSpace(header[c]))
		}
		switch {
		case header != nil && (name == "" || strings.HasPrefix(name, "unnamed:") || name == "index") && c == 0 && number(cell):
			// the row's number, as pandas writes it
		case slices.Contains(aside, name):
			return 0, 0, nil, asideError(c, header[c])
		case id < 0 && slices.Contains(idNames, name) && (c == 0 || !number(cell)):
			id = c
		case label < 0 && slices.Contains(labelNames, name):
			label = c
		case number(cell):
			scores = append(scores, c)
		case id < 0:
			id = c
		default:
			return 0, 0, nil, fmt.Errorf("%q in column %d is no score; columns are images, labels (called label) and scores", text.Bounded(cell), c+1)
		}
	}
	if scores == nil {
		return 0, 0, nil, errors.New("none of its columns holds scores")
	}
	for _, c := range scores { // one column may be called so, of class numbers or of one output
		if header != nil && len(scores) > 1 && slices.Contains(alone, strings.ToLower(strings.TrimSpace(header[c]))) {
			return 0, 0, nil, asideError(c, header[c])
		}
	}
	return id, label, scores, nil
}

// comma is what separates the cells of the first line.
func comma(data []byte) rune {
	for line := range bytes.Lines(data) {
		if line[0] == '#' {
			continue
		}
		for _, c := range "\t;," {
			if bytes.ContainsRune(line, c) {
				return c
			}
		}
		return ' '
	}
	return ','
}
