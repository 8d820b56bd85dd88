// Package results is the run directory: what every image gave, in an open
// columnar format, so that a run can be resumed, split over machines, joined,
// read by other programs, and every number computed from it again.
//
// A run directory holds
//
//	manifest.json          what determines the records, and what a report needs
//	selection.npy          int64: sample indexes, of a run with --limit
//	parts/NNNNNN.parquet   one row per image, for a fixed range of sample indexes
//	parts/NNNNNN.NAME.ROWS.npy
//	                       arrays of the same rows (logits, features), float32
//
// Parts are written under another name, flushed to the disk and renamed when
// they are whole: the arrays first, the table last. A part is there when its
// table is. Which rows a part holds stands in the table's metadata, so a part
// of which some rows are wanted later is extended, not made again; its arrays
// carry the number of rows in their names, so that those of a table that is about
// to be replaced stay until it is.
package results

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
	"cutmix-eval/internal/text"
)

// FormatVersion is raised when a reader of run directories would have to change.
const FormatVersion = 1

// Key is everything that determines a run's records. Two runs with equal keys
// have equal records.
type Key struct {
	Task          string `json:"task"`
	Model         Model  `json:"model"`
	Preprocessing string `json:"preprocessing"` // fingerprint of recipe and decoder
	Data          Data   `json:"data"`
	Config        any    `json:"config"` // the task's options that records depend on
	Device        Device `json:"device"`
	PartSize      int    `json:"part_size"` // sample indexes a part covers
}

// Model is what of a model determines its results.
type Model struct {
	SHA256 string `json:"sha256"`          // of its file
	Edits  string `json:"edits,omitempty"` // to the file that can change results, in words; empty for none
	Output string `json:"output"`          // tensor that the scores are read from
}

func (m Model) String() string {
	s := fmt.Sprintf("sha256 %.12s, output %s", m.SHA256, m.Output)
	if m.Edits != "" {
		s += ", edits: " + m.Edits
	}
	return s
}

// Data is what of a dataset determines its samples.
type Data struct {
	Fingerprint string `json:"fingerprint"`     // of classes, paths, labels and file sizes
	N           int    `json:"n"`               // samples, before any limit
	Labels      string `json:"labels"`          // fingerprint of the matching of classes to outputs
	Truth       string `json:"truth,omitempty"` // fingerprint of boxes and masks
}

// Device is what ran the model; its arithmetic differs in the last digits from
// one to the other.
type Device struct {
	ORT  string `json:"onnxruntime"`
	Name string `json:"name"`
	// Kernels are the processor's instructions for products of integers, of a model that has
	// such products. Runs that older versions made do not say; they can be gone on with.
	Kernels string `json:"integer_kernels,omitempty"`
	// Alone says that the model ran image by image, because what it gives for an image depends
	// on the other images of a batch.
	Alone bool `json:"image_by_image,omitempty"`
}

func (d Device) String() string {
	s := fmt.Sprintf("%s (ONNX Runtime %s", d.Name, d.ORT)
	if d.Kernels != "" {
		s += ", integer kernels " + d.Kernels
	}
	if d.Alone {
		s += ", image by image"
	}
	return s + ")"
}

// Array is an array stored beside the table: float32, one row of Width values per
// image, in the order of the table's rows.
type Array struct {
	Name  string `json:"name"`
	Width int    `json:"width"`
}

// Manifest is manifest.json.
type Manifest struct {
	Format int     `json:"format"`
	Key    Key     `json:"key"`
	Arrays []Array `json:"arrays"`
	// Outputs is the number of the model's class scores; Probabilities says that
	// they are probabilities, not logits.
	Outputs       int  `json:"outputs"`
	Probabilities bool `json:"probabilities"`
	// Limit and Seed chose the samples in selection.npy; 0 is all.
	Limit int    `json:"limit"`
	Seed  uint64 `json:"seed"`
	// Notes are what was found out about the model before it ran, and what its reports must
	// warn of.
	Notes []string `json:"notes,omitempty"`
	// Reused is the run that scores were taken from instead of running the model.
	Reused string `json:"reused,omitempty"`
	// About is what the task's report needs beside the records.
	About json.RawMessage `json:"about"`
}

