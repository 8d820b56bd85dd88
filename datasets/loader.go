package datasets

import (
	"errors"
	"hash/crc32"

	"cutmix-eval/imageproc"
)

// FirstSize is the size of the first of some samples that can be read; the last one's error
// where none can.
func (d *Dataset) FirstSize(samples []int) (size imageproc.Size, err error) {
	loader := d.Loader()
	for _, i := range samples {
		var im imageproc.Image
		if im, err = loader.Load(i); err == nil {
			return imageproc.Size{H: im.H, W: im.W}, nil
		}
		if storage := (*StorageError)(nil); errors.As(err, &storage) {
			break
		}
	}
	return size, err
}

// Loader loads images one at a time, reusing its buffers. Use one per goroutine.
type Loader struct {
	d    *Dataset
	dec  imageproc.Decoder
	buf  []byte
	make Maker // of a derived data set
	sum  uint32
}

// Loader returns a loader of d's images.
func (d *Dataset) Loader() *Loader { return &Loader{d: d} }

// read returns the contents of sample i: a file's bytes, or the picture where
// there is no file. They are valid until the next call.
func (l *Loader) read(i int) (data []byte, img *imageproc.Image, err error) {
	l.sum = 0
	s := l.d.Samples[i]
	if s.Size < 0 {
		return nil, nil, errListed
	}
	data, img, err = l.d.src.read(s.at, l.buf)
	switch {
	case err != nil:
	case img == nil:
		l.buf, l.sum = data, crc32.Checksum(data, castagnoli)
	default:
		l.sum = crc32.Checksum(img.Pix, castagnoli)
	}
	return data, img, err
}

// Load decodes sample i. The image is valid until the next call.
func (l *Loader) Load(i int) (imageproc.Image, error) { return l.LoadWindow(i, nil) }

// LoadWindow is Load for a reader who will look at a part of the picture only:
// see imageproc.Decoder.DecodeWindow.
func (l *Loader) LoadWindow(i int, want imageproc.Window) (imageproc.Image, error) {
	if l.d.derived != nil {
		return l.derive(i)
	}
	data, img, err := l.read(i)
	if err != nil {
		return imageproc.Image{}, err
	}
	if img != nil {
		return *img, nil
	}
	return l.decode(data, want)
}

// Sum is the CRC-32C of what is stored of the sample loaded last: of its file, or of its samples
// where it has none. It is 0 where it could not be read.
func (l *Loader) Sum() uint32 { return l.sum }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (l *Loader) decode(data []byte, want imageproc.Window) (imageproc.Image, error) {
	decode := l.dec.DecodeWindow
	if l.d.exif {
		decode = l.dec.DecodeOriented
	}
	if l.d.border {
		img, _, err := decode(data, nil)
		if err == nil {
			img = withoutRedBorder(img)
		}
		return img, err
	}
	img, _, err := decode(data, want)
	return img, err
}
