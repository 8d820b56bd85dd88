package model

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/regular"
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
// the Cast nearest to the use, that of the scale of quantised values, or its own.
func (f *finder) typeOf(name string) onnx.Type {
	for range 8 {
		n := f.maker[name]
		if n == nil || !standard(n) || n.Op == "Constant" || len(n.In) == 0 {
			break
		}
		switch {
		case n.Op == "Cast":
			return onnx.Type(attrInt(n, "to", int64(onnx.Float32)))
		case n.Op == "DequantizeLinear" && len(n.In) > 1:
			name = n.In[1]
		default:
			name = n.In[0]
		}
	}
	if t := f.constant(name); t != nil {
		return t.Type
	}
	return onnx.Float32
}

// resolve follows Constant, Identity, Cast, quantisation and a Transpose of a matrix to
// the tensor with the constant's shape.
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
			return constantOf(n, name), transposed
		case "Identity", "Cast", "DequantizeLinear", "QuantizeLinear":
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

// constantOf is the tensor that a Constant node makes, nil where it is no numbers.
func constantOf(n *onnx.Node, name string) *onnx.Tensor {
	if a, ok := n.Attr("value"); ok {
		return a.Tensor
	}
	if a, ok := n.Attr("value_ints"); ok {
		t := onnx.NewInt64s(name, a.Ints)
		return &t
	}
	if a, ok := n.Attr("value_floats"); ok {
		t := onnx.NewTensor(name, onnx.Float32, []int64{int64(len(a.Floats))}, littleEndian(a.Floats))
		return &t
	}
	if a, ok := n.Attr("value_float"); ok {
		t := onnx.NewTensor(name, onnx.Float32, nil, littleEndian([]float32{a.F}))
		return &t
	}
	return nil
}

// isConstant says whether a tensor depends on no input of the graph: a constant, perhaps
// reshaped.
func (f *finder) isConstant(name string) bool {
	for range 8 {
		n := f.maker[name]
		if f.init[name] != nil || n == nil || len(n.In) == 0 || !reshapesOnly(n) {
			break
		}
		name = n.In[0]
	}
	return f.constant(name) != nil
}

// reshapesOnly says whether a node only gives its values another shape.
func reshapesOnly(n *onnx.Node) bool {
	switch n.Op {
	case "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast":
		return standard(n)
	}
	return false
}

// values computes a constant: of the file, or what Cast, Transpose (of a matrix), reshaping
// and quantisation make of one.
func (f *finder) values(name string) (array, error) { return f.evaluate(name, 8) }

func (f *finder) evaluate(name string, depth int) (array, error) {
	n := f.maker[name]
	switch {
	case f.init[name] != nil || n != nil && standard(n) && n.Op == "Constant":
		t, err := f.stored(name)
		if err != nil {
			return array{}, err
		}
		v, err := t.Float32s()
		return array{dimsOf(t), v}, err
	case depth == 0 || n == nil || !standard(n) || len(n.In) == 0 || n.Out[0] != name:
	case n.Op == "DequantizeLinear":
		return f.dequantizeLinear(n, depth-1)
	case n.Op == "Transpose":
		a, err := f.evaluate(n.In[0], depth-1)
		if err != nil {
			return a, err
		}
		if p, ok := n.Attr("perm"); len(a.dims) != 2 || ok && !slices.Equal(p.Ints, []int64{1, 0}) {
			return a, fmt.Errorf("weight %q of shape %v is transposed", name, a.dims)
		}
		return a.transpose(), nil
	case n.Op == "Cast":
		switch to := onnx.Type(attrInt(n, "to", 0)); to {
		case onnx.Float32, onnx.Float16, onnx.Float64:
			return f.evaluate(n.In[0], depth-1)
		}
	case reshapesOnly(n):
		a, err := f.evaluate(n.In[0], depth-1)
		if err != nil {
			return a, err
		}
		return f.reshaped(a, n), nil
	}
	return array{}, fmt.Errorf("weight %q is not a constant of the file", name)
}

// stored is a tensor of the file with its values, which may lie in another file.
func (f *finder) stored(name string) (*onnx.Tensor, error) {
	t := f.init[name]
	if n := f.maker[name]; t == nil && n != nil && standard(n) && n.Op == "Constant" {
		t = constantOf(n, name)
	}
	if t == nil {
		return nil, fmt.Errorf("weight %q is not a constant of the file", name)
	}
	if len(t.External) > 0 {
		return external(f.dir, t)
	}
	return t, nil
}

func dimsOf(t *onnx.Tensor) []int {
	var dims []int
	for _, d := range t.Dims {
		dims = append(dims, int(d))
	}
	return dims
}

// reshaped gives a constant the shape that a Reshape states in full; from other nodes, or
// another kind of shape, it is a vector, which is what a bias may be.
func (f *finder) reshaped(a array, n *onnx.Node) array {
	if n.Op == "Identity" {
		return a
	}
	dims := []int{len(a.v)}
	if n.Op == "Reshape" && len(n.In) > 1 {
		if shape, ok := f.integers(n.In[1]); ok {
			full, free, size := make([]int, len(shape)), -1, 1
			for i, d := range shape {
				full[i] = int(d)
				switch {
				case d == -1 && free < 0:
					free = i
				case d > 0 && d <= int64(len(a.v)):
					size *= int(d)
				default:
					return array{dims, a.v}
				}
				if size > len(a.v) {
					return array{dims, a.v}
				}
			}
			if free >= 0 {
				full[free] = len(a.v) / size
				size *= full[free]
			}
			if size == len(a.v) {
				dims = full
			}
		}
	}
	return array{dims, a.v}
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
	file, err := regular.Open(filepath.Join(dir, filepath.FromSlash(location)))
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
