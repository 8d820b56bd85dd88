package cam

import (
	"fmt"
	"math"
	"slices"
)

// Layout is how a feature map lies in its tensor, the image axis left out: C channel, H row,
// W column, T token.
type Layout string

// The layouts.
const (
	NCHW   Layout = "NCHW"
	NHWC   Layout = "NHWC"
	Tokens Layout = "NTC"
)

// ChannelsFirst copies a feature map into planes of channels. shape is that of its tensor,
// first axis the image; h and w are the sides of the frame that the model sees, in whose
// shape tokens are a grid: those in front of the grid (class and register tokens) are left
// out.
func ChannelsFirst(l Layout, shape []int64, v []float32, h, w int) (Features, error) {
	switch l {
	case NCHW:
		return Features{C: int(shape[1]), H: int(shape[2]), W: int(shape[3]), A: slices.Clone(v)}, nil
	case NHWC:
		return planes(v, int(shape[1]), int(shape[2]), int(shape[3])), nil
	}
	tokens, c := int(shape[1]), int(shape[2])
	for prefix := range min(tokens, 17) {
		n := tokens - prefix
		rows := int(math.Round(math.Sqrt(float64(n) * float64(h) / float64(w))))
		if rows > 0 && n%rows == 0 && rows*w == n/rows*h {
			return planes(v[prefix*c:], rows, n/rows, c), nil
		}
	}
	return Features{}, fmt.Errorf("%d tokens are no grid in the shape of the %d x %d frame", tokens, w, h)
}

// planes brings values of which the channels of a place lie together into planes.
func planes(v []float32, h, w, c int) Features {
	f := Features{C: c, H: h, W: w, A: make([]float32, c*h*w)}
	for p := range h * w {
		for k := range c {
			f.A[k*h*w+p] = v[p*c+k]
		}
	}
	return f
}
