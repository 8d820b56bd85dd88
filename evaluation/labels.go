package evaluation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"cutmix-eval/datasets"
	"cutmix-eval/runtime"
)

// Labels is how the classes of the data are matched to the model's outputs.
type Labels struct {
	datasets.Alignment
	Names    []string // class names
	labelled []int    // samples with a label; nil is all
}

// Labels matches the data's classes to the model's outputs, which may need a session
// to count them. Images without a label are left out.
func (s *Setup) Labels(ctx context.Context, install runtime.Progress) (*Labels, error) {
	if s.Outputs == 0 { // only a session can tell
		if err := s.Start(ctx, install); err != nil {
			return nil, err
		}
	}
	d := s.Data
	a, err := d.Align(s.Outputs, s.Model.ClassNames)
	if err != nil {
		return nil, err
	}
	l := &Labels{Alignment: a, Names: d.Classes}
	for i, sample := range d.Samples {
		if sample.Label != datasets.Unlabelled {
			l.labelled = append(l.labelled, i)
		}
	}
	switch without := len(d.Samples) - len(l.labelled); {
	case len(l.labelled) == 0:
		return nil, fmt.Errorf("%s has no labelled image", d.Name)
	case without == 0:
		l.labelled = nil
	default:
		l.How += fmt.Sprintf("; %d images without a label are left out", without)
	}
	return l, nil
}

// Select narrows samples (nil is all) to those with a label.
func (l *Labels) Select(at []int) []int { return Both(at, l.labelled) }

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
