package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/metrics"
)

// Section is a part of a report as people read it: a List, View, Table or Prose.
type Section interface{ section() }

// List lists numbers by one key: those with the same value of By stand together. Where there
// are many values, text and Markdown show the worst, by the first number of each.
type List struct {
	By      KeyName
	Numbers []*Number
}

// View is a table of numbers of the report. JSON and CSV hold the numbers themselves.
type View struct {
	Title   string
	Columns []string
	Rows    [][]Cell
}

// Table is a table of words, and of numbers that are not numbers of the report: images, pairs
// of classes, sets, epochs. JSON holds it.
type Table struct {
	Name    string // for programs
	Title   string
	Columns []Column
	Rows    [][]Cell
	Aside   bool // not in text, which says as much elsewhere
}

// Column names a column of a table.
type Column struct {
	Name string // for programs
	Head string // for people
}

// Prose is sentences, a line each.
type Prose struct{ Lines []string }

func (List) section()  {}
func (View) section()  {}
func (Table) section() {}
func (Prose) section() {}

// Row is the cells of a row.
func Row(cells ...Cell) []Cell { return cells }

// Cell is a place of a table: a number, or words. The zero value is empty.
type Cell struct {
	Number *Number
	Show   Show
	Digits int    // behind the point, or of General; 0: two of percent, four of other numbers
	Word   string // where there is no number
	Mark   string // stands behind the number: " *"
}

// Show says what of a number a cell shows.
type Show int

// What a cell can show. Percent are shown of fractions.
const (
	Full       Show = iota // value and sign of percent: 91.60 %
	Bare                   // value: 91.60
	Range                  // ends of the interval: 90.30 to 92.74
	Signed                 // value of a difference: +1.20, or 0.00 where it rounds to that
	Points                 // the same with "points" behind percent
	Difference             // Signed and Range: +1.20 (0.10 to 2.30)
	PValue                 // p, for the number of tests
	Count                  // n
	General                // value in the shorter of the usual and the exponential form
)

// Word is a cell of words.
func Word(s string) Cell { return Cell{Word: s} }

// Int is a cell of an integer that is no number of the report.
func Int(n int) Cell { return (&Number{N: n}).Count() }

// Plain is a number for cells that is no number of the report.
func Plain(v float64, u Unit) *Number { return &Number{Value: v, Unit: u} }

// Cells of a number; those of nil are empty.
func (n *Number) Full() Cell       { return n.cell(Full) }
func (n *Number) Bare() Cell       { return n.cell(Bare) }
func (n *Number) Range() Cell      { return n.cell(Range) }
func (n *Number) Signed() Cell     { return n.cell(Signed) }
func (n *Number) Points() Cell     { return n.cell(Points) }
func (n *Number) Difference() Cell { return n.cell(Difference) }
func (n *Number) PValue() Cell     { return n.cell(PValue) }
func (n *Number) Count() Cell      { return n.cell(Count) }
func (n *Number) General() Cell    { return n.cell(General) }

func (n *Number) cell(s Show) Cell {
	if n == nil {
		return Cell{}
	}
	return Cell{Number: n, Show: s}
}

// To returns the cell with that many digits.
func (c Cell) To(digits int) Cell {
	c.Digits = digits
	return c
}

// Marked returns the cell with a mark behind the number, if it shows one.
func (c Cell) Marked(mark string) Cell {
	if c.Number != nil {
		c.Mark = mark
	}
	return c
}

// String is the cell for people.
func (c Cell) String() string {
	n := c.Number
	if n == nil {
		return c.Word
	}
	s := ""
	switch c.Show {
	case Full:
		if s = c.format(n.Value); n.Unit == Fraction {
			s += " %"
		}
	case Bare:
		s = c.format(n.Value)
	case Range:
		s = c.span(n.Interval)
	case Signed:
		s = c.signed(n.Value)
	case Points:
		if s = c.signed(n.Value); n.Unit == Fraction {
			s += " points"
		}
	case Difference:
		if s = c.signed(n.Value); n.Interval != nil {
			s += " (" + c.span(n.Interval) + ")"
		}
	case PValue:
		if n.Test != nil {
			s = strconv.FormatFloat(n.Test.PAdjusted, 'g', 2, 64)
		}
	case Count:
		s = strconv.Itoa(n.N)
	case General:
		digits := c.Digits
		if digits == 0 {
			digits = 4
		}
		s = strconv.FormatFloat(n.Value, 'g', digits, 64)
	}
	return s + c.Mark
}

