package variants

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/corrupt"

	"github.com/google/go-cmp/cmp"
)

// TestFolder: samples of a folder are the variants and images that they are called by,
// whatever severities are wanted, and images are chosen whole.
func TestFolder(t *testing.T) {
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "c")
	for i, name := range []string{"a/1.png", "a/2.png", "b/1.png"} {
		pix := make([]byte, 3*32*32)
		pix[0] = byte(i)
		savePNG(t, filepath.Join(data, filepath.FromSlash(name)), pix, 32, 32)
	}
	all := Benchmark{Corruptions: []corrupt.Name{corrupt.Fog, corrupt.Contrast}, Severities: []int{1, 4}}
	if _, _, err := exported(all.Corruptions, all.Severities...).writeFrom(t, data, dir); err != nil {
		t.Fatal(err)
	}
	names := filepath.Join(t.TempDir(), "names")
	save(t, names, "a/2.png\nb/1.png\n")
	for _, c := range []struct {
		name       string
		severities []int
		subset     string
		limit      int
		want       []string
	}{
		{"all", []int{1, 4}, "", 0, []string{
			"fog/1 0", "fog/1 1", "fog/1 2", "fog/4 0", "fog/4 1", "fog/4 2",
			"contrast/1 0", "contrast/1 1", "contrast/1 2", "contrast/4 0", "contrast/4 1", "contrast/4 2",
		}},
		{"one severity of two images", []int{4, 5}, names, 0, []string{"fog/4 1", "fog/4 2", "contrast/4 1", "contrast/4 2"}},
		{"limit", []int{4}, names, 1, []string{"fog/4 1", "contrast/4 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := OpenFolder(dir, Benchmark{Corruptions: all.Corruptions, Severities: c.severities}, "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			at, err := f.Choose(c.subset, c.limit, 0)
			if err != nil || f.Images != 3 {
				t.Fatalf("of %d images, %v", f.Images, err)
			}
			var got []string
			for _, sample := range at {
				variant, image := f.Place(sample)
				v := f.Variants[variant].String()
				got = append(got, v+" "+string(rune('0'+image)))
				if !strings.HasPrefix(f.Samples[sample].ID, v+"/") {
					t.Errorf("%s is taken for %s", f.Samples[sample].ID, v)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" || !slices.IsSorted(at) {
				t.Error(d, at)
			}
		})
	}
}
