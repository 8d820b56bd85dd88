package npy

import (
	"archive/zip"
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
	z, err := zip.NewReader(r, size)
	if err != nil {
		return a, errors.New("it is not a zip archive")
	}
	for _, f := range z.File {
		if f.UncompressedSize64 > uint64(max(most, 0)) {
			return a, fmt.Errorf("%s is too large (%d bytes)", f.Name, f.UncompressedSize64)
		}
		c, err := f.Open()
		if err != nil {
			return a, fmt.Errorf("%s: %w", f.Name, err)
		}
		data, err := io.ReadAll(io.LimitReader(c, most+1))
		_ = c.Close() // only read
		if err == nil && int64(len(data)) > most {
			err = errors.New("it is too large")
		}
		most -= int64(len(data))
		if name, array := strings.CutSuffix(f.Name, ".npy"); err == nil && array {
			a.Arrays[name], err = Parsed(data)
		} else {
			a.Texts[f.Name] = data
		}
		if err != nil {
			return a, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return a, nil
}
