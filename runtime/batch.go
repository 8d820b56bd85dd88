package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"

	"cutmix-eval/internal/onnx"

	ort "github.com/yalue/onnxruntime_go"
)

// Batch is the memory of one run: input tensors that samples are written into
// and output tensors that are read in place. Make it once, use it again and
// again, and Close it. One goroutine at a time, except that different slots may
// be filled at once.
type Batch struct {
	N int // slots

	s      *Session
	inputs []input
	outs   []output
	pinner goruntime.Pinner
	full   []ort.Value // inputs and outputs over all slots
}

// input is the memory of an input.
type input struct {
	Tensor
	item int // values per slot, or of a Whole input
	data []float32
	raw  []byte // data in the input's own type; nil where that is float32
}

type output struct {
	item int
	data []float32
}

// NewBatch makes a batch of n slots; a model with a fixed batch size gets that
// size whatever n is. All inputs are 0.
func (s *Session) NewBatch(n int) (*Batch, error) {
	if s.Fixed > 0 {
		n = s.Fixed
	}
	if err := s.room(n); err != nil {
		return nil, err
	}
	b, err := s.inputBatch(n)
	if err != nil {
		return nil, err
	}
	for _, t := range s.Outputs {
		o := output{item: t.item()}
		o.data = make([]float32, n*o.item)
		if len(o.data) == 0 {
			b.free()
			return nil, fmt.Errorf("output %q has shape %v: it is empty", t.Name, t.Shape)
		}
		b.pinner.Pin(&o.data[0])
		b.outs = append(b.outs, o)
	}
	if b.full, err = b.values(n); err != nil {
		b.free()
		return nil, err
	}
	return b, nil
}

// room says whether a batch of n slots is small enough.
func (s *Session) room(n int) error {
	slot := int64(0) // bytes
	for _, t := range s.Inputs {
		if !t.Whole {
			slot += int64(t.item()) * (4 + t.Type.Size())
		}
	}
	for _, t := range s.Outputs {
		slot += 4 * int64(t.item())
	}
	most := maxBatch / max(slot, 1)
	if int64(n) <= most {
		return nil
	}
	if s.Fixed > 0 {
		return fmt.Errorf("model %q insists on batches of %d, which would take more than %d GiB; export it with an open batch axis, or one of size 1",
			s.name, n, maxBatch>>30)
	}
	if most == 0 {
		return fmt.Errorf("model %q: one image with its outputs would take more than %d GiB", s.name, maxBatch>>30)
	}
	return fmt.Errorf("batches of %d would take more than %d GiB: give --batch %d or less", n, maxBatch>>30, most)
}

// inputBatch makes a batch that has no memory for outputs.
func (s *Session) inputBatch(n int) (*Batch, error) {
	b := &Batch{N: n, s: s}
	for _, t := range s.Inputs {
		in := input{Tensor: t, item: t.item()}
		size := in.item
		if !t.Whole {
			size *= n
		}
		if size <= 0 {
			b.free()
			return nil, fmt.Errorf("input %q of a batch of %d samples: shape %v is empty", t.Name, n, t.Shape)
		}
		in.data = make([]float32, size)
		if t.Type == onnx.Float32 {
			b.pinner.Pin(&in.data[0])
		} else {
			in.raw = make([]byte, int64(size)*t.Type.Size())
			b.pinner.Pin(&in.raw[0])
		}
		b.inputs = append(b.inputs, in)
	}
	return b, nil
}

// Size is the number of slots.
func (b *Batch) Size() int { return b.N }

// Input is where slot i of the k-th input of Session.Inputs is written, in the
// axis order of its Shape without the first axis, row-major. Of a Whole input it
// is the whole tensor, whatever i is.
//
// Values are float32 whatever the input's type is, and become that type when
// the batch runs: float16 by rounding to nearest, integers by rounding to
// nearest, ties to even, and by saturation (NaN is 0), bool by comparing with 0.
// Integers beyond 2^24 are thus not all exact.
func (b *Batch) Input(k, i int) []float32 {
	in := &b.inputs[k]
	if in.Whole {
		return in.data
	}
	return in.data[i*in.item : (i+1)*in.item : (i+1)*in.item]
}

// Output is what the last run gave for slot i, for the k-th output that was
// asked for: float32 values in the axis order of Session.Outputs[k].Shape without
// its first axis, row-major. It is valid until the next run.
func (b *Batch) Output(k, i int) []float32 {
	o := b.outs[k]
	return o.data[i*o.item : (i+1)*o.item : (i+1)*o.item]
}

// pack writes the first n slots in the inputs' own types.
func (b *Batch) pack(n int) {
	for _, in := range b.inputs {
		if in.raw == nil {
			continue
		}
		used := in.data
		if !in.Whole {
			used = used[:n*in.item]
		}
		packers[in.Type](in.raw, used)
	}
}

// values makes the tensors of a run over the first n slots: the inputs, then the
// outputs.
func (b *Batch) values(n int) ([]ort.Value, error) {
	var out []ort.Value
	add := func(v ort.Value, err error) error {
		if err != nil {
			destroy(out)
			return clean(err)
		}
		out = append(out, v)
		return nil
	}
	for _, in := range b.inputs {
		shape := in.over(n)
		var err error
		if in.raw == nil {
			err = add(ort.NewTensor(shape, in.data))
		} else {
			size := shape.FlattenedSize() * in.Type.Size()
			// The numbers of element types are those of ONNX.
			err = add(ort.NewCustomDataTensor(shape, in.raw[:size], ort.TensorElementDataType(in.Type)))
		}
		if err != nil {
			return nil, err
		}
	}
	for k, o := range b.outs {
		if err := add(ort.NewTensor(b.s.Outputs[k].over(n), o.data)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// over is the shape of a tensor of n samples. Scalars are vectors of one value, for the
// wrapper has no scalars of every type.
func (t Tensor) over(n int) ort.Shape {
	shape := slices.Clone(t.Shape)
	switch {
	case len(shape) == 0:
		shape = []int64{1}
	case t.Bare:
		shape = shape[1:]
	case !t.Whole:
		shape[0] = int64(n)
	}
	return shape
}

func destroy(values []ort.Value) {
	for _, v := range values {
		_ = v.Destroy()
	}
}

// Run computes the outputs of the first n slots. Batches of one session must
// not run at the same time. It returns ctx's error
// if ctx ended first; by then the run has stopped.
func (b *Batch) Run(ctx context.Context, n int) error {
	if n < 1 || n > b.N {
		panic(fmt.Sprintf("runtime: Run of %d samples in a batch of %d", n, b.N))
	}
	b.pack(n)
	values := b.full
	if n < b.N && b.s.Fixed == 0 {
		var err error
		if values, err = b.values(n); err != nil {
			return err
		}
		defer destroy(values)
	}
	k := len(b.inputs)
	err := b.s.call(ctx, values[:k], values[k:])
	goruntime.KeepAlive(b)
	return err
}

// Bytes is the memory that the batch holds.
func (b *Batch) Bytes() int {
	n := 0
	for _, in := range b.inputs {
		n += 4*len(in.data) + len(in.raw)
	}
	for _, o := range b.outs {
		n += 4 * len(o.data)
	}
	return n
}

func (b *Batch) free() {
	destroy(b.full)
	b.full = nil
	b.pinner.Unpin()
}

// Close frees the batch's tensors. It may be called more than once.
func (b *Batch) Close() error {
	b.free()
	return nil
}
