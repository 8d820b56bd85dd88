package corrupt

import (
	"image"
	"math"

	"cutmix-eval/imageproc"
)

// What follows is of the experiments of the CutMix paper (Yun et al., ICCV 2019), whose code
// was not released. Each changes its first image in place; shares are 0 to 1, and nothing is
// random.

// OccludeCentre paints over a hole in the middle that has this share of the sides.
func OccludeCentre(im imageproc.Image, share float64, paint [3]byte) {
	occlude(im, middle(share, im.W, im.H), true, paint)
}

// OccludeBoundary paints over all but the middle: the border has this share of the sides.
func OccludeBoundary(im imageproc.Image, share float64, paint [3]byte) {
	occlude(im, middle(1-share, im.W, im.H), false, paint)
}

// occlude paints over the pixels inside a box, or those outside.
func occlude(im imageproc.Image, box image.Rectangle, inside bool, paint [3]byte) {
	for y := range im.H {
		for x := range im.W {
			if image.Pt(x, y).In(box) == inside {
				copy(im.Pix[3*(y*im.W+x):], paint[:])
			}
		}
	}
}

// Mixup blends an image with another of its size, which has this share of every pixel; bytes
// are rounded, halves away from 0.
func Mixup(im, other imageproc.Image, share float64) {
	for k, p := range im.Pix {
		im.Pix[k] = byte(math.Round(float64(float64(p)*(1-share)) + float64(float64(other.Pix[k])*share)))
	}
}

// CutMix puts the middle of another image of its size into an image: a box that has this
// share of the sides.
func CutMix(im, other imageproc.Image, share float64) {
	box := middle(share, im.W, im.H)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		from, to := 3*(y*im.W+box.Min.X), 3*(y*im.W+box.Max.X)
		copy(im.Pix[from:to], other.Pix[from:to])
	}
}

// middle is a box in the middle of w x h pixels that has this share of the sides, rounded.
func middle(share float64, w, h int) image.Rectangle {
	bw, bh := int(math.Round(share*float64(w))), int(math.Round(share*float64(h)))
	at := image.Pt((w-bw)/2, (h-bh)/2)
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(bw, bh))}
}
