// Package imageproc turns the bytes of an image file into the input tensor of
// a classifier, with the values that Pillow and torchvision give: decoding as
// Image.open(f).convert("RGB"), resizing in Pillow's fixed-point arithmetic,
// cropping with torchvision's rounding, and float32 normalisation in the order
// of ToTensor and Normalize.
//
// Functions are pure; types that hold buffers say so and are not safe for
// concurrent use.
package imageproc

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"strings"

	"cutmix-eval/imageproc/jpeg"
)

// Image is a picture of 8-bit RGB samples: rows from the top, pixels from the
// left, three bytes per pixel, no padding.
type Image struct {
	W, H int
	Pix  []byte      // len W*H*3
	Of   image.Point // size of the picture that it was made from, where it is not one itself
}

// Size is the size of the picture, or of that which it was made from.
func (im Image) Size() image.Point {
	if im.Of != (image.Point{}) {
		return im.Of
	}
	return image.Pt(im.W, im.H)
}

// New returns a black image.
func New(w, h int) Image { return Image{W: w, H: h, Pix: make([]byte, w*h*3)} }

// Format is a file format, found from the content alone.
type Format string

// The formats that are recognised. Only those up to TIFF can be decoded.
const (
	JPEG    Format = "JPEG"
	PNG     Format = "PNG"
	GIF     Format = "GIF"
	WebP    Format = "WebP"
	BMP     Format = "BMP"
	Netpbm  Format = "PPM"
	TIFF    Format = "TIFF"
	AVIF    Format = "AVIF"
	HEIF    Format = "HEIC"
	JP2     Format = "JPEG 2000"
	JXL     Format = "JPEG XL"
	Unknown Format = ""
)

// DecoderName names the code that decodes JPEG files, for reports: pixel
// values depend on it.
const DecoderName = "built-in (libjpeg-turbo arithmetic)"

// ErrTruncated is wrapped by errors about files that end too early.
var ErrTruncated = jpeg.ErrTruncated

// Sniff tells the format of a file from its first bytes.
func Sniff(data []byte) Format {
	has := func(at int, s string) bool {
		return len(data) >= at+len(s) && string(data[at:at+len(s)]) == s
	}
	switch {
	case has(0, "\xff\xd8\xff"):
		return JPEG
	case has(0, "\x89PNG\r\n\x1a\n"):
		return PNG
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return GIF
	case has(0, "RIFF") && has(8, "WEBP"):
		return WebP
	case has(0, "BM"), isDIB(data):
		return BMP
	case len(data) > 2 && data[0] == 'P' && data[1] >= '1' && data[1] <= '6' && isNetpbmSpace(data[2]):
		return Netpbm
	case has(0, "II*\x00"), has(0, "MM\x00*"), has(0, "II+\x00"), has(0, "MM\x00+"):
		return TIFF
	case has(4, "ftypavif"), has(4, "ftypavis"):
		return AVIF
	case has(4, "ftyphei"), has(4, "ftyphev"), has(4, "ftypmif1"), has(4, "ftypmsf1"):
		return HEIF
	case has(0, "\x00\x00\x00\x0cjP  "), has(0, "\xff\x4f\xff\x51"):
		return JP2
	case has(0, "\x00\x00\x00\x0cJXL "), has(0, "\xff\x0a"):
		return JXL
	}
	return Unknown
}

// Decoder decodes one file at a time, reusing its buffers. The zero value is
// ready. Not safe for concurrent use.
type Decoder struct {
	jpeg jpeg.Decoder
	pix  []byte
	turn []byte // a picture turned by its orientation
	part []byte // of a TIFF file

	claimed int64 // of the shared budget, by the picture that is being decoded
}

// Decode decodes the first picture in data as Pillow's convert("RGB") does:
// the content decides about the format; EXIF orientation and colour profiles
// are not applied, but that of TIFF files is; alpha is dropped, not composited; 16-bit
// grey is clipped at 255 and 16-bit colour keeps its high byte; CMYK of JPEG files is
// read as inverted; an index without a colour in the palette is the grey of its value.
//
// The result is valid until the next call. Files of more than jpeg.MaxPixels
// pixels are refused before they are decoded.
func (d *Decoder) Decode(data []byte) (img Image, format Format, err error) {
	return d.DecodeWindow(data, nil)
}

// Window says which rectangle of a w x h picture will be looked at; nil is all of
// it.
type Window func(w, h int) image.Rectangle

