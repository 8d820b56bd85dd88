package paths

import (
	"os"
	"path/filepath"
	"testing"
)

func TestInside(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	if err := os.MkdirAll(in("a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(in("a"), in("link")); err != nil {
		t.Skip(err) // not on every system
	}
	for _, c := range []struct {
		path, dir string
		want      bool
	}{
		{"a/b", "a", true}, {"a", "a", true}, {"a/none/x", "a", true}, {"link/none", "a", true}, {"a/b", "link", true},
		{"a", "a/b", false}, {"ab", "a", false}, {"a/../c", "a", false}, {"none", "a", false},
	} {
		if got := Inside(in(c.path), in(c.dir)); got != c.want {
			t.Errorf("%s in %s: %v", c.path, c.dir, got)
		}
	}
}
