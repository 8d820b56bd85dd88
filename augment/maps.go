package augment

import (
	"image"
	"math"
	"slices"
)

// Planar puts values of places whose channels lie together into planes of channels. It returns dst,
// which may be too short.
func Planar(dst, m []float32, channels int) []float32 {
	n := len(m) / channels
	dst = slices.Grow(dst[:0], len(m))[:len(m)]
	for i := range n {
		for c := range channels {
			dst[c*n+i] = m[i*channels+c]
		}
	}
	return dst
}

// MeansDiffer says which feature is not the mean of its plane of a map, and that mean; -1 where all
// are, within 1e-3 of the largest: float16 maps have 11 bits.
func MeansDiffer(m, features []float32) (feature int, mean float64) {
	places := len(m) / len(features)
	top := 1e-3
	for _, f := range features {
		top = max(top, math.Abs(float64(f)))
	}
	for c, f := range features {
		sum := 0.0
		for _, v := range m[c*places : (c+1)*places] {
			sum += float64(v)
		}
		if mean := sum / float64(places); !(math.Abs(mean-float64(f)) <= 1e-3*top) {
			return c, mean
		}
	}
	return -1, 0
}

// Pooled writes to dst the mean over places of a map of channels x h x w values, with the box taken
// from another.
func Pooled(dst, own, other []float32, channels, h, w int, b image.Rectangle) {
	for c := range channels {
		at := c * h * w
		sum := 0.0
		for _, v := range own[at : at+h*w] {
			sum += float64(v)
		}
		for y := b.Min.Y; y < b.Max.Y; y++ {
			row := at + y*w
			for x := row + b.Min.X; x < row+b.Max.X; x++ {
				sum += float64(other[x]) - float64(own[x])
			}
		}
		dst[c] = float32(sum / float64(h*w))
	}
}
