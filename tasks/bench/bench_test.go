package bench

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"

	"github.com/google/go-cmp/cmp"
)

// fake is a model that takes a millisecond for a run.
type fake struct{ in []float32 }

func (f *fake) Size() int                { return 4 }
func (f *fake) Input(_, i int) []float32 { return f.in[12*i : 12*i+12] }
func (*fake) Output(int, int) []float32  { return nil }
func (*fake) Close() error               { return nil }
func (f *fake) Run(ctx context.Context, n int) error {
	time.Sleep(time.Millisecond)
	return ctx.Err()
}

// pictures are ten, of which those that bad names cannot be read.
func pictures(bad ...int) input {
	return input{
		n: 10,
		load: func() evaluation.Load {
			return func(i int, _ imageproc.Window) (imageproc.Image, error) {
				if slices.Contains(bad, i) {
					return imageproc.Image{}, errors.New("damaged")
				}
				return imageproc.New(2, 2), nil
			}
		},
		recipe: imageproc.Recipe{
			Range: 1, Std: [3]float32{1, 1, 1}, Interpolation: imageproc.Bilinear, Layout: imageproc.NCHW, Fit: imageproc.Shorter,
		},
		newBatch: func(int) (pipeline.Batch, error) { return &fake{make([]float32, 48)}, nil },
		batch:    4, workers: 2,
	}
}

func TestMeasure(t *testing.T) {
	var steps []int
	res, err := measure(t.Context(), Config{Rounds: 3, Images: 40}, pictures(3), func(done, all int) { steps = append(steps, done, all) })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int{1, 6, 2, 6, 3, 6, 4, 6, 5, 6, 6, 6}, steps); d != "" {
		t.Errorf("progress: %s", d)
	}
	if got := [4]int{res.images, res.timed, res.bad, len(res.ratio)}; got != [4]int{40, 36, 1, 3} {
		t.Errorf("images, of which timed, bad ones, ratios: %v", got)
	}
	// Ten runs of a millisecond: neither the model nor the whole way can have been faster
	// than that, by more than the clock's noise.
	for name, s := range map[string]stage{"model": res.model, "whole": res.whole} {
		if r := s.rate.median(); r > 4001 {
			t.Errorf("%s: %v images/s", name, r)
		}
	}
}

func TestSeries(t *testing.T) {
	s := series{4, 1, 3, 2}
	if m := s.median(); m != 2.5 {
		t.Errorf("median %v", m)
	}
	if iv := s.interval(); iv.Low != 1 || iv.High != 4 || iv.Level != 0.875 {
		t.Errorf("%+v", iv)
	}
}

func TestRefused(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, c := range []struct {
		name string
		ctx  context.Context
		in   input
		want error
	}{
		{"nothing to read", t.Context(), pictures(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), errNothing},
		{"stopped", stopped, pictures(), context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := measure(c.ctx, DefaultConfig(), c.in, nil); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	for _, c := range []Config{{}, {Rounds: 1, Images: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v is valid", c)
		}
	}
}

// TestReport: what people read of numbers that were measured, and their keys.
func TestReport(t *testing.T) {
	s := stage{series{100, 120}, series{1.5, 2.5}}
	res := &measured{
		images: 64, timed: 60, decode: s, resize: s, model: s, whole: s, ratio: series{0.9, 1}, waiting: series{0.25, 0.25},
		allocations: series{3, 4}, allocatedBytes: series{100, 201}, peakMemory: 5 << 20, bad: 1,
	}
	r := res.report(report.Head{
		Task: Name, Model: report.Model{Name: "net"}, Dataset: report.Dataset{Name: "photos"}, Runtime: report.Runtime{ORT: "1.0", Device: "cpu"},
	})
	var b bytes.Buffer
	if err := r.Write(&b, report.Text); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
net on photos, ONNX Runtime 1.0 on cpu

64 images per round; median of 2 rounds and their range (a 50 % interval)
                                       images/s                  CPU ms/image
  read and decode, one thread          110.0     100.0 to 120.0  2.00          1.50 to 2.50
  resize, crop, normalise, one thread  110.0     100.0 to 120.0  2.00          1.50 to 2.50
  model alone                          110.0     100.0 to 120.0  2.00          1.50 to 2.50
  end to end                           110.0     100.0 to 120.0  2.00          1.50 to 2.50
  end to end / model alone             0.950     0.900 to 1.000

the model waited for images 25.0 % of the time; 3.5 allocations (150 bytes) per image; peak memory 5 MiB

warning: 1 images could not be read (datasets check names them)
`, "\n")
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
	n := r.Find("images_per_s", report.KeyStage.Is("decode"))
	if n == nil || n.Value != 110 || n.N != 60 || n.Better != report.Higher {
		t.Errorf("images_per_s of decode is %+v", n)
	}
}
