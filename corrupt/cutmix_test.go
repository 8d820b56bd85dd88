package corrupt

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cutmix-eval/imageproc"
)

// TestCutMixPaper: the experiments' images are, pixel for pixel, what their levels say, of
// sides that are even, odd and of two lengths.
func TestCutMixPaper(t *testing.T) {
	paint := [3]byte{124, 116, 104}
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(w, h int) imageproc.Image {
		im := imageproc.New(w, h)
		for i := range im.Pix {
			im.Pix[i] = byte(rng.IntN(256))
		}
		return im
	}
	half, third := image.Rect(4, 3, 12, 9), image.Rect(5, 4, 10, 8) // of 16 x 12, their middle's share
	for _, c := range []struct {
		name  string
		apply func(im, other imageproc.Image)
		want  func(at image.Point, p, other byte, channel int) byte
	}{
		{"nothing hidden", func(im, _ imageproc.Image) { OccludeCentre(im, 0, paint) },
			func(_ image.Point, p, _ byte, _ int) byte { return p }},
		{"half the middle", func(im, _ imageproc.Image) { OccludeCentre(im, 0.5, paint) },
			func(at image.Point, p, _ byte, channel int) byte { return choose(at.In(half), paint[channel], p) }},
		{"half the border", func(im, _ imageproc.Image) { OccludeBoundary(im, 0.5, paint) },
			func(at image.Point, p, _ byte, channel int) byte { return choose(at.In(half), p, paint[channel]) }},
		{"all but a third", func(im, _ imageproc.Image) { OccludeBoundary(im, 2.0/3, paint) },
			func(at image.Point, p, _ byte, channel int) byte { return choose(at.In(third), p, paint[channel]) }},
		{"the border of all", func(im, _ imageproc.Image) { OccludeBoundary(im, 1, paint) },
			func(_ image.Point, _, _ byte, channel int) byte { return paint[channel] }},
		{"cutmix", func(im, other imageproc.Image) { CutMix(im, other, 1.0/3) },
			func(at image.Point, p, other byte, _ int) byte { return choose(at.In(third), other, p) }},
		{"cutmix of all", func(im, other imageproc.Image) { CutMix(im, other, 1) },
			func(_ image.Point, _, other byte, _ int) byte { return other }},
		{"mixup", func(im, other imageproc.Image) { Mixup(im, other, 0.25) },
			func(_ image.Point, p, other byte, _ int) byte {
				return byte(math.Round(0.75*float64(p) + 0.25*float64(other)))
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			im, other := random(16, 12), random(16, 12)
			was := slices.Clone(im.Pix)
			c.apply(im, other)
			for i, got := range im.Pix {
				at := image.Pt(i/3%16, i/3/16)
				if want := c.want(at, was[i], other.Pix[i], i%3); got != want {
					t.Fatalf("channel %d of pixel %v is %d, want %d", i%3, at, got, want)
				}
			}
		})
	}
	for _, c := range []struct {
		share float64
		w, h  int
		want  image.Rectangle
	}{
		{0.5, 7, 7, image.Rect(1, 1, 5, 5)}, // 3.5 pixels become 4, and the odd one is behind
		{0.125, 224, 224, image.Rect(98, 98, 126, 126)},
		{1, 5, 3, image.Rect(0, 0, 5, 3)},
	} {
		t.Run(fmt.Sprint(c.share, c.w, c.h), func(t *testing.T) {
			if got := middle(c.share, c.w, c.h); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func choose(yes bool, a, b byte) byte {
	if yes {
		return a
	}
	return b
}
