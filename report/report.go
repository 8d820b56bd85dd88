// Package report is what every task reports, as one value, and its renderings:
// text for people, JSON for programs, CSV and Markdown for tables.
//
// Shares are fractions (0..1) in the value, in JSON and in CSV; text and
// Markdown show percent and say so.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

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
	Timing        *Timing       `json:"timing,omitempty"` // of a run without a directory; what is computed again from records has none
	Config        any           `json:"config"`           // what the task was told: seed, limit, its own options
	Metrics       []Metric      `json:"metrics"`
	Groups        []Group       `json:"groups,omitempty"`
	Tables        []Table       `json:"tables,omitempty"`
	Histograms    []Histogram   `json:"histograms,omitempty"`
	BadImages     []BadImage    `json:"bad_images,omitempty"`
	Warnings      []string      `json:"warnings"`
	HideGroups    bool          `json:"-"`                 // in text: tables say for people what the groups say for programs
	Options       string        `json:"options,omitempty"` // Config for people: what differs from the defaults
	Tried         int           `json:"-"`                 // images of all sets, where there are several
}

// Option adds to Options.
func (r *Report) Option(format string, a ...any) {
	if r.Options != "" {
		r.Options += ", "
	}
	r.Options += fmt.Sprintf(format, a...)
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

// Runtime says what ran the model, and how. What does not change results is left
// out where they come from records.
type Runtime struct {
	ORT       string         `json:"ort"`
	Library   string         `json:"library,omitempty"`
	Device    string         `json:"device"`
	Threads   int            `json:"threads,omitempty"`
	Workers   int            `json:"workers,omitempty"`
	Batch     int            `json:"batch,omitempty"`
	Placement map[string]int `json:"nodes_by_provider,omitempty"`

	Reused        string `json:"reused,omitempty"`      // run directory that results were read from
	FixedBatch    string `json:"fixed_batch,omitempty"` // what became of a batch size fixed in the file
	PlacementText string `json:"-"`                     // Placement for people
}

func (r Runtime) String() string {
	s := fmt.Sprintf("ONNX Runtime %s on %s", r.ORT, r.Device)
	if r.Threads > 0 {
		s += fmt.Sprintf(", %d threads, %d decoders, batch %d%s", r.Threads, r.Workers, r.Batch, r.PlacementText)
	}
	if r.Reused != "" {
		s += ", results read from " + r.Reused
	}
	return s
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

func (t Timing) String() string {
	return fmt.Sprintf("%.1f s, %.0f images/s (model %.0f %% of the time, waiting for images %.0f %%)",
		t.Wall, t.ImagesPerSecond, percent(t.Model, t.Wall), percent(t.ModelWaiting, t.Wall))
}

// Units of metrics.
const (
	Fraction = "fraction"
	Nats     = "nats"
	None     = ""

	PerSecond    = "1/s"
	Milliseconds = "ms"
)

// Metric is a number with everything that must be said with it.
type Metric struct {
	Name           string            `json:"name"`
	Value          float64           `json:"value"`
	Unit           string            `json:"unit"`
	N              int               `json:"n"`
	Interval       *metrics.Interval `json:"interval,omitempty"`
	HigherIsBetter bool              `json:"higher_is_better"`
	P              *float64          `json:"p,omitempty"` // of a difference being 0, by Test
	PAdjusted      *float64          `json:"p_adjusted,omitempty"`
	Test           string            `json:"test,omitempty"`
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

// Histogram is how values of two kinds of images are distributed, for plots: counts in
// bins of equal width from Low to High, and what lies below and above.
type Histogram struct {
	Kind  string       `json:"kind"` // as of the group
	Name  string       `json:"name"`
	Low   float64      `json:"low"`
	High  float64      `json:"high"`
	Parts []Population `json:"parts"`
}

// Population is a kind of images in a histogram.
type Population struct {
	Name   string `json:"name"`
	Counts []int  `json:"counts"`
	Below  int    `json:"below"`
	Above  int    `json:"above"`
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
