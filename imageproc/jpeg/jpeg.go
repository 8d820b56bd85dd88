// Package jpeg decodes JPEG files to the RGB values that libjpeg-turbo gives
// as Pillow uses it: the accurate integer inverse DCT, triangle ("fancy")
// chroma upsampling, 16-bit fixed-point colour conversion, and CMYK read as
// inverted. Neither image/jpeg of the standard library (chroma is repeated,
// another DCT) nor its relatives give those values, and a classifier's
// accuracy moves by tenths of a point with them.
//
// It reads baseline, extended sequential (8 bit) and progressive Huffman
// files with any integer sampling ratio, interleaved or not, with restart
// markers. Arithmetic coding, lossless and 12-bit files are errors.
//
// Damaged entropy-coded data is treated as libjpeg treats it: bad codes count
// as zero, decoding goes on at the next restart marker, and a file that ends
// before its end-of-image marker is an error.
//
// Sources: ITU-T T.81 (the format); Loeffler, Ligtenberg, Moschytz 1989 and the
// Independent JPEG Group's description of its fixed-point arithmetic
// (constants of 13 bits, two bits kept between the passes); the behaviour of
// libjpeg-turbo 2.1.5 as observed through Pillow 9.4.
package jpeg

import (
	"errors"
	"fmt"
	"image"
)

// MaxPixels is the largest width x height that is decoded. It is Pillow's
// limit against decompression bombs (twice its MAX_IMAGE_PIXELS).
const MaxPixels = 178_956_970

// ErrTruncated is returned, wrapped, for a file that ends before its
// end-of-image marker.
var ErrTruncated = errors.New("file is truncated")

// Header describes a file as its frame header and markers do.
type Header struct {
	Width, Height int
	Progressive   bool
	Sampling      [][2]int // per component: horizontal, vertical
	Space         Space
}

// Space is the colour space of the stored components.
type Space int

// The colour spaces, deduced as libjpeg deduces them from the JFIF and Adobe
// markers and the component identifiers.
const (
	Grey Space = iota
	YCbCr
	RGB
	CMYK
	YCCK
)

func (s Space) String() string {
	return [...]string{"grey", "YCbCr", "RGB", "CMYK", "YCCK"}[s]
}

type component struct {
	id     byte
	h, v   int // sampling factors
	tq     int // quantisation table
	td, ta int // Huffman tables of the current scan

	blocksX, blocksY int       // blocks that carry image samples
	strideX, strideY int       // blocks allocated: whole MCUs
	coef             []int16   // 64 per block, in natural order; nil when decoded straight to samples
	plane            []byte    // strideX*8 by strideY*8 samples
	width, height    int       // samples that belong to the image
	dc               int32     // DC predictor
	quant            [64]int16 // the low 16 bits
	haveQuant        bool

	// Blocks that the wanted samples lie in, borders for upsampling included.
	wantX, wantY [2]int
}

// Decoder decodes one file at a time and reuses its buffers from file to
// file. The zero value is ready. Not safe for concurrent use.
type Decoder struct {
	// Size, if not nil, is asked before memory is taken for a picture; its error ends the decoding.
	Size func(w, h int, progressive bool) error

	data []byte
	pos  int

	Header
	comps     []component
	frame     bool
	adobe     int // transform code, -1 without an Adobe marker
	jfif      bool
	restart   int // MCUs between restart markers
	maxH      int
	maxV      int
	mcusX     int
	mcusY     int
	quant     [4][64]int16
	wanted    func(w, h int) image.Rectangle
	want      image.Rectangle // what of the picture is wanted
	haveQuant [4]bool
	dcTab     [4]huffman
	acTab     [4]huffman
	scans     int

	bits bitReader

	// Buffers kept between files.
	compBuf  [4]component
	rows     [4][]byte
	scanComp [4]*component
}

// FormatError says what in the file is not valid or not supported.
type FormatError string

func (e FormatError) Error() string { return string(e) }

