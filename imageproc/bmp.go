package imageproc

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// decodeBMP reads BMP files, and the same without a file header (DIB), as Pillow does: 1, 4
// and 8 bits with a palette, run lengths of 4 and 8 bits, 16 bits of 5-5-5 or 5-6-5, 24 and 32
// bits, in the order of bytes that the file's masks give, rows from the bottom or the top.
// Alpha is dropped. What Pillow takes for something else than it is, is refused.
func (d *Decoder) decodeBMP(data []byte) (Image, error) {
	h, err := bmpHeader(data)
	if err != nil {
		return Image{}, err
	}
	if err := d.claim(h.w, h.h, perPixel); err != nil {
		return Image{}, err
	}
	if h.pixels > len(data) {
		return Image{}, ErrTruncated
	}
	rows, stride := data[h.pixels:], (h.w*h.bits+31)/32*4
	if h.runs {
		if rows, err = h.expand(data); err != nil {
			return Image{}, err
		}
		stride = h.w
	}
	line := (h.w*h.bits + 7) / 8 // of the last row, whose padding may be missing
	if need := stride*(h.h-1) + line; need > len(rows) {
		return Image{}, fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", h.w, h.h, len(rows), ErrTruncated)
	}
	out := d.room(h.w, h.h)
	indices := make([]byte, h.w)
	for i := range h.h {
		y := h.h - 1 - i
		if h.topDown {
			y = i
		}
		in, o := rows[i*stride:], out.Pix[y*3*h.w:(y+1)*3*h.w]
		switch h.bits {
		case 1, 4, 8:
			unpack(indices, in, h.bits)
			h.palette.row(o, indices)
		case 16:
			for x := range h.w {
				v := int(binary.LittleEndian.Uint16(in[2*x:]))
				r, g, b := (v>>10&31)*255/31, (v>>5&31)*255/31, (v&31)*255/31
				if h.green6 {
					r, g = (v>>11)*255/31, (v>>5&63)*255/63
				}
				o[3*x], o[3*x+1], o[3*x+2] = byte(r), byte(g), byte(b)
			}
		default:
			n := h.bits / 8
			for x := range h.w {
				p := in[n*x : n*x+n]
				o[3*x], o[3*x+1], o[3*x+2] = p[h.at[0]], p[h.at[1]], p[h.at[2]]
			}
		}
	}
	return out, nil
}

// bmp is what the headers of a file say.
type bmp struct {
	w, h    int
	topDown bool
	bits    int
	runs    bool // run lengths: one index a byte, once expanded
	runs4   bool // their indices have four bits
	green6  bool // 16 bits: six are green's
	at      [3]int
	palette *palette
	pixels  int // where they begin in the file
}

// isDIB says whether data begins with an information header of one plane and a possible
// number of bits: a BMP file without its file header, which has no signature.
func isDIB(data []byte) bool {
	if len(data) < 16 {
		return false
	}
	planes := 12
	switch binary.LittleEndian.Uint32(data) {
	case 12:
		planes = 8
	case 40, 64, 108, 124:
	default:
		return false
	}
	bits := data[planes+2 : planes+4]
	return data[planes] == 1 && data[planes+1] == 0 && bits[1] == 0 &&
		(bits[0] == 1 || bits[0] == 4 || bits[0] == 8 || bits[0] == 16 || bits[0] == 24 || bits[0] == 32)
}

// Ways to store pixels (BITMAPINFOHEADER's biCompression).
const (
	bmpRaw = iota
	bmpRuns8
	bmpRuns4
	bmpMasks
)

// bmpHeader reads the file header, where there is one, the information header, the masks and
// the palette.
func bmpHeader(data []byte) (h bmp, err error) {
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(data[at:])) }
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32(data[at:])) }
	info := 0
	if data[0] == 'B' && data[1] == 'M' {
		info = 14
	}
	if len(data) < info+4 {
		return h, ErrTruncated
	}
	if info > 0 {
		h.pixels = u32(10)
	}
	size := u32(info)
	end := info + size
	if size != 12 && size != 40 && size != 64 && size != 108 && size != 124 {
		return h, fmt.Errorf("its header has %d bytes, not 12, 40, 64, 108 or 124", size)
	}
	if len(data) < end {
		return h, ErrTruncated
	}
	kind, colours, entry := bmpRaw, 0, 4
	if size == 12 { // OS/2
		h.w, h.h, h.bits, entry = u16(info+4), u16(info+6), u16(info+10), 3
	} else {
		h.w, h.h, h.bits = u32(info+4), u32(info+8), u16(info+14)
		kind, colours = u32(info+16), u32(info+32)
		if h.topDown = data[info+11] == 0xff; h.topDown {
			h.h = 1<<32 - h.h
		}
	}
	if colours == 0 {
		colours = 1 << min(h.bits, 24)
	}
	indexed := h.bits == 1 || h.bits == 4 || h.bits == 8
	switch kind {
	case bmpRaw:
		h.at = [3]int{2, 1, 0}
	case bmpRuns8, bmpRuns4:
		if !indexed {
			return h, fmt.Errorf("run lengths of %d-bit pixels are not supported; convert it to PNG", h.bits)
		}
		h.runs, h.runs4 = true, kind == bmpRuns4
	case bmpMasks:
		masks, n := info+40, 4 // in the header, or three behind it
		if size == 40 {
			n, end = 3, end+12
		}
		if len(data) < end {
			return h, ErrTruncated
		}
		var m [4]int
		for i := range n {
			m[i] = u32(masks + 4*i)
		}
		if err := h.masks(m); err != nil {
			return h, err
		}
	default:
		return h, fmt.Errorf("pixels stored in way %d (JPEG, PNG and others) are not supported; convert it to PNG", kind)
	}
	if h.pixels == info+size && indexed && info > 0 {
		h.pixels += 4 * colours // as Pillow: some files do not count the palette
	}
	switch {
	case indexed:
		if colours > 256 {
			return h, fmt.Errorf("its palette has %d colours, more than 256", colours)
		}
		stored := data[end:min(len(data), end+entry*colours)]
		if len(stored) < entry*colours {
			return h, ErrTruncated
		}
		if err := h.colours(stored, entry); err != nil {
			return h, err
		}
		end += len(stored)
	case h.bits != 16 && h.bits != 24 && h.bits != 32:
		return h, fmt.Errorf("%d bits per pixel, not 1, 4, 8, 16, 24 or 32", h.bits)
	}
	if h.pixels == 0 {
		h.pixels = end
	}
	if h.runs {
		h.bits = 8
	}
	return h, nil
}

