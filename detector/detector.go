// Package detector is files of a fitted OOD score with its threshold.
package detector

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
	"cutmix-eval/internal/text"
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
	described, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return d.archive(append(described, '\n')).Write(w)
}

// archive is the file with the text.
func (d *Detector) archive(described []byte) npy.Archive {
	a := npy.Archive{Texts: map[string][]byte{textName: described}, Arrays: map[string]npy.Array{}}
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

const (
	maxText  = 1 << 20 // bytes of a detector's text
	maxState = 1 << 28 // values of its state: 2 GiB
	maxCount = 1 << 24 // classes, features
)

// Read reads a detector's file. Of it no more is unpacked than its own text says that there is.
func Read(path string) (*Detector, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	var d *Detector
	if err == nil {
		d, err = parse(f, info.Size())
	}
	if err != nil {
		return nil, fmt.Errorf("detector %q: %w", path, err)
	}
	return d, nil
}

func parse(r io.ReaderAt, size int64) (*Detector, error) {
	a, err := npy.Members(r, size)
	if err != nil {
		return nil, fmt.Errorf("it is not a detector, which ood --threshold-at writes: %w", err)
	}
	described, err := a.Read(textName, maxText)
	if err == nil && described == nil {
		err = fmt.Errorf("it holds no %s", textName)
	}
	if err != nil {
		return nil, err
	}
	var format struct {
		Version *int `json:"format_version"`
	}
	if err := json.Unmarshal(described, &format); err == nil && format.Version != nil && (*format.Version < 1 || *format.Version > version) {
		return nil, fmt.Errorf("it is of format %d, and this program reads 1 to %d", *format.Version, version)
	}
	d := &Detector{}
	if err := strict.Whole(described, d); err != nil {
		return nil, fmt.Errorf("%s: %w; have ood --threshold-at write it anew", textName, err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", textName, err)
	}
	return d, d.readState(a)
}

// check looks at what the text says.
func (d *Detector) check() error {
	switch {
	case d.C < 1 || d.C > maxCount:
		return fmt.Errorf("its number of classes is %d, not 1 to %d", d.C, maxCount)
	case d.D < 0 || d.D > maxCount:
		return fmt.Errorf("its number of features is %d, not 0 to %d", d.D, maxCount)
	}
	if err := d.Recipe.Validate(); err != nil {
		return fmt.Errorf("its preprocessing: %w", err)
	}
	return nil
}

// readState reads the state of the score that the text names, and refuses what else the archive
// holds.
func (d *Detector) readState(a npy.Reader) error {
	s, err := scores.Parse(d.Score)
	if err != nil {
		return err
	}
	known := []string{textName}
	for _, p := range s.Parts() {
		known = append(known, stateFolder+p.Name+".npy")
	}
	for _, name := range a.Names() {
		if !slices.Contains(known, name) {
			return fmt.Errorf("it holds %q, which is no part of a detector with the score %s", text.Bounded(name), d.Score)
		}
	}
	d.State = scores.State{}
	left := maxState
	for _, p := range s.Parts() {
		rows, cols := p.Most(d.C, d.D)
		v, err := a.Array(stateFolder+p.Name, func(shape []int) bool {
			return len(shape) == 2 && shape[0] > 0 && shape[1] > 0 && int64(shape[0]) <= rows && int64(shape[1]) <= cols && shape[0] <= left/shape[1]
		})
		if err != nil {
			return err
		}
		left -= len(v.Data)
		if slices.ContainsFunc(v.Data, func(x float64) bool { return !metrics.Finite(x) }) {
			return fmt.Errorf("not all values of %s%s are finite", stateFolder, p.Name)
		}
		d.State[p.Name] = mat.NewDense(v.Shape[0], v.Shape[1], v.Data)
	}
	return nil
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