// span is an interval's ends; empty for none.
func (c Cell) span(iv *metrics.Interval) string {
	if iv == nil {
		return ""
	}
	return c.format(iv.Low) + " to " + c.format(iv.High)
}

// format writes a value of the cell's number's unit, without the sign of percent. What rounds
// to 0 has no sign.
func (c Cell) format(v float64) string {
	digits := 4
	if c.Number.Unit == Fraction {
		v, digits = 100*v, 2
	}
	if c.Digits > 0 {
		digits = c.Digits
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if v <= 0 && strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return s
}

func (c Cell) signed(v float64) string {
	s := c.format(v)
	if v > 0 && strings.Trim(s, "0.") != "" {
		s = "+" + s
	}
	return s
}

// exact is the cell for programs: a string, a number, the two ends of an interval, or nil for
// nothing.
func (c Cell) exact() any {
	n := c.Number
	switch {
	case n == nil && c.Word == "":
		return nil
	case n == nil:
		return c.Word
	case c.Show == Count:
		return n.N
	case c.Show == PValue && n.Test != nil:
		return n.Test.PAdjusted
	case c.Show == Range && n.Interval != nil:
		return [2]float64{n.Interval.Low, n.Interval.High}
	case c.Show == Range || c.Show == PValue || !finite(n.Value):
		return nil
	}
	return n.Value
}

// Write renders the table alone. CSV and JSON have names for programs and numbers in full
// precision.
func (t Table) Write(w io.Writer, f Format) error {
	switch f {
	case JSON:
		return writeJSON(w, t)
	case CSV:
		return t.csv(w)
	case Markdown:
		b := &strings.Builder{}
		t.markdown(b)
		_, err := io.WriteString(w, b.String())
		return err
	}
	b := &strings.Builder{}
	t.text(b)
	return trimmed(w, b.String())
}

// heads are the columns for people.
func (t Table) heads() []string {
	var out []string
	for _, c := range t.Columns {
		out = append(out, c.Head)
	}
	return out
}

// texts are the cells of rows for people.
func texts(rows [][]Cell) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		for _, c := range row {
			out[i] = append(out[i], c.String())
		}
	}
	return out
}

// listed is a list's title and its rows: the key's value, the number's name, value, interval
// and n.
func (l List) listed() (title string, rows [][]string) {
	place := map[string]int{}
	var groups [][]*Number
	for _, n := range l.Numbers {
		if n == nil {
			continue
		}
		v := n.At.Get(l.By)
		k, ok := place[v]
		if !ok {
			k = len(groups)
			place[v], groups = k, append(groups, nil)
		}
		groups[k] = append(groups[k], n)
	}
	title = "by " + string(l.By)
	if all := len(groups); all > most {
		which := "worst"
		switch groups[0][0].Better {
		case Higher:
			slices.SortStableFunc(groups, func(a, b []*Number) int { return cmp.Compare(a[0].Value, b[0].Value) })
		case Lower:
			slices.SortStableFunc(groups, func(a, b []*Number) int { return cmp.Compare(b[0].Value, a[0].Value) })
		default:
			which = "first"
		}
		groups = groups[:most]
		title += fmt.Sprintf(": the %d %s of %d", most, which, all)
	}
	for _, g := range groups {
		for _, n := range g {
			rows = append(rows, []string{n.At.Get(l.By), n.Label(l.By), n.Full().String(), n.Range().String(), strconv.Itoa(n.N)})
		}
	}
	return title, rows
}

// Columns are columns that programs and people know by the same names.
func Columns(names ...string) []Column {
	var out []Column
	for _, n := range names {
		out = append(out, Column{n, n})
	}
	return out
}