func formatf(format string, a ...any) error { return FormatError(fmt.Sprintf(format, a...)) }

// Markers (ITU-T T.81, table B.1).
const (
	mSOF0 = 0xC0
	mSOF1 = 0xC1
	mSOF2 = 0xC2
	mDHT  = 0xC4
	mRST0 = 0xD0
	mRST7 = 0xD7
	mSOI  = 0xD8
	mEOI  = 0xD9
	mSOS  = 0xDA
	mDQT  = 0xDB
	mDRI  = 0xDD
	mAPP0 = 0xE0
	mAPPE = 0xEE
	mTEM  = 0x01
)

// keepBytes is the largest buffer that is kept from file to file.
const keepBytes = 64 << 20

func (d *Decoder) reset(data []byte) {
	d.data, d.pos, d.wanted = data, 0, nil
	for i := range d.compBuf { // one huge picture must not hold memory for ever
		if c := &d.compBuf[i]; cap(c.plane)+2*cap(c.coef) > keepBytes {
			c.plane, c.coef = nil, nil
		}
	}
	d.Header = Header{}
	d.comps = nil
	d.frame, d.jfif = false, false
	d.adobe, d.restart, d.scans = -1, 0, 0
	d.haveQuant = [4]bool{}
	for i := range 4 {
		d.dcTab[i].ok, d.acTab[i].ok = false, false
	}
}

// ReadHeader parses data up to the first scan without decoding pixels.
func (d *Decoder) ReadHeader(data []byte) (Header, error) {
	d.reset(data)
	if err := d.start(); err != nil {
		return Header{}, err
	}
	for {
		m, err := d.nextMarker()
		if err != nil {
			return Header{}, err
		}
		if m == mSOS || m == mEOI {
			if !d.frame {
				return Header{}, FormatError("no frame header before the first scan")
			}
			return d.Header, nil
		}
		if err := d.segment(m); err != nil {
			return Header{}, err
		}
	}
}

// Decode decodes data into RGB bytes, row by row, three bytes per pixel. The
// result uses dst's memory when its capacity suffices. An error leaves the
// contents of dst undefined.
//
// Where want is not nil it says which rectangle of a w x h picture will be looked
// at: pixels outside are left undefined, which saves the work of transforming
// them. The result has the whole picture's size all the same, and the same
// errors.
func (d *Decoder) Decode(data, dst []byte, want func(w, h int) image.Rectangle) (pix []byte, h Header, err error) {
	d.reset(data)
	d.wanted = want
	if err := d.start(); err != nil {
		return nil, Header{}, err
	}
	for {
		m, err := d.nextMarker()
		if err != nil {
			return nil, Header{}, err
		}
		switch m {
		case mEOI:
			if d.scans == 0 {
				return nil, Header{}, FormatError("no image data")
			}
			d.samples()
			pix, err := d.convert(dst)
			return pix, d.Header, err
		case mSOS:
			if err := d.scan(); err != nil {
				return nil, Header{}, err
			}
		default:
			if err := d.segment(m); err != nil {
				return nil, Header{}, err
			}
		}
	}
}

func (d *Decoder) start() error {
	if len(d.data) < 2 || d.data[0] != 0xFF || d.data[1] != mSOI {
		return FormatError("not a JPEG file")
	}
	d.pos = 2
	return nil
}

// nextMarker skips to the next marker and returns its code, as libjpeg does:
// bytes that are not a marker are passed over.
func (d *Decoder) nextMarker() (byte, error) {
	for d.pos+1 < len(d.data) {
		if d.data[d.pos] != 0xFF {
			d.pos++
			continue
		}
		for d.pos < len(d.data) && d.data[d.pos] == 0xFF {
			d.pos++
		}
		if d.pos >= len(d.data) {
			break
		}
		m := d.data[d.pos]
		d.pos++
		if m != 0 {
			return m, nil
		}
	}
	d.pos = len(d.data)
	return 0, ErrTruncated
}

