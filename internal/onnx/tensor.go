package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"cutmix-eval/internal/float16"

	"google.golang.org/protobuf/encoding/protowire"
)

// Tensor is an initializer or a constant. Tensors are made by Parse, NewTensor
// and NewInt64s.
type Tensor struct {
	Name     string
	Type     Type
	Dims     []int64
	Raw      []byte // little-endian values, when stored so
	External map[string]string
	fields   []field // typed data, when stored so

	msg []byte // encoded
}

type field struct {
	num  protowire.Number
	data []byte // packed values, or one value
}

// ErrExternal is wrapped by errors about tensors whose values lie in another file.
var ErrExternal = errors.New("its values are in an external file")

// Len is the number of elements, an error if the shape is absurd.
func (t *Tensor) Len() (int, error) {
	n := int64(1)
	for _, d := range t.Dims {
		if d < 0 || d > 0 && n > math.MaxInt32/d {
			return 0, fmt.Errorf("tensor %q has shape %v", t.Name, t.Dims)
		}
		n *= d
	}
	return int(n), nil
}

// Float32s returns the values of a float32, float16 or float64 tensor.
func (t *Tensor) Float32s() ([]float32, error) {
	n, err := t.Len()
	if err != nil {
		return nil, err
	}
	if len(t.External) > 0 {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, ErrExternal)
	}
	size := map[Type]int{Float32: 4, Float16: 2, Float64: 8}[t.Type]
	if size == 0 {
		return nil, fmt.Errorf("tensor %q holds %v, not floats", t.Name, t.Type)
	}
	raw := t.Raw
	if raw == nil {
		var err error
		if raw, err = t.packed(); err != nil {
			return nil, err
		}
	}
	if len(raw) != n*size {
		return nil, fmt.Errorf("tensor %q has %d bytes of values, its shape %v needs %d", t.Name, len(raw), t.Dims, n*size)
	}
	out := make([]float32, n)
	for i := range out {
		switch t.Type {
		case Float32:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		case Float16:
			out[i] = float16.Widen(binary.LittleEndian.Uint16(raw[2*i:]))
		case Float64:
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
		}
	}
	return out, nil
}

// Int64s returns the values of a small int64 or int32 tensor, and whether it is
// one.
func (t *Tensor) Int64s() ([]int64, bool) {
	n, err := t.Len()
	if err != nil || n > 1<<16 || len(t.External) > 0 || t.Type != Int64 && t.Type != Int32 {
		return nil, false
	}
	var out []int64
	switch {
	case t.Raw == nil:
		for _, f := range t.fields {
			for b := f.data; len(b) > 0; {
				v, size := protowire.ConsumeVarint(b)
				if size < 0 {
					return nil, false
				}
				out = append(out, int64(v))
				b = b[size:]
			}
		}
	case t.Type == Int64 && len(t.Raw) == 8*n:
		for i := range n {
			out = append(out, int64(binary.LittleEndian.Uint64(t.Raw[8*i:])))
		}
	case t.Type == Int32 && len(t.Raw) == 4*n:
		for i := range n {
			out = append(out, int64(int32(binary.LittleEndian.Uint32(t.Raw[4*i:]))))
		}
	}
	return out, len(out) == n
}

// True says whether the tensor is the one bool true.
func (t *Tensor) True() bool {
	if n, err := t.Len(); err != nil || n != 1 || t.Type != Bool {
		return false
	}
	data := t.Raw
	for _, f := range t.fields {
		data = f.data // a varint
	}
	return len(data) == 1 && data[0] == 1
}

// packed returns typed data in the form of Raw.
func (t *Tensor) packed() ([]byte, error) {
	var out []byte
	for _, f := range t.fields {
		switch {
		case f.num == 4 && t.Type == Float32, f.num == 10 && t.Type == Float64:
			out = append(out, f.data...)
		case f.num == 5 && t.Type == Float16: // one varint per half
			for b := f.data; len(b) > 0; {
				v, n := protowire.ConsumeVarint(b)
				if n < 0 {
					return nil, malformed(n)
				}
				out = binary.LittleEndian.AppendUint16(out, uint16(v))
				b = b[n:]
			}
		}
	}
	return out, nil
}

func parseTensor(data []byte) (Tensor, error) {
	t := Tensor{msg: data}
	err := each(data, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			return v.numbers(protowire.VarintType, func(n uint64) { t.Dims = append(t.Dims, int64(n)) })
		case 2:
			t.Type = Type(v.n)
		case 4, 5, 7, 10:
			b := v.b
			if v.typ != protowire.BytesType { // one value, not packed
				b = v.raw
			}
			t.fields = append(t.fields, field{num, b})
		case 8:
			t.Name = string(v.b)
		case 9:
			t.Raw = v.b
		case 13:
			key, val, err := pair(v.b)
			if t.External == nil {
				t.External = map[string]string{}
			}
			t.External[string(key.b)] = string(val.b)
			return err
		}
		return nil
	})
	return t, err
}
