// Package report is what every task reports, as one value, and its renderings:
// text for people, JSON for programs, CSV and Markdown for tables.
//
// Shares are fractions (0..1) in the value, in JSON and in CSV; text and
// Markdown show percent and say so.
package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"cutmix-eval/metrics"
)

// SchemaVersion is raised when a reader of the JSON form would have to change.
const SchemaVersion = 1

// Report is the result of one task.
type Report struct {
	SchemaVersion int           `json:"schema_version"`
	Task          string        `json:"task"`
	Tool          Tool          `json:"tool"`
	Model         Model         `json:"model"`
	Dataset       Dataset       `json:"dataset"`
	Preprocessing Preprocessing `json:"preprocessing"`
	Runtime       Runtime       `json:"runtime"`
	Timing        Timing        `json:"timing"`
	Config        any           `json:"config"` // what the task was told: seed, limit, its own options
	Metrics       []Metric      `json:"metrics"`
	Groups        []Group       `json:"groups,omitempty"`
	Tables        []Table       `json:"tables,omitempty"`
	BadImages     []BadImage    `json:"bad_images,omitempty"`
	Warnings      []string      `json:"warnings"`
	Options       string        `json:"-"` // Config for people: what differs from the defaults
}

// Tool says what made the report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
}

// Model says which model was run.
type Model struct {
	Name       string `json:"name"`
	Path       string `json:"path,omitempty"`
	SHA256     string `json:"sha256"`
	Bytes      int64  `json:"bytes"`
	Classes    int    `json:"classes"`
	Output     string `json:"output"`     // the tensor that was read
	Activation string `json:"activation"` // what follows it in the file: Softmax, …, or none
	Training   string `json:"training,omitempty"`
}

// Dataset says which images were used.
type Dataset struct {
	Name        string   `json:"name"`
	Path        string   `json:"path"`
	Format      string   `json:"format"`
	Recognised  string   `json:"recognised"`
	N           int      `json:"n"`   // images with a result
	Bad         int      `json:"bad"` // images that could not be read
	Classes     int      `json:"classes"`
	Labels      string   `json:"labels"` // how classes were matched to outputs
	Fingerprint string   `json:"fingerprint"`
	Notes       []string `json:"notes,omitempty"`
}

// Preprocessing says what lay between file and tensor.
type Preprocessing struct {
	Recipe      any    `json:"recipe"`
	Summary     string `json:"summary"`
	Source      string `json:"source"`
	Decoder     string `json:"decoder"`
	Fingerprint string `json:"fingerprint"`
}

// Runtime says what ran the model, and how.
type Runtime struct {
	ORT       string         `json:"ort"`
	Library   string         `json:"library"`
	Device    string         `json:"device"`
	Threads   int            `json:"threads"`
	Workers   int            `json:"workers"`
	Batch     int            `json:"batch"`
	Placement map[string]int `json:"nodes_by_provider,omitempty"`

	FixedBatch    string `json:"fixed_batch,omitempty"` // what became of a batch size fixed in the file
	PlacementText string `json:"-"`                     // Placement for people
}

// Timing holds seconds.
type Timing struct {
	Wall            float64 `json:"wall_s"`
	ImagesPerSecond float64 `json:"images_per_s"`
	Model           float64 `json:"model_s"`
	ModelWaiting    float64 `json:"model_waiting_s"`
	LoadCPU         float64 `json:"load_cpu_s"` // summed over workers
	Startup         float64 `json:"startup_s"`  // before the first image
	Metrics         float64 `json:"metrics_s"`
}

// Units of metrics.
const (
	Fraction = "fraction"
	Nats     = "nats"
	None     = ""
)

// Metric is a number with everything that must be said with it.
type Metric struct {
	Name           string            `json:"name"`
	Value          float64           `json:"value"`
	Unit           string            `json:"unit"`
	N              int               `json:"n"`
	Interval       *metrics.Interval `json:"interval,omitempty"`
	HigherIsBetter bool              `json:"higher_is_better"`
	Note           string            `json:"note,omitempty"`
}

