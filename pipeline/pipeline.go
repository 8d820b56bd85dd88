// Package pipeline moves samples through a model: workers fill the slots of a
// few batches that are used again and again, one goroutine runs the model on
// whole batches, and results come out in the order of the samples, whatever the
// number of workers. What a sample is, only the function that fills a slot
// knows.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"image"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Filler writes sample i to dst, the slot of the model's first input, which is as
// long as that input's tensor for one sample and may hold anything. A Filler is used by
// one goroutine.
type Filler func(i int, dst []float32) (Loaded, error)

// Loaded is what is known of a sample that was filled in.
type Loaded struct {
	Size image.Point // of the picture as stored; 0 x 0 where there is none
	Sum  uint32      // CRC-32C of what is stored; 0 where that is not known
}

// Batch is the memory of one run of a model, as runtime.Batch is: several slots,
// each with the model's inputs and outputs for one sample.
type Batch interface {
	Size() int
	Input(k, i int) []float32  // of the k-th input, for slot i
	Output(k, i int) []float32 // of the k-th output, for slot i
	Run(ctx context.Context, n int) error
	Close() error
}

// Config says what to run, and how.
type Config struct {
	N        int                        // number of samples
	Filler   func() (Filler, error)     // called once per worker, before anything runs
	NewBatch func(n int) (Batch, error) // a batch of n slots, or of as many as the model insists on
	Batch    int                        // samples per run of the model; 0 means 1
	Workers  int                        // goroutines that fill slots; 0 means one per core
	// Before, if not nil, may change the inputs of a batch before the model runs on it:
	// those of samples first to first+n-1, in slots 0 to n-1. errs holds, by slot, the
	// error of every sample that could not be filled in.
	Before func(b Batch, first, n int, errs []error) error
	// Stops, if not nil, says why the error of sample i, which could not be filled in, ends the
	// run; nil where it is the sample's own, and its Result has it.
	Stops func(i int, err error) error
	// Progress, if not nil, is called with the number of samples done so far.
	Progress func(done int)
}

// ring is the number of batches: one in the model, one being filled, one
// waiting between them.
const ring = 3

// Stats are where the time went.
type Stats struct {
	Samples int           // bad ones included
	Wall    time.Duration // from the first sample to the last result
	Load    time.Duration // filling slots, summed over workers
	Model   time.Duration // running the model
	Wait    time.Duration // the model waiting for samples
}

// job is one sample to put into one slot.
type job struct {
	r     *round
	slot  int
	index int
}

// round is one use of a batch.
type round struct {
	batch Batch
	first int // index of the sample in slot 0
	n     int
	errs  []error  // by slot
	known []Loaded // by slot
	left  atomic.Int32
	ready chan struct{}
}

// Result is what each is called with: the outputs of sample Index, or why there
// are none. Inputs and outputs are valid until each returns.
type Result struct {
	Index int
	Err   error // the sample could not be filled in
	Loaded
	batch Batch
	slot  int
}

// Output is the k-th output of the model for this sample. It must not be asked
// for when Err is set.
func (r Result) Output(k int) []float32 { return r.batch.Output(k, r.slot) }

// Input is the k-th input that the model was given for this sample.
func (r Result) Input(k int) []float32 { return r.batch.Input(k, r.slot) }

