package datasets

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/unicode"
)

// asUTF8 is a text file as UTF-8 without a byte order mark, with lines that end in \n: files of
// spreadsheets are UTF-16 now and then, and those of old programs end lines in \r.
func asUTF8(data []byte) ([]byte, error) {
	order, wide := unicode.LittleEndian, false
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		wide = true
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		order, wide = unicode.BigEndian, true
	}
	if wide {
		out, err := unicode.UTF16(order, unicode.UseBOM).NewDecoder().Bytes(data)
		if err != nil {
			return nil, fmt.Errorf("it begins as UTF-16, but is none: %w", err)
		}
		data = out
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	return data, nil
}

// table is the rows of a text file and the columns that matter.
type table struct {
	rows        [][]string
	lines       []int    // of the file, by row; counted from 1
	header      []string // nil without one
	path, label int      // columns
	comma       rune     // between cells; 0 for spaces
}

// splitRows reads CSV (comma, semicolon, tab or bar), or lines of "name label" where the label
// follows the last space. Empty lines and those that begin with # are passed over.
func splitRows(data []byte) (table, error) {
	t := table{label: 1, comma: separator(data)}
	if t.comma == 0 {
		for n, line := range strings.Split(string(data), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			row := []string{line}
			if i := strings.LastIndexAny(line, " \t"); i > 0 {
				row = []string{strings.TrimSpace(line[:i]), line[i+1:]}
			}
			t.add(n+1, row)
		}
	} else {
		r := csv.NewReader(bytes.NewReader(data))
		r.Comma, r.Comment, r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace = t.comma, '#', -1, true, true
		for {
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return t, err
			}
			line, _ := r.FieldPos(0)
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			t.add(line, row)
		}
	}
	if len(t.rows) == 0 {
		return t, errors.New("it holds no rows")
	}
	return t, nil
}

func (t *table) add(line int, row []string) {
	t.rows, t.lines = append(t.rows, row), append(t.lines, line)
}

// separator is what stands between the cells of the first lines, each of which must have it;
// 0 where only spaces do.
func separator(data []byte) rune {
	const most = 50
	for _, c := range ",\t;|" {
		lines := 0
		for line := range bytes.Lines(data) {
			line = bytes.TrimSpace(line)
			if len(line) == 0 || line[0] == '#' {
				continue
			}
			if !bytes.ContainsRune(line, c) {
				lines = 0
				break
			}
			if lines++; lines == most {
				break
			}
		}
		if lines > 0 {
			return c
		}
	}
	return 0
}

// Column names, best first.
var (
	pathColumns  = []string{"path", "file", "filename", "file_name", "image", "imageid", "image_id", "image_name", "img", "id", "name"}
	labelColumns = []string{"label", "target", "index", "class_index", "class_id", "imagenet_index", "label_id", "class", "wnid", "synset", "category", "class_name", "predictionstring"}
)

// find is the column that a header calls by one of some names, -1 for none.
func (t *table) find(names []string) int {
	for _, n := range names {
		if i := slices.IndexFunc(t.header, func(cell string) bool { return strings.EqualFold(cell, n) }); i >= 0 {
			return i
		}
	}
	return -1
}

// locate finds the header, the column of images and the column of labels. isImage says whether
// a cell names an image. What the columns are called counts where it is known; else the column
// whose cells are images is that of the images, and the first line is a header where it names
// no image and no label that others have.
func (t *table) locate(isImage func(cell string) bool) error {
	first := t.rows[0]
	t.header = first
	if p, l := t.find(pathColumns), t.find(labelColumns); p >= 0 && l >= 0 && p != l && !isImage(first[p]) {
		t.path, t.label = p, l
		t.behead()
		return nil
	}
	t.header = nil
	t.path = t.mostly(isImage)
	t.label = 1
	if t.path == 1 {
		t.label = 0
	}
	if isImage(t.cell(first, t.path)) || imageName(t.cell(first, t.path)) || len(first) < 2 || len(t.rows) < 2 {
		return nil
	}
	label := t.cell(first, t.label)
	if len(first) == 2 && slices.ContainsFunc(t.rows[1:], func(row []string) bool { return t.cell(row, t.label) == label }) {
		return nil // an image that is not there, of a class that others are of
	}
	if _, number, _ := wholeNumber(label); number {
		return nil // an image that is not there
	}
	t.header = first
	t.behead()
	if len(first) == 2 {
		return nil
	}
	if l := t.find(labelColumns); l >= 0 && l != t.path {
		t.label = l
		return nil
	}
	return t.oneLabel()
}

