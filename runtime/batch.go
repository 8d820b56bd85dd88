package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	goruntime "runtime"
	"slices"
	"unsafe"

	"cutmix-eval/internal/onnx"

	ort "github.com/yalue/onnxruntime_go"
)

// Batch is the memory of one run: an input tensor that images are written into
// and output tensors that are read in place. Make it once, use it again and
// again, and Close it. One goroutine at a time, except that different slots may
// be filled at once.
type Batch struct {
	N    int // slots
	s    *Session
	item int // values of one image

	input  []float32
	half   []byte // the input as float16, when the model takes that
	pinner goruntime.Pinner
	outs   []output
	full   []ort.Value // input and outputs over all slots
}

type output struct {
	item int
	data []float32
}

// NewBatch makes a batch of n slots; a model with a fixed batch size gets that
// size whatever n is.
func (s *Session) NewBatch(n int) (*Batch, error) {
	if s.Fixed > 0 {
		n = s.Fixed
	}
	b := &Batch{N: n, s: s, item: s.itemSize()}
	if err := b.allocateInput(s.Input); err != nil {
		return nil, err
	}
	for _, t := range s.Outputs {
		o := output{item: 1}
		for _, d := range t.Shape[1:] {
			o.item *= int(d)
		}
		o.data = make([]float32, n*o.item)
		if len(o.data) == 0 {
			return nil, fmt.Errorf("output %q has shape %v: it is empty", t.Name, t.Shape)
		}
		b.pinner.Pin(&o.data[0])
		b.outs = append(b.outs, o)
	}
	values, err := b.values(n)
	if err != nil {
		b.Close()
		return nil, err
	}
	b.full = values
	return b, nil
}

func (b *Batch) allocateInput(t Tensor) error {
	if b.N <= 0 || b.item <= 0 {
		return fmt.Errorf("a batch of %d images of %d values", b.N, b.item)
	}
	b.input = make([]float32, b.N*b.item)
	if t.Type == onnx.Float16 {
		b.half = make([]byte, 2*len(b.input))
		b.pinner.Pin(&b.half[0])
	} else {
		b.pinner.Pin(&b.input[0])
	}
	return nil
}

// Size is the number of slots.
func (b *Batch) Size() int { return b.N }

// Input is where the tensor of image i goes.
func (b *Batch) Input(_, i int) []float32 { return b.input[i*b.item : (i+1)*b.item : (i+1)*b.item] }

// Output is what the last run gave for image i, for the k-th output that was
// asked for: float32 values in the axis order of Session.Outputs[k].Shape without
// its first axis, row-major. It is valid until the next run.
func (b *Batch) Output(k, i int) []float32 {
	o := b.outs[k]
	return o.data[i*o.item : (i+1)*o.item : (i+1)*o.item]
}

// view makes an input tensor over the first n slots.
func (b *Batch) view(t Tensor, n int) (ort.Value, error) {
	return tensor(t, n, b.item, b.input, b.half)
}

func tensor(t Tensor, n, item int, data []float32, half []byte) (ort.Value, error) {
	shape := slices.Clone(t.Shape)
	shape[0] = int64(n)
	if half != nil {
		v, err := ort.NewCustomDataTensor(ort.NewShape(shape...), half[:2*n*item], ort.TensorElementDataTypeFloat16)
		if err != nil {
			return nil, clean(err)
		}
		return v, nil
	}
	v, err := ort.NewTensor(ort.NewShape(shape...), data[:n*item])
	if err != nil {
		return nil, clean(err)
	}
	return v, nil
}

// values makes the tensors of a run over the first n slots: the input, then
// the outputs.
func (b *Batch) values(n int) ([]ort.Value, error) {
	in, err := b.view(b.s.Input, n)
	if err != nil {
		return nil, err
	}
	out := []ort.Value{in}
	for i, o := range b.outs {
		v, err := tensor(b.s.Outputs[i], n, o.item, o.data, nil)
		if err != nil {
			destroy(out)
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func destroy(values []ort.Value) {
	for _, v := range values {
		_ = v.Destroy()
	}
}

// Run computes the outputs of the first n images. Batches of one session must
// not run at the same time. It returns ctx's error
// if ctx ended first; by then the run has stopped.
func (b *Batch) Run(ctx context.Context, n int) error {
	if n < 1 || n > b.N {
		panic(fmt.Sprintf("runtime: Run of %d images in a batch of %d", n, b.N))
	}
	if b.half != nil {
		for i, v := range b.input[:n*b.item] {
			binary.LittleEndian.PutUint16(b.half[2*i:], onnx.ToFloat16(v))
		}
	}
	values := b.full
	if n < b.N && b.s.Fixed == 0 {
		var err error
		if values, err = b.values(n); err != nil {
			return err
		}
		defer destroy(values)
	}
	err := b.s.call(ctx, values[:1], values[1:])
	goruntime.KeepAlive(b)
	return err
}

// Bytes is the memory that the batch holds.
func (b *Batch) Bytes() int {
	n := len(b.input)*int(unsafe.Sizeof(float32(0))) + len(b.half)
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
