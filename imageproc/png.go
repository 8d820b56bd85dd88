package imageproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"math"
)

// decodePNG reads PNG as Pillow does: a wrong checksum of the pixel data
// (IDAT) is no error, one of an earlier chunk is, and what follows the pixel
// data is not looked at.
func (d *Decoder) decodePNG(data []byte) (Image, error) {
	clean, err := cleanPNG(data)
	if err != nil {
		return Image{}, err
	}
	if err := plausiblePNG(clean); err != nil {
		return Image{}, err
	}
	m, err := d.checked(clean, png.DecodeConfig, png.Decode)
	var damaged png.FormatError
	if errors.As(err, &damaged) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Image{}, fmt.Errorf("pixel data is damaged or cut off (%w)", err)
	}
	if err != nil {
		return Image{}, err
	}
	depth, colourType := clean[24], clean[25]
	if depth == 16 && colourType == 0 {
		return d.grey16(m), nil
	}
	if indexed, ok := m.(*image.Paletted); ok {
		// Go's decoder makes indices without a colour black.
		colours, out := paletteOf(chunkPNG(clean, "PLTE")), d.room(indexed.Rect.Dx(), indexed.Rect.Dy())
		for y := range out.H {
			colours.row(out.Pix[y*out.W*3:], indexed.Pix[y*indexed.Stride:][:out.W])
		}
		return out, nil
	}
	return d.fromGo(m), nil
}

// chunkPNG is the contents of the first chunk of that name in a file that cleanPNG has seen;
// nil without one.
func chunkPNG(clean []byte, name string) []byte {
	for pos := 8; pos+12 <= len(clean); {
		n := int(binary.BigEndian.Uint32(clean[pos:]))
		if string(clean[pos+4:pos+8]) == name {
			return clean[pos+8 : pos+8+n]
		}
		pos += 12 + n
	}
	return nil
}

// plausiblePNG refuses a size that the file cannot fill before memory is taken
// for it: deflate makes at most 1032 bytes of one.
func plausiblePNG(clean []byte) error {
	w, h := int64(binary.BigEndian.Uint32(clean[16:])), int64(binary.BigEndian.Uint32(clean[20:]))
	samples := map[byte]int64{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[clean[25]]
	if w > math.MaxInt32 || h > math.MaxInt32 || checkSize(int(w), int(h)) != nil {
		return nil // the decoder's configuration says what is wrong
	}
	if need := w * h * samples * int64(clean[24]) / 8; need > 1032*int64(len(clean)) {
		return fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", w, h, len(clean), ErrTruncated)
	}
	return nil
}

// grey16 clips 16-bit grey values at 255, as convert("RGB") does through
// Pillow's 32-bit integer mode.
func (d *Decoder) grey16(m image.Image) Image {
	b := m.Bounds()
	out := d.room(b.Dx(), b.Dy())
	put := func(i int, hi, lo byte) {
		if hi > 0 {
			lo = 255
		}
		out.Pix[3*i], out.Pix[3*i+1], out.Pix[3*i+2] = lo, lo, lo
	}
	switch m := m.(type) {
	case *image.Gray16:
		for y := range out.H {
			for x := range out.W {
				p := m.Pix[y*m.Stride+2*x:]
				put(y*out.W+x, p[0], p[1])
			}
		}
	case *image.NRGBA64: // grey with one transparent value
		for y := range out.H {
			for x := range out.W {
				p := m.Pix[y*m.Stride+8*x:]
				put(y*out.W+x, p[0], p[1])
			}
		}
	}
	return out
}

// cleanPNG returns the file up to the last chunk of pixel data, with the
// checksums of that data made right, superfluous colours left out and an end chunk added.
func cleanPNG(data []byte) ([]byte, error) {
	const head = 8
	out := make([]byte, 0, len(data)+12)
	out = append(out, data[:head]...)
	seen := false
	for pos := head; pos+8 <= len(data); {
		n := int64(binary.BigEndian.Uint32(data[pos:]))
		kind := string(data[pos+4 : pos+8])
		idat := kind == "IDAT"
		if seen && !idat {
			break
		}
		end := int64(pos) + 8 + n
		if end > int64(len(data)) {
			if !idat {
				return nil, ErrTruncated
			}
			end = int64(len(data)) // the decoder finds out whether anything is missing
		}
		body := data[pos+4 : end]
		sum := crc32.ChecksumIEEE(body)
		if !idat {
			if end+4 > int64(len(data)) {
				return nil, ErrTruncated
			}
			if got := binary.BigEndian.Uint32(data[end:]); got != sum {
				return nil, fmt.Errorf("chunk %q has a wrong checksum", kind)
			}
		}
		if kind == "PLTE" && len(out) >= head+25 {
			// Colours that no pixel can name, which Go's decoder refuses.
			depth, colourType := out[24], out[25]
			most := 0
			switch colourType {
			case 2, 6:
				most = len(body)
			case 3:
				most = 4 + 3<<min(depth, 8)
			}
			body = body[:min(most, len(body))]
			sum = crc32.ChecksumIEEE(body)
		}
		if len(body) >= 4 {
			out = binary.BigEndian.AppendUint32(out, uint32(len(body)-4))
			out = append(out, body...)
			out = binary.BigEndian.AppendUint32(out, sum)
		}
		seen = seen || idat
		pos = int(min(end+4, int64(len(data))))
	}
	if !seen {
		return nil, errors.New("no pixel data")
	}
	if len(out) < head+25 || string(out[12:16]) != "IHDR" {
		return nil, errors.New("no header chunk")
	}
	out = append(out, 0, 0, 0, 0)
	out = append(out, "IEND"...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE([]byte("IEND"))), nil
}
