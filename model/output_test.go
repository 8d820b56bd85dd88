package model

import (
	"strings"
	"testing"
)

func TestOutputs(t *testing.T) {
	for _, c := range []struct {
		name    string
		output  string
		classes int
		choice  string // why; empty: there was none to make
		open    string // what is ambiguous
	}{
		{"early-first", "980", 5, "nearest to the end", ""},
		{"aux-last", "y", 5, "the names of the others", ""},
		{"twins", "a", 5, "", `"a" (n x 5), "b" (n x 5), and nothing says which`},
		{"two-tasks", "age", 7, "", "nothing says which"},
		{"named", "class_scores", 5, "its name says so", ""},
		{"features-first", "z", 5, "computed from it", ""},
		{"logits-and-probabilities", "p", 5, "it from them", ""},
		{"largest", "z", 5, "computed from it", ""},
		{"one-logit", "z", 1, "", ""},
		{"one-logit-vector", "one", 1, "", ""},
		{"four-axes", "far", 5, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Open("testdata/outputs/"+c.name+".onnx", "")
			if err != nil {
				t.Fatal(err)
			}
			if m.Output != c.output || m.Classes != c.classes {
				t.Errorf("output %q of %d classes, want %q of %d", m.Output, m.Classes, c.output, c.classes)
			}
			if (m.Choice() == "") != (c.choice == "") || !strings.Contains(m.Choice(), c.choice) {
				t.Errorf("choice %q, want %q", m.Choice(), c.choice)
			}
			if err := m.Ambiguous(); (err == nil) != (c.open == "") || err != nil && !strings.Contains(err.Error(), c.open) {
				t.Errorf("ambiguous: %v, want %q", err, c.open)
			}
		})
	}
	for name, want := range map[string]string{
		"argmax-only": `"label" (n) is int64`,
		"map":         `"places" (n x 2 x 2 x 2) is of a shape`,
		"zipmap":      "ZipMap",
	} {
		if _, err := Open("testdata/outputs/"+name+".onnx", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	m, err := Open("testdata/inputs/batch1-vector-out.onnx", "")
	if err != nil || m.Classes != 4 {
		t.Errorf("a vector of the one image's classes: %v", err)
	}
}

// An output that was asked for is nobody's choice, whatever the data are.
func TestOutputForClasses(t *testing.T) {
	for _, c := range []struct {
		name, output string
		classes      int
		want, why    string
	}{
		{"two-tasks", "", 2, "sex", "it alone fits the 2 classes"},
		{"two-tasks", "", 7, "age", "it alone fits the 7 classes"},
		{"two-tasks", "age", 2, "age", ""},
		{"early-first", "", 5, "980", "nearest to the end"},
		{"early-first", "", 1000, "980", "nearest to the end"},
		{"largest", "", 2, "z", "computed from it"},
		{"features-first", "", 8, "z", "computed from it"},
	} {
		m, err := Open("testdata/outputs/"+c.name+".onnx", c.output)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.ForClasses(c.classes)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Output != c.want || (got.Choice() == "") != (c.why == "") || !strings.Contains(got.Choice(), c.why) {
			t.Errorf("%s for %d classes: %q, %q", c.name, c.classes, got.Output, got.Choice())
		}
	}
}
