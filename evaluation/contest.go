package evaluation

import (
	"fmt"
	"math"
	"slices"

	"cutmix-eval/metrics"
)

// Contest is the outputs of a model that compete for the prediction: all of them, or
// those that are classes of the data. Not safe for concurrent use.
type Contest struct {
	Outputs       []int // that compete, ascending
	probabilities bool
	place         []int // of an output among them, -1 for one that does not compete
	z             []float32
}

// NewContest is the contest of a model with so many outputs, of which only some compete
// (nil: all). probabilities says that its scores are probabilities: their logarithms are
// taken.
func NewContest(outputs int, only []int, probabilities bool) *Contest {
	c := &Contest{probabilities: probabilities, place: make([]int, outputs)}
	for o := range outputs {
		c.place[o] = -1
		if only == nil {
			c.Outputs = append(c.Outputs, o)
		}
	}
	if only != nil {
		c.Outputs = slices.Sorted(slices.Values(only))
	}
	for i, o := range c.Outputs {
		c.place[o] = i
	}
	c.z = make([]float32, len(c.Outputs))
	return c
}

// Place is an output's index in Outputs; -1 for one that does not compete.
func (c *Contest) Place(output int) int { return c.place[output] }

// Logits are the logits of the outputs that compete, valid until the next call.
func (c *Contest) Logits(scores []float32) []float32 {
	for i, o := range c.Outputs {
		c.z[i] = scores[o]
		if c.probabilities {
			// A probability that was rounded to 0 counts as the smallest that is not 0.
			c.z[i] = float32(math.Log(max(float64(c.z[i]), math.SmallestNonzeroFloat32)))
		}
	}
	return c.z
}

// NotFinite says which of the model's scores is no number, as an error; nil for none.
func NotFinite(values ...[]float32) error {
	for _, v := range values {
		if i := metrics.NotFinite(v); i >= 0 {
			return fmt.Errorf("the model gave %v", v[i])
		}
	}
	return nil
}

// Score is the outcome of a sample whose label is an output that competes. Label and
// prediction of the outcome are outputs of the model.
func (c *Contest) Score(scores []float32, label int) (metrics.Outcome, error) {
	o, err := metrics.Score(c.Logits(scores), c.place[label], 1)
	if err != nil {
		return o, err
	}
	o.Label, o.Pred = c.Outputs[o.Label], c.Outputs[o.Pred]
	return o, nil
}
