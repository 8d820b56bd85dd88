package pipeline

import (
	"context"
	"errors"
	"fmt"
	"image"
	"sync/atomic"
	"testing"
	"time"
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
func (b *fakeBatch) Input(_, i int) []float32  { return b.in[i : i+1] }
func (b *fakeBatch) Output(_, i int) []float32 { return b.out[i : i+1] }
func (b *fakeBatch) Close() error              { b.closed.Add(1); return nil }
func (b *fakeBatch) Run(ctx context.Context, n int) error {
	for i := range n {
		b.out[i] = b.in[i]
	}
	if b.run != nil {
		return b.run(ctx)
	}
	return ctx.Err()
}

// config makes samples of one value, their index, and of a size that follows from it.
func config(n, batch, workers int, closed *atomic.Int32) Config {
	return Config{
		N: n, Batch: batch, Workers: workers,
		Filler: func() (Filler, error) {
			return func(i int, dst []float32) (Loaded, error) {
				if i%7 == 3 {
					time.Sleep(time.Duration(i%5) * 100 * time.Microsecond) // finish out of order
				}
				dst[0] = float32(i)
				if i%11 == 5 {
					return Loaded{Size: image.Pt(1, 1)}, fmt.Errorf("bad %d", i)
				}
				if i%13 == 8 {
					panic("decoder bug")
				}
				return Loaded{Size: image.Pt(i, 2*i), Sum: uint32(i)}, nil
			}, nil
		},
		NewBatch: func(n int) (Batch, error) {
			return &fakeBatch{n: n, in: make([]float32, n), out: make([]float32, n), closed: closed}, nil
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
					if bad && (r.Size != image.Point{} || r.Input(0)[0] != 0) {
						t.Fatalf("bad index %d has size %v, input %v", at, r.Size, r.Input(0))
					}
					if !bad && (r.Input(0)[0] != float32(at) || r.Output(0)[0] != float32(at) || r.Size != image.Pt(at, 2*at)) {
						t.Fatalf("index %d has input %v, output %v, size %v", at, r.Input(0), r.Output(0), r.Size)
					}
					at++
					return nil
				})
				if err != nil || at != n || stats.Samples != n {
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

// A filler that cannot be made is an error before anything runs.
func TestNoFiller(t *testing.T) {
	var closed atomic.Int32
	boom := errors.New("boom")
	c := config(3, 1, 1, &closed)
	c.Filler = func() (Filler, error) { return nil, boom }
	if _, err := Run(context.Background(), c, nil); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
}

// TestNothingToRun: the model does not run on a batch of which no sample could be filled in.
func TestNothingToRun(t *testing.T) {
	var closed atomic.Int32
	runs, got := 0, 0
	c := config(40, 4, 2, &closed)
	c.Filler = func() (Filler, error) {
		return func(i int, _ []float32) (Loaded, error) {
			if i == 9 {
				return Loaded{}, nil
			}
			return Loaded{}, errors.New("torn")
		}, nil
	}
	c.NewBatch = func(n int) (Batch, error) {
		run := func(context.Context) error { runs++; return nil }
		return &fakeBatch{n: n, in: make([]float32, n), out: make([]float32, n), run: run, closed: &closed}, nil
	}
	if _, err := Run(context.Background(), c, func(r Result) error {
		if got++; (r.Err == nil) != (r.Index == 9) {
			t.Errorf("sample %d: %v", r.Index, r.Err)
		}
		return nil
	}); err != nil || runs != 1 || got != 40 {
		t.Errorf("%d runs for %d samples, %v", runs, got, err)
	}
}
