package imageproc

import (
	"encoding/binary"
	"errors"
	"image"

	"golang.org/x/image/webp"
)

// decodeWebP reads still WebP files. Lossy ones are turned into RGB with
// libwebp's arithmetic: 9:3:3:1 chroma upsampling and 14-bit fixed-point
// conversion from studio-range YUV (RFC 6386, section 9.2, gives the space).
func (d *Decoder) decodeWebP(data []byte) (Image, error) {
	data, at, canvas, err := firstFrame(data)
	if err != nil {
		return Image{}, err
	}
	m, err := d.checked(data, webp.DecodeConfig, webp.Decode)
	if err != nil {
		return Image{}, err
	}
	var img Image
	switch m := m.(type) {
	case *image.YCbCr:
		img = d.fromVP8(m)
	case *image.NYCbCrA:
		img = d.fromVP8(&m.YCbCr)
	default:
		img = d.fromGo(m)
	}
	if canvas == (image.Point{}) || at == (image.Point{}) && img.W == canvas.X && img.H == canvas.Y {
		return img, nil
	}
	if err := checkSize(canvas.X, canvas.Y); err != nil {
		return Image{}, err
	}
	if at.X+img.W > canvas.X || at.Y+img.H > canvas.Y {
		return Image{}, errors.New("its first frame leads out of the picture")
	}
	out := New(canvas.X, canvas.Y)
	for y := range img.H {
		copy(out.Pix[((at.Y+y)*out.W+at.X)*3:], img.Pix[y*img.W*3:(y+1)*img.W*3])
	}
	return out, nil
}

// firstFrame takes the first frame out of an animation, as a still file, with
// its place on the canvas; other files are returned as they are. The container
// is RIFF: chunks of a name, a length and a body, padded to even length.
func firstFrame(data []byte) (still []byte, at, canvas image.Point, err error) {
	u24 := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	chunk := func(b []byte) (name string, body, rest []byte, ok bool) {
		if len(b) < 8 {
			return "", nil, nil, false
		}
		n := int64(binary.LittleEndian.Uint32(b[4:]))
		if n > int64(len(b)-8) {
			return "", nil, nil, false
		}
		return string(b[:4]), b[8 : 8+n], b[min(8+n+n&1, int64(len(b))):], true
	}
	if len(data) < 12 {
		return data, at, canvas, nil
	}
	for b := data[12:]; ; {
		name, body, rest, ok := chunk(b)
		switch {
		case !ok:
			return data, at, image.Point{}, nil
		case name == "VP8X" && len(body) >= 10:
			canvas = image.Pt(u24(body[4:])+1, u24(body[7:])+1)
			if body[0]&2 == 0 { // not animated
				return data, at, image.Point{}, nil
			}
		case name == "ANMF":
			if len(body) < 16 || canvas == (image.Point{}) {
				return nil, at, canvas, errors.New("its first frame is cut off")
			}
			at = image.Pt(2*u24(body), 2*u24(body[3:]))
			return stillWebP(body[16:], u24(body[6:]), u24(body[9:])), at, canvas, nil
		}
		b = rest
	}
}

// stillWebP puts a frame's chunks into a file of their own; w and h are the
// frame's size less one, as the container has them.
func stillWebP(frame []byte, w, h int) []byte {
	out := []byte("RIFF\x00\x00\x00\x00WEBP")
	if len(frame) >= 4 && string(frame[:4]) == "ALPH" {
		const alpha = 0x10
		out = append(out, "VP8X\x0a\x00\x00\x00"...)
		out = append(out, alpha, 0, 0, 0, byte(w), byte(w>>8), byte(w>>16), byte(h), byte(h>>8), byte(h>>16))
	}
	out = append(out, frame...)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
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
