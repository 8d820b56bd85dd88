package results

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/npy"
	"cutmix-eval/internal/regular"
)

// save writes a file whole, and to the disk where it is durable.
func save(path string, durable bool, write func(io.Writer) error) error {
	if durable {
		return atomicfile.Save(path, write)
	}
	return atomicfile.SaveUnsynced(path, write)
}

// writeFloats writes rows of width values as a .npy file.
func writeFloats(path string, durable bool, width int, values []float32) error {
	return save(path, durable, func(w io.Writer) error {
		if _, err := w.Write(npy.Header("f4", len(values)/width, width)); err != nil {
			return err
		}
		var buf [4096]byte
		for len(values) > 0 {
			n := min(len(values), len(buf)/4)
			for i, v := range values[:n] {
				binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
			}
			if _, err := w.Write(buf[:4*n]); err != nil {
				return err
			}
			values = values[n:]
		}
		return nil
	})
}

// SaveArray writes rows of width values as a .npy file, on the disk when it returns.
func SaveArray(path string, width int, values []float32) error {
	return writeFloats(path, true, width, values)
}

// floats reads rows of width values from a .npy file.
func floats(path string, rows, width int) ([]float32, error) {
	data, offset, err := readNpy(path, "f4", rows, width)
	if err != nil {
		return nil, err
	}
	data = data[offset:]
	out := make([]float32, rows*width)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out, nil
}

// maxArray bounds the files of a part, in bytes.
const maxArray = 8 << 30

// readNpy reads a .npy file of the kind whole; rows < 0 is any number of rows, width 0
// no second axis.
func readNpy(path, kind string, rows, width int) (data []byte, offset int64, err error) {
	data, err = regular.Read(path, maxArray)
	if err != nil {
		return nil, 0, err
	}
	info, err := npy.Parse(bytes.NewReader(data), int64(len(data)))
	shape := []int{rows}
	if width > 0 {
		shape = append(shape, width)
	}
	if err == nil && rows < 0 && len(info.Shape) > 0 {
		shape[0] = info.Shape[0]
	}
	if err == nil && (info.Kind != kind || !slices.Equal(info.Shape, shape)) {
		err = fmt.Errorf("it holds values of kind %s, %v of them, not %s, %v", info.Kind, info.Shape, kind, shape)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, info.Offset, nil
}

const selectionName = "selection.npy"

func writeSelection(dir string, at []int, durable bool) error {
	return save(filepath.Join(dir, selectionName), durable, func(w io.Writer) error {
		if _, err := w.Write(npy.Header("i8", len(at))); err != nil {
			return err
		}
		var b [8]byte
		for _, v := range at {
			binary.LittleEndian.PutUint64(b[:], uint64(v))
			if _, err := w.Write(b[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// readSelection returns nil where all n samples are meant.
func readSelection(dir string, n int) ([]int, error) {
	path := filepath.Join(dir, selectionName)
	data, offset, err := readNpy(path, "i8", -1, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data = data[offset:]
	at := make([]int, len(data)/8)
	last := -1
	for i := range at {
		v := int64(binary.LittleEndian.Uint64(data[8*i:]))
		if v <= int64(last) || v >= int64(n) {
			return nil, fmt.Errorf("reading %s: sample %d is out of order or beyond the %d there are", path, v, n)
		}
		at[i] = int(v)
		last = at[i]
	}
	return at, nil
}
