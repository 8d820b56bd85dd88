package imageproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"slices"
)

// decodeTIFF reads the first picture of a TIFF or BigTIFF file as Pillow does: grey of 1, 2, 4,
// 8, 16 and 32 bits (16 and 32 clipped at 255), palettes, RGB and CMYK of 8 and 16 bits, with
// or without further samples, YCbCr compressed as JPEG; in strips or tiles, samples together or
// in planes; uncompressed, LZW, Deflate, PackBits, JPEG and CCITT (T.4, T.6). The orientation that
// the file gives is applied, as Pillow does with this format alone.
func (d *Decoder) decodeTIFF(data []byte) (Image, error) {
	t, err := readTIFF(data)
	if err != nil {
		return Image{}, err
	}
	if t.broken {
		return Image{}, fmt.Errorf("its directory leads out of the file (%w)", ErrTruncated)
	}
	p, err := t.picture()
	if err != nil {
		return Image{}, err
	}
	if err := d.claim(p.w, p.h, perPixel); err != nil {
		return Image{}, err
	}
	if err := p.plausible(); err != nil {
		return Image{}, err
	}
	out := d.room(p.w, p.h)
	if err := d.chunks(p, out); err != nil {
		return Image{}, err
	}
	if o := Orientation(min(t.number(tiffOrientation, 1), 9)); o.turns() {
		w, h := o.Size(out.W, out.H)
		out = d.turned(out, o, image.Rect(0, 0, w, h))
	}
	return out, nil
}

// tiffPicture is how the pixels of a TIFF file are stored.
type tiffPicture struct {
	*tiffFile
	w, h                   int
	photometric            int
	bits, samples          int // of a sample, of a pixel
	format                 int // of samples: 1 unsigned, 2 signed, 3 floating-point
	extra                  []int
	compression, predictor int
	planes                 int // 1, or as many as samples
	reversed               bool
	chunkW, chunkH         int // of a strip or tile
	fullH                  int // likewise, where the picture ends before
	tiled                  bool
	offsets, lengths       int // tags
	palette                *palette
}

// The meanings of samples (tag PhotometricInterpretation).
const (
	tiffWhiteIsZero = iota
	tiffBlackIsZero
	tiffRGB
	tiffPalette
	_
	tiffCMYK
	tiffYCbCr
)

// The ways of compression that are read (tag Compression).
const (
	tiffRaw        = 1
	tiffGroup3     = 3
	tiffGroup4     = 4
	tiffLZW        = 5
	tiffJPEG       = 7
	tiffDeflate    = 8
	tiffPackBits   = 32773
	tiffOldDeflate = 32946
)

