package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
)

// fake is a model that takes a millisecond a run.
type fake struct{ in []float32 }

func (f *fake) Size() int                { return 4 }
func (f *fake) Input(_, i int) []float32 { return f.in[12*i : 12*i+12] }
func (*fake) Output(int, int) []float32  { return nil }
func (*fake) Close() error               { return nil }
func (f *fake) Run(ctx context.Context, n int) error {
	time.Sleep(time.Millisecond)
	return ctx.Err()
}

func input(bad bool) Input {
	return Input{
		N: 10,
		Load: func() evaluation.Load {
			return func(i int, want imageproc.Window) (imageproc.Image, error) {
				if bad || i == 3 {
					return imageproc.Image{}, errors.New("damaged")
				}
				return imageproc.New(2, 2), nil
			}
		},
		Recipe:   imageproc.Recipe{Range: 1, Std: [3]float32{1, 1, 1}, Interpolation: imageproc.Bilinear, Layout: imageproc.NCHW, Fit: imageproc.Shorter},
		NewBatch: func(int) (pipeline.Batch, error) { return &fake{make([]float32, 48)}, nil },
		Batch:    4, Workers: 2,
	}
}

func TestRun(t *testing.T) {
	steps := 0
	res, err := Run(context.Background(), Config{Rounds: 3, Images: 40}, input(false), func(done, all int) { steps = done })
	if err != nil {
		t.Fatal(err)
	}
	if steps != 6 || res.Bad != 1 || res.Images != 40 || len(res.Ratio) != 3 {
		t.Errorf("%d steps, %+v", steps, res)
	}
	// Ten runs of a millisecond: the model cannot have been faster than that, and
	// the whole way cannot be faster than the model by more than the clock's noise.
	if r := res.Model.Rate.Median(); r > 4001 {
		t.Errorf("model alone %v images/s", r)
	}
	if r := res.Whole.Rate.Median(); r > 4001 {
		t.Errorf("end to end %v images/s", r)
	}
	iv := res.Ratio.Interval()
	if iv.Level != 0.75 || iv.Low > res.Ratio.Median() || iv.High < res.Ratio.Median() {
		t.Errorf("%+v", iv)
	}
	if m := (Series{4, 1, 3, 2}).Median(); m != 2.5 {
		t.Errorf("median %v", m)
	}
}

func TestErrors(t *testing.T) {
	none := func(int, int) {}
	if _, err := Run(context.Background(), DefaultConfig(), input(true), none); !errors.Is(err, errNothing) {
		t.Errorf("%v", err)
	}
	if _, err := Run(context.Background(), Config{}, input(false), none); err == nil {
		t.Error("no rounds: no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, DefaultConfig(), input(false), none); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
