package boxes

import (
	"image"
	"image/color"
)

// Mask marks pixels of a picture, row by row.
type Mask struct {
	W, H int
	In   []bool
}

// MaskOf marks the pixels of m whose grey value is above 0.
func MaskOf(m image.Image) Mask {
	b := m.Bounds()
	out := Mask{b.Dx(), b.Dy(), make([]bool, b.Dx()*b.Dy())}
	for y := range out.H {
		for x := range out.W {
			out.In[y*out.W+x] = color.GrayModel.Convert(m.At(b.Min.X+x, b.Min.Y+y)).(color.Gray).Y > 0
		}
	}
	return out
}

// Kinds of pixels in Truth.
const (
	Background byte = iota
	Object
	Ignored
)

// Truth says of every pixel of a w x h frame what it is: in one of the masks, in one
// of those to ignore and in none of the others, or in none. Masks are brought to
// the frame's size by nearest neighbour, as OpenCV's INTER_NEAREST does: column x
// takes floor(x * width / w).
func Truth(w, h int, masks, ignore []Mask) []byte {
	out := make([]byte, w*h)
	mark := func(m Mask, kind byte) {
		for y := range h {
			row := m.In[y*m.H/h*m.W:]
			for x := range w {
				if row[x*m.W/w] && out[y*w+x] == Background {
					out[y*w+x] = kind
				}
			}
		}
	}
	for _, m := range masks {
		mark(m, Object)
	}
	for _, m := range ignore {
		mark(m, Ignored)
	}
	return out
}
