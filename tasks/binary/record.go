// Package binary measures a classifier with a single output, which tells two classes apart: the
// output is the logit of the positive class, or its probability. Its numbers are accuracy, precision,
// recall and the like at a threshold, AUROC and average precision over all thresholds, NLL, Brier and
// calibration of the probability, and operating points.
package binary

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// Config holds the options of the task.
type Config struct {
	Positive   string           `json:"positive"`  // class that the output stands for; empty: found
	Scale      evaluation.Scale `json:"scores"`    // of an output without a Sigmoid in the graph
	Threshold  float64          `json:"threshold"` // probability above which an image is taken for positive
	Bins       int              `json:"bins"`      // of the calibration error
	Replicates int              `json:"bootstrap"` // replicates; 0 leaves those intervals out
	// By are the groupings to report, Worst the number of wrong images to list.
	By    []string `json:"by"`
	Worst int      `json:"worst"`
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config {
	return Config{Scale: evaluation.Automatic, Threshold: 0.5, Bins: 15, Replicates: 1000, By: []string{"class"}}
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case !(c.Threshold > 0 && c.Threshold < 1):
		return fmt.Errorf("threshold %v: a probability above 0 and below 1 is needed", c.Threshold)
	case c.Worst < 0:
		return fmt.Errorf("%d worst images", c.Worst)
	}
	return cmp.Or(metrics.CheckBins(c.Bins, 2), tasks.CheckReport(c.Replicates, c.By, Groupings()))
}

// Record is what one image gave: a row of the run's parts.
type Record struct {
	results.Row
	Positive bool    `parquet:"positive"` // whether it is of the positive class
	Score    float32 `parquet:"score"`    // as the model gives it, before a Sigmoid at its end; NaN of a bad image
}

// newRecord is the record of a sample whose scores are out or which could not be read.
func newRecord(row results.Row, positive bool, out []float32, bad error) (Record, error) {
	rec := Record{Row: row, Positive: positive, Score: float32(math.NaN())}
	if bad == nil {
		if len(out) != 1 {
			return rec, fmt.Errorf("the model gave %d scores, not one", len(out))
		}
		bad = evaluation.NotFinite(out)
	}
	if bad != nil {
		rec.Status, rec.Error = results.Bad, bad.Error()
		return rec, nil
	}
	rec.Score = out[0]
	return rec, nil
}

// About is what a report needs beside the records; it is kept with them.
type About struct {
	tasks.Described[Config]
	Names    []string `json:"classes"`  // the two classes of the data
	Positive int      `json:"positive"` // index of the positive one
	// Scale is what the graph says of the scores, or the configuration.
	Scale evaluation.Scale `json:"scale"`
	Last  string           `json:"last"` // operator that makes the scores
	// Predicted says that another program computed the scores, so that there is no model here.
	Predicted bool `json:"predicted,omitempty"`
}

// class names the positive or the other class.
func (a About) class(positive bool) string {
	if positive {
		return a.Names[a.Positive]
	}
	return a.Names[1-a.Positive]
}

// check says what of it makes no sense.
func (a About) check() error {
	if len(a.Names) != 2 || a.Positive < 0 || a.Positive > 1 {
		return errors.New("the manifest does not name two classes, of which one is positive")
	}
	return nil
}

// samples are the records that were evaluated.
type samples struct {
	records []Record // in sample order
	scale   evaluation.Scale
	of      *metrics.Binary
}

// prepare makes ready the records of samples with a score.
func (a About) prepare(records []Record) samples {
	s := samples{records: records, scale: a.Scale}
	var scores []float32
	var positive []bool
	for _, r := range records {
		scores, positive = append(scores, r.Score), append(positive, r.Positive)
	}
	if s.scale == evaluation.Automatic {
		s.scale = evaluation.ScaleOf(scores)
	}
	s.of = metrics.NewBinary(scores, positive, s.scale == evaluation.Probability, a.Config.Threshold, a.Config.Bins)
	return s
}
