// Package multilabel measures a classifier on images of which each can be of several classes: mean
// average precision in its variants, precision, recall and F1 by class and overall of what images are
// taken for, and how well each image's classes are ranked.
package multilabel

import (
	"context"
	"fmt"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// Config holds the options of the task.
type Config struct {
	Path       string           `json:"multi_label"` // annotations: a file or a VOC folder
	Split      string           `json:"multi_split"` // lists of a VOC folder, where it has several
	Threshold  float64          `json:"threshold"`   // probability above which an image is taken for a class
	Scale      evaluation.Scale `json:"scores"`      // of outputs without a Sigmoid in the graph
	Replicates int              `json:"bootstrap"`   // replicates; 0 leaves those intervals out
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config {
	return Config{Threshold: 0.5, Scale: evaluation.Automatic, Replicates: 1000}
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	if !(c.Threshold > 0 && c.Threshold < 1) {
		return fmt.Errorf("threshold %v: a probability above 0 and below 1 is needed", c.Threshold)
	}
	return tasks.CheckReport(c.Replicates, nil, nil)
}

// Record is what one image gave: a row of the run's parts. Scores and truth lie beside it.
type Record struct {
	results.Row
	Labels  []int32   `parquet:"labels,list"`  // classes that it is of
	Unknown []int32   `parquet:"unknown,list"` // classes of which it is not known whether it is of them
	Top     []int32   `parquet:"top5,list"`    // classes of the highest scores, best first; none of a bad image
	Scores  []float32 `parquet:"top5_score,list"`
}

// TruthArray is the array with what images are: 0 or 1, NaN where it is not known, for each class.
const TruthArray = "truth"

// About is what a report needs beside the records; it is kept with them.
type About struct {
	tasks.Described[Config]
	Classes []string `json:"classes"`
	Output  []int    `json:"output"` // of the model, by class
	// Scale is what the graph says of the scores, or the configuration.
	Scale evaluation.Scale `json:"scale"`
	// Competing says that each image's scores sum to 1, as if it had one label.
	Competing bool `json:"competing,omitempty"`
}

// check says what of it makes no sense.
func (a About) check() error {
	if len(a.Classes) == 0 || len(a.Output) != len(a.Classes) {
		return fmt.Errorf("the manifest names %d classes and %d outputs", len(a.Classes), len(a.Output))
	}
	for _, o := range a.Output {
		if o < 0 || o >= len(a.Output) {
			return fmt.Errorf("the manifest says that a class is output %d of %d", o, len(a.Output))
		}
	}
	return nil
}

// byClass are scores of an image in the order of the classes.
func (a About) byClass(scores []float32) []float32 {
	out := make([]float32, len(a.Output))
	for c, o := range a.Output {
		out[c] = scores[o]
	}
	return out
}

// NewRecord is the record of a sample, which is of the classes for which truth is 1, and whose scores
// are out or which could not be read.
func (a About) NewRecord(row results.Row, truth, out []float32, bad error) (Record, error) {
	rec := Record{Row: row}
	for c, y := range truth {
		switch {
		case y == 1:
			rec.Labels = append(rec.Labels, int32(c))
		case y != 0:
			rec.Unknown = append(rec.Unknown, int32(c))
		}
	}
	if bad == nil {
		if len(out) != len(a.Output) {
			return rec, fmt.Errorf("the model gave %d scores, not %d", len(out), len(a.Output))
		}
		bad = evaluation.NotFinite(out)
	}
	if bad != nil {
		rec.Status, rec.Error = results.Bad, bad.Error()
		return rec, nil
	}
	scores := a.byClass(out)
	for _, c := range metrics.TopK(scores, 5) {
		rec.Top, rec.Scores = append(rec.Top, int32(c)), append(rec.Scores, scores[c])
	}
	return rec, nil
}

// Scored are the images of a run that have scores.
type Scored struct {
	At     []int     // samples, ascending
	Scores []float32 // one per class in each row
	Truth  []float64 // the same: 0 or 1, NaN where it is not known
	Bad    []report.BadImage
}

// row is a record of any task.
type row struct{ results.Row }

// Read reads a run with logits and TruthArray. output says which of the model's outputs each
// class is.
func Read(ctx context.Context, run *results.Run, output []int) (*Scored, error) {
	a := About{Output: output}
	s := &Scored{}
	return s, results.Each[row](ctx, run, []string{evaluation.Logits, TruthArray}, func(r *row, arrays [][]float32) error {
		if r.Status != results.OK {
			s.Bad = append(s.Bad, report.BadImage{ID: r.ID, Reason: r.Error})
			return nil
		}
		if n := len(s.At); n > 0 && s.At[n-1] == int(r.Index) {
			return fmt.Errorf("the run has two records of %s", r.ID)
		}
		if len(arrays[0]) != len(output) || len(arrays[1]) != len(output) {
			return fmt.Errorf("the run has %d scores and %d labels per image, and %d classes", len(arrays[0]), len(arrays[1]), len(output))
		}
		s.At, s.Scores = append(s.At, int(r.Index)), append(s.Scores, a.byClass(arrays[0])...)
		for _, y := range arrays[1] {
			s.Truth = append(s.Truth, float64(y))
		}
		return nil
	})
}