// id identifies the records' determinants, and with them the parts of a run.
func (k Key) id() string {
	data, err := json.Marshal(k.canonical())
	if err != nil {
		panic("results: key does not marshal: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// canonical is the key as JSON values, the same whether it was read or made.
func (k Key) canonical() map[string]any {
	data, err := json.Marshal(k)
	if err != nil {
		panic("results: key does not marshal: " + err.Error())
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		panic("results: key does not come back: " + err.Error())
	}
	return v
}

// DifferentRunError says that a directory holds another run than the one asked
// for.
type DifferentRunError struct {
	Dir, Field  string
	Here, Asked string
}

func (e *DifferentRunError) Error() string {
	if e.Field == "device.image_by_image" && e.Asked == "true" {
		return fmt.Sprintf("run %q was made in batches, and what this model gives depends on the batch, so that it runs image by image now; choose another --out", e.Dir)
	}
	if e.Field == "task" {
		return fmt.Sprintf("folder %q holds a run of %s, not of %s; choose another --out", e.Dir, e.Here, e.Asked)
	}
	return fmt.Sprintf("run %q is another one: it has %s, not %s; choose another --out, or give what it was started with", e.Dir, e.said(e.Here), e.said(e.Asked))
}

// said is a value of the field, in words.
func (e *DifferentRunError) said(value string) string {
	if e.Field == "model.sha256" {
		value = fmt.Sprintf("%.12s", value)
	}
	if what, ok := inWords[e.Field]; ok {
		return what + " " + cmp.Or(value, "(none)")
	}
	option, ok := strings.CutPrefix(e.Field, "config.")
	if !ok {
		return strings.ReplaceAll(e.Field, "_", " ") + " " + value
	}
	option = "--" + strings.ReplaceAll(cmp.Or(flags[option], option), "_", "-")
	switch value {
	case "", "false":
		return "no " + option
	case "true":
		return option
	}
	return option + " " + value
}

// inWords are the determinants of records that are no options.
var inWords = map[string]string{
	"preprocessing": "pixels with the fingerprint", "model.sha256": "a model with the SHA-256", "model.output": "scores from the output",
	"model.edits": "a model with the edits", "data.fingerprint": "data with the fingerprint", "data.n": "data of so many images:",
	"data.labels": "a matching of classes and outputs with the fingerprint", "data.truth": "boxes, masks or labels with the fingerprint",
	"device.onnxruntime": "results of ONNX Runtime", "device.name": "results of the device", "device.integer_kernels": "results of the integer kernels",
	"part_size": "parts of so many images:", "config.made": "images that were made as",
}

// flags are those of options that are called otherwise in manifests.
var flags = map[string]string{
	"mix.method": "mix", "mix.alpha": "alpha", "mix.prob": "mix-prob", "mix.box": "cutmix-box", "mix.labels": "mix-labels",
	"mix.scheduled": "mix-scheduled", "mix.per_image": "mix-per-image", "mix.uncorrected": "mix-uncorrected", "mix.length": "cutout-length",
	"augment.scale": "crop-scale", "augment.ratio": "crop-ratio", "augment.crop": "augment crop", "augment.flip": "augment flip",
	"schedule.kind": "schedule", "schedule.warmup": "warmup", "keep_head": "head keep", "balanced": "class-weights balanced", "last": "select last",
}

// Same compares the key of what dir holds with the one asked for, field by field, and names
// the first that differs, the task before the others, in a *DifferentRunError.
func (k Key) Same(dir string, asked Key) error {
	a, b := map[string]string{}, map[string]string{}
	flatten(a, "", k.canonical())
	flatten(b, "", asked.canonical())
	all := maps.Clone(a)
	maps.Copy(all, b)
	fields := slices.Sorted(maps.Keys(all))
	slices.SortStableFunc(fields, func(x, y string) int { // another task has other options, too
		return cmp.Compare(map[bool]int{true: 0, false: 1}[x == "task"], map[bool]int{true: 0, false: 1}[y == "task"])
	})
	for _, f := range fields {
		x, y := a[f], b[f]
		if x != y {
			return &DifferentRunError{dir, f, plain(x), plain(y)}
		}
	}
	return nil
}

// plain is a JSON value as people write it: text without quotes, lists with commas.
func plain(value string) string {
	var one string
	if json.Unmarshal([]byte(value), &one) == nil {
		return one
	}
	var several []any
	if json.Unmarshal([]byte(value), &several) == nil && value != "null" {
		out := make([]string, len(several))
		for i, v := range several {
			out[i] = fmt.Sprint(v)
		}
		return strings.Join(out, ",")
	}
	return value
}

// ConfigDiffers lists the options in which two runs differ, with both values.
func ConfigDiffers(a, b Key) []string {
	x, y := map[string]string{}, map[string]string{}
	flatten(x, "", a.canonical()["config"])
	flatten(y, "", b.canonical()["config"])
	all := maps.Clone(x)
	maps.Copy(all, y)
	var out []string
	for _, f := range slices.Sorted(maps.Keys(all)) {
		if x[f] != y[f] {
			out = append(out, fmt.Sprintf("%s (%s, %s)", f, x[f], y[f]))
		}
	}
	return out
}

func flatten(to map[string]string, at string, v any) {
	if m, ok := v.(map[string]any); ok {
		for k, x := range m {
			flatten(to, strings.TrimPrefix(at+"."+k, "."), x)
		}
		return
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic("results: " + err.Error())
	}
	to[at] = string(data)
}

const manifestName = "manifest.json"

// ErrNoRun is wrapped where a folder holds no run.
var ErrNoRun = errors.New("it holds no run (there is no manifest.json)")

func readManifest(dir string) (Manifest, error) {
	var m Manifest
	path := filepath.Join(dir, manifestName)
	data, err := regular.Read(path, regular.Small)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return m, fmt.Errorf("opening run %q: there is no such folder: %w", dir, os.ErrNotExist)
		}
		return m, fmt.Errorf("opening run %q: %w", dir, ErrNoRun)
	}
	if err != nil {
		return m, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("reading %s: %w; it is damaged, so start the run in another folder", path, strict.Explain(err))
	}
	if m.Format != FormatVersion {
		return m, fmt.Errorf("%s has format %d, this program reads %d", path, m.Format, FormatVersion)
	}
	m.About = compact(m.About)
	if m.Key.PartSize < 1 || m.Key.Data.N < 1 || m.Key.Task == "" {
		return m, fmt.Errorf("%s lacks task, data or part size; it is damaged, so start the run in another folder", path)
	}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("%s %w; it is damaged, so start the run in another folder", path, err)
	}
	return m, nil
}

