package corruption

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
)

// TestSettle: the parameters are for the size that images are brought to, or for that of the
// first that can be read; what was chosen stays.
func TestSettle(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, side int) {
		t.Helper()
		if err := writePNG(filepath.Join(dir, filepath.FromSlash(name)), make([]byte, 3*side*side), side, side); err != nil {
			t.Fatal(err)
		}
	}
	put("a/2.png", 32)
	put("b/1.png", 300)
	broken := filepath.Join(dir, "a", "1.png")
	if err := os.WriteFile(broken, []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	keep := imageproc.Standard()
	keep.Resize, keep.Crop = imageproc.Size{}, imageproc.Size{}
	open := func() *datasets.Dataset {
		t.Helper()
		d, err := datasets.Open(dir, datasets.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	for _, c := range []struct {
		name   string
		recipe imageproc.Recipe
		set    corrupt.Set
		want   corrupt.Set
	}{
		{"by the recipe", imageproc.Standard(), 0, 224},
		{"by the first picture", keep, 0, 32},
		{"as chosen", keep, 64, 64},
	} {
		e := Export{Config: DefaultConfig(), Recipe: c.recipe}
		e.Config.Set = c.set
		if err := e.Settle(open()); err != nil || e.Config.Set != c.want || e.Workers < 1 {
			t.Errorf("%s: set %d, %d goroutines, %v", c.name, e.Config.Set, e.Workers, err)
		}
	}
	e := Export{Config: DefaultConfig(), Recipe: keep}
	if n, v := e.Images(open()), e.Variants(); n != 3 || v != 19*5 {
		t.Errorf("%d images, %d variants", n, v)
	}
	if e.Limit = 2; e.Images(open()) != 2 {
		t.Errorf("%d images, 2 are wanted", e.Images(open()))
	}
	for _, name := range []string{"a/2.png", "b/1.png"} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte("no picture"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Settle(open()); err == nil || !strings.Contains(err.Error(), "not one of the images can be read") {
		t.Errorf("no picture at all: %v", err)
	}
}
