package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

func (r *Report) markdown(w io.Writer) error {
	b := &strings.Builder{}
	title := r.Task
	if r.Model.Name != "" {
		title += ": " + r.Model.Name
	}
	if r.Dataset.Name != "" {
		title += " on " + r.Dataset.Name
	}
	fmt.Fprintf(b, "### %s\n", escape(title))
	n := r.Dataset.N
	if len(r.Main) > 0 {
		n = r.Main[0].N
	}
	if n > 0 {
		fmt.Fprintf(b, "\nn = %s; shares in percent; 95 %% intervals.", thousands(n))
		if r.Preprocessing.Summary != "" {
			fmt.Fprintf(b, " Pixels: %s (%s).", escape(r.Preprocessing.Summary), escape(r.Preprocessing.Source))
		}
		b.WriteString("\n")
	}
	if r.Options != "" {
		fmt.Fprintf(b, "\nOptions: %s\n", escape(r.Options))
	}
	if len(r.Main) > 0 {
		b.WriteString("\n")
		table(b, headed([]string{"metric", "value", "interval", "method and notes"}, r.mainRows()))
	}
	for _, s := range r.Sections {
		switch s := s.(type) {
		case List:
			if title, rows := s.listed(); len(rows) > 0 {
				caption(b, title)
				table(b, headed([]string{string(s.By), "metric", "value", "interval", "n"}, rows))
			}
		case View:
			caption(b, s.Title)
			table(b, headed(s.Columns, texts(s.Rows)))
		case Table:
			caption(b, s.Title)
			s.markdown(b)
		case Prose:
			bullet := "- "
			if len(s.Lines) == 1 {
				bullet = ""
			}
			b.WriteString("\n")
			for _, l := range s.Lines {
				fmt.Fprintf(b, "%s%s\n", bullet, escape(l))
			}
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(b, "\n> warning: %s\n", escape(warning))
	}
	if len(r.BadImages) > 0 {
		fmt.Fprintf(b, "\n%d images could not be read and are left out:\n\n", len(r.BadImages))
		for _, bad := range r.BadImages {
			fmt.Fprintf(b, "- %s: %s\n", escape(bad.ID), escape(bad.Reason))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Table) markdown(b *strings.Builder) { table(b, headed(t.heads(), texts(t.Rows))) }

func caption(b *strings.Builder, title string) {
	b.WriteString("\n")
	if title != "" {
		fmt.Fprintf(b, "%s\n\n", escape(title))
	}
}

// escape makes text safe for a cell and a line.
func escape(s string) string { return strings.ReplaceAll(clean(s), "|", `\|`) }

// table writes a Markdown table of which the first row is the head. Rows without cells are
// left out, short ones are filled up.
func table(b *strings.Builder, rows [][]string) {
	width := make([]int, len(rows[0]))
	cell := func(row []string, c int) string {
		if c < len(row) {
			return escape(strings.TrimSpace(row[c]))
		}
		return ""
	}
	for _, row := range rows {
		for c := range width {
			width[c] = max(width[c], uniseg.StringWidth(cell(row, c)), 3)
		}
	}
	for i, row := range rows {
		if len(row) == 0 {
			continue
		}
		for c, w := range width {
			text := cell(row, c)
			fmt.Fprintf(b, "| %s%s ", text, strings.Repeat(" ", w-uniseg.StringWidth(text)))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, w := range width {
				fmt.Fprintf(b, "|%s", strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
}
