// Package augment mixes images of a batch and their labels: CutMix (Yun et al., ICCV 2019)
// with the ablations of its paper, Mixup (Zhang et al., ICLR 2018) and Cutout (DeVries and
// Taylor, 2017).
//
// Images are planar: channels x rows x columns, float32, of any range. Boxes are half-open
// rectangles of pixels and lie within the image; they can be empty. Everything is a pure function
// of its arguments.
package augment

import (
	"image"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// Lambda is the share of an image of h x w pixels outside of a box: what its own label keeps,
// corrected for what the border cut off.
func Lambda(box image.Rectangle, h, w int) float64 {
	return 1 - float64(box.Dx()*box.Dy())/float64(h*w)
}

// BoxAt is the box of the official code's rand_bbox: sides in proportion to sqrt(1 - lambda),
// cut off to whole pixels and to an even number, around row cy and column cx, cut off at
// the border.
func BoxAt(h, w int, lambda float64, cy, cx int) image.Rectangle {
	side := math.Sqrt(1 - lambda)
	y0, y1 := span(int(float64(h)*side), cy, h)
	x0, x1 := span(int(float64(w)*side), cx, w)
	return image.Rect(x0, y0, x1, y1)
}

// span is what of an axis of n pixels lies within half of cut from the centre.
func span(cut, centre, n int) (lo, hi int) {
	half := cut / 2
	return min(max(centre-half, 0), n), min(max(centre+half, 0), n)
}

// Centre is how the middle of a box is drawn.
type Centre int

// The ways: everywhere alike, or by a normal distribution around the image's middle (the
// paper's ablation "center Gaussian", with a quarter of the side as its deviation).
const (
	Uniform Centre = iota
	Gaussian
)

// RandomBox draws a box for lambda.
func RandomBox(rng *rand.Rand, h, w int, lambda float64, c Centre) image.Rectangle {
	draw := func(n int) int {
		if c == Gaussian {
			v := float64(n)/2 + float64(float64(n)/4*rng.NormFloat64())
			return min(max(int(v), 0), n-1)
		}
		return rng.IntN(n)
	}
	cy := draw(h)
	return BoxAt(h, w, lambda, cy, draw(w))
}

// Beta draws lambda from a Beta distribution with both parameters alpha.
func Beta(rng *rand.Rand, alpha float64) float64 {
	if alpha == 1 {
		return rng.Float64()
	}
	return distuv.Beta{Alpha: alpha, Beta: alpha, Src: rng}.Rand()
}

// Paste writes own to dst with the box taken from other: images of channels planes of h x w
// pixels. dst may be own, but not other.
func Paste(dst, own, other []float32, channels, h, w int, b image.Rectangle) {
	copy(dst, own)
	for c := range channels {
		for y := b.Min.Y; y < b.Max.Y; y++ {
			at := (c*h + y) * w
			copy(dst[at+b.Min.X:at+b.Max.X], other[at+b.Min.X:at+b.Max.X])
		}
	}
}

// Blend writes lambda own + (1 - lambda) other to dst, which may be one of them. It is
// computed in float64 and rounded once.
func Blend(dst, own, other []float32, lambda float64) {
	for i, v := range own {
		dst[i] = float32(float64(lambda*float64(v)) + float64((1-lambda)*float64(other[i])))
	}
}

// Erase writes own to dst with the box filled.
func Erase(dst, own []float32, channels, h, w int, b image.Rectangle, fill float32) {
	copy(dst, own)
	for c := range channels {
		for y := b.Min.Y; y < b.Max.Y; y++ {
			at := (c*h + y) * w
			for x := at + b.Min.X; x < at+b.Max.X; x++ {
				dst[x] = fill
			}
		}
	}
}

// CutoutBox is Cutout's square of the given length around a centre, cut off at the border.
func CutoutBox(h, w, length, cy, cx int) image.Rectangle {
	y0, y1 := span(length, cy, h)
	x0, x1 := span(length, cx, w)
	return image.Rect(x0, y0, x1, y1)
}

// Labelling is how a mixed image is labelled.
type Labelling int

// The ways: shares in proportion to the area, all to the larger part ("one-hot"), or half
// each ("complete-label"); the latter two are the paper's ablations.
const (
	Shares Labelling = iota
	Larger
	Halves
)

// Share is what of the label stays with an image of which the share lambda, 0 to 1, is left.
func (l Labelling) Share(lambda float64) float64 {
	switch l {
	case Larger: // a half is rounded up: it stays with its own
		return math.Round(lambda)
	case Halves:
		return 0.5
	}
	return lambda
}
