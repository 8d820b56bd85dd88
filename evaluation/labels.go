package evaluation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"cutmix-eval/datasets"
	"cutmix-eval/report"
)

// Labels is how the classes of samples are matched to a model's outputs.
type Labels struct {
	datasets.Alignment
	Names    []string // class names
	Selected []int    // the selected samples that have a label, ascending; nil is all
}

// Labels matches the samples' classes to the model's outputs, which may need an engine to
// count them. Samples without a label are left out.
func (c *Classifier) Labels(ctx context.Context, s Samples) (*Labels, error) {
	outputs, err := c.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	if outputs == 1 {
		return nil, fmt.Errorf("model %q has a single output, a binary classifier's, which classify evaluates alone; take a model with an output for each class", c.Model.Name)
	}
	a, err := s.Align(outputs, c.Model.ClassNames)
	if err != nil {
		return nil, err
	}
	return labelled(s, a)
}

// labelled are the labels of samples whose classes are matched as a says. Samples without a label
// are left out.
func labelled(s Samples, a datasets.Alignment) (*Labels, error) {
	l := &Labels{Alignment: a, Names: s.Classes()}
	var labelled []int
	for i := range s.Len() {
		if s.Label(i) != datasets.Unlabelled {
			labelled = append(labelled, i)
		}
	}
	switch without := s.Len() - len(labelled); {
	case len(labelled) == 0:
		var h report.Head
		s.Describe(&h)
		return nil, fmt.Errorf("%s has no labelled image", h.Dataset.Name)
	case without == 0:
		labelled = nil
	default:
		l.How += fmt.Sprintf("; %d images without a label are left out", without)
	}
	l.Selected = Both(s.Selected(), labelled)
	return l, nil
}

// Both are the samples in a and in b, ascending lists of which nil is all samples.
func Both(a, b []int) []int {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := []int{}
	for _, i := range a {
		if _, in := slices.BinarySearch(b, i); in {
			out = append(out, i)
		}
	}
	return out
}

// Fingerprint identifies the matching.
func (l *Labels) Fingerprint() string {
	data, err := json.Marshal([]any{l.Names, l.Output})
	if err != nil {
		panic("evaluation: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
