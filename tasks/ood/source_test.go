package ood

import (
	"strings"
	"testing"
)

// TestParseSource: what --ood can be.
func TestParseSource(t *testing.T) {
	for in, want := range map[string]Source{
		"near:tin=/data/tin":    {Name: "tin", Group: "near", Path: "/data/tin"},
		"far:noise:blobs":       {Name: "noise-blobs", Group: "far", Path: "noise:blobs"},
		"/data/inat.tar":        {Name: "inat", Path: "/data/inat.tar"},
		"/data/a=b/textures":    {Name: "textures", Path: "/data/a=b/textures"},
		"far:x=scenes:ood-near": {Name: "x", Group: "far", Path: "scenes:ood-near"},
	} {
		want.Role = Out
		if got, err := ParseSource(in, Out); err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "near:", "x=", "..", "near:.hidden=a"} {
		if got, err := ParseSource(in, Out); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

// TestValidate: what is refused before any work, and why.
func TestValidate(t *testing.T) {
	a := Source{Name: "a", Role: Out, Path: "a"}
	val, apart := Of(Val, "v", 0), Of(OutVal, "o", 0)
	for _, c := range []struct {
		name   string
		config Config
		want   string // "": allowed
	}{
		{"one set", Config{Sources: []Source{a}}, ""},
		{"a threshold needs no OOD set", Config{Scores: []string{"msp"}, Threshold: 0.9, Detector: "d"}, ""},
		{"parameters chosen", Config{Sources: []Source{a, apart, val}, Grid: true}, ""},
		{"no set", Config{}, "no OOD set is named"},
		{"one name twice", Config{Sources: []Source{a, a}}, `two sets are called "a"`},
		{"the name of a file", Config{Sources: []Source{{Name: "study.json", Role: Out}}}, `"study.json", or the name is taken`},
		{"two validation sets", Config{Sources: []Source{a, val, {Name: "more", Role: Val}}}, "there are 2 sets of role val"},
		{"no such score", Config{Sources: []Source{a}, Scores: []string{"mps"}}, `score "mps" is not one of`},
		{"OOD validation alone", Config{Sources: []Source{a, apart}}, "give --grid with --ood-val"},
		{"OOD validation without validation", Config{Sources: []Source{a, apart}, Grid: true}, "give --val with --ood-val"},
		{"OOD validation without a grid", Config{Sources: []Source{a, apart, val}}, "give --grid with --ood-val"},
		{"a reference of three scores", Config{Sources: []Source{a}, Reference: "ash"}, `the reference "ash" is not one score`},
		{"a share above 1", Config{Sources: []Source{a}, Threshold: 1.5, Scores: []string{"msp"}}, "cannot accept a share of 1.5"},
		{"a threshold of all scores", Config{Threshold: 0.9}, "name it by --score (as it is, it would be msp, mls, energy ...)"},
		{"threshold and grid", Config{Threshold: 0.9, Scores: []string{"msp"}, Grid: true}, "cannot be had at once"},
		{"a detector without a threshold", Config{Sources: []Source{a}, Detector: "d"}, "give --threshold-at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			switch err := c.config.Validate(); {
			case err == nil && c.want != "":
				t.Errorf("it is allowed, want %q", c.want)
			case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
