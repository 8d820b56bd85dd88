package evaluation

import (
	"strings"
	"testing"

	"cutmix-eval/datasets"
)

// TestPositive: which of two classes a single output stands for, and who says so.
func TestPositive(t *testing.T) {
	folders := &datasets.Dataset{Name: "pets", Classes: []string{"cat", "dog"}}
	of := func(d datasets.Dataset, edit func(*datasets.Dataset)) *datasets.Dataset { edit(&d); return &d }
	for _, c := range []struct {
		name, asked string
		data        *datasets.Dataset
		names       []string
		want        []int
		how         string // or the error
	}{
		{"folders", "", folders, nil, []int{0, 1}, `with "dog" as the positive class, the second of the data's (--positive says otherwise)`},
		{"asked", "cat", folders, []string{"dog"}, []int{1, 0}, `with "cat" as the positive class, as --positive says`},
		{"asked without case", "Cat", folders, nil, []int{1, 0}, "as --positive says"},
		{"asked for another", "fox", folders, nil, nil, "--positive fox is no class of the data; it has cat, dog"},
		{"case tells them apart", "CAT", &datasets.Dataset{Classes: []string{"Cat", "cat"}}, nil, nil, "is no class"},
		{"output has a name", "", folders, []string{"Cat"}, []int{1, 0}, "as the model names its output"},
		{"output has another name", "", folders, []string{"score"}, []int{0, 1}, `the model calls its output "score"`},
		{"both have names", "", folders, []string{"dog", "cat"}, []int{1, 0}, "by the class names in the model"},
		{"both have other names", "", folders, []string{"no", "yes"}, []int{0, 1}, "the model calls its classes otherwise (no, yes)"},
		{"one has another name", "", folders, []string{"cat", "yes"}, nil, "has no dog"},
		{"numbers", "", &datasets.Dataset{Classes: []string{"1", "0"}, Indices: []int{1, 0}}, nil, []int{1, 0}, "by number"},
		{"other numbers", "", &datasets.Dataset{Classes: []string{"1", "2"}, Indices: []int{1, 2}}, nil, []int{0, 1}, `"2" as the positive class, output 1 by number: labels are 1 to 2`},
		{
			"class map", "", of(*folders, func(d *datasets.Dataset) { d.ClassMap, d.MapName = map[string]int{"cat": 1, "dog": 0}, "m.json" }),
			nil, []int{1, 0}, "by the class map m.json",
		},
		{
			"class map of others", "", of(*folders, func(d *datasets.Dataset) { d.ClassMap, d.MapName = map[string]int{"cat": 1, "dog": 2}, "m.json" }),
			nil, nil, `class "dog" would be output 2`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := positive(&Images{Dataset: c.data}, c.names, c.asked)
			if c.want == nil {
				if err == nil || !strings.Contains(err.Error(), c.how) {
					t.Errorf("%v, want an error with %q", err, c.how)
				}
				return
			}
			if err != nil || len(got.Output) != 2 || got.Output[0] != c.want[0] || got.Output[1] != c.want[1] || !strings.Contains(got.How, c.how) {
				t.Errorf("%+v, %v; want %v, %s", got, err, c.want, c.how)
			}
		})
	}
}

func TestScaleOf(t *testing.T) {
	for want, scores := range map[Scale][][]float32{
		Probability: {{0, 1, 0.5}, {0.25}, {1.0005}}, // float16 rounds a sum to that
		Logit:       {{0, 1.1}, {-0.1, 0.5}},
	} {
		for _, s := range scores {
			if got := ScaleOf(s); got != want {
				t.Errorf("%v are %s", s, got)
			}
		}
	}
}
