package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"cutmix-eval/imageproc"
)

// fakeBatch "runs" by copying the first value of each slot to its output.
type fakeBatch struct {
	n      int
	in     []float32
	out    []float32
	run    func(ctx context.Context) error
	closed *atomic.Int32
}

func (b *fakeBatch) Size() int                 { return b.n }
func (b *fakeBatch) Slot(i int) []float32      { return b.in[12*i : 12*i+12] }
func (b *fakeBatch) Output(_, i int) []float32 { return b.out[i : i+1] }
func (b *fakeBatch) Close() error              { b.closed.Add(1); return nil }
func (b *fakeBatch) Run(ctx context.Context, n int) error {
	for i := range n {
		b.out[i] = b.in[12*i]
	}
	if b.run != nil {
		return b.run(ctx)
	}
	return ctx.Err()
}

// config makes images of 2x2 pixels whose value is their index mod 256.
func config(n, batch, workers int, closed *atomic.Int32) Config {
	recipe, err := imageproc.NamedRecipe("raw")
	if err != nil {
		panic(err)
	}
	recipe.Range = 255
	return Config{
		Images: Images{N: n, Loader: func() Load {
			return func(i int, _ imageproc.Window) (imageproc.Image, error) {
				if i%7 == 3 {
					time.Sleep(time.Duration(i%5) * 100 * time.Microsecond) // finish out of order
				}
				if i%11 == 5 {
					return imageproc.Image{}, fmt.Errorf("bad %d", i)
				}
				if i%13 == 8 {
					panic("decoder bug")
				}
				img := imageproc.New(2, 2)
				for p := range img.Pix {
					img.Pix[p] = byte(i)
				}
				return img, nil
			}
		}},
		Recipe: recipe, Batch: batch, Workers: workers,
		NewBatch: func(n int) (Batch, error) {
			return &fakeBatch{n: n, in: make([]float32, 12*n), out: make([]float32, n), closed: closed}, nil
		},
	}
}

func TestOrderAndContents(t *testing.T) {
	for _, n := range []int{1, 2, 31, 200} {
		for _, batch := range []int{1, 3, 8, 500} {
			for _, workers := range []int{1, 2, 9} {
				var closed atomic.Int32
				at := 0
				stats, err := Run(context.Background(), config(n, batch, workers, &closed), func(r Result) error {
					if r.Index != at {
						t.Fatalf("index %d, want %d", r.Index, at)
					}
					bad := at%11 == 5 || at%13 == 8
					if bad != (r.Err != nil) {
						t.Fatalf("index %d: %v", at, r.Err)
					}
					if !bad && r.Output(0)[0] != float32(at%256) {
						t.Fatalf("index %d has output %v", at, r.Output(0)[0])
					}
					at++
					return nil
				})
				if err != nil || at != n || stats.Images != n {
					t.Fatalf("%d of %d: %v", at, n, err)
				}
				if closed.Load() != ring {
					t.Fatalf("%d batches closed, want %d", closed.Load(), ring)
				}
			}
		}
	}
}

func TestStops(t *testing.T) {
	boom := errors.New("boom")
	for name, set := range map[string]func(*Config, *func(Result) error, context.CancelFunc){
		"each fails": func(_ *Config, each *func(Result) error, _ context.CancelFunc) {
			*each = func(r Result) error {
				if r.Index == 20 {
					return boom
				}
				return nil
			}
		},
		"model fails": func(c *Config, _ *func(Result) error, _ context.CancelFunc) {
			make := c.NewBatch
			c.NewBatch = func(n int) (Batch, error) {
				b, err := make(n)
				b.(*fakeBatch).run = func(context.Context) error { return boom }
				return b, err
			}
		},
		"cancelled": func(_ *Config, each *func(Result) error, cancel context.CancelFunc) {
			*each = func(r Result) error {
				if r.Index == 30 {
					cancel()
				}
				return nil
			}
		},
		"cancelled in the model": func(c *Config, _ *func(Result) error, cancel context.CancelFunc) {
			make := c.NewBatch
			c.NewBatch = func(n int) (Batch, error) {
				b, err := make(n)
				b.(*fakeBatch).run = func(ctx context.Context) error {
					cancel()
					<-ctx.Done()
					return ctx.Err()
				}
				return b, err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var closed atomic.Int32
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c := config(1000, 4, 3, &closed)
			each := func(Result) error { return nil }
			set(&c, &each, cancel)
			_, err := Run(ctx, c, each)
			if !errors.Is(err, boom) && !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if closed.Load() != ring {
				t.Errorf("%d batches closed, want %d", closed.Load(), ring)
			}
		})
	}
}

func TestNothing(t *testing.T) {
	var closed atomic.Int32
	if _, err := Run(context.Background(), config(0, 1, 1, &closed), nil); err == nil {
		t.Error("no error for no images")
	}
}
