package variants

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
)

// exported is an export of images as they are.
func exported(names []corrupt.Name, severities ...int) Export {
	e := Export{Benchmark: Benchmark{Corruptions: names, Severities: severities}, Recipe: imageproc.Standard(), PNG: true, Workers: 2}
	e.Recipe.Resize, e.Recipe.Crop = imageproc.Size{}, imageproc.Size{}
	return e
}

func (e Export) writeFrom(t *testing.T, data, dir string) (int, []datasets.Problem, error) {
	t.Helper()
	d, err := datasets.Open(data, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return e.Write(t.Context(), d, dir, nil)
}

func savePNG(t *testing.T, path string, pix []byte, w, h int) {
	t.Helper()
	if err := (Export{PNG: true}).write(path, imageproc.Image{W: w, H: h, Pix: pix}, nil); err != nil {
		t.Fatal(err)
	}
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSettle: parameters are for the size that images are brought to, or for that of the
// first that can be read; what was chosen stays.
func TestSettle(t *testing.T) {
	dir := t.TempDir()
	for name, side := range map[string]int{"a/2.png": 32, "b/1.png": 300} {
		savePNG(t, filepath.Join(dir, filepath.FromSlash(name)), make([]byte, 3*side*side), side, side)
	}
	save(t, filepath.Join(dir, "a", "1.png"), "no picture")
	open := func(dir string) *datasets.Dataset {
		d, err := datasets.Open(dir, datasets.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	for _, c := range []struct {
		name   string
		change func(*Export)
		want   corrupt.Set
	}{
		{"images", func(e *Export) { e.Limit = 1 }, 32},
		{"recipe", func(e *Export) { e.Recipe.Crop = imageproc.Size{H: 224, W: 224} }, 224},
		{"given", func(e *Export) { e.Set = 299 }, 299},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := exported(corrupt.All(), 1)
			e.Workers = 0
			c.change(&e)
			if err := e.Settle(open(dir)); err != nil || e.Set != c.want || e.Workers < 1 {
				t.Errorf("set %d, want %d; %d goroutines, %v", e.Set, c.want, e.Workers, err)
			}
		})
	}
	t.Run("counts", func(t *testing.T) {
		e := exported(corrupt.All(), 1, 2)
		d := open(dir)
		all := e.Images(d)
		e.Limit = 2
		if got := [3]int{all, e.Images(d), e.Variants()}; got != [3]int{3, 2, 19 * 2} {
			t.Errorf("images, of which at most 2, and variants: %v", got)
		}
	})
	t.Run("no picture", func(t *testing.T) {
		e, dir := exported(corrupt.All(), 1), t.TempDir()
		save(t, filepath.Join(dir, "a", "1.png"), "no picture")
		if err := e.Settle(open(dir)); err == nil || !strings.Contains(err.Error(), "not one of the images can be read") {
			t.Error(err)
		}
	})
}

// TestWrite: a folder is not filled with images of two kinds, nor one image written over
// another; images that cannot be read are named and the others written.
func TestWrite(t *testing.T) {
	data, out := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "out")
	pic := make([]byte, 3*32*32)
	for i, name := range []string{"a/1.png", "a/2.png", "b/1.png"} {
		savePNG(t, filepath.Join(data, "in", filepath.FromSlash(name)), append([]byte{byte(i)}, pic[1:]...), 32, 32)
	}
	save(t, filepath.Join(data, "in", "b", "2.png"), "no picture")
	e := exported([]corrupt.Name{corrupt.Fog}, 1)
	e.PNG, e.Quality = false, 85
	if n, bad, err := e.writeFrom(t, data, out); n != 3 || len(bad) != 1 || bad[0].ID != "in/b/2.png" || err != nil {
		t.Fatalf("%d %v %v", n, bad, err)
	}
	for _, name := range []string{"a/1", "a/2", "b/1"} { // without the folder that all lie in
		if _, err := os.Stat(filepath.Join(out, "fog", "1", filepath.FromSlash(name)+".JPEG")); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Export)
	}{
		{"seed", func(e *Export) { e.Seed = 1 }},
		{"format", func(e *Export) { e.PNG = true }},
		{"quality", func(e *Export) { e.Quality = 50 }},
		{"set", func(e *Export) { e.Set = 64 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := e
			c.change(&other)
			if _, _, err := other.writeFrom(t, data, out); err == nil || !strings.Contains(err.Error(), "made otherwise") {
				t.Error(err)
			}
		})
	}
	t.Run("one name", func(t *testing.T) {
		savePNG(t, filepath.Join(data, "in", "a", "1.PNG"), pic, 32, 32)
		if _, _, err := e.writeFrom(t, data, out); err == nil || !strings.Contains(err.Error(), "would both become") {
			t.Error(err)
		}
	})
	t.Run("no labels", func(t *testing.T) {
		_, _, err := e.writeFrom(t, "scenes:ood-near", filepath.Join(out, "new"))
		if err == nil || !strings.Contains(err.Error(), "has no labels") {
			t.Error(err)
		}
	})
}