// picture reads the tags that say how pixels are stored, and refuses what is not read.
func (t *tiffFile) picture() (*tiffPicture, error) {
	p := &tiffPicture{
		tiffFile: t, photometric: t.small(tiffPhotometric, 0), compression: t.small(tiffCompression, tiffRaw),
		samples: t.small(tiffSamples, 1), bits: t.small(tiffBits, 1), format: t.small(tiffSampleFormat, 1),
		predictor: t.small(tiffPredictor, 1), extra: t.all(tiffExtra, 8), planes: 1,
		reversed: t.small(tiffFillOrder, 1) == 2,
		offsets:  tiffStripOffsets, lengths: tiffStripBytes,
	}
	w, h := t.number(tiffWidth, 0), t.number(tiffHeight, 0)
	if w >= 1<<31 || h >= 1<<31 {
		return nil, fmt.Errorf("size %d x %d", w, h)
	}
	p.w, p.h = int(w), int(h)
	if err := checkSize(p.w, p.h); err != nil {
		return nil, err
	}
	p.chunkW, p.chunkH = p.w, int(min(max(t.number(tiffRowsPerStrip, h), 1), h))
	p.fullH = int(min(max(t.number(tiffRowsPerStrip, h), 1), 1<<20))
	if !t.has(tiffStripOffsets) && t.has(tiffTileOffsets) {
		p.tiled, p.offsets, p.lengths = true, tiffTileOffsets, tiffTileBytes
		tw, th := t.number(tiffTileWidth, 0), t.number(tiffTileHeight, 0)
		// Tiles may lead out of the picture, but not so far that they are for filling memory.
		if tw == 0 || th == 0 || tw > 1<<16 || th > 1<<16 || tw*th > 4*w*h+1<<20 {
			return nil, fmt.Errorf("tiles of %d x %d pixels in a picture of %d x %d", tw, th, w, h)
		}
		p.chunkW, p.chunkH, p.fullH = int(tw), int(th), int(th)
	}
	for i := range t.count(tiffBits) {
		if i < p.samples && int(t.at(tiffBits, i)) != p.bits {
			return nil, errors.New("samples of different numbers of bits are not supported; convert it to PNG")
		}
	}
	if t.small(tiffPlanar, 1) == 2 && p.samples > 1 {
		p.planes = p.samples
	}
	if p.compression == tiffJPEG && p.photometric <= tiffBlackIsZero && p.samples > 1 && p.planes == 1 {
		return nil, errors.New("grey with alpha that is compressed as JPEG is not supported; convert it to PNG")
	}
	if !p.known() {
		return nil, fmt.Errorf("pixels of %d samples of %d bits (photometric interpretation %d, sample format %d) are not supported; convert it to PNG",
			p.samples, p.bits, p.photometric, p.format)
	}
	switch p.compression {
	case tiffRaw, tiffLZW, tiffJPEG, tiffDeflate, tiffOldDeflate, tiffPackBits:
	case tiffGroup3, tiffGroup4:
		if p.bits != 1 || p.samples != 1 || p.compression == tiffGroup3 && t.number(tiffT4Options, 0) != 0 {
			return nil, errors.New("this kind of CCITT compression is not supported; convert it to PNG")
		}
	default:
		return nil, fmt.Errorf("compression %d is not supported; convert it to PNG", p.compression)
	}
	if p.predictor != 1 && (p.compression == tiffLZW || p.compression == tiffDeflate || p.compression == tiffOldDeflate) &&
		(p.predictor != 2 || p.bits < 8) {
		return nil, fmt.Errorf("predictor %d of %d-bit samples is not supported; convert it to PNG", p.predictor, p.bits)
	}
	if p.photometric == tiffPalette {
		n := t.count(tiffColours) / 3
		rgb := make([]byte, 0, 3*n)
		for i := range n {
			for c := range 3 {
				rgb = append(rgb, byte(t.at(tiffColours, c*n+i)>>8))
			}
		}
		if n == 0 {
			return nil, errors.New("it has no palette")
		}
		p.palette = paletteOf(rgb)
	}
	return p, nil
}

// known says whether pixels are of a kind that Pillow takes for what it is.
func (p *tiffPicture) known() bool {
	colours := 1
	switch p.photometric {
	case tiffRGB, tiffYCbCr:
		colours = 3
	case tiffCMYK:
		colours = 4
	}
	further := p.samples - colours
	if further < 0 || further > 3 || p.reversed && p.bits > 8 {
		return false
	}
	if p.compression == tiffJPEG && further > 0 && p.planes == 1 {
		return false // four components are CMYK to the decoder
	}
	if len(p.extra) != further && !(p.photometric == tiffRGB && further == 1 && len(p.extra) == 0) {
		return false
	}
	if len(p.extra) > 1 && slices.ContainsFunc(p.extra[1:], func(v int) bool { return v != 0 }) {
		return false
	}
	kind := func(first ...int) bool { // of the first of the further samples
		return further == 0 || slices.Contains(first, p.extra[0])
	}
	// Pillow takes uncompressed planes of 16 bits for bytes, planes of a fourth sample that nothing
	// tells of for three, and swaps the bytes of 32 bits once too often.
	if p.planes > 1 && (p.bits < 8 || p.bits == 16 && p.compression == tiffRaw || len(p.extra) != further) ||
		p.bits == 32 && p.compression != tiffRaw && p.order != binary.ByteOrder(binary.LittleEndian) {
		return false
	}
	whole := p.bits == 8 || p.bits == 16
	if p.format != 1 && !(colours == 1 && further == 0 && p.bits >= 16) {
		return false
	}
	switch p.photometric {
	case tiffWhiteIsZero, tiffBlackIsZero:
		switch {
		case further > 0:
			return p.bits == 8 && further == 1 && p.photometric == tiffBlackIsZero && kind(2)
		case p.bits == 16:
			return p.format <= 2 && (p.photometric == tiffBlackIsZero || p.format == 1)
		case p.bits == 32:
			return p.format == 3 || p.photometric == tiffBlackIsZero && p.format <= 2
		}
		return p.bits == 1 || p.bits == 2 || p.bits == 4 || p.bits == 8
	case tiffRGB:
		if further == 1 && len(p.extra) == 0 {
			return whole
		}
		return whole && kind(0, 1, 2, 999) && (p.bits == 8 || further <= 1)
	case tiffPalette:
		return further == 0 && (p.bits == 1 || p.bits == 2 || p.bits == 4 || p.bits == 8) || further == 1 && p.bits == 8 && kind(2)
	case tiffCMYK:
		// libtiff gives the values of such JPEG data in ways that depend on their markers.
		return p.compression != tiffJPEG && whole && kind(0) && (p.bits == 8 || further == 0)
	case tiffYCbCr:
		return p.compression == tiffJPEG && p.bits == 8 && further == 0 && p.planes == 1
	}
	return false
}

