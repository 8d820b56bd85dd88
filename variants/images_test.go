package variants

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
	if _, err := made(t, s, Corruptions).Dataset().Loader().Load(0); err == nil || !strings.Contains(err.Error(), "and the model takes 32") {
		t.Error(err)
	}
}
