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

	"cutmix-eval/imageproc/jpeg"

	"golang.org/x/image/bmp"
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

// The formats that are recognised. Only those up to BMP can be decoded.
const (
	JPEG    Format = "JPEG"
	PNG     Format = "PNG"
	GIF     Format = "GIF"
	WebP    Format = "WebP"
	BMP     Format = "BMP"
	TIFF    Format = "TIFF"
	HEIF    Format = "HEIF/AVIF"
	JP2     Format = "JPEG 2000"
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
	case has(0, "BM"):
		return BMP
	case has(0, "II*\x00"), has(0, "MM\x00*"):
		return TIFF
	case has(4, "ftypheic"), has(4, "ftypavif"), has(4, "ftypmif1"):
		return HEIF
	case has(0, "\x00\x00\x00\x0cjP  "), has(0, "\xff\x4f\xff\x51"):
		return JP2
	}
	return Unknown
}

// Decoder decodes one file at a time, reusing its buffers. The zero value is
// ready. Not safe for concurrent use.
type Decoder struct {
	jpeg jpeg.Decoder
	pix  []byte
}

// Decode decodes the first picture in data as Pillow's convert("RGB") does:
// the content decides about the format; EXIF orientation and colour profiles
// are not applied; alpha is dropped, not composited; 16-bit grey is clipped at
// 255 and 16-bit colour keeps its high byte; CMYK is read as inverted.
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
	if cap(d.pix) > 64<<20 {
		d.pix = nil // one huge picture must not hold memory for ever
	}
	defer func() {
		if r := recover(); r != nil { // a bug in a decoder must not end a run of hours
			img, err = Image{}, fmt.Errorf("%s decoder stopped: %v", format, r)
		}
	}()
	switch format {
	case JPEG:
		var h jpeg.Header
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
	case Unknown:
		switch {
		case len(data) == 0:
			err = errors.New("file is empty")
		default:
			err = errors.New("not an image in a known format (JPEG, PNG, GIF, WebP, BMP)")
		}
		return Image{}, format, err
	default:
		return Image{}, format, fmt.Errorf("%s files are not supported; convert it to PNG", format)
	}
	if err != nil {
		return Image{}, format, fmt.Errorf("%s: %w", format, err)
	}
	return img, format, nil
}

// decodeBMP reads uncompressed files, the only ones its decoder takes: a byte
// holds at most eight pixels, so a size that the file cannot fill is refused
// before memory is taken for it.
func (d *Decoder) decodeBMP(data []byte) (Image, error) {
	c, err := bmp.DecodeConfig(bytes.NewReader(data))
	if err == nil && checkSize(c.Width, c.Height) == nil && c.Width*c.Height > 8*len(data) {
		err = fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", c.Width, c.Height, len(data), ErrTruncated)
	}
	if err != nil {
		return Image{}, err
	}
	m, err := checked(data, bmp.DecodeConfig, bmp.Decode)
	if err != nil {
		return Image{}, err
	}
	return d.fromGo(m), nil
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
func checked(data []byte, config func(io.Reader) (image.Config, error), decode func(io.Reader) (image.Image, error)) (image.Image, error) {
	c, err := config(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := checkSize(c.Width, c.Height); err != nil {
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
	case *image.Paletted:
		var pal [256][3]byte
		for i, c := range m.Palette {
			pal[i] = straight(c)
		}
		for y := range out.H {
			o := row(y)
			for x, v := range m.Pix[y*m.Stride : y*m.Stride+out.W] {
				copy(o[3*x:], pal[v][:])
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
