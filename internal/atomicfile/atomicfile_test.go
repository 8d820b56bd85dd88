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
