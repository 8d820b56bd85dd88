package variants

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
)

// scenesSource is the embedded scenes, at their size.
func scenesSource(t *testing.T) Source {
	t.Helper()
	d, err := datasets.Open("scenes:test", datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recipe := imageproc.Standard()
	recipe.Resize, recipe.Crop = imageproc.Size{}, imageproc.Size{}
	return Source{Data: d, Recipe: recipe, Size: imageproc.Size{H: 64, W: 64}}
}

// made is how an experiment's variants of a source are made.
func made(t *testing.T, s Source, e Experiment) *Images {
	t.Helper()
	v, err := New(s, Config{Experiment: e, Benchmark: DefaultBenchmark(), Steps: 8})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestPixels: levels do to pixels what they say.
func TestPixels(t *testing.T) {
	pixels := func(e Experiment, level float64) []byte {
		v := made(t, scenesSource(t), e)
		v.Variants = []Variant{{}, {string(e), level}}
		im, err := v.Dataset().Loader().Load(2*3 + 1)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(im.Pix)
	}
	at := func(p []byte, x, y int) [3]byte { return [3]byte(p[3*(y*64+x):]) }
	clean, other := pixels(Mixup, 0), pixels(CutMix, 1)
	grey := [3]byte{124, 116, 104} // ImageNet's mean, which becomes 0
	inside := func(x, y int) bool { return x >= 16 && x < 48 && y >= 16 && y < 48 }
	for _, c := range []struct {
		of   Experiment
		want func(x, y int) [3]byte
	}{
		{Centre, func(x, y int) [3]byte {
			if inside(x, y) {
				return grey
			}
			return at(clean, x, y)
		}},
		{Boundary, func(x, y int) [3]byte {
			if inside(x, y) {
				return at(clean, x, y)
			}
			return grey
		}},
		{CutMix, func(x, y int) [3]byte {
			if inside(x, y) {
				return at(other, x, y)
			}
			return at(clean, x, y)
		}},
		{Mixup, func(x, y int) (out [3]byte) {
			a, b := at(clean, x, y), at(other, x, y)
			for ch := range out {
				out[ch] = byte(math.Round(0.5*float64(a[ch]) + 0.5*float64(b[ch])))
			}
			return out
		}},
	} {
		t.Run(string(c.of), func(t *testing.T) {
			p := pixels(c.of, 0.5)
			for y := range 64 {
				for x := range 64 {
					if got, want := at(p, x, y), c.want(x, y); got != want {
						t.Fatalf("pixel %d, %d is %v, want %v", x, y, got, want)
					}
				}
			}
		})
	}
	t.Run("nothing hidden", func(t *testing.T) {
		if !slices.Equal(pixels(Centre, 0), clean) {
			t.Error("a hole of no size changes the image")
		}
	})
}

// TestPartners: every image is mixed with one of another class.
func TestPartners(t *testing.T) {
	s := scenesSource(t)
	for i, o := range made(t, s, CutMix).Partners {
		if s.Data.Samples[i].Label == s.Data.Samples[o].Label {
			t.Fatalf("image %d is mixed with one of its class", i)
		}
	}
}

// TestPartnerSize: images of two sizes are not mixed.
func TestPartnerSize(t *testing.T) {
	dir := t.TempDir()
	savePNG(t, filepath.Join(dir, "a", "1.png"), make([]byte, 3*32*16), 32, 16)
	savePNG(t, filepath.Join(dir, "b", "1.png"), make([]byte, 3*16*32), 16, 32)
	s := scenesSource(t)
	s.Size = imageproc.Size{}
	var err error
	if s.Data, err = datasets.Open(dir, datasets.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Data.Close()
	for _, e := range []Experiment{Mixup, CutMix} {
		_, err := made(t, s, e).Dataset().Loader().Load(1)
		if err == nil || !strings.HasSuffix(err.Error(), "its partner b/1.png: it has another size") {
			t.Errorf("%s: %v", e, err)
		}
	}
}

// TestCorrupt: images under one corruption are those among all variants, and the words say
// what their pixels depend on.
func TestCorrupt(t *testing.T) {
	s := scenesSource(t)
	s.Seed = 7
	d, words, err := Corrupt(s, corrupt.Frost, 3, "")
	if err != nil {
		t.Fatal(err)
	}
	want := "frost at severity 3, parameters for size 64, seed 7, built-in textures, drawn by this program; " +
		"published numbers use photographs (--frost), pixels " + s.Recipe.Fingerprint()
	if words != want {
		t.Errorf("%q, want %q", words, want)
	}
	v := made(t, s, Corruptions)
	at := slices.Index(v.Variants, Variant{"frost", 3})
	one, err := d.Loader().Load(5)
	if err != nil {
		t.Fatal(err)
	}
	all, err := v.Dataset().Loader().Load(5*len(v.Variants) + at)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(one.Pix, all.Pix) || len(d.Samples) != len(s.Data.Samples) {
		t.Errorf("%d images, of which the sixth differs from the variant", len(d.Samples))
	}
	if k, i := v.Place(5*len(v.Variants) + at); k != at || i != 5 {
		t.Errorf("it is variant %d of image %d", k, i)
	}
	if _, _, err := Corrupt(s, corrupt.Frost, 6, ""); err == nil {
		t.Error("there is no severity 6")
	}
}

// TestLoadedOnce: however many goroutines make the variants of an image, it is loaded once.
func TestLoadedOnce(t *testing.T) {
	s := scenesSource(t)
	v := made(t, s, Corruptions)
	var loads [10]atomic.Int32
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			loader := s.Data.Loader()
			one := v.maker(func(i int) (imageproc.Image, error) {
				loads[i].Add(1)
				return loader.Load(i)
			})
			for i := range loads {
				for k := w; k < len(v.Variants); k += 8 {
					if _, err := one(i, k); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range loads {
		if n := loads[i].Load(); n != 1 {
			t.Errorf("image %d was loaded %d times", i, n)
		}
	}
}

// TestOtherSize: an image of another size than the model takes is an error, not a guess.
func TestOtherSize(t *testing.T) {
	s := scenesSource(t)
	s.Size = imageproc.Size{H: 32, W: 32}
	if _, err := made(t, s, Corruptions).Dataset().Loader().Load(0); err == nil || !strings.Contains(err.Error(), "the model takes 32 x 32") {
		t.Error(err)
	}
}
