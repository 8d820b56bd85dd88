package datasets

import "testing"

func TestTakeSplit(t *testing.T) {
	for _, c := range []struct {
		name   string
		splits []string
		o      Options
		want   string
		err    bool
	}{
		{"val before test", []string{"test", "train", "val"}, Options{}, "val", false},
		{"the exact name first", []string{"val2", "val"}, Options{Split: "val"}, "val", false},
		{"dev is a val", []string{"dev", "train"}, Options{}, "dev", false},
		{"asked for by kind", []string{"training_set", "test_set"}, Options{Split: "train"}, "training_set", false},
		{"preferred", []string{"Training Images", "valid"}, Options{Prefer: "train"}, "Training Images", false},
		{"preferred, absent", []string{"test"}, Options{Prefer: "train"}, "test", false},
		{"evaluation", []string{"evaluation", "training"}, Options{}, "evaluation", false},
		{"own name", []string{"a", "train"}, Options{Split: "A"}, "a", false},
		{"a name that is no kind", []string{"val", "train"}, Options{Split: "dev"}, "", true},
		{"own names, none asked for", []string{"a", "b"}, Options{}, "", true},
		{"one without a name", []string{""}, Options{}, "", false},
		{"one without a name, asked for", []string{""}, Options{Split: "val"}, "", true},
		{"a class that begins so", []string{"trainer", "devil"}, Options{}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := takeSplit(c.splits, c.o)
			if got != c.want || (err != nil) != c.err {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}
