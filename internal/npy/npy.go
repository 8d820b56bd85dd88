// Package npy reads and writes numpy's .npy files (NEP 1): little-endian values in C
// order.
package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"cutmix-eval/internal/regular"
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
	Kind   string // f4, f8, i4, i8, u1, i1
	Shape  []int
	Offset int64 // where the values begin
}

// Len is the number of values.
func (i Info) Len() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

var form = regexp.MustCompile(`'descr': *'[<|]([a-z][1248])', *'fortran_order': *(True|False) *, *'shape': *\(([0-9, ]*)\)`)

// maxValues bounds what a header can ask for.
const maxValues = 1 << 33

// Parse reads the header of a file of size bytes, and checks it against the size.
func Parse(r io.ReaderAt, size int64) (Info, error) {
	var head [12]byte
	if n, _ := r.ReadAt(head[:], 0); n < 10 || string(head[:6]) != "\x93NUMPY" {
		return Info{}, errors.New("it is not a .npy file")
	}
	at, n := int64(10), int64(binary.LittleEndian.Uint16(head[8:]))
	if head[6] > 1 {
		at, n = 12, int64(binary.LittleEndian.Uint32(head[8:]))
	}
	if n > 1<<16 || at+n > size {
		return Info{}, errors.New("it is cut off in its header")
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, at); err != nil {
		return Info{}, errors.New("it is cut off in its header")
	}
	m := form.FindSubmatch(text)
	if m == nil {
		return Info{}, fmt.Errorf("its header %q is not understood", text)
	}
	if string(m[2]) == "True" {
		return Info{}, errors.New("its values are in Fortran order; save a C-contiguous copy")
	}
	info := Info{Kind: string(m[1]), Offset: at + n}
	total := int64(1)
	for _, s := range strings.Split(string(m[3]), ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		v, err := strconv.Atoi(s)
		if err != nil || v > maxValues {
			return Info{}, fmt.Errorf("its shape is (%s)", m[3])
		}
		info.Shape = append(info.Shape, v)
		if v > 0 && total > maxValues/int64(v) {
			return Info{}, fmt.Errorf("its shape (%s) is too large", m[3])
		}
		total *= int64(v)
	}
	each := int64(info.Kind[1] - '0')
	if want := total * each; size-info.Offset != want {
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

// Values reads the contents of a file and widens its values.
func Values(data []byte) (Info, []float64, error) {
	info, err := Parse(strings.NewReader(string(data)), int64(len(data)))
	if err != nil {
		return info, nil, err
	}
	data = data[info.Offset:]
	out := make([]float64, info.Len())
	for i := range out {
		switch info.Kind {
		case "f4":
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		case "f8":
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		case "i4":
			out[i] = float64(int32(binary.LittleEndian.Uint32(data[4*i:])))
		case "i8":
			out[i] = float64(int64(binary.LittleEndian.Uint64(data[8*i:])))
		case "u1":
			out[i] = float64(data[i])
		case "i1":
			out[i] = float64(int8(data[i]))
		default:
			return info, nil, fmt.Errorf("its values are of kind %s", info.Kind)
		}
	}
	return info, out, nil
}
