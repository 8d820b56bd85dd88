package runtime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/scratch"

	ort "github.com/yalue/onnxruntime_go"
)

// Tensor describes an input or output of a model: -1 stands for the batch axis,
// which comes first.
type Tensor struct {
	Name  string
	Type  onnx.Type
	Shape []int64
	Whole bool // of an input: one tensor for all samples of a run, without a batch axis
	// Bare says of an output of a model that takes one sample per run that it is made without
	// the first axis.
	Bare bool
}

func (t Tensor) String() string {
	dims := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		dims[i] = "n"
		if d >= 0 {
			dims[i] = fmt.Sprint(d)
		}
	}
	return fmt.Sprintf("%s %v [%s]", t.Name, t.Type, strings.Join(dims, "x"))
}

// item is the number of values per sample, or of a Whole tensor.
func (t Tensor) item() int {
	n := int64(1)
	for _, d := range t.Shape {
		if d >= 0 {
			n *= d
		}
	}
	return int(n)
}

// Source is a model to run.
type Source struct {
	Name  string // for messages
	Dir   string // folder of files with external weights; empty where there can be none
	Model *onnx.Model
}

// Input says what is filled in for an input of a model.
type Input struct {
	Name string // empty: the model's only input
	// Shape is the size of one sample, without the batch axis; of a Whole input,
	// the size of all. It settles what the model leaves open.
	Shape []int64
	Whole bool // one tensor for all samples of a run, without a batch axis, such as a weight
}

// Options choose how a model runs.
type Options struct {
	Device  Device
	Threads int      // of the CPU device, for one operator; 0 means all cores
	Inputs  []Input  // all inputs of the model, in any order
	Outputs []string // tensors to compute, in this order: outputs, or any inside
	Single  bool     // the model takes one sample per run: its inputs, all Whole, have no batch axis
}

// Session runs one model on one device. Its methods must not be called from
// several goroutines at once.
type Session struct {
	Inputs    []Tensor // in the order of Options, with open axes other than the batch settled
	Outputs   []Tensor // in the order of Options, as found in a first run; float32
	Fixed     int      // the batch size that the model insists on, 0 if any will do
	Device    Device
	Threads   int
	Placement map[string]int // nodes by provider; nil on the CPU

	name string
	s    *ort.DynamicAdvancedSession
	run  *ort.RunOptions
}

