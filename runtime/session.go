package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"cutmix-eval/internal/onnx"

	ort "github.com/yalue/onnxruntime_go"
)

// Tensor describes an input or output of a model: -1 stands for an axis whose
// size the model leaves open.
type Tensor struct {
	Name  string
	Type  onnx.Type
	Shape []int64
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

// Source is a model file. Data, when given, is used in place of the file's
// contents (a rewritten graph, or a model without a file); Path still says where
// external weights lie and what to call the model in messages.
type Source struct {
	Path string
	Data []byte
}

// Options choose how a model runs.
type Options struct {
	Device  Device
	Threads int      // of the CPU device, for one operator; 0 means all cores
	Input   string   // name of the image input; empty: the only one
	Outputs []string // tensors to compute, in this order: outputs, or any inside
	// Shape is the size of one image as the model's input takes it, without the
	// batch axis; it settles what the model leaves open.
	Shape []int64
}

// Session runs one model on one device. Its methods must not be called from
// several goroutines at once.
type Session struct {
	Input     Tensor   // as declared, with open axes other than the batch settled
	Outputs   []Tensor // as found in a first run; the first axis is the batch
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
	names := o.Outputs
	declared, err := prepare(&src, &o)
	if err != nil {
		return nil, fmt.Errorf("opening model %q: %w", src.Path, err)
	}
	if o.Threads <= 0 {
		o.Threads = goruntime.GOMAXPROCS(0)
	}
	s := &Session{Device: o.Device, Threads: o.Threads, name: src.Path}
	if s.Input, s.Fixed, err = settle(declared, o.Shape); err != nil {
		return nil, fmt.Errorf("opening model %q: %w", src.Path, err)
	}
	if o.Device.Name != "cpu" {
		if s.Placement, err = tryDevice(ctx, src, o, s, names); err != nil {
			return nil, err
		}
	}
	if s.s, err = newSession(src, o, s.Input.Name, ""); err != nil {
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
	if s.Outputs, err = s.first(ctx, names, probe); err != nil && s.Fixed == 0 && ctx.Err() == nil {
		// Some exporters call the batch axis open and write 1 into the graph.
		two := err
		if s.Outputs, err = s.first(ctx, names, 1); err != nil {
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
func tryDevice(ctx context.Context, src Source, o Options, as *Session, names []string) (map[string]int, error) {
	dir, err := os.MkdirTemp("", "cutmix-eval-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "profile")
	t := *as
	if t.s, err = newSession(src, o, as.Input.Name, prefix); err != nil {
		return nil, err
	}
	if t.run, err = ort.NewRunOptions(); err != nil {
		t.Close()
		return nil, clean(err)
	}
	_, err = t.first(ctx, names, max(t.Fixed, 1))
	t.Close() // writes the profile
	if err != nil {
		return nil, err
	}
	nodes, err := placement(prefix)
	if err != nil {
		return nil, o.Device.notStarted(err)
	}
	if nodes[provider[o.Device.Name]] == 0 {
		return nil, o.Device.notStarted(fmt.Errorf("none of the model's nodes ran on it (%v)", nodes))
	}
	return nodes, nil
}

// prepare finds the image input and makes every wanted tensor a float32 output
// of the graph, rewriting src and the names in o where it is not one already.
func prepare(src *Source, o *Options) (onnx.Value, error) {
	data := src.Data
	if data == nil {
		var err error
		if data, err = os.ReadFile(src.Path); err != nil {
			return onnx.Value{}, err
		}
	}
	m, err := onnx.Parse(data)
	if err != nil {
		return onnx.Value{}, err
	}
	var inside, outs []string
	for i, name := range o.Outputs {
		if slices.Contains(o.Outputs[:i], name) {
			return onnx.Value{}, fmt.Errorf("tensor %q is asked for twice", name)
		}
		declared := slices.ContainsFunc(m.Graph.Outputs, func(v onnx.Value) bool {
			return v.Name == name && v.Type == onnx.Float32
		})
		switch {
		case declared:
			outs = append(outs, name)
		case m.Graph.Produces(name):
			inside = append(inside, name)
			outs = append(outs, onnx.FloatName(name))
		default:
			return onnx.Value{}, fmt.Errorf("it has no tensor %q; its outputs are %s", name, valueNames(m.Graph.Outputs))
		}
	}
	o.Outputs = outs
	if len(inside) > 0 {
		src.Data = onnx.AppendFloatOutputs(data, inside...)
	}
	for _, in := range m.Graph.Inputs {
		if in.Name == o.Input || o.Input == "" && len(m.Graph.Inputs) == 1 {
			return in, nil
		}
	}
	if o.Input == "" {
		return onnx.Value{}, fmt.Errorf("it has %d inputs (%s); name the image input", len(m.Graph.Inputs), valueNames(m.Graph.Inputs))
	}
	return onnx.Value{}, fmt.Errorf("it has no input %q, only %s", o.Input, valueNames(m.Graph.Inputs))
}

func valueNames(v []onnx.Value) string {
	names := make([]string, len(v))
	for i := range v {
		names[i] = v[i].Name
	}
	return strings.Join(names, ", ")
}

// settle checks the declared input against the shape of an image and returns
// it with every axis but the batch known, and the batch size if it is fixed.
func settle(in onnx.Value, shape []int64) (Tensor, int, error) {
	t := Tensor{Name: in.Name, Type: in.Type}
	if in.Type != onnx.Float32 && in.Type != onnx.Float16 {
		return t, 0, fmt.Errorf("input %q takes %v; float32 and float16 are supported", in.Name, in.Type)
	}
	t.Shape = append([]int64{-1}, shape...)
	if !in.Ranked {
		return t, 0, nil
	}
	if len(in.Dims) != len(t.Shape) {
		return t, 0, fmt.Errorf("input %q has %d axes, an image batch has %d", in.Name, len(in.Dims), len(t.Shape))
	}
	fixed := 0
	for i, d := range in.Dims {
		switch {
		case d.Size < 0 || d.Size == 0:
		case i == 0:
			fixed = int(d.Size)
		case d.Size != t.Shape[i]:
			return t, 0, fmt.Errorf("input %q takes images of %s, the preprocessing makes %s", in.Name, dims(in.Dims[1:]), sizes(shape))
		}
	}
	return t, fixed, nil
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

func newSession(src Source, o Options, input, profile string) (*ort.DynamicAdvancedSession, error) {
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
		func() error { return so.SetLogSeverityLevel(ort.LoggingLevelFatal) },
	}
	if profile != "" {
		set = append(set, func() error { return so.EnableProfiling(profile) })
	}
	if src.Data != nil && src.Path != "" {
		dir, err := filepath.Abs(filepath.Dir(src.Path))
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
	var s *ort.DynamicAdvancedSession
	if src.Data != nil {
		s, err = ort.NewDynamicAdvancedSessionWithONNXData(src.Data, []string{input}, o.Outputs, so)
	} else {
		s, err = ort.NewDynamicAdvancedSession(src.Path, []string{input}, o.Outputs, so)
	}
	repairSignals()
	if err != nil {
		if o.Device.Name != "cpu" {
			return nil, fmt.Errorf("opening model %q: %w", src.Path, o.Device.notStarted(err))
		}
		return nil, fmt.Errorf("opening model %q: %w", src.Path, clean(err))
	}
	return s, nil
}

// first runs n images of zeros and learns the outputs' types and shapes.
func (s *Session) first(ctx context.Context, names []string, n int) ([]Tensor, error) {
	b := &Batch{N: n, item: s.itemSize()}
	if err := b.allocateInput(s.Input); err != nil {
		return nil, err
	}
	defer b.free()
	in, err := b.view(s.Input, n)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", s.name, err)
	}
	defer in.Destroy()
	outs := make([]ort.Value, len(names))
	if err := s.call(ctx, []ort.Value{in}, outs); err != nil {
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
		if len(t.Shape) < 1 || t.Shape[0] != int64(n) {
			return nil, fmt.Errorf("model %q: output %q has shape %v for %d images; the first axis must be the image", s.name, t.Name, t.Shape, n)
		}
		t.Shape[0] = -1
		tensors[i] = t
	}
	return tensors, nil
}

func (s *Session) itemSize() int {
	n := int64(1)
	for _, d := range s.Input.Shape[1:] {
		n *= d
	}
	return int(n)
}

// call runs the C session. When ctx ends first the run is told to stop, and
// call waits until it has: nothing it uses is freed under it.
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
