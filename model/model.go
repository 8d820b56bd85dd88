// Package model knows what an ONNX classifier is: which input takes the image
// and how it lies in memory, which tensor holds the logits, whether a Softmax
// follows, what the classes are called, and which preprocessing goes with it.
package model

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/pin"
	"cutmix-eval/recipes"
)

// Model is an ONNX classifier: what its file says, and the edits that were made
// since. It is not changed after it was made: edits (FreeBatch, Enlarge,
// ReplaceHead, Tap) return another Model, on which further edits can be made. It
// may be used by several goroutines.
type Model struct {
	Name   string // for people: the file's name, or that of an embedded or pinned model
	Path   string // empty for an embedded model
	SHA256 string // of the file, without edits
	Size   int64  // of the file in bytes

	Input      string
	InputType  onnx.Type
	Layout     imageproc.Layout
	Channels   int     // of the image: 1 (grey) or 3
	Flat       []int64 // shape of the sample where it is a vector, such as [784] or [784, 1]; nil for others
	Plane      bool    // the sample is height x width, without an axis for its one channel
	H, W       int     // image size the input takes, 0 where it leaves it open
	Batch      int     // batch size fixed in the file, 0 where it is open
	NoBatch    bool    // there is no batch axis: the input is one image
	Output     string
	Logits     string // the tensor before a final Softmax; Output where there is none
	Activation string // "Softmax", "LogSoftmax" or "Sigmoid" between Logits and Output, or ""
	Classes    int    // 0 when the file does not say
	ClassNames []string
	Opset      int64
	Producer   string

	file      *onnx.Model
	edits     []string
	outputs   []Output
	choice    string
	ambiguous error
	head      func() (*Head, error)
}

// Open reads the ONNX file at path. output names the output with the class
// scores; empty lets it be found.
func Open(path, output string) (*Model, error) {
	data, err := onnx.Read(path)
	if err != nil {
		return nil, fmt.Errorf("opening model: %w", err)
	}
	return read(strings.TrimSuffix(filepath.Base(path), ".onnx"), path, data, output)
}

// OpenPinned is Open for a file that is pinned to a checksum, by the name that it
// is pinned under. The bytes that were read are checked before anything looks at
// them; others give an error that wraps a *pin.MismatchError.
func OpenPinned(name, path, sha256, output string) (*Model, error) {
	data, err := onnx.Read(path)
	if err == nil {
		err = pin.CheckBytes(path, data, sha256)
	}
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", name, err)
	}
	return read(name, path, data, output)
}

// FromBytes is Open for a model without a file of its own.
func FromBytes(name string, data []byte, output string) (*Model, error) {
	return read(name, "", data, output)
}

func read(name, path string, data []byte, output string) (*Model, error) {
	m := &Model{Name: name, Path: path, SHA256: pin.Sum(data), Size: int64(len(data))}
	f, err := onnx.Parse(data)
	if err == nil {
		err = checkOperators(f)
	}
	if err == nil && path != "" {
		err = checkWeights(f, m.Dir())
	}
	if err == nil {
		err = m.inspect(f, output)
	}
	if err == nil {
		m.readFileNames()
	}
	if err != nil {
		return nil, fmt.Errorf("opening model %q: %w", cmp.Or(path, name), err)
	}
	return m, nil
}

// inspect fills in what the graph says, of which output holds the class scores.
func (m *Model) inspect(f *onnx.Model, output string) error {
	m.file, m.Opset, m.Producer = f, f.Opset[""], f.Producer
	m.head = sync.OnceValues(m.findHead)
	finder := newFinder(&f.Graph, "")
	if err := m.findInput(finder); err != nil {
		return err
	}
	if err := m.findOutput(finder, output); err != nil {
		return err
	}
	m.findLogits(finder)
	m.readClassNames()
	return nil
}

// edited is the model with another graph. edit says in words what the edit does to the
// scores; empty where it leaves them as they are.
func (m *Model) edited(f *onnx.Model, edit string) (*Model, error) {
	e := &Model{Name: m.Name, Path: m.Path, SHA256: m.SHA256, Size: m.Size, edits: slices.Clone(m.edits), choice: m.choice, ambiguous: m.ambiguous}
	if edit != "" {
		e.edits = append(e.edits, edit)
	}
	if err := e.inspect(f, m.Output); err != nil {
		return nil, fmt.Errorf("editing model %q: %w", m.Name, err)
	}
	if e.ClassNames == nil && e.Classes == m.Classes {
		e.ClassNames = m.ClassNames // from a file beside it
	}
	return e, nil
}

// File is the parsed file with the edits. It must not be changed.
func (m *Model) File() *onnx.Model { return m.file }

// Data is the model as a file: that which was opened, without a copy, or one with
// the edits, which is made at every call. It must not be changed.
func (m *Model) Data() []byte { return m.file.Bytes() }

// Dir is the folder in which files with external weights lie, empty for an embedded
// model.
func (m *Model) Dir() string {
	if m.Path == "" {
		return ""
	}
	return filepath.Dir(m.Path)
}

// Edits are the edits that can change the scores, in words and in their order, such
// as "enlarge 2"; empty for the file as it is. Together with SHA256 they identify what
// gives the scores. Tap and FreeBatch are none of them: Tap adds outputs, and a freed
// batch is used only where it was seen to give the same scores.
func (m *Model) Edits() string { return strings.Join(m.edits, ", ") }

// Metadata is the value of a key in the file's metadata, empty where there is none.
func (m *Model) Metadata(key string) string { return m.file.Meta[key] }

// readClassNames takes the names from the metadata. A list of another length is not of the
// outputs, but for the two classes of a single output: the negative and the positive one.
func (m *Model) readClassNames() {
	names := recipes.MetadataClasses(m.file.Meta)
	if m.Classes == 0 || len(names) == m.Classes || m.Classes == 1 && len(names) == 2 {
		m.ClassNames = names
	}
}