// Group is the same kind of metrics for a part: a class, a corruption, a score.
type Group struct {
	Kind    string   `json:"kind"`
	Name    string   `json:"name"`
	Metrics []Metric `json:"metrics"`
}

// Table is anything else worth reading.
type Table struct {
	Name    string     `json:"name"`
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// BadImage is an image that was left out, and why.
type BadImage struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Format is a rendering.
type Format string

// The renderings.
const (
	Text     Format = "text"
	JSON     Format = "json"
	CSV      Format = "csv"
	Markdown Format = "md"
)

// ParseFormat reads a rendering's name.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); slices.Contains([]Format{Text, JSON, CSV, Markdown}, f) {
		return f, nil
	}
	return "", fmt.Errorf("format %q is not one of text, json, csv, md", s)
}

// Write renders r. A number that is NaN or infinite is an error: reports hold
// numbers.
func (r *Report) Write(w io.Writer, f Format) error {
	r.SchemaVersion = SchemaVersion
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	if err := r.finite(); err != nil {
		return err
	}
	switch f {
	case JSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(r)
	case CSV:
		return r.csv(w)
	case Markdown:
		return r.markdown(w)
	}
	return r.text(w)
}

func (r *Report) finite() error {
	check := func(where string, ms []Metric) error {
		for _, m := range ms {
			v := []float64{m.Value}
			if m.Interval != nil {
				v = append(v, m.Interval.Low, m.Interval.High)
			}
			for _, x := range v {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					return fmt.Errorf("metric %s%s is %v", where, m.Name, x)
				}
			}
		}
		return nil
	}
	if err := check("", r.Metrics); err != nil {
		return err
	}
	for _, g := range r.Groups {
		if err := check(g.Kind+" "+g.Name+" ", g.Metrics); err != nil {
			return err
		}
	}
	return nil
}