// rowBytes is the length of a row of n pixels of one plane.
func (p *tiffPicture) rowBytes(n int) int { return (n*p.samples/p.planes*p.bits + 7) / 8 }

// plausible refuses a size that the file cannot fill before memory is taken for it. No way of
// compression that is read makes more than 4096 bytes of one, but CCITT's, where a row takes a
// bit.
func (p *tiffPicture) plausible() error {
	need := p.rowBytes(p.w) * p.planes * p.h
	most := 4096 * len(p.data)
	switch p.compression {
	case tiffRaw:
		most = len(p.data)
	case tiffGroup3, tiffGroup4:
		need, most = p.h, 8*len(p.data)
	}
	if need > most {
		return fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", p.w, p.h, len(p.data), ErrTruncated)
	}
	return nil
}

// chunks decodes the strips or tiles into out.
func (d *Decoder) chunks(p *tiffPicture, out Image) error {
	across, down := (p.w+p.chunkW-1)/p.chunkW, (p.h+p.chunkH-1)/p.chunkH
	// Pillow puts superfluous strips that are not compressed over the others.
	if n := across * down * p.planes; p.count(p.offsets) < n || p.count(p.offsets) > n && p.compression == tiffRaw {
		return fmt.Errorf("it has %d strips or tiles, not %d", p.count(p.offsets), n)
	}
	row := p.rowBytes(p.chunkW)
	var planes [6][]byte
	var whole []byte
	for i := range across * down {
		x, y := i%across*p.chunkW, i/across*p.chunkH
		w, h := min(p.chunkW, p.w-x), min(p.chunkH, p.h-y)
		stored := h // rows: those of a tile are all there, of which the last may be looked at by nobody
		if p.tiled && p.compression != tiffRaw {
			stored = p.chunkH
		}
		for k := range p.planes {
			b, err := d.chunk(p, k*across*down+i, stored)
			if err != nil {
				return err
			}
			if need := row*(h-1) + p.rowBytes(w); len(b) < need {
				return fmt.Errorf("pixel data is cut off (%w)", ErrTruncated)
			}
			planes[k] = b
		}
		pixels, stride := planes[0], row
		if p.planes > 1 {
			whole = p.together(whole, planes[:p.planes], w, h, row)
			pixels, stride = whole, w*p.samples*p.bits/8
		}
		for r := range h {
			to := ((y+r)*p.w + x) * 3
			p.convert(out.Pix[to:to+3*w], pixels[r*stride:])
		}
	}
	return nil
}

// together puts the samples of planes side by side.
func (p *tiffPicture) together(buf []byte, planes [][]byte, w, h, row int) []byte {
	size := p.bits / 8
	buf = slices.Grow(buf[:0], w*h*len(planes)*size)[:w*h*len(planes)*size]
	for k, plane := range planes {
		for y := range h {
			for x := range w {
				copy(buf[((y*w+x)*len(planes)+k)*size:][:size], plane[y*row+x*size:])
			}
		}
	}
	return buf
}
