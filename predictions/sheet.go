package predictions

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/text"
)

// cell is one value of a row.
type cell struct {
	text   string
	value  float64 // where it is a number
	number bool
}

// textCell reads a cell of text. comma says that a comma may stand before decimals.
func textCell(s string, comma bool) cell {
	s = strings.TrimSpace(s)
	number := s
	if comma && strings.Count(s, ",") == 1 && !strings.Contains(s, ".") {
		number = strings.Replace(s, ",", ".", 1)
	}
	v, err := strconv.ParseFloat(number, 64)
	ok := (err == nil || errors.Is(err, strconv.ErrRange)) && !strings.ContainsAny(s, "xX_")
	return cell{s, v, ok}
}

// numberCell is a cell that is a number.
func numberCell(v float64) cell { return cell{value: v, number: true} }

// String is the cell as text.
func (c cell) String() string {
	if c.text == "" && c.number {
		return strconv.FormatFloat(c.value, 'f', -1, 64)
	}
	return c.text
}

func (c cell) whole() bool {
	return c.number && c.value == math.Trunc(c.value) && math.Abs(c.value) < 1<<40
}

// rows gives one row after the other, and what and which it is for people ("line", 3); io.EOF ends
// them. A row is valid until the next call.
type rows func() (row []cell, what string, n int, err error)

// looked is how many of the first rows say what the columns are.
const looked = 100

// sheet takes rows of cells. header is nil without one.
func (t *Table) sheet(header []string, next rows) error {
	type one struct {
		row  []cell
		what string
		n    int
	}
	var first []one
	var head [][]cell
	for len(first) < looked {
		row, what, n, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		row = slices.Clone(row)
		first, head = append(first, one{row, what, n}), append(head, row)
	}
	if len(first) == 0 {
		return errors.New("it has no rows")
	}
	if len(header) != len(head[0]) && header != nil {
		return fmt.Errorf("its header has %d cells, its rows %d", len(header), len(head[0]))
	}
	c, err := columnsOf(header, head)
	if err != nil {
		return err
	}
	t.passedOver("column", c.over)
	var filled filling
	for _, o := range first {
		if err := t.add(c, &filled, o.row, o.what, o.n); err != nil {
			return err
		}
	}
	for {
		row, what, n, err := next()
		if errors.Is(err, io.EOF) {
			return t.settle(c, &filled)
		}
		if err == nil {
			err = t.add(c, &filled, row, what, n)
		}
		if err != nil {
			return err
		}
	}
}

// filling is what rows gave that is not yet of the table.
type filling struct {
	numbers   []float64 // one per row
	predicted []string
	order     []float64 // numbers of the rows
}

func (t *Table) add(c columns, f *filling, row []cell, what string, n int) error {
	t.N++
	if c.id >= 0 {
		t.IDs = append(t.IDs, row[c.id].String())
	}
	if c.label >= 0 {
		t.Labels = append(t.Labels, row[c.label].String())
	}
	if c.index >= 0 {
		f.order = append(f.order, row[c.index].value)
	}
	if c.predicted >= 0 {
		f.predicted = append(f.predicted, row[c.predicted].String())
		f.numbers = append(f.numbers, row[c.predicted].value)
		return nil
	}
	for k, at := range c.scores {
		v := row[at]
		bad := ""
		switch {
		case v.text == "" && !v.number:
			bad = "is missing"
		case !v.number:
			return fmt.Errorf("%s: %q in column %d is no score", place(what, n, t.IDs, t.N-1), v.text, at+1)
		case math.IsNaN(v.value), math.Abs(v.value) > math.MaxFloat32:
			bad = "is " + v.String()
		}
		if bad != "" {
			name := fmt.Sprintf("in column %d", at+1)
			if c.headers != nil {
				name += " (" + c.headers[k] + ")"
			}
			return fmt.Errorf("%s: the score %s %s; scores must be finite numbers of 32 bits", place(what, n, t.IDs, t.N-1), name, bad)
		}
		if len(c.scores) == 1 {
			f.numbers = append(f.numbers, v.value)
			continue
		}
		t.Scores = append(t.Scores, float32(v.value))
	}
	return nil
}

// settle ends a table whose rows are all there.
func (t *Table) settle(c columns, f *filling) error {
	t.Classes = len(c.scores)
	var err error
	switch {
	case c.predicted >= 0 && c.numbers:
		for i, v := range f.numbers {
			if _, err := strconv.ParseFloat(f.predicted[i], 64); err != nil || fraction(v) {
				return fmt.Errorf("%s predicts %q, and others numbers of classes", t.Place(i), f.predicted[i])
			}
		}
		err = t.numbers(f.numbers)
	case c.predicted >= 0:
		err = t.classes(f.predicted)
	case len(c.scores) == 1:
		if err = t.numbers(f.numbers); !t.Hard && c.headers != nil && !generic(c.headers[0]) {
			t.Names, t.Headers = c.headers, c.headers
		}
	default:
		t.Headers, t.Names = c.headers, c.names
	}
	if err == nil && t.IDs == nil {
		t.byNumber(f.order)
	}
	return err
}

// generic says whether a column is called as any scores may be, not as a class.
func generic(name string) bool {
	name = strings.ToLower(name)
	_, err := strconv.Atoi(name)
	return err == nil || slices.Contains(aside, name) || slices.Contains(predictedNames, name) || slices.Contains(scoreNames, name)
}

// byNumber brings rows into the order of their numbers, where these are a permutation: programs sort
// or shuffle rows, and keep the number that each had.
func (t *Table) byNumber(order []float64) {
	n := len(order)
	at := make([]int, n)
	for i := range at {
		at[i] = -1
	}
	from := 0.0
	if n > 0 {
		from = slices.Min(order)
	}
	sorted := true
	for i, v := range order {
		k := v - from
		if from != 0 && from != 1 || k != math.Trunc(k) || k >= float64(n) || at[int(k)] >= 0 {
			return
		}
		at[int(k)] = i
		sorted = sorted && int(k) == i
	}
	if n != t.N || sorted {
		return
	}
	old := *t
	t.Scores = make([]float32, 0, len(old.Scores))
	t.Labels = nil
	for _, i := range at {
		t.Scores = append(t.Scores, old.Row(i)...)
		if old.Labels != nil {
			t.Labels = append(t.Labels, old.Labels[i])
		}
	}
	t.Notes = append(t.Notes, "rows are taken in the order of the numbers in their first column")
}

// passedOver notes what no number needs.
func (t *Table) passedOver(what string, names []string) {
	switch len(names) {
	case 0:
	case 1:
		t.Notes = append(t.Notes, fmt.Sprintf("the %s %s of the predictions is passed over", what, names[0]))
	default:
		t.Notes = append(t.Notes, fmt.Sprintf("%ss of the predictions are passed over: %s", what, text.Some(names, 6)))
	}
}

// extensions are those of images and of what stands for them.
var extensions = []string{
	".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".heic", ".avif", ".jp2", ".dcm", ".npy",
}

// picture says whether a text is the name of an image, with an extension or a folder.
func picture(s string) bool {
	return slices.Contains(extensions, strings.ToLower(path.Ext(s))) || strings.ContainsAny(s, `/\`)
}
