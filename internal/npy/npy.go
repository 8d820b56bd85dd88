// Package npy reads and writes numpy's .npy files (NEP 1). It writes little-endian values in C
// order, and reads whole files in either byte order and either order of axes.
package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"cutmix-eval/internal/float16"
	"cutmix-eval/internal/regular"
	quoted "cutmix-eval/internal/text"
)

// Header is the header of a version 1.0 file of the given kind ("f4", "i8"), padded so
// that the values begin at a multiple of 64.
func Header(kind string, shape ...int) []byte {
	dims := make([]string, len(shape))
	for i, n := range shape {
		dims[i] = strconv.Itoa(n)
	}
	text := fmt.Sprintf("{'descr': '<%s', 'fortran_order': False, 'shape': (%s,), }", kind, strings.Join(dims, ", "))
	n := (10 + len(text) + 1 + 63) / 64 * 64
	head := append([]byte("\x93NUMPY\x01\x00"), byte(n-10), byte((n-10)>>8))
	head = append(head, text...)
	for len(head) < n-1 {
		head = append(head, ' ')
	}
	return append(head, '\n')
}

// Info is what a header says.
type Info struct {
	Kind   string // f2, f4, f8, i1 … i8, u1 … u8, b1; S5 and U5 for texts of five characters
	Shape  []int
	Width  int   // bytes of a value
	Offset int64 // where the values begin

	big     bool // values are big-endian
	fortran bool // the first axis varies fastest
}

// Len is the number of values.
func (i Info) Len() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

var form = regexp.MustCompile(`'descr': *'([<>|=])([a-zA-Z])([0-9]{0,6})', *'fortran_order': *(True|False) *, *'shape': *\(([0-9, ]*)\)`)

// ErrObjects is what is wrong with an array of Python's objects.
var ErrObjects = errors.New("it holds Python objects (a pickle), which are never loaded; save numbers, or texts as numpy.array(x, dtype=str)")

const (
	maxValues = 1 << 33    // that a header can ask for
	maxHeader = 12 + 1<<16 // bytes
)

// Parse reads the header of a file of size bytes, and checks it against the size. It refuses all but
// little-endian values in C order, so that they can be read in place.
func Parse(r io.ReaderAt, size int64) (Info, error) {
	info, err := parse(r, size)
	switch {
	case err != nil:
		return Info{}, err
	case info.big:
		return Info{}, errors.New("its values are big-endian; save them little-endian (a.astype(a.dtype.newbyteorder('<')))")
	case info.fortran:
		return Info{}, errors.New("its values are in Fortran order; save a C-contiguous copy")
	}
	return info, nil
}

func parse(r io.ReaderAt, size int64) (Info, error) {
	var head [12]byte
	if n, _ := r.ReadAt(head[:], 0); n < 10 || string(head[:6]) != "\x93NUMPY" {
		return Info{}, errors.New("it is not a .npy file")
	}
	at, n := int64(10), int64(binary.LittleEndian.Uint16(head[8:]))
	if head[6] > 1 {
		at, n = 12, int64(binary.LittleEndian.Uint32(head[8:]))
	}
	if at+n > min(size, maxHeader) {
		return Info{}, errors.New("it is cut off in its header")
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, at); err != nil {
		return Info{}, errors.New("it is cut off in its header")
	}
	m := form.FindSubmatch(text)
	if m == nil {
		return Info{}, fmt.Errorf("its header %q is not understood", quoted.Bounded(string(text)))
	}
	width, _ := strconv.Atoi(string(m[3])) // 0 without one
	switch letter := string(m[2]); {
	case letter == "O":
		return Info{}, ErrObjects
	case letter == "U":
		width *= 4
	case !strings.Contains("fiubS", letter) || width > 8 && letter != "S":
		width = 0
	}
	if width == 0 {
		return Info{}, fmt.Errorf("its values are of the type %s%s, which is not read; save numbers", m[2], m[3])
	}
	info := Info{
		Kind: string(m[2]) + string(m[3]), Width: width, Offset: at + n,
		big: string(m[1]) == ">" && width > 1 && string(m[2]) != "S", fortran: string(m[4]) == "True",
	}
	total := int64(1)
	for _, s := range strings.Split(string(m[5]), ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		v, err := strconv.Atoi(s)
		if err != nil || v > maxValues {
			return Info{}, fmt.Errorf("its shape is (%s)", quoted.Bounded(string(m[5])))
		}
		info.Shape = append(info.Shape, v)
		if v > 0 && total > maxValues/int64(v) {
			return Info{}, fmt.Errorf("its shape (%s) is too large", quoted.Bounded(string(m[5])))
		}
		total *= int64(v)
	}
	if want := total * int64(width); size-info.Offset != want {
		return Info{}, fmt.Errorf("it has %d bytes of values, its header says %d", size-info.Offset, want)
	}
	return info, nil
}

