// Package predictions reads class scores that another program has computed: TensorRT, TFLite, a
// service. They come as .npy, .npz, CSV, Parquet or JSON, with the names of the images, or in
// their order.
package predictions

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/internal/npy"
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
	Labels     []string  // right classes by row, as names or numbers; nil where the file has none
	// Hard says that the file has class numbers alone: each row is 1 for that class and 0 for
	// the others, which says nothing about confidence.
	Hard bool
}

// Row is the scores of row i, which must not be changed.
func (t *Table) Row(i int) []float32 {
	return t.Scores[i*t.Classes : (i+1)*t.Classes : (i+1)*t.Classes]
}

// maxSize bounds the size of a file: the scores of ImageNet's training images are 5 GB.
const maxSize = 8 << 30

// maxClasses bounds how many classes there may be.
const maxClasses = 1 << 20

// Names of arrays and columns, best first.
var (
	scoreNames = []string{"logits", "scores", "probs", "probabilities", "softmax", "outputs", "output", "predictions", "preds", "y_pred", "pred", "prediction", "arr_0"}
	labelNames = []string{"labels", "label", "targets", "target", "y_true", "y", "gt", "ground_truth", "class", "wnid", "synset", "arr_1"}
	idNames    = []string{"path", "id", "file", "filename", "file_name", "image", "image_id", "imageid", "img", "name", "names", "paths", "files", "filenames", "ids"}
)

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
	t, err := Parse(data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	t.Path, t.Name, t.SHA256, t.Size = path, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), hex.EncodeToString(sum[:]), info.Size()
	return t, nil
}

// Parse reads the contents of a file; its beginning says in which form it is.
func Parse(data []byte) (*Table, error) {
	t := &Table{}
	var err error
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
	case strings.HasPrefix(strings.TrimSpace(head), "[") || strings.HasPrefix(strings.TrimSpace(head), "{"):
		t.Kind = "JSON"
		err = t.json(data)
	default:
		t.Kind = "CSV"
		err = t.csv(data)
	}
	if err != nil {
		return nil, err
	}
	return t, t.check()
}

// check looks at what was read.
func (t *Table) check() error {
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
			return fmt.Errorf("row %d has the score %v; scores must be finite", i/t.Classes+1, v)
		}
	}
	if i, j := twice(t.IDs); i >= 0 {
		return fmt.Errorf("rows %d and %d are of the same image, %q", i+1, j+1, t.IDs[j])
	}
	return nil
}

func twice(ids []string) (int, int) {
	seen := make(map[string]int, len(ids))
	for j, id := range ids {
		if i, ok := seen[id]; ok {
			return i, j
		}
		seen[id] = j
	}
	return -1, -1
}

// array takes an array of scores, n x classes, or of n class numbers.
func (t *Table) array(shape []int, v []float64) error {
	for len(shape) > 2 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	switch {
	case len(shape) == 1:
		return t.hard(v)
	case len(shape) != 2:
		return fmt.Errorf("its array has the shape %v; it must be samples x classes", shape)
	}
	t.N, t.Classes = shape[0], shape[1]
	t.Scores = make([]float32, len(v))
	for i, x := range v {
		t.Scores[i] = float32(x)
	}
	return nil
}

// hard takes class numbers.
func (t *Table) hard(classes []float64) error {
	t.N, t.Hard = len(classes), true
	for i, c := range classes {
		if c != math.Trunc(c) || c < 0 || c >= maxClasses {
			return fmt.Errorf("row %d is %v: with one value per row that must be the number of a class, from 0; scores have a value per class", i+1, c)
		}
		t.Classes = max(t.Classes, int(c)+1)
	}
	if t.N*t.Classes > maxSize/4 {
		return fmt.Errorf("its class numbers go up to %d, too many classes for %d rows", t.Classes-1, t.N)
	}
	t.Scores = make([]float32, t.N*t.Classes)
	for i, c := range classes {
		t.Scores[i*t.Classes+int(c)] = 1
	}
	return nil
}

// Widen is the table with at least so many classes, where it has class numbers alone: the
// last classes may never have been predicted.
func (t *Table) Widen(classes int) *Table {
	if !t.Hard || classes <= t.Classes {
		return t
	}
	out := *t
	out.Classes = classes
	out.Scores = make([]float32, t.N*classes)
	for i := range t.N {
		copy(out.Scores[i*classes:], t.Row(i))
	}
	return &out
}

func (t *Table) npy(data []byte) error {
	info, v, err := npy.Values(data)
	if err != nil {
		return err
	}
	return t.array(info.Shape, v)
}

func (t *Table) npz(data []byte) error {
	a, err := npy.ReadArchive(strings.NewReader(string(data)), int64(len(data)), maxSize)
	if err != nil {
		return err
	}
	var names []string
	for name := range a.Arrays {
		names = append(names, name)
	}
	slices.Sort(names)
	pick := func(known []string, fits func(npy.Array) bool) string {
		for _, want := range known {
			for _, name := range names {
				if strings.EqualFold(name, want) && fits(a.Arrays[name]) {
					return name
				}
			}
		}
		return ""
	}
	scores := pick(scoreNames, func(x npy.Array) bool { return len(x.Shape) == 2 })
	if scores == "" {
		scores = pick(scoreNames, func(x npy.Array) bool { return len(x.Shape) == 1 })
	}
	var tables []string
	for _, name := range names {
		if len(a.Arrays[name].Shape) == 2 {
			tables = append(tables, name)
		}
	}
	if scores == "" && len(tables) == 1 {
		scores = tables[0]
	}
	if scores == "" {
		return fmt.Errorf("none of its arrays (%s) is called logits or scores", strings.Join(names, ", "))
	}
	t.Kind = fmt.Sprintf("array %s of a .npz file", scores)
	if err := t.array(a.Arrays[scores].Shape, a.Arrays[scores].Data); err != nil {
		return err
	}
	if labels := pick(labelNames, func(x npy.Array) bool { return len(x.Shape) == 1 && len(x.Data) == t.N }); labels != "" && labels != scores {
		for i, v := range a.Arrays[labels].Data {
			if v != math.Trunc(v) {
				return fmt.Errorf("label %d of its array %s is %v, no whole number", i+1, labels, v)
			}
			t.Labels = append(t.Labels, fmt.Sprintf("%.0f", v))
		}
	}
	return nil
}