// Text renders a value and its interval: percent for fractions.
func (m Metric) Text() (value, interval string) {
	f := func(v float64) string {
		if m.Unit == Fraction {
			return strconv.FormatFloat(100*v, 'f', 2, 64)
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
	line("model", "%s (sha256 %.12s, %d classes%s)", r.Model.Name, r.Model.SHA256, r.Model.Classes, act)
	if r.Model.Training != "" {
		line("training", "%s", r.Model.Training)
	}
	line("data", "%s: %s", r.Dataset.Name, r.Dataset.Recognised)
	line("", "%s images, %d classes, labels matched %s", thousands(r.Dataset.N), r.Dataset.Classes, r.Dataset.Labels)
	line("pixels", "%s (%s; fingerprint %s)", r.Preprocessing.Summary, r.Preprocessing.Source, r.Preprocessing.Fingerprint)
	line("decoder", "%s", r.Preprocessing.Decoder)
	line("runtime", "ONNX Runtime %s on %s, %d threads, %d decoders, batch %d%s",
		r.Runtime.ORT, r.Runtime.Device, r.Runtime.Threads, r.Runtime.Workers, r.Runtime.Batch, r.Runtime.PlacementText)
	if r.Runtime.FixedBatch != "" {
		line("batch", "%s", r.Runtime.FixedBatch)
	}
	if r.Options != "" {
		line("options", "%s", r.Options)
	}
	line("time", "%.1f s, %.0f images/s (model %.0f %% of the time, waiting for images %.0f %%)",
		r.Timing.Wall, r.Timing.ImagesPerSecond, percent(r.Timing.Model, r.Timing.Wall), percent(r.Timing.ModelWaiting, r.Timing.Wall))
	if err := head.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(b, "\n%s\n", heading(r.Metrics))
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
	if err := r.textGroups(b); err != nil {
		return err
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

// Write renders the table as text.
func (t Table) Write(w io.Writer) error {
	b := &strings.Builder{}
	if err := t.render(b); err != nil {
		return err
	}
	return trimmed(w, b.String())
}

func (t Table) render(b *strings.Builder) error {
	fmt.Fprintf(b, "\n%s\n", t.Title)
	return columns(b, t.Columns, t.Rows)
}

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

// csv writes one row per metric, the groups' after the whole's.
func (r *Report) csv(w io.Writer) error {
	c := csv.NewWriter(w)
	num := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	if err := c.Write([]string{"task", "model", "dataset", "kind", "group", "metric", "value", "unit", "n", "low", "high", "level", "method", "higher_is_better"}); err != nil {
		return err
	}
	row := func(kind, group string, m Metric) error {
		low, high, level, method := "", "", "", ""
		if iv := m.Interval; iv != nil {
			low, high, level, method = num(iv.Low), num(iv.High), num(iv.Level), iv.Method
		}
		return c.Write([]string{r.Task, r.Model.Name, r.Dataset.Name, kind, group, m.Name, num(m.Value), m.Unit, strconv.Itoa(m.N),
			low, high, level, method, strconv.FormatBool(m.HigherIsBetter)})
	}
	for _, m := range r.Metrics {
		if err := row("all", "", m); err != nil {
			return err
		}
	}
	for _, g := range r.Groups {
		for _, m := range g.Metrics {
			if err := row(g.Kind, g.Name, m); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

func (r *Report) markdown(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "### %s: %s on %s\n\n", r.Task, escape(r.Model.Name), escape(r.Dataset.Name))
	fmt.Fprintf(b, "n = %s; shares in percent; 95 %% intervals. Pixels: %s (%s).\n\n", thousands(r.Dataset.N), escape(r.Preprocessing.Summary), r.Preprocessing.Source)
	table(b, []string{"metric", "value", "interval", "method"}, len(r.Metrics), func(i int) []string {
		m := r.Metrics[i]
		v, iv := m.Text()
		method := ""
		if m.Interval != nil {
			method = m.Interval.Method
		}
		return []string{m.Name, v, iv, method}
	})
	for _, kind := range kinds(r.Groups) {
		var rows [][]string
		for _, g := range r.Groups {
			for _, m := range g.Metrics {
				if g.Kind == kind {
					v, iv := m.Text()
					rows = append(rows, []string{g.Name, m.Name, v, iv, strconv.Itoa(m.N)})
				}
			}
		}
		b.WriteString("\n")
		table(b, []string{kind, "metric", "value", "interval", "n"}, len(rows), func(i int) []string { return rows[i] })
	}
	for _, t := range r.Tables {
		fmt.Fprintf(b, "\n%s\n\n", escape(t.Title))
		table(b, t.Columns, len(t.Rows), func(i int) []string { return t.Rows[i] })
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(b, "\n> warning: %s\n", escape(warning))
	}
	if len(r.BadImages) > 0 {
		fmt.Fprintf(b, "\n%d images could not be read and are left out:\n\n", len(r.BadImages))
		for _, bad := range r.BadImages {
			fmt.Fprintf(b, "- %s: %s\n", bad.ID, bad.Reason)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// table writes a Markdown table with padded cells.
func table(b *strings.Builder, head []string, n int, row func(int) []string) {
	rows := [][]string{head}
	for i := range n {
		rows = append(rows, row(i))
	}
	width := make([]int, len(head))
	for _, r := range rows {
		for c := range r {
			r[c] = escape(r[c])
			width[c] = max(width[c], utf8.RuneCountInString(r[c]), 3)
		}
	}
	for i, r := range rows {
		for c, cell := range r {
			fmt.Fprintf(b, "| %s%s ", cell, strings.Repeat(" ", width[c]-utf8.RuneCountInString(cell)))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, n := range width {
				fmt.Fprintf(b, "|%s", strings.Repeat("-", n+2))
			}
			b.WriteString("|\n")
		}
	}
}
