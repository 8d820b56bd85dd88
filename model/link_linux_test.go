package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWeightsByLink: weights that a link in the model's folder leads to lie in that folder, too.
func TestWeightsByLink(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "m")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "net.onnx")
	if err := os.WriteFile(path, externalModel("location", "w.bin"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, link, want string }{
		"within":      {"m/blob.bin", "blob.bin", ""},
		"outside":     {"blob.bin", "../blob.bin", "a link that leads out of the model's folder"},
		"whole path":  {"blob.bin", filepath.Join(root, "blob.bin"), "a link that leads out of the model's folder"},
		"beside name": {"m2.bin", "../m2.bin", "a link that leads out of the model's folder"},
	} {
		link := filepath.Join(dir, "w.bin")
		_ = os.Remove(link) // of the case before
		err := os.WriteFile(filepath.Join(root, c.file), make([]byte, 1<<12), 0o600)
		if err == nil {
			err = os.Symlink(c.link, link)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, ""); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// The model's folder may be a link itself.
	if err := os.Symlink(dir, filepath.Join(root, "by-link")); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(dir, "w.bin"))
	if err := os.WriteFile(filepath.Join(dir, "w.bin"), make([]byte, 1<<12), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(root, "by-link", "net.onnx"), ""); err != nil {
		t.Error(err)
	}
}
