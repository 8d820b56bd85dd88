package imageproc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// decodeNetpbm reads the first picture of PBM, PGM and PPM files (P1 to P6), as Pillow does:
// values are scaled to 0..255, halves to even, but grey of more than 8 bits is scaled to
// 0..65535 and then clipped at 255, as 16-bit grey of other formats is.
func (d *Decoder) decodeNetpbm(data []byte) (Image, error) {
	h, err := netpbmHeader(data)
	if err != nil {
		return Image{}, err
	}
	if err := d.claim(h.w, h.h, perPixel); err != nil {
		return Image{}, err
	}
	n := h.w * h.h * h.channels // values
	body := data[h.end:]
	need := h.stride() * h.h
	switch {
	case h.plain && h.bits: // white space between the bits may be missing
		need = n
	case h.plain: // a digit and white space, but for the last value
		need = 2*n - 1
	}
	if need > len(body) {
		return Image{}, fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", h.w, h.h, len(body), ErrTruncated)
	}
	out := d.room(h.w, h.h)
	if !h.plain && h.max == 255 {
		if h.channels == 3 {
			copy(out.Pix, body)
		} else {
			greyRow(out.Pix, body[:n])
		}
		return out, nil
	}
	scaled := make([]byte, h.max+1)
	for v := range scaled {
		scaled[v] = h.scale(v)
	}
	next := h.values(body)
	for i := range n {
		v, err := next()
		if err != nil {
			return Image{}, err
		}
		s := scaled[min(v, h.max)]
		if h.channels == 3 {
			out.Pix[i] = s
		} else {
			out.Pix[3*i], out.Pix[3*i+1], out.Pix[3*i+2] = s, s, s
		}
	}
	return out, nil
}

// netpbm is the header of a file.
type netpbm struct {
	plain    bool // values are text
	bits     bool // PBM: 1 is black
	channels int
	w, h     int
	max      int // the value of white
	end      int // where the values begin
}

// stride is the length of a row of values that are not text, in bytes.
func (h *netpbm) stride() int {
	switch {
	case h.bits:
		return (h.w + 7) / 8
	case h.max > 255:
		return 2 * h.w * h.channels
	}
	return h.w * h.channels
}

// scale is a value as Pillow makes a byte of it.
func (h *netpbm) scale(v int) byte {
	part := float64(v) / float64(h.max)
	switch {
	case h.bits:
		return byte(255 * (1 - v))
	case h.channels == 1 && h.max > 255:
		return clip16(int(math.RoundToEven(part * 65535)))
	}
	return byte(math.RoundToEven(part * 255))
}

const netpbmSpace = " \t\n\v\f\r"

// netpbmHeader reads the magic number, the size and, but for bits, the largest value.
func netpbmHeader(data []byte) (h netpbm, err error) {
	kind := data[1] - '0' // Sniff has seen a digit from 1 to 6, and white space behind it
	h.plain, h.bits, h.channels = kind <= 3, kind == 1 || kind == 4, 1
	if kind == 3 || kind == 6 {
		h.channels = 3
	}
	at := 3
	number := func(what string) int {
		var token []byte
		for ; err == nil && len(token) <= 10; at++ {
			if at == len(data) {
				if len(token) == 0 {
					err = ErrTruncated
				}
				break
			}
			c := data[at]
			if c == '#' { // to the end of the line, also within a number
				if end := bytes.IndexAny(data[at:], "\r\n"); end >= 0 {
					at += end
				} else {
					at = len(data) - 1
				}
				continue
			}
			if !bytes.ContainsRune([]byte(netpbmSpace), rune(c)) {
				token = append(token, c)
			} else if len(token) > 0 {
				at++
				break
			}
		}
		n, aerr := strconv.ParseUint(string(token), 10, 32)
		if err == nil && aerr != nil {
			err = fmt.Errorf("its %s is %q, not a number", what, token)
		}
		return int(n)
	}
	h.w, h.h, h.max = number("width"), number("height"), 1
	if !h.bits {
		h.max = number("largest value")
		if err == nil && (h.max < 1 || h.max > math.MaxUint16) {
			err = fmt.Errorf("its largest value is %d, not 1 to 65535", h.max)
		}
	}
	h.end = at
	return h, err
}

// values returns a function that reads one value after the other.
func (h *netpbm) values(body []byte) func() (int, error) {
	at := 0
	switch {
	case h.plain:
		body = withoutComments(body)
		return func() (int, error) {
			for at < len(body) && isNetpbmSpace(body[at]) {
				at++
			}
			from := at
			for at < len(body) && !isNetpbmSpace(body[at]) && !(h.bits && at > from) {
				at++
			}
			token := body[from:at]
			if len(token) == 0 {
				return 0, fmt.Errorf("pixel data is cut off (%w)", ErrTruncated)
			}
			v, err := strconv.ParseUint(string(token[:min(len(token), 11)]), 10, 32)
			switch {
			case err != nil:
				return 0, fmt.Errorf("%q is not a value", token[:min(len(token), 11)])
			case int(v) > h.max:
				return 0, fmt.Errorf("the value %d is above the largest one, %d", v, h.max)
			}
			return int(v), nil
		}
	case h.bits:
		return func() (int, error) {
			x, y := at%h.w, at/h.w
			at++
			return int(body[y*h.stride()+x/8] >> (7 - x%8) & 1), nil
		}
	case h.max > 255:
		return func() (int, error) {
			at += 2
			return int(binary.BigEndian.Uint16(body[at-2:])), nil
		}
	}
	return func() (int, error) {
		at++
		return int(body[at-1]), nil
	}
}

func isNetpbmSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// withoutComments drops what is between # and the end of the line, which goes too.
func withoutComments(text []byte) []byte {
	if bytes.IndexByte(text, '#') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for {
		before, comment, found := bytes.Cut(text, []byte("#"))
		out = append(out, before...)
		if !found {
			return out
		}
		end := bytes.IndexAny(comment, "\r\n")
		if end < 0 {
			return out
		}
		text = comment[end+1:]
	}
}

// netpbmRelative names a relative of the formats that are read: P7, PF or Pf.
func netpbmRelative(data []byte) error {
	if data[1] == '7' {
		return errors.New("PAM files are not supported; convert it to PNG")
	}
	return errors.New("PFM files, of floating-point values, are not supported; convert it to PNG")
}
