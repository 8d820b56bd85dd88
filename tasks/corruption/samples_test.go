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
	"cutmix-eval/variants"

	"github.com/google/go-cmp/cmp"
)

// exported is an export of images as they are, under a configuration's corruptions.
func exported(c Config) variants.Export {
	e := variants.Export{Benchmark: c.Benchmark, Recipe: squashed(), PNG: true, Workers: 2}
	e.Recipe.Resize = imageproc.Size{}
	return e
}

func written(t *testing.T, e variants.Export, data, dir string) (int, []datasets.Problem, error) {
	t.Helper()
	d, err := datasets.Open(data, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return e.Write(t.Context(), d, dir, nil)
}

// TestFromDisk: images that were written give the numbers of those made on the fly.
func TestFromDisk(t *testing.T) {
	dir := t.TempDir()
	s := few(folder(t, 4))
	s.config.Corruptions = []corrupt.Name{corrupt.Fog, corrupt.GaussianNoise, corrupt.Saturate}
	fly, _ := s.run(t, byColour(t))
	e := exported(s.config)
	if n, bad, err := written(t, e, s.data.Path, dir); n != 12*6 || len(bad) > 0 || err != nil {
		t.Fatalf("%d %v %v", n, bad, err)
	}
	if n, _, err := written(t, e, s.data.Path, dir); n != 0 || err != nil {
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
	if _, _, err := written(t, exported(s.config), s.data.Path, dir); err != nil {
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