// Run sends every sample through the model and calls each in sample order, from
// one goroutine. A sample that cannot be filled in does not stop the run, unless Stops
// says so: its Result has the error. Run ends early when ctx does, when the model fails, or
// when Stops or each returns an error; each has been called for all samples before.
func Run(ctx context.Context, c Config, each func(Result) error) (Stats, error) {
	size, workers := max(c.Batch, 1), c.Workers
	if workers <= 0 {
		workers = goruntime.GOMAXPROCS(0)
	}
	if c.N == 0 {
		return Stats{}, errors.New("no samples to run the model on")
	}
	size = min(size, c.N)
	fillers := make([]Filler, workers)
	for i := range fillers {
		fill, err := c.Filler()
		if err != nil {
			return Stats{}, err
		}
		fillers[i] = fill
	}
	free := make(chan Batch, ring)
	for range ring {
		b, err := c.NewBatch(size)
		if err != nil {
			return Stats{}, err
		}
		defer b.Close()
		size = b.Size() // the model may insist on its own
		free <- b
	}

	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	// Nothing of a batch is freed before every goroutine has ended.
	defer wg.Wait()
	defer cancel()

	jobs := make(chan job, size)
	order := make(chan *round, ring)
	wg.Go(func() { dispatch(ctx, c.N, size, free, jobs, order) })
	var load atomic.Int64
	for _, fill := range fillers {
		wg.Go(func() { work(ctx, fill, jobs, &load) })
	}

	stats := Stats{}
	start := time.Now()
	for r := range order {
		waited := time.Now()
		select {
		case <-r.ready:
		case <-ctx.Done():
			return stats, ctx.Err()
		}
		ran := time.Now()
		stats.Wait += ran.Sub(waited)
		if c.Before != nil {
			if err := c.Before(r.batch, r.first, r.n, r.errs); err != nil {
				return stats, err
			}
		}
		if slices.Contains(r.errs, nil) { // there is something to run on
			if err := r.batch.Run(ctx, r.n); err != nil {
				return stats, err
			}
		}
		stats.Model += time.Since(ran)
		for i := range r.n {
			if r.errs[i] != nil && c.Stops != nil {
				if err := c.Stops(r.first+i, r.errs[i]); err != nil {
					return stats, err
				}
			}
			if err := each(Result{Index: r.first + i, Err: r.errs[i], Loaded: r.known[i], batch: r.batch, slot: i}); err != nil {
				return stats, err
			}
		}
		stats.Samples += r.n
		stats.Wall, stats.Load = time.Since(start), time.Duration(load.Load())
		if c.Progress != nil {
			c.Progress(stats.Samples)
		}
		free <- r.batch // never full: it holds all batches
	}
	return stats, ctx.Err()
}

// dispatch hands out slots in order, as batches become free.
func dispatch(ctx context.Context, n, size int, free <-chan Batch, jobs chan<- job, order chan<- *round) {
	defer close(order)
	defer close(jobs)
	for first := 0; first < n; first += size {
		var b Batch
		select {
		case b = <-free:
		case <-ctx.Done():
			return
		}
		r := &round{batch: b, first: first, n: min(size, n-first), ready: make(chan struct{})}
		r.errs, r.known = make([]error, r.n), make([]Loaded, r.n)
		r.left.Store(int32(r.n))
		select {
		case order <- r:
		case <-ctx.Done():
			return
		}
		for i := range r.n {
			select {
			case jobs <- job{r, i, first + i}:
			case <-ctx.Done():
				return
			}
		}
	}
}

func work(ctx context.Context, fill Filler, jobs <-chan job, spent *atomic.Int64) {
	for j := range jobs {
		if ctx.Err() != nil {
			return
		}
		start := time.Now()
		dst := j.r.batch.Input(0, j.slot)
		known, err := fill.Guarded(j.index, dst)
		if err != nil {
			clear(dst) // the slot runs with the rest; nobody looks at its result
			known.Size = image.Point{}
		}
		j.r.known[j.slot], j.r.errs[j.slot] = known, err
		spent.Add(int64(time.Since(start)))
		if j.r.left.Add(-1) == 0 {
			close(j.r.ready)
		}
	}
}

// Guarded calls the filler, whose panics are errors: one bad sample must not end a run.
func (f Filler) Guarded(i int, dst []float32) (known Loaded, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("loading stopped: %v", r)
		}
	}()
	return f(i, dst)
}

// At is the filler of some samples: sample i is that at at[i].
func (f Filler) At(at []int) Filler {
	return func(i int, dst []float32) (Loaded, error) { return f(at[i], dst) }
}
