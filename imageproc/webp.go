package imageproc

import (
	"bytes"
	"image"

	"golang.org/x/image/webp"
)

// decodeWebP reads still WebP files. Lossy ones are turned into RGB with
// libwebp's arithmetic: 9:3:3:1 chroma upsampling and 14-bit fixed-point
// conversion from studio-range YUV (RFC 6386, section 9.2, gives the space).
func (d *Decoder) decodeWebP(data []byte) (Image, error) {
	c, err := webp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Image{}, err
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return Image{}, err
	}
	m, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return Image{}, err
	}
	switch m := m.(type) {
	case *image.YCbCr:
		return d.fromVP8(m), nil
	case *image.NYCbCrA:
		return d.fromVP8(&m.YCbCr), nil
	}
	return d.fromGo(m), nil
}

func (d *Decoder) fromVP8(m *image.YCbCr) Image {
	out := d.room(m.Rect.Dx(), m.Rect.Dy())
	cw, ch := (out.W+1)/2, (out.H+1)/2
	us, vs := make([]byte, out.W), make([]byte, out.W)
	for y := range out.H {
		near := y / 2
		far := near - 1
		if y&1 == 1 {
			far = near + 1
		}
		far = min(max(far, 0), ch-1)
		upsampleVP8(us, m.Cb[near*m.CStride:][:cw], m.Cb[far*m.CStride:][:cw])
		upsampleVP8(vs, m.Cr[near*m.CStride:][:cw], m.Cr[far*m.CStride:][:cw])
		o := out.Pix[y*out.W*3 : (y+1)*out.W*3]
		for x, yv := range m.Y[y*m.YStride:][:out.W] {
			Y, u, v := int(yv)*19077>>8, int(us[x]), int(vs[x])
			o[3*x] = clip6(Y + v*26149>>8 - 14234)
			o[3*x+1] = clip6(Y - u*6419>>8 - v*13320>>8 + 8708)
			o[3*x+2] = clip6(Y + u*33050>>8 - 17685)
		}
	}
	return out
}

// upsampleVP8 writes one row of chroma at full width, from the nearer and the
// farther row of the half-size plane.
func upsampleVP8(dst, near, far []byte) {
	at := func(a, b byte) byte { return byte((3*int(a) + int(b) + 2) >> 2) }
	dst[0] = at(near[0], far[0])
	for i := 1; i < len(near); i++ {
		l, n := int(near[i-1]), int(near[i]) // left and right of the pair, near row
		fl, fr := int(far[i-1]), int(far[i])
		sum := l + n + fl + fr + 8
		// Each result is the mean of its own sample and of an average of all
		// four that counts the two off-diagonal ones twice more.
		dst[2*i-1] = byte(((sum+2*(n+fl))>>3 + l) >> 1)
		if 2*i < len(dst) {
			dst[2*i] = byte(((sum+2*(l+fr))>>3 + n) >> 1)
		}
	}
	if len(dst)%2 == 0 {
		n := len(near) - 1
		dst[len(dst)-1] = at(near[n], far[n])
	}
}

// clip6 drops six fraction bits and clips to a byte.
func clip6(v int) byte {
	if v < 0 {
		return 0
	}
	if v >>= 6; v > 255 {
		return 255
	}
	return byte(v)
}
