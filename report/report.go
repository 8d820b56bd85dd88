// Package report is what every task reports, as one value, and its renderings: text for
// people, JSON for programs, CSV and Markdown for tables.
//
// A number exists once, in Report.Numbers, with keys that say what it is of. What is drawn -
// the main numbers, lists, views - points at those numbers. Shares are fractions (0..1) in
// the value, in JSON and in CSV; text and Markdown show percent.
//
// A Report is filled by one goroutine; renderings only read it.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// SchemaVersion is raised when a reader of the JSON form would have to change.
const SchemaVersion = 2

// Report is the result of one task.
type Report struct {
	Head
	Numbers []*Number // in the order of Add
	// Main are the numbers that text and Markdown begin with. MainAt is what goes without
	// saying there: keys that are left out of the names.
	Main       []*Number
	MainAt     Keys
	Sections   []Section // what follows them, in this order
	Histograms []Histogram
	BadImages  []BadImage
	Warnings   []string
	Timing     *Timing // of a run without a directory; what is computed again from records has none
	// Headless says that text does not begin with the head: the sections say what is needed.
	Headless bool
	Tried    int // images of all sets, where there are several; it is not written
}

// Add puts a number into the report and returns it, for views. A value that is not finite is
// left out, and nil is returned, which views show as an empty cell; an interval or a p-value
// that is not finite is left out of its number. A warning names what is left out. Add panics
// where a key's name is not one of KeyNames.
func (r *Report) Add(n Number) *Number {
	for _, k := range n.At {
		if !slices.Contains(KeyNames(), k.Name) {
			panic("report: no key is called " + string(k.Name))
		}
	}
	if n.Better == "" {
		n.Better = Neither
	}
	if !finite(n.Value) {
		r.Warn("%s is not finite (%v) and is left out", n.Label(), n.Value)
		return nil
	}
	if iv := n.Interval; iv != nil && !(finite(iv.Low) && finite(iv.High)) {
		r.Warn("the interval of %s is not finite (%.4g to %.4g) and is left out", n.Label(), iv.Low, iv.High)
		n.Interval = nil
	}
	if t := n.Test; t != nil {
		if !finite(t.P) {
			r.Warn("the p-value of %s is not finite and is left out", n.Label())
			n.Test = nil
		} else if t.PAdjusted < t.P {
			t.PAdjusted = t.P // of one test
		}
	}
	r.Numbers = append(r.Numbers, &n)
	return &n
}

// AddMain is Add of one of the main numbers.
func (r *Report) AddMain(n Number) *Number {
	out := r.Add(n)
	if out != nil {
		r.Main = append(r.Main, out)
	}
	return out
}

// Find returns the number of that name with exactly these keys, in any order; nil where there
// is none.
func (r *Report) Find(name string, at ...Key) *Number {
	for _, n := range r.Numbers {
		if n.Name == name && n.At.Same(at) {
			return n
		}
	}
	return nil
}

// Show appends sections.
func (r *Report) Show(sections ...Section) { r.Sections = append(r.Sections, sections...) }

// ShowPublished appends a view of what others have measured with the model, if anything.
func (r *Report) ShowPublished() {
	if len(r.Published) == 0 {
		return
	}
	v := View{Title: "published numbers of this model", Columns: []string{"metric", "value", "data", "source"}}
	for i := range r.Published {
		n := &r.Published[i]
		v.Rows = append(v.Rows, Row(Word(n.Name), n.Full(), Word(n.At.Get(KeyDataset)), Word(n.At.Get(KeySource))))
	}
	r.Show(v)
}

// Warn adds a warning.
func (r *Report) Warn(format string, a ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, a...))
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

// Formats lists the renderings, the usual one first.
func Formats() []Format { return []Format{Text, JSON, CSV, Markdown} }

// ParseFormat reads a rendering's name.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); slices.Contains(Formats(), f) {
		return f, nil
	}
	var names []string
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	return "", fmt.Errorf("format %q is not one of %s", s, strings.Join(names, ", "))
}

// Write renders the report.
func (r *Report) Write(w io.Writer, f Format) error {
	switch f {
	case JSON:
		return writeJSON(w, r)
	case CSV:
		return r.csv(w)
	case Markdown:
		return r.markdown(w)
	}
	return r.text(w)
}

// BadImage is an image that was left out, and why.
type BadImage struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}