// Bounds of what a manifest can say, far beyond what runs have: memory for so much is had.
const (
	maxSamples = 1 << 28
	MaxOutputs = 1 << 22 // of a model
	maxWidth   = 1 << 28 // values of an array per image
)

// check says which number of the manifest no run can have.
func (m Manifest) check() error {
	names := map[string]bool{}
	for _, a := range m.Arrays {
		switch {
		case !arrayName.MatchString(a.Name) || names[a.Name]:
			return fmt.Errorf("names an array %q", text.Bounded(a.Name))
		case a.Width < 1 || a.Width > maxWidth:
			return fmt.Errorf("says that its array %s has %d values per image, not 1 to %d", a.Name, a.Width, maxWidth)
		case a.Name == "logits" && m.Outputs > 0 && a.Width != m.Outputs:
			return fmt.Errorf("says that there are %d outputs, and %d logits per image", m.Outputs, a.Width)
		}
		names[a.Name] = true
	}
	switch {
	case m.Key.Data.N > maxSamples:
		return fmt.Errorf("says that there are %d images, of at most %d", m.Key.Data.N, maxSamples)
	case m.Key.PartSize > maxSamples:
		return fmt.Errorf("says that a part has %d images, of at most %d", m.Key.PartSize, maxSamples)
	case m.Outputs < 0 || m.Outputs > MaxOutputs:
		return fmt.Errorf("says that the model has %d outputs, not 0 to %d", m.Outputs, MaxOutputs)
	}
	return nil
}

// arrayName is what arrays are called; their files are called after them.
var arrayName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (m Manifest) write(dir string, durable bool) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	return save(filepath.Join(dir, manifestName), durable, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}

// compact is JSON without spaces, so that equal values are equal text.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw // it is nothing yet
	}
	return b.Bytes()
}

// PartSize is how many sample indexes a part covers, where selected samples of a dataset of n
// are evaluated: some 32 parts, so that shards and resuming have something to divide and files
// do not cost too much, of about 16 to 1024 selected samples.
func PartSize(selected, n int) int {
	size := 16
	for size < 1024 && size*32 < selected {
		size *= 2
	}
	return max(1, int(int64(size)*int64(n)/int64(max(selected, 1))))
}

// valid says what is wrong with what describes a run, where that knows it.
func valid(about any) error {
	if a, ok := about.(interface{ Valid() error }); ok {
		if err := a.Valid(); err != nil {
			return fmt.Errorf("the manifest makes no sense: %w; it is damaged, so start the run in another folder", err)
		}
	}
	return nil
}

// About reads what describes a run of a task.
func About[T any](r *Run, task string) (T, error) {
	var about T
	if name := r.Manifest.Key.Task; name != task {
		return about, fmt.Errorf("the run is one of %s, not of %s", name, task)
	}
	d := json.NewDecoder(bytes.NewReader(r.Manifest.About))
	d.UseNumber() // seeds have more digits than a float64
	if err := d.Decode(&about); err != nil {
		return about, fmt.Errorf("reading what the manifest says about the run: %w", strict.Explain(err))
	}
	return about, valid(about)
}
