// Package predictions reads class scores that another program has computed: TensorRT, TFLite, a
// service. They come as .npy, .npz, CSV, Parquet or JSON, with the names of the images, or in
// their order. What columns and arrays are, their names and contents say; what is left open is
// refused.
package predictions

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Table is the scores of a model on samples. It is not changed after it was read.
type Table struct {
	Name   string // of the file
	Path   string
	SHA256 string // of the file
	Size   int64  // of the file in bytes
	Kind   string // for people: which form the file had

	N, Classes int
	Scores     []float32 // N x Classes, row-major: logits or probabilities
	IDs        []string  // names of the samples by row; nil: rows are in the order of the data
	Names      []string  // of the classes; nil where the file has none
	// Headers are what the columns of the classes are called, with whatever is before Names, and
	// where these are nil numbers of classes; nil where the file has none.
	Headers []string
	Labels  []string // right classes by row, as names or numbers; nil where the file has none
	// Hard says that the file has predicted classes alone: each row is 1 for that class and 0 for
	// the others, which says nothing about confidence.
	Hard  bool
	Notes []string // what was passed over or assumed
}

// Row is the scores of row i, which must not be changed.
func (t *Table) Row(i int) []float32 {
	return t.Scores[i*t.Classes : (i+1)*t.Classes : (i+1)*t.Classes]
}

// Place names a row for people: its number, from 1, and its image where that is known.
func (t *Table) Place(row int) string { return place("row", row+1, t.IDs, row) }

func place(what string, n int, ids []string, row int) string {
	if row < len(ids) {
		return fmt.Sprintf("%s %d (%s)", what, n, ids[row])
	}
	return fmt.Sprintf("%s %d", what, n)
}

// maxSize bounds the size of a file: the scores of ImageNet's training images are 5 GB.
const maxSize = 8 << 30

// maxClasses bounds how many classes there may be.
const maxClasses = 1 << 20

// Read reads the file at path. Errors name it.
func Read(path string) (*Table, error) {
	t, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("reading predictions from %q: %w", path, err)
	}
	return t, nil
}

func read(path string) (*Table, error) {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, errors.New("there is no such file")
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("it has %d bytes, more than the %d GiB that are read", info.Size(), maxSize>>30)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if data, err = unpacked(data); err != nil {
		return nil, err
	}
	t, err := Parse(data)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(path), ".gz")
	t.Path, t.Name, t.SHA256, t.Size = path, strings.TrimSuffix(name, filepath.Ext(name)), hex.EncodeToString(sum[:]), info.Size()
	return t, nil
}

// unpacked is the contents of a file that may be packed with gzip.
func unpacked(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		return data, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(r, maxSize+1))
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("its gzip is damaged: %w", err)
	case len(data) > maxSize:
		return nil, fmt.Errorf("it unpacks to more than the %d GiB that are read", maxSize>>30)
	}
	return data, nil
}

// others are files that scores come in and that are not read, by how they begin.
var others = map[string]string{
	"\x80":          "a pickle of Python, which only Python can read",
	"\x89HDF":       "HDF5",
	"ARROW1":        "Arrow (Feather)",
	"\x93NUMPY\x00": "a damaged array",
	"%PDF":          "a PDF",
}

const readForms = "save the scores as .npy, .npz, CSV, Parquet or JSON"

