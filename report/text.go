package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// most is how many groups of a list text and Markdown show.
const most = 20

func (r *Report) text(w io.Writer) error {
	b := &strings.Builder{}
	if !r.Headless {
		r.Head.text(b, r.Timing)
	}
	if len(r.Main) > 0 {
		fmt.Fprintf(b, "\nn = %s, with 95 %% intervals\n", thousands(r.Main[0].N))
		columns(b, "", true, r.mainRows())
	}
	for _, s := range r.Sections {
		switch s := s.(type) {
		case List:
			if title, rows := s.listed(); len(rows) > 0 {
				heading(b, title)
				for _, row := range rows {
					row[len(row)-1] = "n = " + row[len(row)-1]
				}
				columns(b, "  ", false, rows)
			}
		case View:
			heading(b, s.Title)
			columns(b, "  ", false, headed(s.Columns, texts(s.Rows)))
		case Table:
			if !s.Aside {
				s.text(b)
			}
		case Prose:
			if b.Len() > 0 {
				b.WriteString("\n")
			}
			for _, l := range s.Lines {
				fmt.Fprintln(b, l)
			}
		}
	}
	if len(r.BadImages) > 0 {
		fmt.Fprintf(b, "\n%d images could not be read and are left out\n", len(r.BadImages))
		for _, bad := range r.BadImages {
			fmt.Fprintf(b, "  %s: %s\n", bad.ID, bad.Reason)
		}
	}
	if !r.Headless {
		for _, note := range r.Dataset.Notes {
			fmt.Fprintf(b, "\nnote: %s\n", note)
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(b, "\nwarning: %s\n", warning)
	}
	return trimmed(w, b.String())
}

// text writes who, what and how, a line each.
func (h Head) text(b *strings.Builder, t *Timing) {
	var rows [][]string
	line := func(name, format string, a ...any) { rows = append(rows, []string{name, fmt.Sprintf(format, a...)}) }
	if h.Model.Name != "" {
		act := ""
		if h.Model.Activation != "" {
			act = fmt.Sprintf(", logits %q before its %s", h.Model.Output, h.Model.Activation)
		}
		classes := fmt.Sprintf("%d classes", h.Model.Classes)
		if h.Model.Classes == 1 {
			classes = "one output"
		}
		if h.predicted() {
			line("scores", "%s (sha256 %.12s, %s), computed elsewhere", h.Model.Name, h.Model.SHA256, classes)
			line("form", "%s", h.Preprocessing.Source)
		} else {
			line("model", "%s (sha256 %.12s, %s%s)", h.Model.Name, h.Model.SHA256, classes, act)
		}
	}
	if h.Model.Choice != "" {
		line("output", "%s", h.Model.Choice)
	}
	if h.Model.Training != "" {
		line("training", "%s", h.Model.Training)
	}
	if h.Dataset.Name != "" {
		line("data", "%s: %s", h.Dataset.Name, h.Dataset.Recognised)
		line("", "%s images, %d classes, labels matched %s", thousands(h.Dataset.N), h.Dataset.Classes, h.Dataset.Labels)
	}
	if h.Preprocessing.Summary != "" && !h.predicted() {
		line("pixels", "%s (%s; fingerprint %s)", h.Preprocessing.Summary, h.Preprocessing.Source, h.Preprocessing.Fingerprint)
		line("decoder", "%s", h.Preprocessing.Decoder)
	}
	if !h.predicted() {
		line("runtime", "%s", h.Runtime)
	}
	if h.Runtime.FixedBatch != "" {
		line("batch", "%s", h.Runtime.FixedBatch)
	}
	if h.Options != "" {
		line("options", "%s", h.Options)
	}
	if t != nil && t.Wall > 0 {
		line("time", "%s", t)
	}
	columns(b, "", false, rows)
}

// mainRows are the main numbers: name, value, interval, and what must be said with it.
func (r *Report) mainRows() [][]string {
	var without []KeyName
	for _, k := range r.MainAt {
		without = append(without, k.Name)
	}
	var rows [][]string
	for _, n := range r.Main {
		var notes []string
		if n.Interval != nil {
			notes = append(notes, n.Interval.Method)
		}
		if n.Note != "" {
			notes = append(notes, n.Note)
		}
		if n.N != r.Main[0].N {
			notes = append(notes, fmt.Sprintf("n = %d", n.N))
		}
		rows = append(rows, []string{n.Label(without...), n.Full().String(), n.Range().String(), "  " + strings.Join(notes, "; ")})
	}
	return rows
}

func (t Table) text(b *strings.Builder) {
	heading(b, t.Title)
	columns(b, "  ", false, headed(t.heads(), texts(t.Rows)))
}

func heading(b *strings.Builder, title string) {
	if title != "" {
		fmt.Fprintf(b, "\n%s\n", title)
	}
}

// headed puts a row of heads, if there are any, before the others.
func headed(heads []string, rows [][]string) [][]string {
	if heads == nil {
		return rows
	}
	return append([][]string{heads}, rows...)
}

// columns writes rows, two spaces between columns. As in text/tabwriter a column ends where a
// row does not reach it: rows after an empty one are aligned anew, and the last cell of a row
// widens no column.
func columns(b *strings.Builder, indent string, right bool, rows [][]string) {
	shown, widths := make([][]string, len(rows)), make([][]int, len(rows))
	for i, row := range rows {
		for _, cell := range row {
			shown[i] = append(shown[i], clean(cell))
		}
		widths[i] = make([]int, max(len(row)-1, 0))
	}
	for from := range rows {
		for c := range widths[from] {
			if from > 0 && c < len(widths[from-1]) {
				continue // the column began above
			}
			to, width := from, 0
			for ; to < len(rows) && c < len(widths[to]); to++ {
				width = max(width, uniseg.StringWidth(shown[to][c]))
			}
			for i := from; i < to; i++ {
				widths[i][c] = width + 2
			}
		}
	}
	for i, row := range shown {
		b.WriteString(indent)
		for c, cell := range row {
			pad := ""
			if c < len(widths[i]) {
				pad = strings.Repeat(" ", widths[i][c]-uniseg.StringWidth(cell))
			}
			if right {
				cell, pad = pad, cell
			}
			b.WriteString(cell)
			b.WriteString(pad)
		}
		b.WriteString("\n")
	}
}

// clean replaces what would break a line or steer a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// trimmed writes lines without trailing spaces.
func trimmed(w io.Writer, text string) error {
	for l := range strings.Lines(text) {
		if _, err := io.WriteString(w, strings.TrimRight(l, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
