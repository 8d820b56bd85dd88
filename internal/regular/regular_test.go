package regular

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	want := bytes.Repeat([]byte("0123456789"), 1000)
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path, int64(len(want))); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	var size *SizeError
	if _, err := Read(path, int64(len(want))-1); !errors.As(err, &size) || size.Size != int64(len(want)) {
		t.Errorf("of a file that is too large: %v", err)
	}
	if _, err := Read(path+"none", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
}

// TestKinds: the calls return, though nobody writes to the pipe and the device has no end.
func TestKinds(t *testing.T) {
	dir := t.TempDir()
	for path, want := range others(t, dir) {
		for name, open := range map[string]func() error{
			"Open": func() error { _, err := Open(path); return err },
			"Read": func() error { _, err := Read(path, 1<<40); return err },
		} {
			var kind *KindError
			if err := open(); !errors.As(err, &kind) || !strings.Contains(err.Error(), "a "+want+", not a regular file") {
				t.Errorf("%s of a %s: %v", name, want, err)
			}
		}
	}
}
