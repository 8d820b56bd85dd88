package augment

import (
	"image"
	"math"
	"math/rand/v2"
	"slices"
)

// Maps are feature maps of Channels x H x W values, whose means over places are features. Not safe
// for concurrent use.
type Maps struct {
	Channels, H, W int
	Read           func(dst []float32, i int) error // map i

	buf [][]float32
}

// Mix draws how a batch of maps is mixed, as Plan does, and writes the features of the mixed maps at
// to x. nil: nothing is mixed, and x stays as it is.
func (m *Maps) Mix(x []float32, at []int, mix Mix, rng *rand.Rand, progress float64) (*Plan, error) {
	p := mix.Plan(rng, len(at), m.H, m.W, progress)
	if p == nil {
		return nil, nil
	}
	for k, i := range at {
		if k == len(m.buf) {
			m.buf = append(m.buf, make([]float32, m.Channels*m.H*m.W))
		}
		if err := m.Read(m.buf[k], i); err != nil {
			return nil, err
		}
	}
	for k, partner := range p.Partner {
		Pooled(x[k*m.Channels:(k+1)*m.Channels], m.buf[k], m.buf[partner], m.Channels, m.H, m.W, p.Box[k])
	}
	return p, nil
}

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
