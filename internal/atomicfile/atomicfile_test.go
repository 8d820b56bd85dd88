package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSave: a file is replaced whole, and stays as it was after an error, with nothing
// left beside it.
func TestSave(t *testing.T) {
	for name, save := range map[string]func(string, func(io.Writer) error) error{"Save": Save, "SaveUnsynced": SaveUnsynced} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			failed := errors.New("no more")
			for _, step := range []struct {
				text string
				err  error
				want string
			}{{"one", nil, "one"}, {"half of tw", failed, "one"}, {"two", nil, "two"}} {
				err := save(path, func(w io.Writer) error {
					if _, err := io.WriteString(w, step.text); err != nil {
						return err
					}
					return step.err
				})
				if !errors.Is(err, step.err) || err != nil && !strings.Contains(err.Error(), path) {
					t.Errorf("%q: %v, want %v and the path", step.text, err, step.err)
				}
				got, err := os.ReadFile(path)
				if err != nil || string(got) != step.want {
					t.Errorf("after %q the file holds %q, want %q: %v", step.text, got, step.want, err)
				}
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 {
				t.Errorf("%d files in the folder, want 1: %v", len(entries), err)
			}
			if err := save(filepath.Join(dir, "none", "file"), func(io.Writer) error { return nil }); err == nil {
				t.Error("a folder that is not there is written to")
			}
		})
	}
}

// TestClean: what killed processes left of the files that are named goes, and nothing else. What is being
// written stays, and gets its name.
func TestClean(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{Temporary + "a.json-123", Temporary + "a.json-9", Temporary + "b.json-123", Temporary + "a.json", "a.json", "a.json-123"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "c.json")
	err := Save(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "whole"); err != nil {
			return err
		}
		return Clean(dir, "a.json", "c.json")
	})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "whole" {
		t.Errorf("%q %v", text, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if got, want := strings.Join(names, " "), ".tmp-a.json .tmp-b.json-123 a.json a.json-123 c.json"; got != want {
		t.Errorf("%s is left, want %s", got, want)
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, Temporary+"*-*")); err != nil || len(left) > 0 {
		t.Errorf("%q is left (%v)", left, err)
	}
	if err := Clean(filepath.Join(dir, "none")); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}
