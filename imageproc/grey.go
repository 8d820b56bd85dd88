package imageproc

import "image"

// luma weighs red, green and blue, rounds half up and drops the fraction bits.
type luma struct {
	r, g, b uint32
	bits    uint
}

// luma is how the library makes one channel of three (ITU-R 601-2): Pillow as convert("L"),
// OpenCV as cv2.cvtColor(COLOR_RGB2GRAY). TensorFlow's float sum is not used: its pipelines
// read files of one channel.
func (b Backend) luma() luma {
	if b == OpenCV {
		return luma{9798, 19235, 3735, 15}
	}
	return luma{19595, 38470, 7471, 16}
}

func (l luma) of(r, g, b byte) byte {
	return byte((uint32(r)*l.r + uint32(g)*l.g + uint32(b)*l.b + 1<<(l.bits-1)) >> l.bits)
}

// grey copies the part of src within r to dst, a picture of the same size, as three equal
// channels; the rest of dst is undefined. A picture that is grey already stays as it is.
func (l luma) grey(dst *[]byte, src Image, r image.Rectangle) Image {
	if cap(*dst) > 64<<20 {
		*dst = nil // one huge picture must not hold memory for ever
	}
	out := grow(dst, src.W, src.H)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		from, to := (y*src.W+r.Min.X)*3, (y*src.W+r.Max.X)*3
		in, o := src.Pix[from:to], out.Pix[from:to]
		for i := 0; i+2 < len(in); i += 3 {
			v := l.of(in[i], in[i+1], in[i+2])
			o[i], o[i+1], o[i+2] = v, v, v
		}
	}
	return out
}
