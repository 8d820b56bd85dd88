// Package ood measures how well a classifier knows what it does not know: every
// post-hoc score that needs no gradient, from one pass of the network, with metrics in
// both conventions, and a threshold that can be deployed.
package ood

import (
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// Name is the task's name in studies and reports.
const Name = "ood"

// Record is what one image gave. A bad image's own columns are -1 or 0.
type Record struct {
	results.Row
	Label      int32   `parquet:"label"` // model output; -1 without one
	Prediction int32   `parquet:"prediction"`
	Confidence float64 `parquet:"confidence"` // its softmax
	Content    int64   `parquet:"content"`    // of the tensor that the model saw: its SHA-256's first eight bytes
}

// About describes an evaluation: what a report needs beside the records of its sets.
type About struct {
	Head   report.Head `json:"report"` // model, ID test images, pixels, options
	Config Config      `json:"config"`
	Model  string      `json:"model"`            // as it was asked for; a file by its whole path
	Output string      `json:"output,omitempty"` // that was asked for
	// NoFeatures says why the model's features are not used; empty where they are, and
	// head.npy holds the weights of the model's head.
	NoFeatures string `json:"no_features,omitempty"`
}

// setAbout describes one set; it is kept with its run.
type setAbout struct {
	Source  Source         `json:"source"`
	Dataset report.Dataset `json:"dataset"`
}

// record is the record of what the model gave for an image of the set.
func (p *part) record(sc evaluation.Scored) Record {
	r := Record{Row: p.pass.Row(sc), Label: -1, Prediction: -1}
	bad := sc.Err
	if bad == nil {
		bad = evaluation.NotFinite(sc.Logits, sc.Features)
	}
	if bad != nil {
		r.Status, r.Error = results.Bad, bad.Error()
		return r
	}
	if class := p.pass.Samples.Label(sc.Index); p.labels != nil && class >= 0 {
		r.Label = int32(p.labels.Output[class])
	}
	best, softmax := metrics.Argmax(sc.Logits), make([]float64, len(sc.Logits))
	metrics.Softmax(softmax, sc.Logits)
	r.Prediction, r.Confidence, r.Content = int32(best), softmax[best], sc.Content()
	return r
}
