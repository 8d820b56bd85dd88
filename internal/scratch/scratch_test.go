package scratch

import (
	"os"
	"path/filepath"
	"testing"
)

func TestClear(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	gone, err := Dir("a-*")
	if err != nil {
		t.Fatal(err)
	}
	left, err := Dir("b-*")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		do   func() error
		want int
	}{{"nothing", func() error { return nil }, 2}, {"Remove", func() error { return Remove(gone) }, 1}, {"Clear", Clear, 0}} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if v, err := os.ReadDir(filepath.Dir(left)); err != nil || len(v) != step.want {
			t.Errorf("after %s: %d folders, not %d (%v)", step.name, len(v), step.want, err)
		}
	}
}