func (t *table) behead() { t.rows, t.lines = t.rows[1:], t.lines[1:] }

// mostly is the column most of whose first cells are images; 0 where none is.
func (t *table) mostly(isImage func(string) bool) int {
	const most = 200
	best, at := 0, 0
	for c := range min(len(t.rows[len(t.rows)-1]), 64) {
		hits := 0
		for _, row := range t.rows[:min(most, len(t.rows))] {
			if cell := t.cell(row, c); isImage(cell) && (c == 0 || imageName(cell)) {
				hits++ // beyond the first column, a number may be an image's name by chance
			}
		}
		if hits > best {
			best, at = hits, c
		}
	}
	return at
}

// oneLabel finds the label of a table with several columns of unknown names: one column that
// has label, class or category in its name, or columns of 0 and a single 1 per row, each called as a class.
func (t *table) oneLabel() error {
	var others, named []int
	for c, name := range t.header {
		if c == t.path {
			continue
		}
		others = append(others, c)
		name = strings.ToLower(name)
		for _, word := range []string{"label", "class", "categor", "target", "species", "breed"} {
			if strings.Contains(name, word) {
				named = append(named, c)
				break
			}
		}
	}
	hot, err := t.oneHot(others)
	switch {
	case err != nil:
		return err
	case hot:
		return nil
	case len(named) == 1:
		t.label = named[0]
		return nil
	}
	return fmt.Errorf("which of its columns holds the labels? They are %s; call that one label", strings.Join(t.header, ", "))
}

// oneHot turns columns of 0 and 1 into one column of labels, and says whether they are that.
func (t *table) oneHot(columns []int) (bool, error) {
	if len(columns) < 2 {
		return false, nil
	}
	labels := make([]string, len(t.rows))
	several := 0
	for i, row := range t.rows {
		for _, c := range columns {
			v, _, whole := wholeNumber(t.cell(row, c))
			switch {
			case !whole || v < 0 || v > 1:
				return false, nil
			case v == 0:
			case labels[i] != "":
				several = i + 1
			default:
				labels[i] = t.header[c]
			}
		}
	}
	if several > 0 {
		return false, fmt.Errorf("line %d has several labels; give the table with --multi-label", t.lines[several-1])
	}
	for i, row := range t.rows {
		if labels[i] == "" {
			return false, fmt.Errorf("line %d has no label: none of its columns is 1", t.lines[i])
		}
		t.rows[i] = []string{t.cell(row, t.path), labels[i]}
	}
	t.path, t.label = 0, 1
	return true, nil
}

func (t table) cell(row []string, col int) string {
	if col >= len(row) {
		return ""
	}
	return strings.TrimSpace(row[col])
}

// column returns the numbers of a file of one whole number per line.
func column(t table) ([]int, bool) {
	out := make([]int, len(t.rows))
	for i, r := range t.rows {
		v, _, whole := wholeNumber(r[0])
		if len(r) != 1 || !whole {
			return nil, false
		}
		out[i] = v
	}
	return out, true
}

// wholeNumber reads a number, however it is written: 7, 007, 7.0, 7e0.
func wholeNumber(s string) (v int, number, whole bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.Atoi(s); err == nil {
		return n, true, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(s, "xX_") {
		return 0, false, false
	}
	if f != math.Trunc(f) || math.Abs(f) > 1<<31 {
		return 0, true, false
	}
	return int(f), true, true
}