// masks reads the places of red, green, blue and alpha: those that Pillow knows.
func (h *bmp) masks(m [4]int) error {
	rgb := [3]int(m[:3])
	switch {
	case h.bits == 16 && rgb == [3]int{0xf800, 0x7e0, 0x1f}:
		h.green6 = true
		return nil
	case h.bits == 16 && rgb == [3]int{0x7c00, 0x3e0, 0x1f}:
		return nil
	case h.bits == 24 && rgb == [3]int{0xff0000, 0xff00, 0xff}:
		h.at = [3]int{2, 1, 0}
		return nil
	case h.bits == 32:
		switch m {
		case [4]int{0xff0000, 0xff00, 0xff, 0}, [4]int{0xff0000, 0xff00, 0xff, 0xff000000}, [4]int{}:
			h.at = [3]int{2, 1, 0}
			return nil
		case [4]int{0xff000000, 0xff0000, 0xff00, 0}, [4]int{0xff000000, 0xff0000, 0xff00, 0xff}:
			h.at = [3]int{3, 2, 1}
			return nil
		case [4]int{0xff, 0xff00, 0xff0000, 0xff000000}:
			h.at = [3]int{0, 1, 2}
			return nil
		}
	}
	return fmt.Errorf("the masks %#x of its %d-bit pixels are not supported; convert it to PNG", m, h.bits)
}

// colours reads a palette of entries of three or four bytes, blue first.
func (h *bmp) colours(stored []byte, entry int) error {
	n := len(stored) / entry
	rgb := make([]byte, 0, 3*n)
	for i := range n {
		c := stored[entry*i:]
		rgb = append(rgb, c[2], c[1], c[0])
	}
	h.palette = paletteOf(rgb)
	// Pillow takes black and white for one bit and other ramps of grey for eight bits,
	// whatever the file says.
	grey := isRamp(rgb)
	if n == 2 {
		grey = string(rgb) == "\x00\x00\x00\xff\xff\xff"
	}
	if grey && (n == 2) != (h.bits == 1) || grey && h.bits == 4 || grey && h.runs && n == 2 {
		return fmt.Errorf("a grey palette of %d colours with %d-bit pixels is read in different ways by different programs; convert it to PNG", n, h.bits)
	}
	return nil
}

// expand makes one index a byte of run lengths, rows in the order of the file.
func (h *bmp) expand(data []byte) ([]byte, error) {
	total := h.w * h.h
	var out []byte
	add := func(v ...byte) { out = append(out, v[:min(len(v), total-len(out))]...) }
	at := h.pixels
	take := func(n int) []byte {
		p := data[at:min(at+n, len(data))]
		at += len(p)
		return p
	}
	x := 0
	for len(out) < total {
		op := take(2)
		if len(op) < 2 {
			break
		}
		n, v := int(op[0]), op[1]
		switch {
		case n > 0:
			n = max(0, min(n, h.w-x))
			for i := range n {
				switch {
				case !h.runs4:
					add(v)
				case i%2 == 0:
					add(v >> 4)
				default:
					add(v & 15)
				}
			}
			x += n
		case v == 0: // the rest of the row
			if rest := len(out) % h.w; rest > 0 {
				add(make([]byte, h.w-rest)...)
			}
			x = 0
		case v == 1: // the rest of the picture, which Pillow does not take for granted
			return nil, fmt.Errorf("it ends after %d of %d pixels: %w", len(out), total, ErrTruncated)
		case v == 2:
			return nil, errors.New("run lengths that pass over pixels are read in different ways by different programs; convert it to PNG")
		case h.runs4: // pixels as they are; of an odd number Pillow drops the last
			for _, p := range take(int(v) / 2) {
				add(p>>4, p&15)
			}
			x += int(v)
			at += at % 2
		default:
			add(take(int(v))...)
			x += int(v)
			at += at % 2
		}
		at = min(at, len(data))
	}
	if len(out) < total {
		return nil, ErrTruncated
	}
	return out, nil
}

// unpack writes values of 1, 2, 4 or 8 bits, the highest bits of a byte first, as a byte each.
func unpack(out, in []byte, bits int) {
	if bits == 8 {
		copy(out, in)
		return
	}
	mask := byte(1<<bits - 1)
	for x := range out {
		at := x * bits
		out[x] = in[at/8] >> (8 - bits - at%8) & mask
	}
}
