package imageproc

import (
	"compress/lzw"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// decodeGIF reads the first frame, as Pillow does: what the frame does not cover has the
// frame's transparent colour where it names one, otherwise colour 0; a transparent index
// keeps its colour; a frame that leads out of the screen makes it larger.
func (d *Decoder) decodeGIF(data []byte) (Image, error) {
	f, err := parseGIF(data)
	if err != nil {
		return Image{}, err
	}
	if err := d.claim(f.screenW, f.screenH, perPixel); err != nil {
		return Image{}, err
	}
	if f.w == 0 || f.h == 0 {
		return Image{}, fmt.Errorf("its first frame has %d x %d pixels", f.w, f.h)
	}
	// A code of the compressed data stands for at most 4096 pixels, and takes three bits or more.
	if f.w*f.h > 4096*8/3*len(data) {
		return Image{}, fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", f.w, f.h, len(data), ErrTruncated)
	}
	indices := make([]byte, f.w*f.h)
	r := lzw.NewReader(&gifBlocks{data: f.pixels}, lzw.LSB, f.bits)
	defer r.Close()
	if _, err := io.ReadFull(r, indices); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrTruncated
		}
		return Image{}, fmt.Errorf("pixel data is damaged or cut off (%w)", err)
	}
	out := d.room(f.screenW, f.screenH)
	for i := 0; i < len(out.Pix); i += 3 {
		copy(out.Pix[i:], f.palette[f.fill][:])
	}
	for i := range f.h {
		y := i
		if f.interlaced {
			y = interlacedRow(i, f.h)
		}
		f.palette.row(out.Pix[((f.y+y)*out.W+f.x)*3:], indices[i*f.w:(i+1)*f.w])
	}
	return out, nil
}

// gifFrame is the first frame of a GIF file.
type gifFrame struct {
	screenW, screenH int
	x, y, w, h       int
	interlaced       bool
	palette          *palette
	fill             byte   // index of what lies around the frame
	bits             int    // of the smallest code
	pixels           []byte // blocks, and what follows them in the file
}

// parseGIF reads up to the pixels of the first frame (GIF89a specification, 1990).
func parseGIF(data []byte) (f gifFrame, err error) {
	b := data
	take := func(n int) []byte {
		if len(b) < n {
			err = ErrTruncated
			b = nil
			return make([]byte, n)
		}
		p := b[:n]
		b = b[n:]
		return p
	}
	u16 := func(p []byte) int { return int(binary.LittleEndian.Uint16(p)) }
	// colours reads a palette of 2^(bits+1) colours. Pillow passes over one that is a ramp of grey.
	colours := func(flags byte) *palette {
		if rgb := take(3 << (flags&7 + 1)); !isRamp(rgb) {
			return paletteOf(rgb)
		}
		return nil
	}
	screen := take(13)
	f.screenW, f.screenH = u16(screen[6:]), u16(screen[8:])
	if screen[10]&0x80 != 0 {
		f.palette = colours(screen[10])
	}
	for err == nil {
		switch kind := take(1)[0]; kind {
		case ';':
			return f, errors.New("it holds no frame")
		case '!':
			label := take(1)[0]
			for first := true; err == nil; first = false {
				block := take(int(take(1)[0]))
				if len(block) == 0 {
					break
				}
				// A graphic control extension: flags, two bytes of delay, transparent index.
				if first && label == 0xF9 && len(block) >= 4 && block[0]&1 != 0 {
					f.fill = block[3]
				}
			}
		case ',':
			head := take(9)
			f.x, f.y, f.w, f.h = u16(head), u16(head[2:]), u16(head[4:]), u16(head[6:])
			f.screenW, f.screenH = max(f.screenW, f.x+f.w), max(f.screenH, f.y+f.h)
			f.interlaced = head[8]&0x40 != 0
			if head[8]&0x80 != 0 {
				if own := colours(head[8]); own != nil {
					f.palette = own
				}
			}
			if f.palette == nil {
				f.palette = newPalette()
			}
			f.bits = int(take(1)[0])
			if err == nil && (f.bits < 2 || f.bits > 8) {
				err = fmt.Errorf("codes of %d bits, not of 2 to 8", f.bits)
			}
			f.pixels = b
			return f, err
		}
	}
	return f, err
}

// isRamp says whether colour i of a palette is grey i.
func isRamp(rgb []byte) bool {
	for i, v := range rgb {
		if int(v) != i/3 {
			return false
		}
	}
	return true
}

// interlacedRow is the row that the i-th stored one is: every eighth, the rows half way
// between those, every second of the rest, and the odd ones.
func interlacedRow(i, h int) int {
	for _, pass := range [...]struct{ from, step int }{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		n := max(0, (h-pass.from+pass.step-1)/pass.step)
		if i < n {
			return pass.from + i*pass.step
		}
		i -= n
	}
	panic("imageproc: no such row")
}

// gifBlocks reads the contents of blocks, each a length and as many bytes. A block that is
// cut off is not begun.
type gifBlocks struct {
	data []byte
	left int
}

func (g *gifBlocks) ReadByte() (byte, error) {
	for g.left == 0 {
		if len(g.data) == 0 {
			return 0, io.EOF
		}
		n := int(g.data[0])
		if n == 0 {
			return 0, io.EOF
		}
		if len(g.data) < 1+n {
			return 0, io.ErrUnexpectedEOF
		}
		g.left, g.data = n, g.data[1:]
	}
	v := g.data[0]
	g.data, g.left = g.data[1:], g.left-1
	return v, nil
}

func (g *gifBlocks) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if p[n], err = g.ReadByte(); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

var _ io.ByteReader = (*gifBlocks)(nil) // else the LZW reader would read ahead, through bufio
