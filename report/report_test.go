package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/metrics"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example has everything a report can have.
func example() *Report {
	iv := metrics.Interval{Low: 0.8, High: 0.9, Level: 0.95, Method: "Wilson"}
	r := &Report{
		Task:          "classify",
		Tool:          Tool{Name: "cutmix-eval", Version: "1.2.3"},
		Model:         Model{Name: "net", Path: "net.onnx", SHA256: strings.Repeat("ab", 32), Bytes: 10, Classes: 3, Output: "z", Activation: "Softmax", Training: "cutmix, beta 1"},
		Dataset:       Dataset{Name: "data", Path: "/data", Format: "folders", Recognised: "folder: 3 class folders", N: 12345, Bad: 2, Classes: 3, Labels: "in order", Fingerprint: "f00", Notes: []string{"a note"}},
		Preprocessing: Preprocessing{Summary: "resize 8", Source: "flags", Decoder: "built-in", Fingerprint: "beef"},
		Runtime:       Runtime{ORT: "1.30.0", Device: "cuda", Threads: 2, Workers: 3, Batch: 4, Placement: map[string]int{"CUDAExecutionProvider": 7}, PlacementText: ", 7 nodes on CUDA", FixedBatch: "fixed at 1"},
		Timing:        &Timing{Wall: 2, ImagesPerSecond: 6172, Model: 1.5, ModelWaiting: 0.1},
		Options:       "limit 12345",
		Config:        map[string]int{"bins": 15},
		Metrics: []Metric{
			{Name: "top1", Value: 0.85, Unit: Fraction, N: 12345, Interval: &iv, HigherIsBetter: true},
			{Name: "nll", Value: 0.5, Unit: Nats, N: 12345, Note: "nats"},
			{Name: "other", Value: 3, N: 99, Interval: &metrics.Interval{Low: 2, High: 4, Level: 0.95, Method: "bootstrap"}},
		},
		Tables:    []Table{{Name: "confused", Title: "most confused", Columns: []string{"class", "taken for"}, Rows: [][]string{{"a|b", "c"}}}},
		BadImages: []BadImage{{"x/1.png", "broken"}, {"x/2.png", "empty, \"really\""}},
		Warnings:  []string{"a warning"},
	}
	for i := range 25 { // more than text shows
		iv := metrics.Wilson(i, 30)
		r.Groups = append(r.Groups, Group{Kind: "class", Name: fmt.Sprintf("class %02d", i), Metrics: []Metric{{Name: "top1", Value: float64(i) / 30, Unit: Fraction, N: 30, Interval: &iv, HigherIsBetter: true}}})
	}
	return r
}

func TestGolden(t *testing.T) {
	for _, f := range []Format{Text, JSON, CSV, Markdown} {
		var b bytes.Buffer
		if err := example().Write(&b, f); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join("testdata", "report."+string(f))
		if *update {
			if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%s differs from %s (go test ./report -update writes it anew):\n%s", f, name, b.String())
		}
	}
}

// What is written as JSON must be read back the same.
func TestJSONRoundTrip(t *testing.T) {
	var b bytes.Buffer
	if err := example().Write(&b, JSON); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.SchemaVersion != SchemaVersion || r.Metrics[0].Interval.High != 0.9 || len(r.Groups) != 25 || r.BadImages[1].Reason != `empty, "really"` {
		t.Errorf("%+v", r)
	}
}

func TestNoNumber(t *testing.T) {
	nan := math.NaN()
	for name, edit := range map[string]func(*Report){
		"value":    func(r *Report) { r.Metrics[0].Value = nan },
		"interval": func(r *Report) { r.Metrics[0].Interval = &metrics.Interval{Low: math.Inf(-1)} },
		"group":    func(r *Report) { r.Groups[3].Metrics[0].Value = nan },
	} {
		r := example()
		edit(r)
		var b bytes.Buffer
		if err := r.Write(&b, Text); err == nil || b.Len() > 0 {
			t.Errorf("%s: error %v, %d bytes written", name, err, b.Len())
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, s := range []string{"text", "json", "csv", "md"} {
		if f, err := ParseFormat(s); err != nil || string(f) != s {
			t.Errorf("%s: %v %v", s, f, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml: no error")
	}
}
