package results

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// temporary begins the names of files that are not whole yet.
const temporary = ".tmp-"

// atomic makes a file that appears under its name when write has succeeded and,
// where durable, its contents are on the disk.
func atomic(path string, durable bool, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), temporary+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name()) // nothing of it is of use
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if err = write(w); err != nil {
		return err
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if durable {
		if err = f.Sync(); err != nil {
			return err
		}
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil || !durable {
		return err
	}
	d, err := os.Open(filepath.Dir(path)) // the name is to be on the disk too
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && runtime.GOOS != "windows" {
		return err
	}
	return nil
}

func writeFile(path string, data []byte, durable bool) error {
	return atomic(path, durable, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// npyHeader is the header of a .npy file (NEP 1, version 1.0): little-endian
// values in C order, padded so that they begin at a multiple of 64.
func npyHeader(kind string, shape ...int) []byte {
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

var npyForm = regexp.MustCompile(`^\{'descr': '<([a-z][0-9])', 'fortran_order': False, 'shape': \(([0-9]+),(?: ([0-9]+),?)?\), \} *\n$`)

// npyShape reads the header of a .npy file as npyHeader writes it, and checks the
// file's size against it. offset is where the values begin.
func npyShape(r io.ReaderAt, size int64, kind string) (rows, width int, offset int64, err error) {
	var head [10]byte
	if _, err := r.ReadAt(head[:], 0); err != nil || string(head[:8]) != "\x93NUMPY\x01\x00" {
		return 0, 0, 0, fmt.Errorf("it is not a .npy file of version 1")
	}
	offset = 10 + int64(binary.LittleEndian.Uint16(head[8:]))
	text := make([]byte, offset-10)
	if _, err := r.ReadAt(text, 10); err != nil {
		return 0, 0, 0, fmt.Errorf("it is cut off in its header")
	}
	m := npyForm.FindSubmatch(text)
	if m == nil || string(m[1]) != kind {
		return 0, 0, 0, fmt.Errorf("its header %q is not that of <%s rows", text, kind)
	}
	width = 1
	if rows, err = strconv.Atoi(string(m[2])); err == nil && m[3] != nil {
		width, err = strconv.Atoi(string(m[3]))
	}
	each := int64(kind[1] - '0')
	if err != nil || rows > math.MaxInt32 || width > math.MaxInt32 || size-offset != int64(rows)*int64(width)*each {
		return 0, 0, 0, fmt.Errorf("it has %d bytes of values, its header says %s x %s of %d", size-offset, m[2], m[3], each)
	}
	return rows, width, offset, nil
}

// writeFloats writes rows of width values as a .npy file.
func writeFloats(path string, durable bool, width int, values []float32) error {
	return atomic(path, durable, func(w io.Writer) error {
		if _, err := w.Write(npyHeader("f4", len(values)/width, width)); err != nil {
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

// readNpy reads a .npy file whole; rows < 0 is any number of rows.
func readNpy(path, kind string, rows, width int) (data []byte, offset int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	r, w, offset, err := npyShape(f, info.Size(), kind)
	if err == nil && (rows >= 0 && r != rows || w != width) {
		err = fmt.Errorf("it holds %d x %d values, not %d x %d", r, w, rows, width)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", path, err)
	}
	data = make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, offset, nil
}

const selectionName = "selection.npy"

func writeSelection(dir string, at []int, durable bool) error {
	return atomic(filepath.Join(dir, selectionName), durable, func(w io.Writer) error {
		if _, err := w.Write(npyHeader("i8", len(at))); err != nil {
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
	data, offset, err := readNpy(path, "i8", -1, 1)
	if os.IsNotExist(err) {
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
