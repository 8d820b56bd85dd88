package imageproc

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"image"
	"io"
	"regexp"
	"strings"
)

// Orientation is how a picture has to be turned to be upright, as EXIF numbers it: 1 is not at
// all, 2 mirrored, 3 by 180 degrees, 4 upside down and mirrored, 5 to 8 with the axes
// exchanged.
type Orientation uint8

// Upright pictures need no turning.
const Upright Orientation = 1

// OrientationOf reads the orientation of a JPEG, PNG or WebP file that Decode does not apply,
// from where Pillow looks for it: the EXIF data, and PNG's XMP where that says nothing. It is
// Upright where there is none, where the data are damaged, and for other formats: in TIFF files,
// Decode applies it, as Pillow does. Only the parts that say so are read.
func OrientationOf(file io.ReaderAt) Orientation {
	p := parts{file: file}
	p.head = p.read(0, 4096)
	switch Sniff(p.head) {
	case JPEG:
		return p.jpeg()
	case PNG:
		return p.png()
	case WebP:
		return p.webp()
	}
	return Upright
}

// parts reads parts of a file, of which it keeps the first.
type parts struct {
	file io.ReaderAt
	head []byte
}

// read returns n bytes from a place, fewer where the file ends or cannot be read.
func (p *parts) read(at int64, n int) []byte {
	if at+int64(n) <= int64(len(p.head)) {
		return p.head[at : at+int64(n)]
	}
	buf := make([]byte, n)
	got, _ := p.file.ReadAt(buf, at)
	return buf[:got]
}

// turns says whether the orientation is one, and other than upright.
func (o Orientation) turns() bool { return o >= 2 && o <= 8 }

// Size is the size of a w x h picture once it is turned.
func (o Orientation) Size(w, h int) (int, int) {
	if o >= 5 && o <= 8 {
		return h, w
	}
	return w, h
}

// source is the pixel of a w x h picture that comes to (x, y).
func (o Orientation) source(x, y, w, h int) (int, int) {
	switch o {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}

// window is the part of a w x h picture that comes to the rectangle r.
func (o Orientation) window(r image.Rectangle, w, h int) image.Rectangle {
	if r.Empty() {
		return image.Rectangle{}
	}
	x0, y0 := o.source(r.Min.X, r.Min.Y, w, h)
	x1, y1 := o.source(r.Max.X-1, r.Max.Y-1, w, h)
	return image.Rect(min(x0, x1), min(y0, y1), max(x0, x1)+1, max(y0, y1)+1)
}

// turn writes the part r of the turned picture; r and out have the turned size.
func (o Orientation) turn(out, img Image, r image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		// The source moves by the same step from pixel to pixel.
		x0, y0 := o.source(r.Min.X, y, img.W, img.H)
		x1, y1 := o.source(r.Min.X+1, y, img.W, img.H)
		from, step := (y0*img.W+x0)*3, ((y1-y0)*img.W+x1-x0)*3
		to := out.Pix[(y*out.W+r.Min.X)*3 : (y*out.W+r.Max.X)*3]
		for i := 0; i < len(to); i += 3 {
			copy(to[i:i+3], img.Pix[from:from+3])
			from += step
		}
	}
}

// DecodeOriented is DecodeWindow of the picture as its EXIF orientation turns it, as
// PIL.ImageOps.exif_transpose does: want and the result are of the turned picture.
func (d *Decoder) DecodeOriented(data []byte, want Window) (Image, Format, error) {
	o := OrientationOf(bytes.NewReader(data))
	if !o.turns() {
		return d.DecodeWindow(data, want)
	}
	var part image.Rectangle
	img, format, err := d.DecodeWindow(data, func(w, h int) image.Rectangle {
		tw, th := o.Size(w, h)
		part = image.Rect(0, 0, tw, th)
		if want != nil {
			part = want(tw, th).Intersect(part)
		}
		return o.window(part, w, h)
	})
	if err != nil {
		return Image{}, format, err
	}
	if part.Empty() { // only JPEG files are decoded in part
		tw, th := o.Size(img.W, img.H)
		part = image.Rect(0, 0, tw, th)
	}
	return d.turned(img, o, part), format, nil
}

// turned is a picture turned, of which the part r is looked at.
func (d *Decoder) turned(img Image, o Orientation, r image.Rectangle) Image {
	w, h := o.Size(img.W, img.H)
	out := grow(&d.turn, w, h)
	o.turn(out, img, r)
	return out
}

