// Package model knows what an ONNX classifier is: which input takes the image
// and how it lies in memory, which tensor holds the logits, whether a Softmax
// follows, what the classes are called, and which preprocessing goes with it.
package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/pin"
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
	H, W       int // image size the input takes, 0 where it leaves it open
	Batch      int // batch size fixed in the file, 0 where it is open
	Output     string
	Logits     string // the tensor before a final Softmax; Output where there is none
	Activation string // "Softmax", "LogSoftmax" or "Sigmoid" between Logits and Output, or ""
	Classes    int    // 0 when the file does not say
	ClassNames []string
	Opset      int64
	Producer   string

	file  *onnx.Model
	edits []string
	head  func() (*Head, error)
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
		err = m.inspect(f, output)
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
	if err := m.findInput(f.Graph.Inputs); err != nil {
		return err
	}
	finder := newFinder(&f.Graph, "")
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
	e := &Model{Name: m.Name, Path: m.Path, SHA256: m.SHA256, Size: m.Size, edits: slices.Clone(m.edits)}
	if edit != "" {
		e.edits = append(e.edits, edit)
	}
	if err := e.inspect(f, m.Output); err != nil {
		return nil, fmt.Errorf("editing model %q: %w", m.Name, err)
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

// findInput takes the one input with four axes as the image.
func (m *Model) findInput(inputs []onnx.Value) error {
	var images []onnx.Value
	var seen []string
	for _, in := range inputs {
		seen = append(seen, in.Name)
		if !in.Ranked || len(in.Dims) == 4 {
			images = append(images, in)
		}
	}
	if len(images) != 1 {
		return fmt.Errorf("it has %d inputs that could be images (inputs: %s); exactly one is needed", len(images), strings.Join(seen, ", "))
	}
	in := images[0]
	m.Input, m.InputType, m.Layout = in.Name, in.Type, imageproc.NCHW
	if !in.Ranked {
		return nil
	}
	size := func(i int) int { return int(max(in.Dims[i].Size, 0)) }
	m.Batch = size(0)
	switch {
	case in.Dims[1].Size == 3 || in.Dims[1].Size < 0 && in.Dims[3].Size != 3:
		m.H, m.W = size(2), size(3)
	case in.Dims[3].Size == 3:
		m.Layout = imageproc.NHWC
		m.H, m.W = size(1), size(2)
	default:
		return fmt.Errorf("input %q has shape %v; neither its second nor its last axis is 3 colour channels", in.Name, in.Dims)
	}
	return nil
}

// findOutput takes the named output or inner tensor. Without a name it takes,
// of the outputs with two axes (images, classes), the first that a linear layer
// makes, or else the first.
func (m *Model) findOutput(f *finder, name string) error {
	var flat []*onnx.Value
	var names []string
	for i := range f.g.Outputs {
		o := &f.g.Outputs[i]
		names = append(names, o.Name)
		float := o.Type == onnx.Float32 || o.Type == onnx.Float16 || o.Type == onnx.Undefined
		shape := !o.Ranked || len(o.Dims) == 2 || len(o.Dims) == 4 && o.Dims[2].Size == 1 && o.Dims[3].Size == 1
		if name == "" && float && shape || name == o.Name {
			flat = append(flat, o)
		}
	}
	switch {
	case len(flat) == 0 && name != "" && f.g.Produces(name): // a tensor inside
		m.Output = name
		return nil
	case len(flat) == 0 && name != "":
		return fmt.Errorf("it has no output %q; its outputs are %s", name, strings.Join(names, ", "))
	case len(flat) == 0:
		return fmt.Errorf("none of its outputs (%s) has the shape images x classes", strings.Join(names, ", "))
	}
	pick := flat[0]
	if len(flat) > 1 {
		for _, o := range flat {
			try := Model{Output: o.Name}
			try.findLogits(f)
			if t, n := f.through(try.Logits, nil); n != nil && f.layer(&Head{}, t, n) == nil {
				pick = o
				break
			}
		}
	}
	m.Output = pick.Name
	if pick.Ranked && len(pick.Dims) >= 2 {
		m.Classes = int(max(pick.Dims[1].Size, 0))
	}
	return nil
}

// findLogits walks back from the output over nodes that change no order of
// values, and past a final Softmax, LogSoftmax or Sigmoid.
func (m *Model) findLogits(f *finder) {
	m.Logits = m.Output
	_, n := f.through(m.Output, nil)
	if n == nil || !standard(n) || len(n.In) == 0 {
		return
	}
	switch n.Op {
	case "Softmax", "LogSoftmax", "Sigmoid":
		m.Activation, m.Logits = n.Op, n.In[0]
	}
}

// readClassNames takes the names from the metadata key "classes": a JSON list,
// or names separated by commas. A list of another length is not of the outputs.
func (m *Model) readClassNames() {
	s, ok := m.file.Meta["classes"]
	if !ok {
		return
	}
	var names []string
	if json.Unmarshal([]byte(s), &names) != nil {
		names = strings.Split(s, ",")
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
	}
	if m.Classes == 0 || len(names) == m.Classes {
		m.ClassNames = names
	}
}

// Default image sizes where neither model nor recipe fixes one.
const defaultSide = 224

// CheckRecipe says what is wrong with a recipe as models.lock has it: a name, or
// JSON.
func CheckRecipe(raw json.RawMessage) error {
	r := imageproc.Standard()
	var name string
	if json.Unmarshal(raw, &name) == nil {
		_, err := imageproc.NamedRecipe(name)
		return err
	}
	found, err := parseRecipe(&r, raw)
	if err == nil && !found {
		err = errors.New("it holds no recipe")
	}
	return err
}

// Recipe resolves the preprocessing of the model before flags are applied, in
// this order: locked, what models.lock says of it (nil for nothing); a JSON file
// beside the model (FILE.json or FILE.onnx.json); the model's metadata; the
// default for its input size. source says which it was.
func (m *Model) Recipe(locked json.RawMessage) (r imageproc.Recipe, source string, err error) {
	r = m.defaultRecipe()
	if locked != nil {
		var name string
		if json.Unmarshal(locked, &name) == nil {
			layout := r.Layout
			if r, err = imageproc.NamedRecipe(name); err != nil {
				return r, "", fmt.Errorf("reading preprocessing of model %q from models.lock: %w", m.Name, err)
			}
			r.Layout = layout
			return r, "models.lock, recipe " + name, nil
		}
		found, err := parseRecipe(&r, locked)
		if err != nil || !found {
			return r, "", fmt.Errorf("reading preprocessing of model %q from models.lock: %w", m.Name, cmp.Or(err, errors.New("it holds no recipe")))
		}
		return r, "models.lock", nil
	}
	if m.Path != "" {
		for _, p := range []string{strings.TrimSuffix(m.Path, ".onnx") + ".json", m.Path + ".json"} {
			data, err := os.ReadFile(p)
			if err != nil {
				continue // most models have none
			}
			found, err := parseRecipe(&r, data)
			if err != nil {
				return r, "", fmt.Errorf("reading preprocessing from %q: %w", p, err)
			}
			if found {
				return r, "file " + filepath.Base(p), nil
			}
		}
	}
	if s, ok := m.file.Meta["recipe"]; ok {
		found, err := parseRecipe(&r, []byte(s))
		if err != nil {
			return r, "", fmt.Errorf("reading preprocessing from the metadata of model %q: %w", m.Name, err)
		}
		if found {
			return r, "ONNX metadata", nil
		}
	}
	both := map[string]json.RawMessage{}
	for _, key := range []string{"mean", "std"} {
		if s, ok := m.file.Meta[key]; ok {
			if !json.Valid([]byte(s)) {
				s = "[" + s + "]" // numbers separated by commas
			}
			both[key] = json.RawMessage(s)
		}
	}
	if len(both) == 2 {
		data, err := json.Marshal(both)
		if err == nil {
			_, err = parseRecipe(&r, data)
		}
		if err != nil {
			return r, "", fmt.Errorf("reading mean and std from the metadata of model %q: %w", m.Name, err)
		}
		return r, "default size, mean and std from ONNX metadata", nil
	}
	return r, "default", nil
}

// defaultRecipe is the stated default: ImageNet statistics; from 128 pixels up
// the shorter side is resized to the input size / 0.875, below to the input size.
func (m *Model) defaultRecipe() imageproc.Recipe {
	r := imageproc.Standard()
	r.Layout = m.Layout
	h, w := m.H, m.W
	if h == 0 || w == 0 {
		h, w = defaultSide, defaultSide
	}
	r.Crop = imageproc.Size{H: h, W: w}
	side := min(h, w)
	switch {
	case h != w:
		r.Fit, r.Resize = imageproc.Squash, r.Crop
	case side >= 128:
		side = side * 8 / 7
		r.Resize = imageproc.Size{H: side, W: side}
	default:
		r.Resize = r.Crop
	}
	return r
}

// recipeFile is the JSON form of a recipe; every key may be left out. Sizes are
// a number, [height, width] or "none". The keys of timm's pretrained_cfg
// (input_size, crop_pct, crop_mode) are understood as well.
type recipeFile struct {
	Resize        *imageproc.Size   `json:"resize"`
	Crop          *imageproc.Size   `json:"crop"`
	Fit           *imageproc.Fit    `json:"fit"`
	Interpolation *imageproc.Filter `json:"interpolation"`
	Mean          []float32         `json:"mean"`
	Std           []float32         `json:"std"`
	Color         *string           `json:"color"`
	Range         *string           `json:"range"`
	Layout        *imageproc.Layout `json:"layout"` // of a recipe in a report; it must be the model's

	InputSize []int    `json:"input_size"` // timm: channels, height, width
	CropPct   *float64 `json:"crop_pct"`
	CropMode  *string  `json:"crop_mode"`
}

// EncodeRecipe is a recipe as metadata and files beside a model hold it: its JSON without
// the layout, which the graph decides.
func EncodeRecipe(r imageproc.Recipe) ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	delete(keys, "layout")
	return json.Marshal(keys)
}

