package model

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"cutmix-eval/internal/onnx"
)

// array is a constant as float32.
type array struct {
	dims []int
	v    []float32
}

func (a array) transpose() array {
	r, c := a.dims[0], a.dims[1]
	out := array{[]int{c, r}, make([]float32, len(a.v))}
	for i := range r {
		for j := range c {
			out.v[j*r+i] = a.v[i*c+j]
		}
	}
	return out
}

// constant returns the tensor behind a name, through nodes that only rename or
// retype it, or nil.
func (f *finder) constant(name string) *onnx.Tensor {
	t, _ := f.resolve(name)
	return t
}

// typeOf is the element type a constant has where the graph uses it: that of
// the Cast nearest to the use, or its own.
func (f *finder) typeOf(name string) onnx.Type {
	for range 8 {
		n := f.maker[name]
		if n == nil || !standard(n) || n.Op == "Constant" || len(n.In) == 0 {
			break
		}
		if n.Op == "Cast" {
			return onnx.Type(attrInt(n, "to", int64(onnx.Float32)))
		}
		name = n.In[0]
	}
	if t := f.constant(name); t != nil {
		return t.Type
	}
	return onnx.Float32
}

// resolve follows Constant, Identity, Cast and a Transpose of a matrix.
func (f *finder) resolve(name string) (t *onnx.Tensor, transposed bool) {
	for range 8 {
		if t := f.init[name]; t != nil {
			return t, transposed
		}
		n := f.maker[name]
		if n == nil || !standard(n) {
			return nil, false
		}
		switch n.Op {
		case "Constant":
			if a, ok := n.Attr("value"); ok {
				return a.Tensor, transposed
			}
			if a, ok := n.Attr("value_ints"); ok {
				t := onnx.NewInt64s(name, a.Ints)
				return &t, transposed
			}
			if a, ok := n.Attr("value_floats"); ok {
				t := onnx.NewTensor(name, onnx.Float32, []int64{int64(len(a.Floats))}, littleEndian(a.Floats))
				return &t, transposed
			}
			return nil, false
		case "Identity", "Cast":
		case "Transpose":
			if a, ok := n.Attr("perm"); ok && !slices.Equal(a.Ints, []int64{1, 0}) {
				return nil, false
			}
			transposed = !transposed
		default:
			return nil, false
		}
		if len(n.In) == 0 {
			return nil, false
		}
		name = n.In[0]
	}
	return nil, false
}

func (f *finder) values(name string) (array, error) {
	t, transposed := f.resolve(name)
	if t == nil {
		return array{}, fmt.Errorf("weight %q is not a constant of the file", name)
	}
	if len(t.External) > 0 {
		loaded, err := external(f.dir, t)
		if err != nil {
			return array{}, err
		}
		t = loaded
	}
	v, err := t.Float32s()
	if err != nil {
		return array{}, err
	}
	a := array{v: v}
	for _, d := range t.Dims {
		a.dims = append(a.dims, int(d))
	}
	if transposed {
		if len(a.dims) != 2 {
			return array{}, fmt.Errorf("weight %q of shape %v is transposed", name, a.dims)
		}
		a = a.transpose()
	}
	return a, nil
}

// external reads the values of a tensor from the file in the model's folder that holds them.
func external(dir string, t *onnx.Tensor) (*onnx.Tensor, error) {
	location := t.External["location"]
	if !filepath.IsLocal(filepath.FromSlash(location)) {
		return nil, fmt.Errorf("tensor %q lies in %q, outside the model's folder", t.Name, location)
	}
	n, err := t.Len()
	if err != nil {
		return nil, err
	}
	size := int64(n) * t.Type.Size()
	if t.Type.Size() == 0 {
		return nil, fmt.Errorf("tensor %q of type %v lies in an external file", t.Name, t.Type)
	}
	number := func(key string, def int64) (int64, error) {
		if t.External[key] == "" {
			return def, nil
		}
		return strconv.ParseInt(t.External[key], 10, 64)
	}
	offset, err := number("offset", 0)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: offset: %w", t.Name, err)
	}
	length, err := number("length", size)
	if err != nil || length != size {
		return nil, fmt.Errorf("tensor %q has %d bytes in %q, its shape %v needs %d", t.Name, length, location, t.Dims, size)
	}
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(location)))
	if err != nil {
		return nil, fmt.Errorf("tensor %q: external data: %w", t.Name, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || offset < 0 || info.Size()-offset < size {
		return nil, fmt.Errorf("tensor %q: %q is too short for %d bytes at %d", t.Name, location, size, offset)
	}
	out := *t
	out.External, out.Raw = nil, make([]byte, size)
	if _, err := file.ReadAt(out.Raw, offset); err != nil {
		return nil, fmt.Errorf("tensor %q: external data: %w", t.Name, err)
	}
	return &out, nil
}

// integers returns a constant int64 or int32 tensor.
func (f *finder) integers(name string) ([]int64, bool) {
	t := f.constant(name)
	if t == nil {
		return nil, false
	}
	return t.Int64s()
}
