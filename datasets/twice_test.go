package datasets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClassMapTwice: a class map that names a class twice is refused, whatever its outputs.
func TestClassMapTwice(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []string{"cat", "dog"} {
		if err := os.MkdirAll(filepath.Join(dir, "data", c), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "data", c, "1.png"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		`{"cat": 0, "dog": 1, "cat": 1}`:                            `key "cat" occurs twice in its JSON`,
		`{"0": "cat", "1": "dog", "0": "dog"}`:                      `key "0" occurs twice in its JSON`,
		"cat 0\ndog 1\ncat 1\n":                                     "occurs twice",
		`{"0": "cat", "` + strings.Repeat("x", 1<<20) + `": "dog"}`: "",
		"cat 0\n" + strings.Repeat("y", 1<<20) + " " + "z\ndog 1\n": "",
	} {
		labels := filepath.Join(dir, "map.json")
		if err := os.WriteFile(labels, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(filepath.Join(dir, "data"), Options{Labels: labels})
		if err == nil {
			_ = d.Close()
			t.Errorf("%.60q is taken", text)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %.300v (%d bytes), want %q", text, err, len(err.Error()), want)
		}
	}
}
