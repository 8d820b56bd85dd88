package augment

import (
	"image"
	"math"
	"math/rand/v2"
)

// ResizedCrop draws the part of an h x w image that torchvision's RandomResizedCrop takes: a
// share of the area between scale[0] and scale[1], of a ratio of width to height between
// ratio[0] and ratio[1], uniform in its logarithm. Where ten draws do not fit, it is the
// largest part in the middle with a ratio that is allowed.
func ResizedCrop(rng *rand.Rand, h, w int, scale, ratio [2]float64) image.Rectangle {
	between := func(lo, hi float64) float64 { return lo + float64((hi-lo)*rng.Float64()) }
	for range 10 {
		area := float64(h*w) * between(scale[0], scale[1])
		r := math.Exp(between(math.Log(ratio[0]), math.Log(ratio[1])))
		cw, ch := int(math.RoundToEven(math.Sqrt(area*r))), int(math.RoundToEven(math.Sqrt(area/r)))
		if cw > 0 && cw <= w && ch > 0 && ch <= h {
			y, x := rng.IntN(h-ch+1), rng.IntN(w-cw+1)
			return image.Rect(x, y, x+cw, y+ch)
		}
	}
	cw, ch := w, h
	switch r := float64(w) / float64(h); {
	case r < ratio[0]:
		ch = min(int(math.RoundToEven(float64(w)/ratio[0])), h)
	case r > ratio[1]:
		cw = min(int(math.RoundToEven(float64(h)*ratio[1])), w)
	}
	y, x := (h-ch)/2, (w-cw)/2
	return image.Rect(x, y, x+cw, y+ch)
}
