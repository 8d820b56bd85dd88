package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"cutmix-eval/metrics"
)

// Text renders a value and its interval: percent for fractions.
func (m Metric) Text() (value, interval string) {
	f := func(v float64) string {
		if m.Unit == Fraction {
			return Percent(v)
		}
		return strconv.FormatFloat(v, 'f', 4, 64)
	}
	value = f(m.Value)
	if m.Unit == Fraction {
		value += " %"
	}
	if m.Interval != nil {
		interval = fmt.Sprintf("%s to %s", f(m.Interval.Low), f(m.Interval.High))
	}
	return value, interval
}

// maxRows is how many rows of groups, tables and lists text shows.
const maxRows = 20

func (r *Report) text(w io.Writer) error {
	b := &strings.Builder{}
	head := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	line := func(k, format string, a ...any) { fmt.Fprintf(head, "%s\t%s\n", k, fmt.Sprintf(format, a...)) }
	act := ""
	if r.Model.Activation != "" {
		act = fmt.Sprintf(", logits %q before its %s", r.Model.Output, r.Model.Activation)
	}
	if r.Model.Name != "" { // several have a table
		line("model", "%s (sha256 %.12s, %d classes%s)", r.Model.Name, r.Model.SHA256, r.Model.Classes, act)
	}
	if r.Model.Training != "" {
		line("training", "%s", r.Model.Training)
	}
	if r.Dataset.Name != "" {
		line("data", "%s: %s", r.Dataset.Name, r.Dataset.Recognised)
		line("", "%s images, %d classes, labels matched %s", thousands(r.Dataset.N), r.Dataset.Classes, r.Dataset.Labels)
	}
	if r.Preprocessing.Summary != "" {
		line("pixels", "%s (%s; fingerprint %s)", r.Preprocessing.Summary, r.Preprocessing.Source, r.Preprocessing.Fingerprint)
		line("decoder", "%s", r.Preprocessing.Decoder)
	}
	line("runtime", "%s", r.Runtime)
	if r.Runtime.FixedBatch != "" {
		line("batch", "%s", r.Runtime.FixedBatch)
	}
	if r.Options != "" {
		line("options", "%s", r.Options)
	}
	if r.Timing != nil && r.Timing.Wall > 0 {
		line("time", "%s", r.Timing)
	}
	if err := head.Flush(); err != nil {
		return err
	}
	if len(r.Metrics) > 0 {
		fmt.Fprintf(b, "\n%s\n", heading(r.Metrics))
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	n := 0
	if len(r.Metrics) > 0 {
		n = r.Metrics[0].N
	}
	for _, m := range r.Metrics {
		v, iv := m.Text()
		note := m.Note
		if m.N != n {
			note = strings.TrimPrefix(fmt.Sprintf("%s; n = %d", note, m.N), "; ")
		}
		if m.Interval != nil {
			note = strings.TrimSuffix(m.Interval.Method+"; "+note, "; ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t  %s\n", m.Name, v, iv, note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if !r.HideGroups {
		if err := r.textGroups(b); err != nil {
			return err
		}
	}
	for _, t := range r.Tables {
		if err := t.render(b); err != nil {
			return err
		}
	}
	if len(r.BadImages) > 0 {
		fmt.Fprintf(b, "\n%d images could not be read and are left out\n", len(r.BadImages))
		for _, bad := range r.BadImages {
			fmt.Fprintf(b, "  %s: %s\n", bad.ID, bad.Reason)
		}
	}
	for _, note := range r.Dataset.Notes {
		fmt.Fprintf(b, "\nnote: %s\n", note)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(b, "\nwarning: %s\n", warning)
	}
	return trimmed(w, b.String())
}

// trimmed writes lines without trailing spaces: tabwriter pads the last column.
func trimmed(w io.Writer, text string) error {
	for l := range strings.Lines(text) {
		if _, err := io.WriteString(w, strings.TrimRight(l, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// Markdown renders the table as Markdown.
func (t Table) Markdown(w io.Writer) error {
	b := &strings.Builder{}
	table(b, t.Columns, len(t.Rows), func(i int) []string { return t.Rows[i] })
	_, err := io.WriteString(w, b.String())
	return err
}

// Write renders the table as text.
func (t Table) Write(w io.Writer) error {
	b := &strings.Builder{}
	if err := t.render(b); err != nil {
		return err
	}
	return trimmed(w, b.String())
}

func (t Table) render(b *strings.Builder) error {
	if t.Title != "" {
		fmt.Fprintf(b, "\n%s\n", t.Title)
	}
	return columns(b, t.Columns, t.Rows)
}

// Percent writes a share, 0 to 1, for a cell of a table: in percent, two decimals, no sign
// of percent.
func Percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 2, 64) }

// PercentRange writes the ends of a share's interval as Percent does.
func PercentRange(iv metrics.Interval) string { return Percent(iv.Low) + " to " + Percent(iv.High) }

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

func heading(ms []Metric) string {
	n := 0
	if len(ms) > 0 {
		n = ms[0].N
	}
	return fmt.Sprintf("n = %s, with 95 %% intervals", thousands(n))
}

// textGroups shows the groups of each kind, worst first when they are many.
func (r *Report) textGroups(b *strings.Builder) error {
	for _, kind := range kinds(r.Groups) {
		var gs []Group
		for _, g := range r.Groups {
			if g.Kind == kind {
				gs = append(gs, g)
			}
		}
		title := "by " + kind
		if len(gs) > maxRows {
			slices.SortStableFunc(gs, func(a, c Group) int { return worse(a.Metrics[0], c.Metrics[0]) })
			title = fmt.Sprintf("by %s: the %d worst of %d", kind, maxRows, len(gs))
			gs = gs[:maxRows]
		}
		fmt.Fprintf(b, "\n%s\n", title)
		var rows [][]string
		for _, g := range gs {
			for _, m := range g.Metrics {
				v, iv := m.Text()
				rows = append(rows, []string{g.Name, m.Name, v, iv, fmt.Sprintf("n = %d", m.N)})
			}
		}
		if err := columns(b, nil, rows); err != nil {
			return err
		}
	}
	return nil
}

func worse(a, b Metric) int {
	d := a.Value - b.Value
	if !a.HigherIsBetter {
		d = -d
	}
	switch {
	case d < 0:
		return -1
	case d > 0:
		return 1
	}
	return 0
}

func kinds(gs []Group) []string {
	var out []string
	for _, g := range gs {
		if !slices.Contains(out, g.Kind) {
			out = append(out, g.Kind)
		}
	}
	return out
}

// columns writes rows in columns, two spaces in.
func columns(b *strings.Builder, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	if head != nil {
		fmt.Fprintf(t, "  %s\n", strings.Join(head, "\t"))
	}
	for _, r := range rows {
		fmt.Fprintf(t, "  %s\n", strings.Join(r, "\t"))
	}
	return t.Flush()
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
