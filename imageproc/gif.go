package imageproc

import (
	"bytes"
	"image/gif"
)

// decodeGIF reads the first frame. A transparent index keeps its colour, and a
// frame smaller than the screen lies on the background colour's palette entry
// 0, as in Pillow.
func (d *Decoder) decodeGIF(data []byte) (Image, error) {
	c, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Image{}, err
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return Image{}, err
	}
	m, err := gif.Decode(bytes.NewReader(opaqueGIF(data)))
	if err != nil {
		return Image{}, err
	}
	frame := d.fromGo(m)
	b := m.Bounds()
	if b.Min.X == 0 && b.Min.Y == 0 && frame.W == c.Width && frame.H == c.Height {
		return frame, nil
	}
	screen := New(c.Width, c.Height)
	for y := range frame.H {
		ty := y + b.Min.Y
		if ty >= screen.H || b.Min.X >= screen.W {
			continue
		}
		n := min(frame.W, screen.W-b.Min.X)
		copy(screen.Pix[(ty*screen.W+b.Min.X)*3:], frame.Pix[y*frame.W*3:(y*frame.W+n)*3])
	}
	return screen, nil
}

// opaqueGIF returns data with the transparency flag of the first graphic
// control extension cleared, because the decoder would replace that colour.
func opaqueGIF(data []byte) []byte {
	out := bytes.Clone(data)
	pos := 13
	if len(out) < pos {
		return out
	}
	if f := out[10]; f&0x80 != 0 {
		pos += 3 << (f&7 + 1)
	}
	for pos+2 < len(out) && out[pos] == 0x21 { // extensions before the first image
		if out[pos+1] == 0xF9 && out[pos+2] >= 4 && pos+3 < len(out) {
			out[pos+3] &^= 1
		}
		pos += 2
		for pos < len(out) && out[pos] != 0 {
			pos += int(out[pos]) + 1
		}
		pos++
	}
	return out
}
