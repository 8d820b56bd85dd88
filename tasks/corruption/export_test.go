package corruption

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/tasks"

	"github.com/google/go-cmp/cmp"
)

// exported is an export of images as they are.
func exported(names []corrupt.Name, severities ...int) Export {
	e := Export{Config: DefaultConfig(), Recipe: squashed(), PNG: true, Workers: 2}
	e.Config.Corruptions, e.Config.Severities = names, severities
	e.Recipe.Resize = imageproc.Size{}
	return e
}

func (e Export) writeFrom(t *testing.T, data, dir string) (int, []report.BadImage, error) {
	t.Helper()
	d, err := datasets.Open(data, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return Write(t.Context(), d, e, dir, nil)
}

// TestFromDisk: images that were written give the numbers of those made on the fly.
func TestFromDisk(t *testing.T) {
	dir := t.TempDir()
	s := few(folder(t, 4))
	s.config.Corruptions = []corrupt.Name{corrupt.Fog, corrupt.GaussianNoise, corrupt.Saturate}
	fly, _ := s.run(t, byColour(t))
	e := exported(s.config.Corruptions, s.config.Severities...)
	if n, bad, err := e.writeFrom(t, s.data.Path, dir); n != 12*6 || len(bad) > 0 || err != nil {
		t.Fatalf("%d %v %v", n, bad, err)
	}
	if n, _, err := e.writeFrom(t, s.data.Path, dir); n != 0 || err != nil {
		t.Errorf("written again: %d %v", n, err)
	}
	disk := s
	disk.config.Corrupted = dir
	r, g := disk.run(t, byColour(t))
	if len(g.images) != 12 || g.without != 0 {
		t.Errorf("%d images, %d without a result", len(g.images), g.without)
	}
	compared := 0
	for _, n := range r.Numbers {
		if n.Name == "error_subset" || n.At.Get(report.KeyCorruption) == "" {
			continue // their notes are of clean images, too
		}
		compared++
		if d := cmp.Diff(fly.Find(n.Name, n.At...), n); d != "" {
			t.Error(d)
		}
	}
	if compared < 20 {
		t.Errorf("%d numbers are compared", compared)
	}
	if notes := strings.Join(r.Dataset.Notes, "\n"); !strings.Contains(notes, "are not resized again") {
		t.Errorf("notes are %s", notes)
	}
	if w := strings.Join(r.Warnings, "\n"); !strings.Contains(w, "fog/1, fog/3") || !strings.Contains(w, "pixelate") {
		t.Errorf("warnings are %s", w)
	}
	t.Run("options", func(t *testing.T) {
		c := byColour(t)
		size := imageproc.Size{H: 20, W: 20}
		c.Changes.Resize = &size
		r, _ := disk.run(t, c)
		if w := strings.Join(r.Warnings, "\n"); !strings.Contains(w, "--resize magnifies them") {
			t.Errorf("a resize that was asked for: warnings are %s", w)
		}
	})
	t.Run("subset", func(t *testing.T) {
		part := disk
		part.config.Subset = filepath.Join(t.TempDir(), "names")
		save(t, part.config.Subset, "red/1.png\nblue/3.png\n")
		if _, g := part.run(t, byColour(t)); len(g.images) != 2 {
			t.Errorf("%d images", len(g.images))
		}
	})
	t.Run("limit", func(t *testing.T) {
		part := disk
		part.data.Limit = 5
		if _, g := part.run(t, byColour(t)); len(g.images) != 5 {
			t.Errorf("%d images", len(g.images))
		}
	})
	t.Run("another size", func(t *testing.T) {
		savePNG(t, filepath.Join(dir, "fog", "5", "red", "1.png"), make([]byte, 3*8*8), 8, 8)
		r, g := disk.run(t, byColour(t))
		if len(g.images) != 11 || len(r.BadImages) != 1 || r.BadImages[0].Reason != "it has 8 x 8 pixels, the others 16 x 16" {
			t.Errorf("%d images, %+v", len(g.images), r.BadImages)
		}
	})
	t.Run("a severity missing", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "fog", "2", "blue", "1.png")); err != nil {
			t.Fatal(err)
		}
		r, g := disk.run(t, byColour(t))
		if len(g.images) != 10 || !strings.HasSuffix(r.Warnings[0], "images are not there in some variant and are left out of all") {
			t.Errorf("%d images, %q", len(g.images), r.Warnings)
		}
	})
	t.Run("no severity", func(t *testing.T) {
		none := disk
		none.config.Severities = []int{1}
		if _, err := none.open(t, byColour(t)); err == nil || !strings.Contains(err.Error(), "has none of the severities [1]") {
			t.Error(err)
		}
	})
}

// TestReadAgain: a report of corrupted images from disk needs neither them nor the model.
func TestReadAgain(t *testing.T) {
	dir := t.TempDir()
	s := few(folder(t, 2))
	if _, _, err := exported(s.config.Corruptions, s.config.Severities...).writeFrom(t, s.data.Path, dir); err != nil {
		t.Fatal(err)
	}
	s.config.Corrupted, s.store.Dir = dir, filepath.Join(t.TempDir(), "run")
	want, _ := s.run(t, byColour(t))
	got, err := loadedReport(t, tasks.Options{}, s.store.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(text(t, want), text(t, got)); d != "" {
		t.Error(d)
	}
	if got.Dataset.Path != dir {
		t.Errorf("the data are %q", got.Dataset.Path)
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
		{"given", func(e *Export) { e.Config.Set = 299 }, 299},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := exported(corrupt.All(), 1)
			e.Workers = 0
			c.change(&e)
			if err := e.Settle(open(dir)); err != nil || e.Config.Set != c.want || e.Workers < 1 {
				t.Errorf("set %d, want %d; %d goroutines, %v", e.Config.Set, c.want, e.Workers, err)
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
		{"set", func(e *Export) { e.Config.Set = 64 }},
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
