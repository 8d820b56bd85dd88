package runtime_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// The models of testdata are made with Debian 12's python3-onnx.
//go:generate sh -c "cd testdata && python3 make.py"

func open(t *testing.T, file string, o runtime.Options) *runtime.Session {
	t.Helper()
	s, err := tryOpen(t, file, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func tryOpen(t *testing.T, file string, o runtime.Options) (*runtime.Session, error) {
	t.Helper()
	data, err := onnx.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return tryOpenModel(t, runtime.Source{Name: file, Dir: filepath.Dir(file), Model: m}, o)
}

func tryOpenModel(t *testing.T, src runtime.Source, o runtime.Options) (*runtime.Session, error) {
	t.Helper()
	ortest.Load(t)
	if o.Device.Name == "" {
		o.Device = runtime.CPU
	}
	if o.Inputs == nil {
		o.Inputs = image(1, 2, 2)
	}
	if o.Outputs == nil {
		o.Outputs = []string{"z"}
	}
	return runtime.Open(context.Background(), src, o)
}

// image is the only input of a model, of the given shape per sample.
func image(shape ...int64) []runtime.Input { return []runtime.Input{{Shape: shape}} }

// wantLinear is what the linear models of testdata compute; see make.py.
func wantLinear(x []float32) [3]float32 {
	b := [3]float32{0.25, -0.5, 0.125}
	for k := range 3 {
		for i, v := range x {
			b[k] += v * (float32(3*i+k)/8 - 0.5)
		}
	}
	return b
}

func TestLinearModels(t *testing.T) {
	for _, c := range []struct {
		file  string
		fixed int
		tol   float64 // float16 keeps 11 bits: values near 4 are off by up to 0.002, twice rounded
	}{{"linear.onnx", 0, 1e-6}, {"half.onnx", 0, 4e-3}, {"fixed2.onnx", 2, 1e-6}, {"external.onnx", 0, 1e-6}} {
		t.Run(c.file, func(t *testing.T) {
			s := open(t, "testdata/"+c.file, runtime.Options{Threads: 1})
			if s.Fixed != c.fixed {
				t.Fatalf("fixed batch %d, want %d", s.Fixed, c.fixed)
			}
			b, err := s.NewBatch(5)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			for n := 1; n <= b.N; n++ { // every partial size, in a batch that is used again
				for i := range n {
					for j := range b.Input(0, i) {
						b.Input(0, i)[j] = float32(i-j+n) / 4
					}
				}
				if err := b.Run(context.Background(), n); err != nil {
					t.Fatal(err)
				}
				for i := range n {
					want := wantLinear(b.Input(0, i))
					for k, got := range b.Output(0, i) {
						if math.Abs(float64(got-want[k])) > c.tol {
							t.Errorf("n %d image %d class %d: %v, want %v", n, i, k, got, want[k])
						}
					}
				}
			}
		})
	}
}

func TestSeveralOutputs(t *testing.T) {
	s := open(t, "testdata/two-outputs.onnx", runtime.Options{Outputs: []string{"f", "z"}})
	b, err := s.NewBatch(2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	copy(b.Input(0, 1), []float32{1, 2, 3, 4})
	if err := b.Run(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	if f := b.Output(0, 1); f[0] != 1 || f[3] != 4 {
		t.Errorf("features %v", f)
	}
	if z, want := b.Output(1, 1), wantLinear([]float32{1, 2, 3, 4}); z[2] != want[2] {
		t.Errorf("logits %v, want %v", z, want)
	}
}

func TestOpenErrors(t *testing.T) {
	for _, c := range []struct {
		name, file string
		o          runtime.Options
		want       []string
	}{
		{"two inputs", "testdata/two-inputs.onnx", runtime.Options{}, []string{"2 inputs (x, y)", "name the one"}},
		{
			"one of two inputs", "testdata/two-inputs.onnx", runtime.Options{Inputs: named("x")},
			[]string{"2 inputs (x, y)", `nothing is filled in for "y"`},
		},
		{"an input twice", "testdata/two-inputs.onnx", runtime.Options{Inputs: named("x", "y", "x")}, []string{`"x" is given twice`}},
		{"no such input", "testdata/linear.onnx", runtime.Options{Inputs: named("q")}, []string{`no input "q"`, "x"}},
		{"no such output", "testdata/linear.onnx", runtime.Options{Outputs: []string{"q"}}, []string{`no tensor "q"`, "z"}},
		{"an output twice", "testdata/linear.onnx", runtime.Options{Outputs: []string{"z", "z"}}, []string{`"z" is asked for twice`}},
		{"other size", "testdata/linear.onnx", runtime.Options{Inputs: image(1, 3, 3)}, []string{"1x2x2", "1x3x3"}},
		{"axes", "testdata/linear.onnx", runtime.Options{Inputs: image(4)}, []string{"4 axes"}},
		{
			"whole, of another size", "testdata/fixed2.onnx",
			runtime.Options{Inputs: []runtime.Input{{Shape: []int64{3, 1, 2, 2}, Whole: true}}}, []string{"2x1x2x2", "3x1x2x2"},
		},
		{"operator", "testdata/unknown-op.onnx", runtime.Options{}, []string{"unknown-op.onnx", "Frobnicate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := tryOpen(t, c.file, c.o)
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

// named are inputs of 1 x 2 x 2 values with these names.
func named(names ...string) []runtime.Input {
	var in []runtime.Input
	for _, n := range names {
		in = append(in, runtime.Input{Name: n, Shape: []int64{1, 2, 2}})
	}
	return in
}

// A device that the library lacks must be an error that says so, not a run on
// the CPU.
func TestAbsentDevice(t *testing.T) {
	for _, name := range []string{"cuda", "tensorrt", "openvino", "coreml", "directml"} {
		d, err := runtime.ParseDevice(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := tryOpen(t, "testdata/linear.onnx", runtime.Options{Device: d})
		if err == nil {
			nodes := s.Placement
			s.Close()
			if len(nodes) == 0 {
				t.Errorf("%s: started without saying where its nodes ran", name)
			}
			continue // a machine that has it
		}
		if !strings.Contains(err.Error(), name+" did not start") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Cancelling must come back soon, with the context's error, and leave a session
// that still works.
func TestCancelRunning(t *testing.T) {
	s := open(t, "testdata/slow.onnx", runtime.Options{Inputs: image(1, 1, 1)})
	b, err := s.NewBatch(400)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = b.Run(ctx, b.N)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("after %v: %v", time.Since(start), err)
	}
	t.Logf("stopped after %v", time.Since(start))
	if err := b.Run(context.Background(), 1); err != nil {
		t.Errorf("the next run: %v", err)
	}
	cancelled, stop := context.WithCancel(context.Background())
	stop()
	if err := b.Run(cancelled, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that had ended: %v", err)
	}
}

// TestLogitsEqualPyTorch feeds decoded pixels, so that only the network and
// the normalisation are judged. 1e-4 is what the issue allows; float32
// convolutions in another order of summation differ by some 1e-5.
func TestLogitsEqualPyTorch(t *testing.T) {
	var want struct {
		Logits      [][]float64      `json:"clean_logits_first_10"`
		Predictions map[string][]int `json:"predictions"`
	}
	golden.JSON(t, &want, "golden", "corruptions", "end-to-end-cifar.json")
	pix := golden.NPY(t, "golden", "corruptions", "end-to-end-cifar-images.npy")
	s := open(t, golden.Path(t, "models", "resnet20-cifar10.onnx"), runtime.Options{
		Inputs: image(3, 32, 32), Outputs: []string{"logits"},
	})
	mean, std := []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	const images, batch = 1000, 100
	b, err := s.NewBatch(batch)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	largest, flips := 0.0, 0
	for at := 0; at < images; at += batch {
		for i := range batch {
			px := pix.F64[(at+i)*3072:]
			slot := b.Input(0, i)
			for c := range 3 {
				for j := range 1024 {
					slot[c*1024+j] = (float32(px[3*j+c])/255 - mean[c]) / std[c]
				}
			}
		}
		if err := b.Run(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		for i := range batch {
			z, best := b.Output(0, i), 0
			for k, v := range z {
				if v > z[best] {
					best = k
				}
				if at+i < len(want.Logits) {
					// The reference gives five decimals.
					largest = max(largest, math.Abs(float64(v)-want.Logits[at+i][k]))
				}
			}
			if best != want.Predictions["clean"][at+i] {
				flips++
			}
		}
	}
	t.Logf("largest difference of a logit %.2g, %d of %d predictions differ", largest, flips, images)
	if largest > 1e-4 || flips != 0 {
		t.Errorf("largest difference of a logit %v, %d predictions differ", largest, flips)
	}
}