// payload returns the contents of the marker segment at pos and moves past it.
func (d *Decoder) payload() ([]byte, error) {
	if d.pos+2 > len(d.data) {
		return nil, ErrTruncated
	}
	n := int(d.data[d.pos])<<8 | int(d.data[d.pos+1])
	if n < 2 {
		return nil, formatf("marker segment of length %d", n)
	}
	if d.pos+n > len(d.data) {
		return nil, ErrTruncated
	}
	p := d.data[d.pos+2 : d.pos+n]
	d.pos += n
	return p, nil
}

func (d *Decoder) segment(m byte) error {
	switch {
	case m == mTEM || m >= mRST0 && m <= mRST7:
		return nil // without parameters; strays are ignored
	case m == mSOI:
		return FormatError("second start-of-image marker")
	case m < mSOF0:
		return formatf("unknown marker %#02x", m)
	}
	p, err := d.payload()
	if err != nil {
		return err
	}
	switch {
	case m == mSOF0 || m == mSOF1 || m == mSOF2:
		return d.frameHeader(p, m == mSOF2)
	case m == mDHT:
		return d.huffmanTables(p)
	case m > mSOF2 && m <= 0xCF && m != 0xC8 && m != 0xCC:
		return formatf("coding process SOF%d (arithmetic, lossless or hierarchical) is not supported", m-mSOF0)
	case m == mDQT:
		return d.quantTables(p)
	case m == mDRI:
		if len(p) != 2 {
			return formatf("restart interval segment of length %d", len(p)+2)
		}
		d.restart = int(p[0])<<8 | int(p[1])
	case m == mAPP0:
		if len(p) >= 5 && string(p[:5]) == "JFIF\x00" {
			d.jfif = true
		}
	case m == mAPPE:
		if len(p) >= 12 && string(p[:5]) == "Adobe" {
			d.adobe = int(p[11])
		}
	}
	return nil
}

func (d *Decoder) quantTables(p []byte) error {
	for len(p) > 0 {
		prec, id := p[0]>>4, p[0]&15
		n := 64
		if prec == 1 {
			n = 128
		}
		if prec > 1 || id > 3 || len(p) < 1+n {
			return FormatError("bad quantisation table")
		}
		for i := range 64 {
			v := uint16(p[1+i])
			if prec == 1 {
				v = uint16(p[1+2*i])<<8 | uint16(p[2+2*i])
			}
			d.quant[id][natural[i]] = int16(v)
		}
		d.haveQuant[id] = true
		p = p[1+n:]
	}
	return nil
}

func (d *Decoder) huffmanTables(p []byte) error {
	for len(p) > 0 {
		if len(p) < 17 {
			return FormatError("bad Huffman table")
		}
		class, id := p[0]>>4, p[0]&15
		var counts [17]int
		n := 0
		for i := 1; i <= 16; i++ {
			counts[i] = int(p[i])
			n += counts[i]
		}
		if class > 1 || id > 3 || n > 256 || len(p) < 17+n {
			return FormatError("bad Huffman table")
		}
		t := &d.dcTab[id]
		if class == 1 {
			t = &d.acTab[id]
		}
		if err := t.build(counts, p[17:17+n], class == 0); err != nil {
			return err
		}
		p = p[17+n:]
	}
	return nil
}

