// Package golden finds and reads reference values for tests. They live outside
// the repository, in a folder "shared" beside it (or where CUTMIX_EVAL_SHARED
// points); tests that need them are skipped only where that folder is absent.
package golden

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cutmix-eval/internal/npy"
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

// NPY reads a .npy file of the shared folder.
func NPY(t testing.TB, elem ...string) Array {
	t.Helper()
	data, err := os.ReadFile(Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	info, v, err := npy.Values(data)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Join(elem...), err)
	}
	return Array{info.Shape, v}
}
