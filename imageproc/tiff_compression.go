package imageproc

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// chunk is the samples of strip or tile i, of so many rows, uncompressed: fewer bytes where the
// file ends before.
func (d *Decoder) chunk(p *tiffPicture, i, rows int) ([]byte, error) {
	from := p.at(p.offsets, i)
	if from >= uint64(len(p.data)) {
		return nil, fmt.Errorf("pixel data is cut off (%w)", ErrTruncated)
	}
	stored := p.data[from:]
	if p.compression != tiffRaw && i < p.count(p.lengths) {
		n := p.at(p.lengths, i)
		if n > uint64(len(stored)) {
			return nil, fmt.Errorf("pixel data is cut off (%w)", ErrTruncated)
		}
		stored = stored[:n]
	}
	need, most := p.rowBytes(p.chunkW)*rows, p.rowBytes(p.chunkW)*max(rows, p.fullH)
	if p.reversed && p.compression != tiffJPEG {
		stored = bytes.Clone(stored)
		for k, v := range stored {
			stored[k] = bits.Reverse8(v)
		}
	}
	var out []byte
	var err error
	switch p.compression {
	case tiffRaw:
		return stored[:min(need, len(stored))], nil
	case tiffPackBits:
		out, err = unpackBits(stored, need)
	case tiffLZW:
		r := lzw.NewReader(bytes.NewReader(stored), lzw.MSB, 8)
		out, err = inflate(r, need, most)
		r.Close()
	case tiffDeflate, tiffOldDeflate:
		r, zerr := zlib.NewReader(bytes.NewReader(stored))
		if zerr != nil {
			return nil, fmt.Errorf("pixel data is damaged (%w)", zerr)
		}
		out, err = inflate(r, need, most)
		r.Close()
	case tiffGroup3, tiffGroup4:
		out, err = p.fax(stored, rows)
	case tiffJPEG:
		out, err = d.jpegChunk(p, stored, rows)
	}
	if err != nil {
		return nil, fmt.Errorf("pixel data is damaged or cut off (%w)", err)
	}
	if p.predictor == 2 && p.compression != tiffPackBits && p.compression != tiffJPEG {
		p.accumulate(out, rows)
	}
	return out, nil
}

// inflate reads the bytes that are needed, of most; memory grows with what there is.
func inflate(r io.Reader, need, most int) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, int64(need)))
	if n == int64(need) {
		// At the end of the data, which is not far, their checksum is compared.
		var damaged flate.CorruptInputError
		more, err := io.CopyN(io.Discard, r, 1<<20)
		if errors.Is(err, zlib.ErrChecksum) || errors.As(err, &damaged) {
			return nil, err
		}
		if n+more > int64(most) {
			return nil, errors.New("more data than a strip or tile can hold")
		}
		return b.Bytes(), nil
	}
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTruncated
	}
	return nil, err
}

// unpackBits expands runs: n+1 bytes as they are, or one byte 1-n times (TIFF 6.0, section 9).
func unpackBits(in []byte, need int) ([]byte, error) {
	out := make([]byte, 0, min(need, 64*len(in)))
	for len(out) < need {
		if len(in) < 2 {
			return nil, ErrTruncated
		}
		n := int(int8(in[0]))
		switch {
		case n == -128:
			in = in[1:]
		case n < 0:
			out = append(out, bytes.Repeat(in[1:2], 1-n)...)
			in = in[2:]
		case len(in) < n+2:
			return nil, ErrTruncated
		default:
			out = append(out, in[1:n+2]...)
			in = in[n+2:]
		}
	}
	return out[:need], nil
}

// fax decodes CCITT's compression of bits.
func (p *tiffPicture) fax(in []byte, rows int) ([]byte, error) {
	kind := ccitt.Group4
	if p.compression == tiffGroup3 {
		kind = ccitt.Group3
	}
	// Black is 1, whatever the tags say it means.
	r := ccitt.NewReader(bytes.NewReader(in), ccitt.MSB, kind, p.chunkW, rows, &ccitt.Options{Invert: true})
	out := make([]byte, p.rowBytes(p.chunkW)*rows)
	_, err := io.ReadFull(r, out)
	return out, err
}

// jpegChunk decodes a strip or tile that is a JPEG file, the tables of which may be kept for all
// of them.
func (d *Decoder) jpegChunk(p *tiffPicture, in []byte, rows int) ([]byte, error) {
	if len(in) < 4 || in[0] != 0xff || in[1] != 0xd8 {
		return nil, errors.New("no JPEG data")
	}
	file := []byte{0xff, 0xd8}
	if p.has(tiffJPEGTables) {
		if tables := p.tags[tiffJPEGTables].raw; len(tables) > 4 {
			file = append(file, tables[2:len(tables)-2]...)
		}
	}
	// The TIFF tags say which colours the components are; to the decoder, an Adobe marker does.
	transform := byte(0)
	if p.photometric == tiffYCbCr {
		transform = 1
	}
	file = append(file, 0xff, 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, transform)
	file = append(file, in[2:]...)
	header, err := d.jpeg.ReadHeader(file)
	if err != nil {
		return nil, err
	}
	samples := p.samples / p.planes
	if len(header.Sampling) != samples || header.Width < min(p.chunkW, p.w) || header.Width > p.chunkW || header.Height < min(rows, p.h) {
		return nil, fmt.Errorf("JPEG data of %d x %d pixels of %d components in a strip or tile of %d x %d of %d",
			header.Width, header.Height, len(header.Sampling), p.chunkW, rows, samples)
	}
	pix, header, err := d.jpeg.Decode(file, d.part, nil)
	if err != nil {
		return nil, err
	}
	d.part = pix
	if header.Width == p.chunkW && samples == 3 {
		return pix, nil
	}
	out := make([]byte, p.chunkW*header.Height*samples)
	for y := range header.Height {
		for x := range header.Width {
			copy(out[(y*p.chunkW+x)*samples:][:samples], pix[(y*header.Width+x)*3:])
		}
	}
	return out, nil
}

// accumulate undoes the horizontal predictor: samples are stored as differences to those of the
// pixel before (TIFF 6.0, section 14).
func (p *tiffPicture) accumulate(b []byte, rows int) {
	n, row := p.samples/p.planes, p.rowBytes(p.chunkW)
	for y := range rows {
		r := b[y*row : (y+1)*row]
		switch p.bits {
		case 8:
			for i := n; i < len(r); i++ {
				r[i] += r[i-n]
			}
		case 16:
			for i := 2 * n; i+1 < len(r); i += 2 {
				p.order.PutUint16(r[i:], p.order.Uint16(r[i:])+p.order.Uint16(r[i-2*n:]))
			}
		case 32:
			for i := 4 * n; i+3 < len(r); i += 4 {
				p.order.PutUint32(r[i:], p.order.Uint32(r[i:])+p.order.Uint32(r[i-4*n:]))
			}
		}
	}
}
