package ood

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"

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
	State         State            `json:"-"`
	place         int              // of its score in a result
}

// detectorVersion is raised when a reader of detectors would have to change.
const detectorVersion = 1

// detector makes the detector of the one score, from the ID test images.
func (r *Runs) detector(res *Result, tpr float64) (*Detector, error) {
	wanted, err := Choose(Scores(r.head.C, r.head.D), r.About.Config.Scores)
	if err != nil {
		return nil, err
	}
	k := slices.IndexFunc(res.used, func(u fitted) bool { return u.Name == wanted[0].Name })
	if k < 0 {
		return nil, fmt.Errorf("score %s cannot be computed: %s", wanted[0].Name, strings.Join(res.warnings, "; "))
	}
	u, id := res.used[k], res.id[0]
	if err := id.finite(k, u.Name); err != nil {
		return nil, fmt.Errorf("no threshold can be found: %w", err)
	}
	var recipe imageproc.Recipe // JSON values in a report that was read
	raw, err := json.Marshal(r.About.Report.Preprocessing.Recipe)
	if err == nil {
		err = json.Unmarshal(raw, &recipe)
	}
	if err != nil {
		return nil, fmt.Errorf("preprocessing of the run: %w", err)
	}
	at, reached := metrics.ThresholdAt(id.values[k], tpr)
	d := &Detector{
		FormatVersion: detectorVersion, Tool: r.About.Report.Tool, Score: u.Name, Threshold: at, TPR: tpr,
		Reached: float64(reached) / float64(len(id.ids)), Accepted: metrics.Wilson(reached, len(id.ids)), N: len(id.ids),
		Data: r.About.Report.Dataset.Name, Model: r.sets[0].Manifest.Key.Model, Source: r.About.Model, Output: r.About.Output, Recipe: recipe, C: r.head.C, State: u.State, place: k,
	}
	if u.Needs&Features != 0 {
		d.D = r.head.D
	}
	return d, nil
}

// threshold reports what the detector lets pass.
func (r *Runs) threshold(res *Result, out *report.Report) {
	d := res.Detector
	iv := d.Accepted
	out.Metrics = append(out.Metrics, report.Metric{Name: "accepted", Value: d.Reached, Unit: report.Fraction, N: d.N, Interval: &iv, HigherIsBetter: true,
		Note: fmt.Sprintf("ID images with %s >= %v, the threshold for %s", d.Score, d.Threshold, text(d.TPR))})
	for _, s := range slices.Concat(res.id[1:], res.out) {
		pass := 0
		for _, v := range s.values[d.place] {
			if v >= d.Threshold {
				pass++
			}
		}
		iv := metrics.Wilson(pass, len(s.ids))
		out.Metrics = append(out.Metrics, report.Metric{Name: "accepted " + s.Name, Value: float64(pass) / float64(len(s.ids)), Unit: report.Fraction, N: len(s.ids), Interval: &iv, HigherIsBetter: s.Role.id()})
	}
}

// Write writes the detector. Equal detectors give equal files.
func (d *Detector) Write(w io.Writer) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return d.write(w, append(text, '\n'), nil)
}

// write writes the detector with its text, and other files.
func (d *Detector) write(w io.Writer, text []byte, more map[string][]byte) error {
	z := zip.NewWriter(w)
	add := func(name string, data []byte) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err == nil {
			_, err = f.Write(data)
		}
		return err
	}
	err := add("detector.json", text)
	for _, name := range slices.Sorted(maps.Keys(more)) {
		err = errors.Join(err, add(name, more[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(d.State)) {
		if err != nil {
			return err
		}
		m := d.State[name]
		rows, cols := m.Dims()
		data := npy.Header("f8", rows, cols)
		for i := range rows {
			for _, v := range m.RawRowView(i) {
				data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
			}
		}
		err = add("state/"+name+".npy", data)
	}
	return errors.Join(err, z.Close())
}

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
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, errors.New("it is not a detector, which ood --threshold-at writes (a zip archive)")
	}
	d := &Detector{State: State{}}
	found := false
	for _, f := range z.File {
		if f.UncompressedSize64 > uint64(most) {
			return nil, fmt.Errorf("%s is too large (%d bytes)", f.Name, f.UncompressedSize64)
		}
		c, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		data, err := io.ReadAll(io.LimitReader(c, most+1))
		_ = c.Close() // only read
		if err == nil && int64(len(data)) > most {
			err = errors.New("it is too large")
		}
		most -= int64(len(data))
		name, array := strings.CutPrefix(strings.TrimSuffix(f.Name, ".npy"), "state/")
		switch {
		case err != nil:
		case f.Name == "detector.json":
			found = true
			dec := json.NewDecoder(bytes.NewReader(data))
			err = dec.Decode(d)
		case array:
			var info npy.Info
			var v []float64
			if info, v, err = npy.Values(data); err == nil && (len(info.Shape) != 2 || len(v) == 0) {
				err = fmt.Errorf("it has the shape %v", info.Shape)
			}
			if err == nil {
				m := mat.NewDense(info.Shape[0], info.Shape[1], v)
				if d.State[name] = m; !finite(m) {
					err = errors.New("not all of its values are finite")
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	switch {
	case !found:
		return nil, errors.New("it holds no detector.json")
	case d.FormatVersion != detectorVersion:
		return nil, fmt.Errorf("it is of format %d, and this program reads %d", d.FormatVersion, detectorVersion)
	case d.C < 1 || d.D < 0 || d.C > 1<<24 || d.D > 1<<24 || !metrics.Finite(d.Threshold):
		return nil, errors.New("its numbers make no sense")
	}
	if err := d.Recipe.Validate(); err != nil {
		return nil, fmt.Errorf("its preprocessing: %w", err)
	}
	return d, nil
}

// fit makes the detector's score for a head.
func (d *Detector) fit(h *Head) (fitted, error) {
	// Any parameters: the name says which.
	s, err := Parse(d.Score)
	if err != nil {
		return fitted{}, err
	}
	if h.C != d.C || s.Needs&Features != 0 && h.D != d.D {
		return fitted{}, fmt.Errorf("the model has %d classes and %d features, the detector is of %d and %d", h.C, h.D, d.C, d.D)
	}
	f, err := s.With(d.State, h)
	return fitted{s, f, d.State}, err
}

// headFor is the model's head with its sizes, or the sizes alone.
func headFor(s *evaluation.Setup) *Head {
	if h, _ := headOf(s); h != nil {
		return h
	}
	return &Head{C: s.Outputs}
}