func (d *Decoder) frameHeader(p []byte, progressive bool) error {
	if d.frame {
		return FormatError("two frame headers")
	}
	if len(p) < 6 {
		return FormatError("short frame header")
	}
	if p[0] != 8 {
		return formatf("%d-bit samples are not supported, only 8-bit", p[0])
	}
	d.Height = int(p[1])<<8 | int(p[2])
	d.Width = int(p[3])<<8 | int(p[4])
	n := int(p[5])
	if d.Width == 0 || d.Height == 0 {
		return formatf("size %d x %d", d.Width, d.Height)
	}
	if d.Width*d.Height > MaxPixels {
		return formatf("%d x %d pixels are more than the limit of %d", d.Width, d.Height, MaxPixels)
	}
	if d.Size != nil {
		if err := d.Size(d.Width, d.Height, progressive); err != nil {
			return err
		}
	}
	if n != 1 && n != 3 && n != 4 {
		return formatf("%d colour components; 1, 3 and 4 are supported", n)
	}
	if len(p) != 6+3*n {
		return FormatError("bad length of the frame header")
	}
	d.Progressive = progressive
	d.comps = d.compBuf[:n]
	d.maxH, d.maxV = 1, 1
	d.Sampling = make([][2]int, n)
	for i := range d.comps {
		q := p[6+3*i:]
		c := &d.comps[i]
		*c = component{id: q[0], h: int(q[1] >> 4), v: int(q[1] & 15), tq: int(q[2]), plane: c.plane, coef: c.coef[:0]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return formatf("sampling factors %d x %d", c.h, c.v)
		}
		if c.tq > 3 {
			return formatf("quantisation table %d", c.tq)
		}
		for j := range i {
			if d.comps[j].id == c.id {
				return formatf("two components with identifier %d", c.id)
			}
		}
		d.maxH, d.maxV = max(d.maxH, c.h), max(d.maxV, c.v)
		d.Sampling[i] = [2]int{c.h, c.v}
	}
	d.want = image.Rect(0, 0, d.Width, d.Height)
	if d.wanted != nil {
		d.want = d.want.Intersect(d.wanted(d.Width, d.Height))
	}
	d.mcusX = ceilDiv(d.Width, 8*d.maxH)
	d.mcusY = ceilDiv(d.Height, 8*d.maxV)
	for i := range d.comps {
		c := &d.comps[i]
		if d.maxH%c.h != 0 || d.maxV%c.v != 0 {
			return formatf("sampling factors %d x %d do not divide %d x %d", c.h, c.v, d.maxH, d.maxV)
		}
		c.width = ceilDiv(d.Width*c.h, d.maxH)
		c.height = ceilDiv(d.Height*c.v, d.maxV)
		c.blocksX, c.blocksY = ceilDiv(c.width, 8), ceilDiv(c.height, 8)
		c.strideX, c.strideY = d.mcusX*c.h, d.mcusY*c.v
		c.wantX = blocks(d.want.Min.X, d.want.Max.X, d.maxH/c.h, c.width)
		c.wantY = blocks(d.want.Min.Y, d.want.Max.Y, d.maxV/c.v, c.height)
	}
	d.Space = d.space()
	d.frame = true
	return nil
}

// blocks is the range of blocks along an axis of n samples, each of which stands
// for ratio pixels, that pixels lo to hi are made from: upsampling looks at the
// neighbours too.
func blocks(lo, hi, ratio, n int) [2]int {
	if lo >= hi {
		return [2]int{}
	}
	return [2]int{max(lo/ratio-1, 0) / 8, ceilDiv(min(ceilDiv(hi, ratio)+1, n), 8)}
}

// wants says whether the block at (bx, by) is needed.
func (c *component) wants(bx, by int) bool {
	return bx >= c.wantX[0] && bx < c.wantX[1] && by >= c.wantY[0] && by < c.wantY[1]
}

// space deduces the colour space by libjpeg's rules.
func (d *Decoder) space() Space {
	switch len(d.comps) {
	case 1:
		return Grey
	case 3:
		ids := [3]byte{d.comps[0].id, d.comps[1].id, d.comps[2].id}
		switch {
		case d.jfif:
			return YCbCr
		case d.adobe == 0:
			return RGB
		case d.adobe > 0:
			return YCbCr
		case ids == [3]byte{'R', 'G', 'B'}:
			return RGB
		}
		return YCbCr
	}
	if d.adobe <= 0 {
		return CMYK
	}
	return YCCK
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// natural maps zigzag position to natural position; the entries behind the
// 64 catch runs that lead out of a block in damaged data.
var natural = [128]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
}
