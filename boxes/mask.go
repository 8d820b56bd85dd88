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

// Window is the part of a picture, resized to W x H, that a frame shows: FrameW x
// FrameH pixels from (Left, Top), which may lie outside.
type Window struct{ W, H, Left, Top, FrameW, FrameH int }

// Truth says of every pixel of a frame what it is: in one of the masks, in one of
// those to ignore and in none of the others, or in none. Masks are brought to the
// picture's size by nearest neighbour, as OpenCV's INTER_NEAREST does: column x takes
// floor(x * width / W).
func Truth(v Window, masks, ignore []Mask) []byte {
	out := make([]byte, v.FrameW*v.FrameH)
	mark := func(m Mask, kind byte) {
		for y := range v.FrameH {
			if y+v.Top < 0 || y+v.Top >= v.H {
				continue
			}
			row := m.In[(y+v.Top)*m.H/v.H*m.W:]
			for x := range v.FrameW {
				if at := y*v.FrameW + x; x+v.Left >= 0 && x+v.Left < v.W && row[(x+v.Left)*m.W/v.W] && out[at] == Background {
					out[at] = kind
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
