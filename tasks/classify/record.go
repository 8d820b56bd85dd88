// Package classify measures how accurate and how well calibrated a classifier
// is: top-1 and top-5, NLL, Brier, calibration errors, selective prediction,
// accuracy by class and the pairs of classes that are mixed up most.
package classify

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// Config holds the options of the task.
type Config struct {
	Bins       int `json:"bins"`      // of the calibration errors
	Replicates int `json:"bootstrap"` // replicates; 0 leaves those intervals out
	Pairs      int `json:"pairs"`     // most confused pairs to list
	// By are the groupings to report, Worst the number of wrong images to list.
	By       []string `json:"by"`
	Worst    int      `json:"worst"`
	Restrict bool     `json:"restrict"` // only the outputs that are classes of the data compete
	// Doctor tries other pixels on some images, where the recipe is only assumed or the accuracy is
	// low. Trying, if not nil, is called with how many images were tried so far.
	Doctor bool             `json:"-"`
	Trying func(images int) `json:"-"`
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config {
	return Config{Bins: 15, Replicates: 1000, Pairs: 10, By: []string{"class"}, Doctor: true}
}

// Record is what one image gave: a row of the run's parts. A bad image's own
// columns are -1, 0 or empty. A predicted class without scores has NaN for what these give.
type Record struct {
	results.Row
	Label          int32     `parquet:"label"`          // model output that its class is; of several right ones the likeliest
	Prediction     int32     `parquet:"prediction"`     // model output with the largest score
	PredictedClass string    `parquet:"predicted,dict"` // its class in the data; empty where it is none
	Correct        bool      `parquet:"correct"`        //
	Rank           int32     `parquet:"rank"`           // outputs that come before the label: below 5 is a top-5 hit
	Confidence     float64   `parquet:"confidence"`     // softmax probability of the prediction
	Loss           float64   `parquet:"loss"`           // negative log-likelihood, nats
	Brier          float64   `parquet:"brier"`          // 0 to 2
	Top            []int32   `parquet:"top5,list"`      // best outputs first
	TopProbability []float32 `parquet:"top5_probability,list"`
}

// Outcome is the record's part of the metrics. What a predicted class alone does not say is 0, and
// not reported.
func (r *Record) Outcome() metrics.Outcome {
	o := metrics.Outcome{Label: int(r.Label), Pred: int(r.Prediction), Rank: int(r.Rank)}
	if !math.IsNaN(r.Confidence) {
		o.Confidence, o.NLL, o.Brier = r.Confidence, r.Loss, r.Brier
	}
	return o
}

// About is what a report needs beside the records; it is kept with them.
type About struct {
	tasks.Described[Config]
	Names   []string         `json:"classes"`                // class names
	Output  []int            `json:"output"`                 // model output by class, from datasets.Align
	More    [][]int          `json:"more_outputs,omitempty"` // further right outputs by class
	Several bool             `json:"several,omitempty"`      // more than one output can be right for an image
	Orders  []datasets.Order `json:"orders"`                 // other numberings, to explain a bad match
	Outputs int              `json:"outputs"`                // number of the model's outputs
	// Called is what people call each output, empty where that is not known; nil where it is of none.
	Called []string `json:"called,omitempty"`
	// Probabilities says that the model's scores are probabilities: their
	// logarithms are used.
	Probabilities bool `json:"probabilities"`
	// Predicted says that another program computed the scores, so that there is no model here.
	Predicted bool `json:"predicted,omitempty"`
	// Hard says that the scores are class numbers alone, 1 for the prediction and 0 for the
	// others: what confidence and order of the others give is left out.
	Hard bool `json:"class_numbers_alone,omitempty"`
	// Pixels is what the doctor says of the preprocessing; empty for nothing.
	Pixels string `json:"pixels,omitempty"`
}

// Recorder turns what the model gives into records. Not safe for concurrent use.
type Recorder struct {
	about   About
	contest *evaluation.Contest
	names   []string // class of the data by output
	p       []float64
}

// NewRecorder prepares for the records of a run.
func NewRecorder(a About) *Recorder {
	r := &Recorder{about: a, contest: a.contest(), names: make([]string, a.Outputs)}
	for class, o := range a.Output {
		r.names[o] = a.Names[class]
		if a.More != nil {
			for _, o := range a.More[class] {
				r.names[o] = a.Names[class]
			}
		}
	}
	r.p = make([]float64, len(r.contest.Outputs))
	return r
}

// Record is the record of a sample of the given class, whose scores are out or which could
// not be read. more are further outputs that are right.
func (r *Recorder) Record(row results.Row, class int, out []float32, bad error, more ...int) (Record, error) {
	rec := Record{Row: row, Label: int32(r.about.Output[class]), Prediction: -1, Rank: -1}
	if bad == nil {
		switch i := metrics.NotFinite(out); {
		case len(out) != r.about.Outputs:
			return rec, fmt.Errorf("the model gave %d scores, not %d", len(out), r.about.Outputs)
		case i >= 0:
			bad = fmt.Errorf("the model gave %v for output %d", out[i], i)
		}
	}
	if bad != nil {
		rec.Status, rec.Error = results.Bad, bad.Error()
		return rec, nil
	}
	for _, o := range more {
		// Of equal ones the first, which is the prediction.
		if best := rec.Label; out[o] > out[best] || out[o] == out[best] && int32(o) < best {
			rec.Label = int32(o)
		}
	}
	o, err := r.contest.Score(out, int(rec.Label))
	if err != nil {
		return rec, err
	}
	rec.Prediction, rec.Rank, rec.Correct = int32(o.Pred), int32(o.Rank), o.Correct()
	rec.PredictedClass = r.names[rec.Prediction]
	rec.Confidence, rec.Loss, rec.Brier = o.Confidence, o.NLL, o.Brier
	if r.about.Hard {
		rec.Rank = min(rec.Rank, 1)
		rec.Confidence, rec.Loss, rec.Brier = math.NaN(), math.NaN(), math.NaN()
		rec.Top = []int32{rec.Prediction}
		return rec, nil
	}
	z := r.contest.Logits(out)
	metrics.Softmax(r.p, z)
	for _, i := range metrics.TopK(z, 5) {
		rec.Top = append(rec.Top, int32(r.contest.Outputs[i]))
		rec.TopProbability = append(rec.TopProbability, float32(r.p[i]))
	}
	return rec, nil
}

// contest is the outputs that compete.
// Valid says what makes no sense in what the records of a run depend on.
func (a About) Valid() error {
	if a.Outputs < 1 || a.Outputs > results.MaxOutputs {
		return fmt.Errorf("%d outputs are not 1 to %d", a.Outputs, results.MaxOutputs)
	}
	if len(a.Output) != len(a.Names) {
		return fmt.Errorf("there are %d classes and %d outputs", len(a.Names), len(a.Output))
	}
	if a.More != nil && len(a.More) != len(a.Output) {
		return fmt.Errorf("there are further outputs of %d classes, and outputs of %d", len(a.More), len(a.Output))
	}
	for _, o := range slices.Concat(append([][]int{a.Output}, a.More...)...) {
		if o < 0 || o >= a.Outputs {
			return fmt.Errorf("a class is output %d of %d", o, a.Outputs)
		}
	}
	return a.Described.Valid()
}

func (a About) contest() *evaluation.Contest {
	var only []int
	if a.Config.Restrict {
		only = slices.Concat(append([][]int{a.Output}, a.More...)...)
	}
	return evaluation.NewContest(a.Outputs, only, a.Probabilities)
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Pairs < 0:
		return fmt.Errorf("%d confused pairs", c.Pairs)
	case c.Worst < 0:
		return fmt.Errorf("%d worst images", c.Worst)
	}
	return cmp.Or(metrics.CheckBins(c.Bins, 2), tasks.CheckReport(c.Replicates, c.By, Groupings()))
}