// DecodeWindow is Decode for a reader who will look at one rectangle of the
// picture only (Transform.Window gives it): the
// pixels outside may be undefined. The size and the errors are those of Decode.
func (d *Decoder) DecodeWindow(data []byte, want Window) (img Image, format Format, err error) {
	format = Sniff(data)
	for _, buf := range []*[]byte{&d.pix, &d.turn, &d.part} {
		if cap(*buf) > 64<<20 {
			*buf = nil // one huge picture must not hold memory for ever
		}
	}
	defer d.release()
	defer func() {
		if r := recover(); r != nil { // a bug in a decoder must not end a run of hours
			img, err = Image{}, fmt.Errorf("%s decoder stopped: %v", format, r)
		}
	}()
	switch format {
	case JPEG:
		var h jpeg.Header
		if d.jpeg.Size == nil {
			d.jpeg.Size = func(w, h int, progressive bool) error {
				if progressive {
					return d.claim(w, h, perPixelCoded)
				}
				return d.claim(w, h, perPixel)
			}
		}
		d.pix, h, err = d.jpeg.Decode(data, d.pix, want)
		img = Image{W: h.Width, H: h.Height, Pix: d.pix}
	case PNG:
		img, err = d.decodePNG(data)
	case GIF:
		img, err = d.decodeGIF(data)
	case WebP:
		img, err = d.decodeWebP(data)
	case BMP:
		img, err = d.decodeBMP(data)
	case Netpbm:
		img, err = d.decodeNetpbm(data)
	case TIFF:
		img, err = d.decodeTIFF(data)
	case Unknown:
		switch {
		case len(data) == 0:
			err = errors.New("file is empty")
		case len(data) > 2 && data[0] == 'P' && strings.IndexByte("7Ff", data[1]) >= 0 && isNetpbmSpace(data[2]):
			err = netpbmRelative(data)
		default:
			err = errors.New("not an image in a known format (JPEG, PNG, GIF, WebP, BMP, PPM, TIFF)")
		}
		return Image{}, format, err
	default:
		return Image{}, format, fmt.Errorf("%s files are not supported; convert it to PNG (%s)", format, converter(format))
	}
	if err != nil {
		return Image{}, format, fmt.Errorf("%s: %w", format, err)
	}
	return img, format, nil
}

// converter is a command that makes a PNG file of a format that is not read.
func converter(f Format) string {
	switch f {
	case AVIF:
		return "avifdec in.avif out.png"
	case HEIF:
		return "heif-convert in.heic out.png"
	case JXL:
		return "djxl in.jxl out.png"
	}
	return "opj_decompress -i in.jp2 -o out.png"
}

// room makes space for a w x h image in the decoder's buffer.
func (d *Decoder) room(w, h int) Image {
	n := w * h * 3
	if cap(d.pix) < n {
		d.pix = make([]byte, n, n+n/8)
	}
	d.pix = d.pix[:n]
	return Image{W: w, H: h, Pix: d.pix}
}

// checkSize refuses sizes that are absurd before anything is allocated.
func checkSize(w, h int) error {
	if w <= 0 || h <= 0 {
		return fmt.Errorf("size %d x %d", w, h)
	}
	if h > jpeg.MaxPixels/w {
		return fmt.Errorf("%d x %d pixels are more than the limit of %d", w, h, jpeg.MaxPixels)
	}
	return nil
}

// checked decodes with a decoder of image.Image, after its configuration has shown
// that the size is no absurd one.
func (d *Decoder) checked(data []byte, config func(io.Reader) (image.Config, error), decode func(io.Reader) (image.Image, error)) (image.Image, error) {
	c, err := config(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	each := perPixel
	switch c.ColorModel {
	case color.RGBA64Model, color.NRGBA64Model, color.Gray16Model:
		each = perPixel16
	}
	if err := d.claim(c.Width, c.Height, each); err != nil {
		return nil, err
	}
	return decode(bytes.NewReader(data))
}

// fromGo copies the colour of m, dropping alpha without compositing.
func (d *Decoder) fromGo(m image.Image) Image {
	b := m.Bounds()
	out := d.room(b.Dx(), b.Dy())
	row := func(y int) []byte { return out.Pix[y*out.W*3 : (y+1)*out.W*3] }
	switch m := m.(type) {
	case *image.Gray:
		for y := range out.H {
			o := row(y)
			for x, v := range m.Pix[y*m.Stride : y*m.Stride+out.W] {
				o[3*x], o[3*x+1], o[3*x+2] = v, v, v
			}
		}
	case *image.RGBA: // the decoders use it for opaque pictures only
		fourToThree(out, m.Pix, m.Stride)
	case *image.NRGBA:
		fourToThree(out, m.Pix, m.Stride)
	case *image.RGBA64:
		highBytes(out, m.Pix, m.Stride)
	case *image.NRGBA64:
		highBytes(out, m.Pix, m.Stride)
	default:
		for y := range out.H {
			o := row(y)
			for x := range out.W {
				c := straight(m.At(b.Min.X+x, b.Min.Y+y))
				copy(o[3*x:], c[:])
			}
		}
	}
	return out
}

func fourToThree(out Image, pix []byte, stride int) {
	for y := range out.H {
		o, p := out.Pix[y*out.W*3:], pix[y*stride:]
		for x := range out.W {
			copy(o[3*x:3*x+3], p[4*x:4*x+3])
		}
	}
}

func highBytes(out Image, pix []byte, stride int) {
	for y := range out.H {
		o, p := out.Pix[y*out.W*3:], pix[y*stride:]
		for x := range out.W {
			o[3*x], o[3*x+1], o[3*x+2] = p[8*x], p[8*x+2], p[8*x+4]
		}
	}
}

// straight is the colour of c without its alpha.
func straight(c color.Color) [3]byte {
	if n, ok := c.(color.NRGBA); ok {
		return [3]byte{n.R, n.G, n.B}
	}
	r, g, b, _ := c.RGBA()
	return [3]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}
}
