package evaluation

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/internal/text"
	"cutmix-eval/report"
)

// OtherNames is in How where the model has names that the classes have not.
const OtherNames = "the model calls its "

// Positive finds which of the two classes of samples a single output stands for. It is the one that
// is asked for; else the one that a class map, labels that are numbers or the model's names call 1 or
// the output; else the second in the data's order. Output is 1 for it and 0 for the other one.
// Samples without a label are left out.
func (c *Classifier) Positive(s Samples, asked string) (*Labels, error) {
	classes := s.Classes()
	if len(classes) == 0 {
		_, err := s.Align(2, nil) // it says why there are none
		return nil, err
	}
	if len(classes) != 2 {
		var h report.Head
		s.Describe(&h)
		what := fmt.Sprintf("%d classes", len(classes))
		if len(classes) == 1 {
			what = fmt.Sprintf("only the class %q", classes[0])
		}
		return nil, fmt.Errorf("model %q has a single output, which tells two classes apart, and %s has %s; give data of two classes, or a model with an output for each class",
			c.Model.Name, h.Dataset.Name, what)
	}
	a, err := positive(s, c.Model.ClassNames, asked)
	if err != nil {
		return nil, err
	}
	return labelled(s, a)
}

func positive(s Samples, names []string, asked string) (datasets.Alignment, error) {
	classes := s.Classes()
	of := func(class int, how string) datasets.Alignment {
		a := datasets.Alignment{Output: []int{0, 0}, How: fmt.Sprintf("with %q as the positive class, %s", classes[class], how)}
		a.Output[class] = 1
		return a
	}
	find := func(name string) int {
		if i := slices.Index(classes, name); i >= 0 {
			return i
		}
		fold := func(class string) bool { return strings.EqualFold(class, name) }
		if i := slices.IndexFunc(classes, fold); i >= 0 && !fold(classes[1-i]) {
			return i
		}
		return -1
	}
	if asked != "" {
		i := find(asked)
		if i < 0 {
			return datasets.Alignment{}, fmt.Errorf("--positive %s is no class of the data; it has %s", asked, text.Some(classes, 2))
		}
		return of(i, "as --positive says"), nil
	}
	why := ""
	if len(names) == 1 {
		if i := find(names[0]); i >= 0 {
			return of(i, "as the model names its output"), nil
		}
		why = fmt.Sprintf("; "+OtherNames+"output %q", names[0])
		names = nil
	}
	// As for a model with an output for each class, 0 and 1.
	a, err := s.Align(2, names)
	if errors.Is(err, datasets.ErrOtherNames) {
		why = fmt.Sprintf("; "+OtherNames+"classes otherwise (%s)", text.Some(names, 2))
		a, err = s.Align(2, nil)
	}
	switch {
	case err == nil && strings.HasPrefix(a.How, datasets.InOrder):
	case err == nil:
		return of(slices.Index(a.Output, 1), "output 1 "+a.How), nil
	case slices.ContainsFunc(classes, func(class string) bool { _, err := strconv.Atoi(class); return err != nil }):
		return datasets.Alignment{}, err
	}
	return of(1, "the second of the data's (--positive says otherwise)"+why), nil
}