// exifOrientation reads the orientation of EXIF data: a TIFF file of tags alone.
func exifOrientation(data []byte) Orientation {
	t, err := readTIFF(bytes.TrimPrefix(data, []byte("Exif\x00\x00")))
	if err != nil {
		return Upright
	}
	// Pillow looks at the first of several values, and takes no bytes for numbers.
	v := t.number(tiffOrientation, uint64(Upright))
	if v < 2 || v > 8 || t.tags[tiffOrientation].kind < 3 {
		return Upright
	}
	return Orientation(v)
}

// maxExif bounds what is read of EXIF and XMP data.
const maxExif = 1 << 20

// jpeg looks at the first APP1 segment of EXIF data.
func (p *parts) jpeg() Orientation {
	for at := int64(2); at < maxExif; {
		h := p.read(at, 10)
		if len(h) < 4 {
			break
		}
		if h[0] != 0xff || h[1] == 0xff || h[1] == 0 { // what lies between markers is passed over
			at++
			continue
		}
		n := int64(binary.BigEndian.Uint16(h[2:]))
		if h[1] == 0xda || h[1] == 0xd9 || n < 2 { // pixels, end, damage
			break
		}
		if h[1] == 0xe1 && bytes.HasPrefix(h[4:], []byte("Exif\x00\x00")) {
			return exifOrientation(p.read(at+4, int(n-2)))
		}
		at += 2 + n
	}
	return Upright
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`)

// png looks at the chunk eXIf, at ImageMagick's text of the same, and at XMP.
func (p *parts) png() Orientation {
	var profile, xmp []byte
	for at := int64(8); ; {
		h := p.read(at, 8)
		if len(h) < 8 {
			break
		}
		n := int64(binary.BigEndian.Uint32(h))
		switch kind := string(h[4:]); kind {
		case "eXIf":
			return exifOrientation(p.read(at+8, int(min(n, maxExif))))
		case "tEXt", "zTXt", "iTXt":
			switch key, text := pngText(kind, p.read(at+8, int(min(n, maxExif)))); key {
			case "Raw profile type exif":
				profile = text
			case "XML:com.adobe.xmp":
				xmp = text
			}
		}
		at += 12 + n
	}
	if lines := strings.Split(string(profile), "\n"); len(lines) > 3 {
		if raw, err := hex.DecodeString(strings.Join(lines[3:], "")); err == nil {
			if o := exifOrientation(raw); o.turns() {
				return o
			}
		}
	}
	if m := xmpOrientation.FindSubmatch(xmp); m != nil {
		if o := Orientation(m[1][0] - '0'); o.turns() {
			return o
		}
	}
	return Upright
}

// pngText is the keyword and the text of a chunk of text (PNG specification, 11.3.4).
func pngText(kind string, body []byte) (key string, text []byte) {
	k, rest, ok := bytes.Cut(body, []byte{0})
	if !ok {
		return "", nil
	}
	packed := false
	switch kind {
	case "zTXt":
		if len(rest) == 0 {
			return "", nil
		}
		packed, rest = true, rest[1:]
	case "iTXt": // compression flag and method, language, translated keyword
		if len(rest) < 2 {
			return "", nil
		}
		packed = rest[0] == 1
		_, rest, _ = bytes.Cut(rest[2:], []byte{0})
		_, rest, _ = bytes.Cut(rest, []byte{0})
	}
	if !packed {
		return string(k), rest
	}
	r, err := zlib.NewReader(bytes.NewReader(rest))
	if err != nil {
		return "", nil
	}
	defer r.Close()
	text, err = io.ReadAll(io.LimitReader(r, maxExif))
	if err != nil {
		return "", nil
	}
	return string(k), text
}

// webp looks at the chunk EXIF, which the extended header announces.
func (p *parts) webp() Orientation {
	const announced = 8
	if h := p.read(12, 9); len(h) < 9 || string(h[:4]) != "VP8X" || h[8]&announced == 0 {
		return Upright
	}
	for at := int64(12); ; {
		h := p.read(at, 8)
		if len(h) < 8 {
			return Upright
		}
		n := int64(binary.LittleEndian.Uint32(h[4:]))
		if string(h[:4]) == "EXIF" {
			return exifOrientation(p.read(at+8, int(min(n, maxExif))))
		}
		at += 8 + n + n&1
	}
}
