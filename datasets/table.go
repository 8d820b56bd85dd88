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
)

// table is the rows of a text file and the columns that matter.
type table struct {
	rows        [][]string
	unit        string   // what lines counts: lines, or the entries of a list
	lines       []int    // of the file, by row; counted from 1
	header      []string // nil without one
	path, label int      // columns
	called      int      // column of names for labels that are numbers; -1 for none
	comma       rune     // between cells; 0 for spaces
	order       []string // classes in their order, where the table has them as columns
	json        bool     // cells that are no single value are JSON
}

// splitRows reads CSV (tab, semicolon, comma or bar), or lines of "name label" where the label
// follows the last space, or the name of an image. Empty lines and those that begin with # are
// passed over.
func splitRows(data []byte, isImage func(cell string) bool) (table, error) {
	t := newTable()
	first := 1
	if rest, ok := bytes.CutPrefix(data, []byte("sep=")); ok && len(rest) > 1 && rest[1] == '\n' { // Excel's
		t.comma, data, first = rune(rest[0]), rest[2:], 2
	} else {
		t.comma = separator(data)
	}
	if t.comma == 0 {
		for n, line := range strings.Split(string(data), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			t.add(first+n, spaced(line, isImage))
		}
	} else {
		r := csvReader(data, t.comma)
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
			if strings.Join(row, "") != "" {
				t.add(line+first-1, row)
			}
		}
	}
	if len(t.rows) == 0 {
		return t, errors.New("it holds no rows")
	}
	return t, nil
}

// csvReader reads cells as programs write them. A first cell that is empty is one in tabs, too.
func csvReader(data []byte, comma rune) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.Comment, r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace = comma, '#', -1, true, comma != '\t'
	return r
}

// spaced cuts a line without other separators in two: at its last space, unless what is before
// an earlier one is an image and what is before the last is none, as where a class has two words.
func spaced(line string, isImage func(string) bool) []string {
	if q := unquoted(line); q != line {
		return []string{q}
	}
	last := strings.LastIndexAny(line, " \t")
	if strings.HasSuffix(line, `"`) { // "my cat.png" "great white shark"
		if open := strings.LastIndex(line[:len(line)-1], `"`); open > 0 && strings.ContainsAny(line[open-1:open], " \t") {
			last = open - 1
		}
	}
	if last <= 0 {
		return []string{line}
	}
	cut := last
	if before := unquoted(strings.TrimSpace(line[:last])); !isImage(before) {
		for i, r := range line[:last] {
			if i > 0 && (r == ' ' || r == '\t') && imageName(unquoted(line[:i])) && isImage(unquoted(line[:i])) {
				cut = i
				break
			}
		}
	}
	return []string{unquoted(strings.TrimSpace(line[:cut])), unquoted(strings.TrimSpace(line[cut:]))}
}

// unquoted is a cell without the quotes around it.
func unquoted(s string) string {
	if n := len(s); n >= 2 && s[0] == '"' && s[n-1] == '"' && !strings.Contains(s[1:n-1], `"`) {
		return s[1 : n-1]
	}
	return s
}

func (t *table) add(line int, row []string) {
	t.rows, t.lines = append(t.rows, row), append(t.lines, line)
}

// where says in words where row i is in the file.
func (t *table) where(i int) string { return fmt.Sprintf("%s %d", t.unit, t.lines[i]) }

// separator is what stands between the cells of the first rows, each of which must have it, at
// least where the first is no header that is known; 0 where only spaces do. Of several, those with as many cells in each row come first, then those
// with the names of images in cells of their own, then those that are rarer within cells.
func separator(data []byte) (best rune) {
	const most = 50
	score := -1
	for _, c := range "\t;,|" {
		r := csvReader(data, c)
		rows, images, width, even := 0, 0, 0, 1
		known := false // a header, below which a row may lack a cell
		for ; rows < most; rows++ {
			row, err := r.Read()
			if err != nil {
				break
			}
			if strings.TrimSpace(strings.Join(row, "")) == "" {
				rows--
				continue
			}
			if len(row) < 2 && !known {
				rows = 0
				break
			}
			if head := (table{header: row}); rows == 0 {
				known = head.find(pathColumns) >= 0 && head.find(labelColumns) >= 0
			}
			if rows > 0 && len(row) != width {
				even = 0
			}
			width = len(row)
			if slices.ContainsFunc(row, imageName) {
				images++
			}
		}
		if s := even*(most+1) + images; rows > 0 && s > score {
			best, score = c, s
		}
	}
	return best
}

func (t *table) behead() { t.rows, t.lines = t.rows[1:], t.lines[1:] }

func (t table) cell(row []string, col int) string {
	if col < 0 || col >= len(row) {
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

// wholeNumber reads a number, however it is written: 7, +7, 007, 7.0, 7e0 and, as spreadsheets of
// some languages have it, 7,0.
func wholeNumber(s string) (v int, number, whole bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.Atoi(s); err == nil && n == int(int32(n)) {
		return n, true, true
	}
	if before, after, ok := strings.Cut(s, ","); ok && after != "" && len(after) < 3 && digits(after) {
		s = before + "." + after
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(s, "xX_") {
		return 0, false, false
	}
	if f != math.Trunc(f) || math.Abs(f) >= 1<<31 {
		return 0, true, false
	}
	return int(f), true, true
}
