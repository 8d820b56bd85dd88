package npy

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Array is an array of numbers or of texts.
type Array struct {
	Shape []int
	Data  []float64
	Text  []string // nil where it is one of numbers
}

// Archive is a zip file of texts and arrays, as numpy.load reads the arrays of it.
type Archive struct {
	Texts  map[string][]byte // by file name
	Arrays map[string]Array  // by file name without .npy
}

// Write writes the archive. Equal archives give equal bytes.
func (a Archive) Write(w io.Writer) error {
	z := zip.NewWriter(w)
	add := func(name string, data []byte) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err == nil {
			_, err = f.Write(data)
		}
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(a.Texts)) {
		if err := add(name, a.Texts[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Arrays)) {
		data := Header("f8", a.Arrays[name].Shape...)
		for _, v := range a.Arrays[name].Data {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
		}
		if err := add(name+".npy", data); err != nil {
			return err
		}
	}
	return z.Close()
}

// ReadArchive reads an archive of size bytes, of which at most most are unpacked.
func ReadArchive(r io.ReaderAt, size, most int64) (Archive, error) {
	a := Archive{Texts: map[string][]byte{}, Arrays: map[string]Array{}}
	m, err := Members(r, size)
	if err != nil {
		return a, err
	}
	for _, f := range m.z.File {
		data, err := m.Read(f.Name, most)
		if err != nil {
			return a, err
		}
		most -= int64(len(data))
		name, array := strings.CutSuffix(f.Name, ".npy")
		if !array {
			a.Texts[f.Name] = data
			continue
		}
		if a.Arrays[name], err = Parsed(data); err != nil {
			return a, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return a, nil
}

// Reader reads the members of an archive one by one.
type Reader struct{ z *zip.Reader }

// Members opens an archive of size bytes. Two members of one name are an error.
func Members(r io.ReaderAt, size int64) (Reader, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return Reader{}, errors.New("it is not a zip archive")
	}
	seen := map[string]bool{}
	for _, f := range z.File {
		if seen[f.Name] {
			return Reader{}, fmt.Errorf("it holds two of %s", f.Name)
		}
		seen[f.Name] = true
	}
	return Reader{z}, nil
}

// Names are the members' names, in the order of the file.
func (a Reader) Names() []string {
	var out []string
	for _, f := range a.z.File {
		out = append(out, f.Name)
	}
	return out
}

// Read unpacks a member; one of more than most bytes is an error, and nothing of it is read where
// the archive says so. A member that is not there is nil.
func (a Reader) Read(name string, most int64) ([]byte, error) {
	f := a.member(name)
	if f == nil {
		return nil, nil
	}
	tooLarge := fmt.Errorf("%s is too large: %d bytes, of at most %d", name, f.UncompressedSize64, max(most, 0))
	if f.UncompressedSize64 > uint64(max(most, 0)) {
		return nil, tooLarge
	}
	c, err := f.Open()
	if err != nil {
		return nil, unpacking(name, err)
	}
	defer c.Close()
	data, err := io.ReadAll(io.LimitReader(c, most+1))
	switch {
	case err != nil:
		return nil, unpacking(name, err)
	case int64(len(data)) > most:
		return nil, tooLarge
	}
	return data, nil
}

// Array reads the member name.npy and widens its values, of which nothing is unpacked unless fits
// says that its shape is right. There must be such a member.
func (a Reader) Array(name string, fits func(shape []int) bool) (Array, error) {
	name += ".npy"
	f := a.member(name)
	if f == nil {
		return Array{}, fmt.Errorf("it holds no %s", name)
	}
	c, err := f.Open()
	if err != nil {
		return Array{}, unpacking(name, err)
	}
	defer c.Close()
	in := bufio.NewReaderSize(c, maxHeader)
	head, err := in.Peek(maxHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return Array{}, unpacking(name, err)
	}
	info, err := Parse(bytes.NewReader(head), int64(min(f.UncompressedSize64, math.MaxInt64)))
	if err == nil && info.Width > 8 {
		err = fmt.Errorf("its values are of the type %s, not numbers", info.Kind)
	}
	if err == nil && !fits(info.Shape) {
		err = fmt.Errorf("its shape %v does not fit", info.Shape)
	}
	if err != nil {
		return Array{}, fmt.Errorf("%s: %w", name, err)
	}
	out := Array{Shape: info.Shape, Data: make([]float64, info.Len())}
	if _, err := in.Discard(int(info.Offset)); err != nil {
		return Array{}, unpacking(name, err)
	}
	var buf [1 << 14]byte
	each := info.Width
	for at := 0; at < len(out.Data); {
		n := min(len(buf)/each, len(out.Data)-at)
		if _, err := io.ReadFull(in, buf[:n*each]); err != nil {
			return Array{}, unpacking(name, err)
		}
		if err := info.Widen(out.Data[at:at+n], buf[:]); err != nil {
			return Array{}, fmt.Errorf("%s: %w", name, err)
		}
		at += n
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) { // the checksum is looked at here
		return Array{}, unpacking(name, cmp.Or(err, zip.ErrFormat))
	}
	return out, nil
}

func (a Reader) member(name string) *zip.File {
	i := slices.IndexFunc(a.z.File, func(f *zip.File) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return a.z.File[i]
}

// unpacking says that a member is damaged.
func unpacking(name string, err error) error {
	why := strings.TrimPrefix(err.Error(), "zip: ")
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		why = "it is cut off"
	case errors.Is(err, zip.ErrChecksum):
		why = "its checksum is wrong"
	case errors.Is(err, zip.ErrFormat):
		why = "it is damaged"
	}
	return fmt.Errorf("%s cannot be unpacked: %s", name, why)
}
