package evaluation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	samples  Samples
	several  bool
}

// Several says whether more than one output can be right for a sample.
func (l *Labels) Several() bool { return l.several }

// Right are the outputs that are right for sample i, first that of its label.
func (l *Labels) Right(i int) []int {
	class := l.samples.Label(i)
	right := []int{l.Output[class]}
	add := func(class int) {
		if l.More != nil {
			right = append(right, l.More[class]...)
		}
	}
	add(class)
	for _, other := range alsoOf(l.samples, i) {
		right = append(right, l.Output[other])
		add(other)
	}
	return right
}

// Competing are the outputs that are classes of the data.
func (l *Labels) Competing() []int {
	return slices.Concat(append([][]int{l.Output}, l.More...)...)
}

// alsoOf are the further classes of a sample.
func alsoOf(s Samples, i int) []int {
	if more, ok := s.(interface{ Also(i int) []int }); ok {
		return more.Also(i)
	}
	return nil
}

// Labels is AllLabels for who asks for one right output of each sample.
func (c *Classifier) Labels(ctx context.Context, s Samples) (*Labels, error) {
	l, err := c.AllLabels(ctx, s)
	if err == nil && l.several {
		err = errors.New("several outputs can be right for an image of this data (ReaL, ObjectNet), which classify alone evaluates; give one label per image with --labels")
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// AllLabels matches the samples' classes to the model's outputs, which may need an engine to
// count them. Samples without a label are left out.
func (c *Classifier) AllLabels(ctx context.Context, s Samples) (*Labels, error) {
	outputs, err := c.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	if outputs == 1 {
		return nil, fmt.Errorf("model %q has a single output, a binary classifier's, which classify evaluates alone; take a model with an output for each class", c.Model.Name)
	}
	return LabelsOf(s, outputs, c.Model.ClassNames)
}

// LabelsOf matches the samples' classes to so many outputs, which may have names. Samples without a
// label are left out.
func LabelsOf(s Samples, outputs int, names []string) (*Labels, error) {
	a, err := s.Align(outputs, names)
	if err != nil {
		return nil, err
	}
	return labelled(s, a)
}

// labelled are the labels of samples whose classes are matched as a says. Samples without a label
// are left out.
func labelled(s Samples, a datasets.Alignment) (*Labels, error) {
	if p, ok := s.(interface {
		agree(datasets.Alignment) error
	}); ok {
		if err := p.agree(a); err != nil {
			return nil, err
		}
	}
	l := &Labels{Alignment: a, Names: s.Classes(), samples: s, several: slices.ContainsFunc(a.More, func(more []int) bool { return len(more) > 0 })}
	var labelled []int
	several := 0
	for i := range s.Len() {
		if s.Label(i) != datasets.Unlabelled {
			labelled = append(labelled, i)
		}
		if len(alsoOf(s, i)) > 0 {
			several++
		}
	}
	if several > 0 {
		l.several = true
		l.How += fmt.Sprintf("; %d images are of several classes, and right where the prediction is one of them", several)
	}
	if l.several {
		l.How += "; NLL, Brier score and calibration take the likeliest of the right outputs"
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
	what := []any{l.Names, l.Output}
	if l.More != nil {
		what = append(what, l.More)
	}
	data, err := json.Marshal(what)
	if err != nil {
		panic("evaluation: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