// Open loads a model and runs it once on zeros, so that a device which does not
// start, a shape that does not fit and an operator that is missing are found
// here. Load or Ensure must have been called.
func Open(ctx context.Context, src Source, o Options) (*Session, error) {
	if Loaded().Path == "" {
		panic("runtime: Open before Load")
	}
	fail := func(err error) error { return fmt.Errorf("opening model %q: %w", src.Name, err) }
	if o.Threads <= 0 {
		o.Threads = goruntime.GOMAXPROCS(0)
	}
	s := &Session{Device: o.Device, Threads: o.Threads, name: src.Name}
	var err error
	if s.Inputs, s.Fixed, err = settle(src.Model.Graph.Inputs, o.Inputs); err != nil {
		return nil, fail(err)
	}
	if o.Single {
		s.Fixed = 1
	}
	l, err := newLoader(src, o, s.Inputs)
	if err != nil {
		return nil, fail(err)
	}
	if o.Device.Name != "cpu" {
		if s.Placement, err = tryDevice(ctx, l, s); err != nil {
			return nil, err
		}
	}
	if s.s, err = l.open(""); err != nil {
		return nil, err
	}
	if s.run, err = ort.NewRunOptions(); err != nil {
		s.Close()
		return nil, clean(err)
	}
	probe := 2
	if s.Fixed > 0 {
		probe = s.Fixed
	}
	if s.Outputs, err = s.first(ctx, o.Outputs, probe); err != nil && s.Fixed == 0 && ctx.Err() == nil {
		// Some exporters call the batch axis open and write 1 into the graph.
		two := err
		if s.Outputs, err = s.first(ctx, o.Outputs, 1); err != nil {
			err = two
		}
		s.Fixed = 1
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// tryDevice runs the model once with profiling and reports which provider ran
// how many nodes. That nothing ran on the device is an error.
func tryDevice(ctx context.Context, l *loader, as *Session) (map[string]int, error) {
	dir, err := scratch.Dir("model")
	if err != nil {
		return nil, err
	}
	defer scratch.Remove(dir)
	prefix := filepath.Join(dir, "profile")
	t := *as
	if t.s, err = l.open(prefix); err != nil {
		return nil, err
	}
	if t.run, err = ort.NewRunOptions(); err != nil {
		t.Close()
		return nil, clean(err)
	}
	_, err = t.first(ctx, l.o.Outputs, max(t.Fixed, 1))
	t.Close() // writes the profile
	if err != nil {
		return nil, err
	}
	nodes, err := placement(prefix)
	if err != nil {
		return nil, l.o.Device.notStarted(err)
	}
	if nodes[provider[l.o.Device.Name]] == 0 {
		return nil, l.o.Device.notStarted(fmt.Errorf("none of the model's nodes ran on it (%v)", nodes))
	}
	return nodes, nil
}

// settle checks what is given for the declared inputs and returns those with every
// axis but the batch known, and the batch size if it is fixed.
func settle(declared []onnx.Value, given []Input) (inputs []Tensor, fixed int, err error) {
	all := onnx.Names(declared)
	taken := map[string]bool{}
	for _, in := range given {
		if in.Name == "" {
			if len(declared) != 1 {
				return nil, 0, fmt.Errorf("it has %d inputs (%s); name the one that is filled in", len(declared), all)
			}
			in.Name = declared[0].Name
		}
		i := slices.IndexFunc(declared, func(v onnx.Value) bool { return v.Name == in.Name })
		switch {
		case i < 0:
			return nil, 0, fmt.Errorf("it has no input %q, only %s", in.Name, all)
		case taken[in.Name]:
			return nil, 0, fmt.Errorf("input %q is given twice", in.Name)
		}
		taken[in.Name] = true
		t, batch, err := in.tensor(declared[i])
		if err != nil {
			return nil, 0, fmt.Errorf("input %q %w", in.Name, err)
		}
		if batch > 0 && fixed > 0 && batch != fixed {
			return nil, 0, fmt.Errorf("its inputs (%s) insist on batches of %d and of %d", all, fixed, batch)
		}
		inputs, fixed = append(inputs, t), max(fixed, batch)
	}
	for _, v := range declared {
		if !taken[v.Name] {
			return nil, 0, fmt.Errorf("it has %d inputs (%s), and nothing is filled in for %q", len(declared), all, v.Name)
		}
	}
	return inputs, fixed, nil
}

// maxBatch bounds the bytes of a batch, of the input alone before the outputs are known. Three
// batches are held at once.
const maxBatch = 2 << 30

// tensor is the input as the model declares it, of the given size, and the batch size
// that it insists on, 0 if any will do.
func (in Input) tensor(v onnx.Value) (t Tensor, batch int, err error) {
	t = Tensor{Name: v.Name, Type: v.Type, Shape: slices.Clone(in.Shape), Whole: in.Whole}
	if _, ok := packers[v.Type]; !ok {
		return t, 0, fmt.Errorf("takes %v, which cannot be filled in", v.Type)
	}
	axes := v.Dims
	if !in.Whole {
		t.Shape = slices.Insert(t.Shape, 0, -1)
	}
	if !v.Ranked {
		return t, 0, nil
	}
	if len(axes) != len(t.Shape) {
		return t, 0, fmt.Errorf("has %d axes, what is filled in has %d", len(axes), len(t.Shape))
	}
	if !in.Whole {
		if axes[0].Size == 0 {
			return t, 0, errors.New("has a batch axis of size 0; export the model with an open one, or one of size 1")
		}
		if item := int64(t.item()) * t.Type.Size(); axes[0].Size > maxBatch/max(item, 1) {
			return t, 0, fmt.Errorf("insists on batches of %d, which would take more than %d GiB; export the model with an open batch axis, or one of size 1",
				axes[0].Size, maxBatch>>30)
		}
		batch, axes = int(max(axes[0].Size, 0)), axes[1:]
	}
	for i, d := range axes {
		if d.Size > 0 && d.Size != in.Shape[i] {
			return t, 0, fmt.Errorf("takes %s values, and is given %s", dims(axes), sizes(in.Shape))
		}
	}
	return t, batch, nil
}

func dims(v []onnx.Dim) string {
	s := make([]string, len(v))
	for i, d := range v {
		s[i] = d.String()
	}
	return strings.Join(s, "x")
}

func sizes(v []int64) string {
	s := make([]string, len(v))
	for i, d := range v {
		s[i] = fmt.Sprint(d)
	}
	return strings.Join(s, "x")
}

// loader opens C sessions of one model.
type loader struct {
	src     Source
	o       Options
	data    []byte   // of the model with what is asked for as float32 outputs, and without scalar inputs
	inputs  []string // names
	outputs []string
}

func newLoader(src Source, o Options, inputs []Tensor) (*loader, error) {
	for i, name := range o.Outputs {
		if slices.Contains(o.Outputs[:i], name) {
			return nil, fmt.Errorf("tensor %q is asked for twice", name)
		}
	}
	m, err := src.Model.Tap(o.Outputs...)
	if err != nil {
		return nil, err
	}
	if m, err = m.ApartInt8(); err != nil {
		return nil, err
	}
	l := &loader{src: src, o: o}
	for _, t := range inputs {
		name := t.Name
		if len(t.Shape) == 0 {
			m, name = m.VectorInput(name)
		}
		l.inputs = append(l.inputs, name)
	}
	for _, name := range o.Outputs {
		l.outputs = append(l.outputs, m.FloatOutput(name))
	}
	l.data = m.Bytes()
	return l, nil
}

// open opens a session; profile begins the name of the file that a profile is written to,
// empty for none.
func (l *loader) open(profile string) (*ort.DynamicAdvancedSession, error) {
	o := l.o
	so, err := ort.NewSessionOptions()
	if err != nil {
		return nil, clean(err)
	}
	defer so.Destroy()
	set := []func() error{
		func() error { return so.SetIntraOpNumThreads(o.Threads) },
		func() error { return so.SetInterOpNumThreads(1) },
		func() error { return so.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll) },
		// Idle threads that spin take the cores from the image decoders.
		func() error { return so.AddSessionConfigEntry("session.intra_op.allow_spinning", "0") },
		// Weights of few bits that a DequantizeLinear makes floats of: without this, what they are
		// multiplied by is rounded to 8 bits, which no node of the file says.
		func() error { return so.AddSessionConfigEntry("session.qdq_matmulnbits_accuracy_level", "1") },
		// Without VNNI, x86 adds products of unsigned and signed bytes in pairs of 16 bits, which
		// saturate. This has the weights turned to unsigned ones where that would happen.
		func() error { return so.AddSessionConfigEntry("session.x64quantprecision", "1") },
		func() error { return so.SetLogSeverityLevel(ort.LoggingLevelFatal) },
	}
	if profile != "" {
		set = append(set, func() error { return so.EnableProfiling(profile) })
	}
	if l.src.Dir != "" {
		dir, err := filepath.Abs(l.src.Dir)
		if err != nil {
			return nil, err
		}
		set = append(set, func() error {
			return so.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", dir)
		})
	}
	for _, f := range set {
		if err := f(); err != nil {
			return nil, fmt.Errorf("setting up ONNX Runtime: %w", clean(err))
		}
	}
	if err := o.Device.attach(so); err != nil {
		return nil, o.Device.notStarted(err)
	}
	s, err := ort.NewDynamicAdvancedSessionWithONNXData(l.data, l.inputs, l.outputs, so)
	repairSignals()
	if err != nil {
		if o.Device.Name != "cpu" {
			return nil, fmt.Errorf("opening model %q: %w", l.src.Name, o.Device.notStarted(err))
		}
		return nil, fmt.Errorf("opening model %q: %w", l.src.Name, clean(err))
	}
	return s, nil
}

// first runs n samples of zeros and learns the outputs' shapes.
func (s *Session) first(ctx context.Context, names []string, n int) ([]Tensor, error) {
	b, err := s.inputBatch(n)
	if err != nil {
		return nil, err
	}
	defer b.free()
	in, err := b.values(n)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", s.name, err)
	}
	defer destroy(in)
	b.pack(n)
	outs := make([]ort.Value, len(names))
	if err := s.call(ctx, in, outs); err != nil {
		return nil, err
	}
	repairSignals()
	tensors := make([]Tensor, len(names))
	for i, v := range outs {
		defer v.Destroy()
		t := Tensor{Name: names[i], Type: onnx.Float32, Shape: slices.Clone(v.GetShape())}
		if _, ok := v.(*ort.Tensor[float32]); !ok {
			return nil, fmt.Errorf("model %q: output %q is %T, not a float32 tensor", s.name, t.Name, v)
		}
		if n == 1 && len(t.Shape) > 0 && t.Shape[0] != 1 { // of the one sample all the same
			t.Shape, t.Bare = slices.Insert(t.Shape, 0, 1), true
		}
		if len(t.Shape) < 1 || t.Shape[0] != int64(n) {
			return nil, fmt.Errorf("model %q: output %q has shape %v for %d samples; the first axis must be the sample", s.name, t.Name, t.Shape, n)
		}
		t.Shape[0] = -1
		tensors[i] = t
	}
	return tensors, nil
}

// call runs the C session. When ctx ends first it asks the run to stop, and
// waits until it has: nothing it uses is freed under it.
func (s *Session) call(ctx context.Context, in, out []ort.Value) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		_ = s.run.Terminate()
	})
	err := s.s.RunWithOptions(in, out, s.run)
	if !stop() {
		<-stopped
		_ = s.run.UnsetTerminate()
		if err != nil {
			return ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("running model %q: %w", s.name, clean(err))
	}
	return nil
}

// Close frees the session. Batches made from it must not be run afterwards.
func (s *Session) Close() error {
	var errs []error
	if s.s != nil {
		errs = append(errs, s.s.Destroy())
		s.s = nil
	}
	if s.run != nil {
		errs = append(errs, s.run.Destroy())
		s.run = nil
	}
	return errors.Join(errs...)
}
