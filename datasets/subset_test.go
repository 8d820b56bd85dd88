package datasets

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNamed: names of a subset, by path or by file name, and what is wrong with them.
func TestNamed(t *testing.T) {
	d := &Dataset{Name: "d", Samples: []Sample{{ID: "a/1.jpg", Label: 0}, {ID: "a/2.jpg", Label: 0}, {ID: "b/2.png", Label: 1}, {ID: "b/3.png", Label: 1}}}
	file := filepath.Join(t.TempDir(), "ids.txt")
	for text, want := range map[string]any{
		"n1/3.JPEG\n1\n": []int{0, 3}, "b/2.png\r\n\n": []int{2}, "a/1.jpg\na/1.jpg": []int{0},
		"2.jpg": []int{1}, "2": "line 1: several images of d are called", "x/9.jpg": `line 1: d has no image "x/9.jpg"`, "\n\n": "names no image",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := d.Named(file)
		if ids, ok := want.([]int); ok && (err != nil || !slices.Equal(got, ids)) {
			t.Errorf("%q: %v %v, want %v", text, got, err, ids)
		} else if why, ok := want.(string); ok && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("%q: %v %v, want %v", text, got, err, why)
		}
	}
	if got, err := d.Named(""); got != nil || err != nil {
		t.Errorf("no file: %v %v", got, err)
	}
	if _, err := d.Named(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there names images")
	}
	if got := d.PickOf([]int{0, 2, 3}, 2, 0); len(got) != 2 || d.Samples[got[0]].Label == d.Samples[got[1]].Label {
		t.Errorf("two of three: %v", got)
	}
}
