package datasets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/npy"
)

// TestCIFARC: .npy files of all severities with their labels.
func TestCIFARC(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, head []byte, body []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), append(head, body...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const n = 15 // three images at five severities
	pix := make([]byte, n*3072)
	for i := range pix {
		pix[i] = byte(i / 3072 * 10)
	}
	labels := make([]byte, 8*n)
	for i := range n {
		labels[8*i] = byte(i % 3)
	}
	write("labels.npy", npy.Header("i8", n), labels)
	head := strings.Replace(string(npy.Header("u1", n, 32, 32, 3)), "<u1", "|u1", 1)
	write("fog.npy", []byte(head), pix)
	d, err := OpenCorrupted(dir, []string{"fog", "snow"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Samples) != n || d.Cells[7] != (Cell{Corruption: "fog", Severity: 3, Image: "1"}) || d.Samples[7].Label != 1 || len(d.Classes) != 3 {
		t.Errorf("%d samples, %+v %+v", len(d.Samples), d.Cells[7], d.Samples[7])
	}
	im, err := d.Loader().Load(7)
	if err != nil || im.W != 32 || im.Pix[5] != 70 {
		t.Errorf("%v %v", im.Pix[:6], err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	write("fog.npy", []byte(head), pix[:len(pix)-1])
	if _, err := OpenCorrupted(dir, []string{"fog"}, ""); err == nil {
		t.Error("a file that ends early is read")
	}
	write("labels.npy", npy.Header("i8", 7), labels[:56])
	if _, err := OpenCorrupted(dir, []string{"fog"}, ""); err == nil {
		t.Error("labels of another number are read")
	}
}

// TestNoCorrupted: a folder without corrupted images, or none.
func TestNoCorrupted(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := OpenCorrupted(path, []string{"fog"}, ""); err == nil {
			t.Errorf("%s is corrupted images", path)
		}
	}
}