// Parse reads the contents of a file; its beginning says in which form it is.
func Parse(data []byte) (*Table, error) {
	t := &Table{}
	var err error
	for start, what := range others {
		if bytes.HasPrefix(data, []byte(start)) {
			return nil, fmt.Errorf("it is %s; %s", what, readForms)
		}
	}
	switch head := string(data[:min(len(data), 6)]); {
	case head == "\x93NUMPY":
		t.Kind = "array"
		err = t.npy(data)
	case strings.HasPrefix(head, "PK"):
		t.Kind = "arrays of a .npz file"
		err = t.npz(data)
	case strings.HasPrefix(head, "PAR1"):
		t.Kind = "Parquet"
		err = t.parquet(data)
	default:
		err = t.text(data)
	}
	if err == nil {
		err = t.finish()
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// finish makes names the same everywhere, and looks at what was read.
func (t *Table) finish() error {
	t.oneHot()
	slashes := false
	for _, id := range t.IDs {
		slashes = slashes || strings.Contains(id, "/")
	}
	for i, id := range t.IDs {
		if id = strings.TrimSpace(id); !slashes {
			id = strings.ReplaceAll(id, `\`, "/") // of Windows
		}
		if id == "" {
			return fmt.Errorf("row %d has no name of an image", i+1)
		}
		t.IDs[i] = id
	}
	switch {
	case t.N == 0:
		return errors.New("it has no rows")
	case t.Classes < 1 || t.Classes > maxClasses:
		return fmt.Errorf("its rows have %d scores; there must be 1 to %d, one for each class", t.Classes, maxClasses)
	case len(t.Scores) != t.N*t.Classes:
		return fmt.Errorf("it has %d scores, not %d x %d", len(t.Scores), t.N, t.Classes)
	case t.IDs != nil && len(t.IDs) != t.N:
		return fmt.Errorf("it has %d names of images for %d rows", len(t.IDs), t.N)
	case t.Labels != nil && len(t.Labels) != t.N:
		return fmt.Errorf("it has %d labels for %d rows", len(t.Labels), t.N)
	case t.Names != nil && len(t.Names) != t.Classes:
		return fmt.Errorf("it names %d classes and has %d scores per row", len(t.Names), t.Classes)
	}
	for i, v := range t.Scores {
		if v != v || math.IsInf(float64(v), 0) {
			return fmt.Errorf("%s has the score %v for %s; scores must be finite numbers of 32 bits", t.Place(i/t.Classes), v, t.className(i%t.Classes))
		}
	}
	if i, j := twice(t.Names); i >= 0 {
		return fmt.Errorf("two of its classes are called %q", t.Names[j])
	}
	if i, j := twice(t.IDs); i >= 0 {
		return fmt.Errorf("rows %d and %d are of the same image, %q", i+1, j+1, t.IDs[j])
	}
	return t.labelAmongScores()
}

// className names a class for people.
func (t *Table) className(k int) string {
	if k < len(t.Names) {
		return t.Names[k]
	}
	return fmt.Sprintf("class %d", k)
}

// labelAmongScores refuses columns without names where exactly one holds whole numbers, as labels or
// numbers of rows are, and all the others fractions.
func (t *Table) labelAmongScores() error {
	if t.Headers != nil || t.Hard || t.N < 3 || t.Classes < 3 {
		return nil
	}
	whole := make([]bool, t.Classes)
	high := make([]bool, t.Classes)
	for k := range t.Classes {
		whole[k] = true
	}
	for i, v := range t.Scores {
		k := i % t.Classes
		whole[k] = whole[k] && v >= 0 && float64(v) == math.Trunc(float64(v))
		high[k] = high[k] || v > 1
	}
	at := slices.Index(whole, true)
	if at < 0 || !high[at] || slices.Contains(whole[at+1:], true) {
		return nil
	}
	return fmt.Errorf("column %d of its scores has whole numbers alone, as labels and numbers of rows are, and the others have not; leave it out, or name the columns (path, label, and the classes)", at+1)
}

func twice(names []string) (int, int) {
	seen := make(map[string]int, len(names))
	for j, name := range names {
		if i, ok := seen[name]; ok {
			return i, j
		}
		seen[name] = j
	}
	return -1, -1
}

// oneHot recognises rows that are 1 for one class and 0 for the others.
func (t *Table) oneHot() {
	if t.Hard || t.Classes < 2 || len(t.Scores) != t.N*t.Classes {
		return
	}
	for i := range t.N {
		ones := 0
		for _, v := range t.Row(i) {
			if v != 0 && v != 1 {
				return
			}
			ones += int(v)
		}
		if ones != 1 {
			return
		}
	}
	t.Hard = true
}
