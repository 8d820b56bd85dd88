// Package golden finds and reads reference values for tests. They live outside
// the repository, in a folder "shared" beside it (or where CUTMIX_EVAL_SHARED
// points); tests that need them are skipped only where that folder is absent.
package golden

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// Path returns the path of a file of the shared folder, and skips the test
// where that folder does not exist. A folder that exists without the file is a
// failure.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv("CUTMIX_EVAL_SHARED")
	if root == "" {
		_, file, _, _ := runtime.Caller(0)
		root = filepath.Join(filepath.Dir(file), "..", "..", "..", "shared")
	}
	if _, err := os.Stat(root); err != nil {
		t.Skip("the folder with reference values is absent; set CUTMIX_EVAL_SHARED to it")
	}
	p := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("reference values: %v", err)
	}
	return p
}

// JSON reads a JSON file of the shared folder into v.
func JSON(t testing.TB, v any, elem ...string) {
	t.Helper()
	data, err := os.ReadFile(Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", filepath.Join(elem...), err)
	}
}

// Array is the contents of a .npy file: values in C order, widened.
type Array struct {
	Shape []int
	F64   []float64
}

// Rows returns the array's rows as float32; the array must have two axes.
func (a Array) Rows() [][]float32 {
	out := make([][]float32, a.Shape[0])
	c := a.Shape[1]
	for i := range out {
		out[i] = make([]float32, c)
		for j := range out[i] {
			out[i][j] = float32(a.F64[i*c+j])
		}
	}
	return out
}

// Ints returns the values as integers.
func (a Array) Ints() []int {
	out := make([]int, len(a.F64))
	for i, v := range a.F64 {
		out[i] = int(v)
	}
	return out
}

var header = regexp.MustCompile(`'descr': '([^']+)', 'fortran_order': (True|False), 'shape': \(([^)]*)\)`)

// NPY reads a .npy file of the shared folder.
func NPY(t testing.TB, elem ...string) Array {
	t.Helper()
	data, err := os.ReadFile(Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	a, err := parseNPY(data)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Join(elem...), err)
	}
	return a
}

func parseNPY(data []byte) (Array, error) {
	if len(data) < 12 || string(data[:6]) != "\x93NUMPY" {
		return Array{}, fmt.Errorf("not a .npy file")
	}
	at, n := 10, int(binary.LittleEndian.Uint16(data[8:]))
	if data[6] > 1 {
		at, n = 12, int(binary.LittleEndian.Uint32(data[8:]))
	}
	m := header.FindSubmatch(data[at : at+n])
	if m == nil || string(m[2]) == "True" {
		return Array{}, fmt.Errorf("header %q", data[at:at+n])
	}
	var a Array
	total := 1
	for _, s := range strings.Split(string(m[3]), ",") {
		if s = strings.TrimSpace(s); s != "" {
			v, err := strconv.Atoi(s)
			if err != nil {
				return Array{}, err
			}
			a.Shape = append(a.Shape, v)
			total *= v
		}
	}
	r := bytes.NewReader(data[at+n:])
	a.F64 = make([]float64, total)
	var err error
	switch string(m[1]) {
	case "<f4":
		err = widen[float32](r, a.F64)
	case "<f8":
		err = widen[float64](r, a.F64)
	case "<i4":
		err = widen[int32](r, a.F64)
	case "<i8":
		err = widen[int64](r, a.F64)
	case "|u1":
		err = widen[uint8](r, a.F64)
	case "|i1":
		err = widen[int8](r, a.F64)
	default:
		err = fmt.Errorf("type %s", m[1])
	}
	return a, err
}

func widen[T float32 | float64 | int32 | int64 | uint8 | int8](r *bytes.Reader, out []float64) error {
	v := make([]T, len(out))
	if err := binary.Read(r, binary.LittleEndian, v); err != nil {
		return err
	}
	for i, x := range v {
		out[i] = float64(x)
	}
	return nil
}
