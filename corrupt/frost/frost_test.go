package frost

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/cache"
)

func TestLoad(t *testing.T) {
	t.Setenv(cache.EnvDir, t.TempDir()) // where nothing was fetched
	whole := t.TempDir()
	for k, name := range []string{"frost1.png", "frost2.png", "frost3.png", "frost4.png", "frost5.png"} {
		f, err := os.Create(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, image.NewNRGBA(image.Rect(0, 0, 3+k, 2))); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, dir string
		textures  int
		about     string
	}{
		{"built-in", "", 0, "built-in textures"},
		{"folder", whole, 5, "textures of a folder (sha256 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			frosts, about, err := Load(c.dir)
			if err != nil || len(frosts) != c.textures || !strings.HasPrefix(about, c.about) {
				t.Errorf("%d textures, %q, %v", len(frosts), about, err)
			}
			for k, f := range frosts {
				if f.W != 3+k || f.H != 2 {
					t.Errorf("texture %d has %d x %d pixels", k, f.W, f.H)
				}
			}
		})
	}
	for _, c := range []struct{ name, dir, want string }{
		{"empty folder", t.TempDir(), "has no frost1.png or frost1.jpg"},
		{"not fetched", Fetched, "datasets fetch frost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := Load(c.dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
}