// maxFile bounds what Read reads.
const maxFile = 8 << 30

// Read reads a file and widens its values.
func Read(path string) (Info, []float64, error) {
	data, err := regular.Read(path, maxFile)
	if err != nil {
		return Info{}, nil, err
	}
	return Values(data)
}

// Values reads the contents of a file and widens its values. They are in C order, whichever order the
// file has.
func Values(data []byte) (Info, []float64, error) {
	info, err := parse(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return info, nil, err
	}
	out := make([]float64, info.Len())
	if err := info.Widen(out, data[info.Offset:]); err != nil {
		return info, nil, err
	}
	return info, cOrder(info, out), nil
}

// Parsed reads the contents of a file of numbers or texts.
func Parsed(data []byte) (Array, error) {
	info, err := parse(bytes.NewReader(data), int64(len(data)))
	a := Array{Shape: info.Shape}
	switch {
	case err != nil:
	case info.text():
		_, a.Text, err = Texts(data)
	default:
		_, a.Data, err = Values(data)
	}
	return a, err
}

// text says that values are texts.
func (i Info) text() bool { return i.Kind[0] == 'U' || i.Kind[0] == 'S' }

// order is how the bytes of a value are read.
func (i Info) order() binary.ByteOrder {
	if i.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// cOrder is values with the last axis varying fastest.
func cOrder[T any](info Info, v []T) []T {
	if !info.fortran || len(info.Shape) < 2 {
		return v
	}
	out := make([]T, len(v))
	at := make([]int, len(info.Shape)) // of x
	for _, x := range v {
		to := 0
		for k, n := range info.Shape {
			to = to*n + at[k]
		}
		out[to] = x
		for k := range at {
			if at[k]++; at[k] < info.Shape[k] {
				break
			}
			at[k] = 0
		}
	}
	return out
}

// Widen turns the bytes of len(dst) values into numbers.
func (i Info) Widen(dst []float64, data []byte) error {
	order := i.order()
	for k := range dst {
		switch i.Kind {
		case "f4":
			dst[k] = float64(math.Float32frombits(order.Uint32(data[4*k:])))
		case "f8":
			dst[k] = math.Float64frombits(order.Uint64(data[8*k:]))
		case "f2":
			dst[k] = float64(float16.Widen(order.Uint16(data[2*k:])))
		case "i8":
			dst[k] = float64(int64(order.Uint64(data[8*k:])))
		case "i4":
			dst[k] = float64(int32(order.Uint32(data[4*k:])))
		case "i2":
			dst[k] = float64(int16(order.Uint16(data[2*k:])))
		case "i1":
			dst[k] = float64(int8(data[k]))
		case "u8":
			dst[k] = float64(order.Uint64(data[8*k:]))
		case "u4":
			dst[k] = float64(order.Uint32(data[4*k:]))
		case "u2":
			dst[k] = float64(order.Uint16(data[2*k:]))
		case "u1", "b1":
			dst[k] = float64(data[k])
		default:
			return fmt.Errorf("its values are of the type %s, not numbers that are read", i.Kind)
		}
	}
	return nil
}

// Texts reads the contents of a file of texts.
func Texts(data []byte) (Info, []string, error) {
	info, err := parse(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return info, nil, err
	}
	if !info.text() {
		return info, nil, fmt.Errorf("its values are of the type %s, not texts", info.Kind)
	}
	var out []string
	for data = data[info.Offset:]; len(data) > 0; data = data[info.Width:] {
		cell := data[:info.Width]
		if info.Kind[0] == 'S' {
			out = append(out, strings.ToValidUTF8(strings.TrimRight(string(cell), "\x00"), "\ufffd"))
			continue
		}
		var b strings.Builder
		for ; len(cell) > 0; cell = cell[4:] {
			b.WriteRune(rune(info.order().Uint32(cell)))
		}
		out = append(out, strings.TrimRight(b.String(), "\x00"))
	}
	return info, cOrder(info, out), nil
}