// parseRecipe applies a JSON recipe to r, and says whether it held any.
func parseRecipe(r *imageproc.Recipe, data []byte) (bool, error) {
	if t := bytes.TrimSpace(data); len(t) > 0 && t[0] != '{' && json.Valid(t) {
		return false, nil // JSON about something else
	}
	var f recipeFile
	if err := json.Unmarshal(data, &f); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return false, fmt.Errorf("key %q cannot be a %s; rename the file if it is not about preprocessing", wrong.Field, wrong.Value)
		}
		return false, err
	}
	found := false
	out := *r
	set := func(ok bool, apply func()) {
		if ok {
			found = true
			apply()
		}
	}
	set(len(f.InputSize) == 3, func() {
		out.Crop = imageproc.Size{H: f.InputSize[1], W: f.InputSize[2]}
		out.Resize, out.Fit = out.Crop, imageproc.Squash
		if f.InputSize[1] == f.InputSize[2] && (f.CropMode == nil || *f.CropMode != "squash") {
			out.Fit = imageproc.Shorter
		}
	})
	if f.CropPct != nil && *f.CropPct > 0.01 && *f.CropPct <= 1 && out.Crop != (imageproc.Size{}) {
		// timm: floor(size / crop_pct) on the shorter side
		out.Resize = imageproc.Size{H: int(float64(out.Crop.H) / *f.CropPct), W: int(float64(out.Crop.W) / *f.CropPct)}
		found = true
	}
	set(f.Resize != nil, func() {
		out.Resize = *f.Resize
		if out.Resize.H != out.Resize.W {
			out.Fit = imageproc.Squash
		} else {
			out.Fit = imageproc.Shorter
		}
	})
	set(f.Crop != nil, func() { out.Crop = *f.Crop })
	set(f.Fit != nil, func() { out.Fit = *f.Fit })
	set(f.Interpolation != nil, func() { out.Interpolation = *f.Interpolation })
	for _, v := range []struct {
		name string
		in   []float32
		out  *[3]float32
	}{{"mean", f.Mean, &out.Mean}, {"std", f.Std, &out.Std}} {
		if v.in == nil {
			continue
		}
		if len(v.in) != 3 {
			return false, fmt.Errorf("%s has %d values, not 3", v.name, len(v.in))
		}
		set(true, func() { copy(v.out[:], v.in) })
	}
	if f.Color != nil {
		if !slices.Contains([]string{"rgb", "bgr"}, strings.ToLower(*f.Color)) {
			return false, fmt.Errorf("color %q is not rgb or bgr", *f.Color)
		}
		set(true, func() { out.BGR = strings.EqualFold(*f.Color, "bgr") })
	}
	if f.Range != nil {
		switch *f.Range {
		case "0..1":
			out.Range = 1
		case "0..255":
			out.Range = 255
		default:
			return false, fmt.Errorf("range %q is not 0..1 or 0..255", *f.Range)
		}
		found = true
	}
	if !found {
		return false, nil
	}
	if f.Layout != nil && *f.Layout != out.Layout {
		return false, fmt.Errorf("layout %q is not the model's, %s", *f.Layout, out.Layout)
	}
	if err := out.Validate(); err != nil {
		return false, err
	}
	*r = out
	return true, nil
}
