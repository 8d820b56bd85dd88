package scratch

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestClear(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	gone, err := Dir("a")
	if err != nil {
		t.Fatal(err)
	}
	left, err := Dir("b")
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

// TestKilled: what a process left that ended without removing it goes, and what is in use, or is no
// folder of the program's, stays.
func TestKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders are not locked on Windows")
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	used, err := Dir("used")
	if err != nil {
		t.Fatal(err)
	}
	left, err := Dir("left")
	if err != nil {
		t.Fatal(err)
	}
	dirs[left]() // as the end of a process gives its locks back
	delete(dirs, left)
	for _, name := range []string{"cutmix-eval-mine", "other-1"} {
		if err := os.Mkdir(filepath.Join(tmp, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tmp, "other-1", ".lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cleaned = false
	next, err := Dir("next")
	if err != nil {
		t.Fatal(err)
	}
	for dir, stays := range map[string]bool{used: true, left: false, next: true, filepath.Join(tmp, "cutmix-eval-mine"): true, filepath.Join(tmp, "other-1"): true} {
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: stays %t, want %t", filepath.Base(dir), err == nil, stays)
		}
	}
	if err := Clear(); err != nil {
		t.Fatal(err)
	}
}
