package ood

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/scores"

	"gonum.org/v1/gonum/mat"
)

// Detector is a score with what it has learned and a threshold: enough, with the model,
// to accept or reject any image. As a file it is a zip archive of detector.json and the
// arrays of State as .npy, which numpy reads.
type Detector struct {
	FormatVersion int              `json:"format_version"`
	Tool          report.Tool      `json:"tool"`
	Score         string           `json:"score"`     // with its parameters
	Threshold     float64          `json:"threshold"` // images that score at least this are accepted
	TPR           float64          `json:"tpr"`       // asked for
	Accepted      metrics.Interval `json:"accepted"`  // share of ID images that the threshold accepts, on those it was found with
	Reached       float64          `json:"reached"`   // the share itself
	N             int              `json:"n"`         // ID images it was found with
	Data          string           `json:"data"`      // which
	Model         results.Model    `json:"model"`
	Source        string           `json:"source"`           // of the model where it was made: its file or name
	Output        string           `json:"output,omitempty"` // of the model that was asked for
	Recipe        imageproc.Recipe `json:"recipe"`
	C             int              `json:"classes"`
	D             int              `json:"features"` // 0 where the score needs none
	State         scores.State     `json:"-"`
}

// detectorVersion is raised when a reader of detectors would have to change. In version 1
// the sizes of the recipe were objects.
const detectorVersion = 2

// detector makes the detector of the score that is named, from the ID test images.
func (l *loaded) detector(res *result) (*Detector, error) {
	a, first := l.about, l.sets[0]
	wanted := res.wanted[len(res.wanted)-1].Name // behind the reference, if there is one
	k := slices.IndexFunc(res.used, func(u fitted) bool { return u.Name == wanted })
	if k < 0 {
		return nil, fmt.Errorf("score %s cannot be computed: %s", wanted, strings.Join(res.warnings, "; "))
	}
	u, id := res.used[k], res.id[0]
	if err := id.finite(k, u.Name); err != nil {
		return nil, fmt.Errorf("no threshold can be found: %w", err)
	}
	threshold, reached := metrics.ThresholdAt(id.values[k], a.Config.Threshold)
	d := &Detector{
		FormatVersion: detectorVersion, Tool: a.Head.Tool, Score: u.Name, Threshold: threshold, TPR: a.Config.Threshold,
		Reached: float64(reached) / float64(len(id.ids)), Accepted: metrics.Wilson(reached, len(id.ids)), N: len(id.ids),
		Data: a.Head.Dataset.Name, Model: first.Manifest.Key.Model, Source: a.Model, Output: a.Output,
		Recipe: a.Head.Preprocessing.Recipe, C: first.head.Out, State: u.State,
	}
	if u.Needs&scores.NeedFeatures != 0 {
		d.D = first.head.In
	}
	return d, nil
}

// Write writes the detector. Equal detectors give equal files.
func (d *Detector) Write(w io.Writer) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return d.archive(append(text, '\n')).Write(w)
}

// archive is the file with the text.
func (d *Detector) archive(text []byte) npy.Archive {
	a := npy.Archive{Texts: map[string][]byte{detectorText: text}, Arrays: map[string]npy.Array{}}
	for name, m := range d.State {
		rows, cols := m.Dims()
		a.Arrays[stateFolder+name] = npy.Array{Shape: []int{rows, cols}, Data: mat.DenseCopyOf(m).RawMatrix().Data}
	}
	return a
}

// Names in a detector's archive.
const (
	detectorText = "detector.json"
	stateFolder  = "state/"
)

// maxState bounds what is unpacked of a detector.
const maxState = 2 << 30

// ReadDetector reads a detector's file.
func ReadDetector(path string) (*Detector, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	var d *Detector
	if err == nil {
		d, err = parseDetector(f, info.Size(), maxState)
	}
	if err != nil {
		return nil, fmt.Errorf("detector %q: %w", path, err)
	}
	return d, nil
}

func parseDetector(r io.ReaderAt, size, most int64) (*Detector, error) {
	a, err := npy.ReadArchive(r, size, most)
	if err != nil {
		return nil, fmt.Errorf("it is not a detector, which ood --threshold-at writes: %w", err)
	}
	text, found := a.Texts[detectorText]
	if !found {
		return nil, fmt.Errorf("it holds no %s", detectorText)
	}
	d := &Detector{State: scores.State{}}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(d); err != nil {
		return nil, fmt.Errorf("%s: %w", detectorText, err)
	}
	for name, v := range a.Arrays {
		name, ours := strings.CutPrefix(name, stateFolder)
		if !ours {
			continue
		}
		if len(v.Shape) != 2 || len(v.Data) == 0 {
			return nil, fmt.Errorf("%s%s has the shape %v", stateFolder, name, v.Shape)
		}
		if slices.ContainsFunc(v.Data, func(x float64) bool { return !metrics.Finite(x) }) {
			return nil, fmt.Errorf("not all values of %s%s are finite", stateFolder, name)
		}
		d.State[name] = mat.NewDense(v.Shape[0], v.Shape[1], v.Data)
	}
	switch {
	case d.FormatVersion < 1 || d.FormatVersion > detectorVersion:
		return nil, fmt.Errorf("it is of format %d, and this program reads 1 to %d", d.FormatVersion, detectorVersion)
	case d.C < 1 || d.C > 1<<24, d.D < 0 || d.D > 1<<24, !metrics.Finite(d.Threshold):
		return nil, errors.New("its numbers make no sense")
	}
	if err := d.Recipe.Validate(); err != nil {
		return nil, fmt.Errorf("its preprocessing: %w", err)
	}
	return d, nil
}

// fit makes the detector's score for a head.
func (d *Detector) fit(h *scores.Head) (fitted, error) {
	s, err := scores.Parse(d.Score)
	if err != nil {
		return fitted{}, err
	}
	if h.Out != d.C || s.Needs&scores.NeedFeatures != 0 && h.In != d.D {
		return fitted{}, fmt.Errorf("the model has %d classes and %d features, the detector is of %d and %d", h.Out, h.In, d.C, d.D)
	}
	f, err := s.With(d.State, h)
	return fitted{s, f, d.State}, err
}
