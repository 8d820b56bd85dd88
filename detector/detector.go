// Package detector is files of a fitted OOD score with its threshold.
package detector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
	"cutmix-eval/internal/regular"
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

// version is raised when a reader of detectors would have to change. In version 1
// the sizes of the recipe were objects.
const version = 2

// Write writes the detector. Equal detectors give equal files.
func (d *Detector) Write(w io.Writer) error {
	d.FormatVersion = version
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return d.archive(append(text, '\n')).Write(w)
}

// archive is the file with the text.
func (d *Detector) archive(text []byte) npy.Archive {
	a := npy.Archive{Texts: map[string][]byte{textName: text}, Arrays: map[string]npy.Array{}}
	for name, m := range d.State {
		rows, cols := m.Dims()
		a.Arrays[stateFolder+name] = npy.Array{Shape: []int{rows, cols}, Data: mat.DenseCopyOf(m).RawMatrix().Data}
	}
	return a
}

// Names in a detector's archive.
const (
	textName    = "detector.json"
	stateFolder = "state/"
)

// maxState bounds what is unpacked of a detector.
const maxState = 2 << 30

// Read reads a detector's file.
func Read(path string) (*Detector, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	var d *Detector
	if err == nil {
		d, err = parse(f, info.Size(), maxState)
	}
	if err != nil {
		return nil, fmt.Errorf("detector %q: %w", path, err)
	}
	return d, nil
}

func parse(r io.ReaderAt, size, most int64) (*Detector, error) {
	a, err := npy.ReadArchive(r, size, most)
	if err != nil {
		return nil, fmt.Errorf("it is not a detector, which ood --threshold-at writes: %w", err)
	}
	text, found := a.Texts[textName]
	if !found {
		return nil, fmt.Errorf("it holds no %s", textName)
	}
	d := &Detector{State: scores.State{}}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(d); err != nil {
		return nil, fmt.Errorf("%s: %w", textName, err)
	}
	var given struct{ Threshold *float64 }
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&given); err != nil || given.Threshold == nil {
		return nil, fmt.Errorf("%s has no threshold; write the detector again with ood --threshold-at", textName)
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
	case d.FormatVersion < 1 || d.FormatVersion > version:
		return nil, fmt.Errorf("it is of format %d, and this program reads 1 to %d", d.FormatVersion, version)
	case d.C < 1 || d.C > 1<<24, d.D < 0 || d.D > 1<<24, !metrics.Finite(d.Threshold):
		return nil, errors.New("its numbers make no sense")
	}
	if err := d.Recipe.Validate(); err != nil {
		return nil, fmt.Errorf("its preprocessing: %w", err)
	}
	return d, nil
}

// Fit makes the detector's score for the head of a model.
func (d *Detector) Fit(h *scores.Head) (scores.Func, error) {
	s, err := scores.Parse(d.Score)
	if err != nil {
		return nil, err
	}
	if h.Out != d.C || s.Needs&scores.NeedFeatures != 0 && h.In != d.D {
		return nil, fmt.Errorf("the model has %d classes and %d features, the detector is of %d and %d", h.Out, h.In, d.C, d.D)
	}
	return s.With(d.State, h)
}
