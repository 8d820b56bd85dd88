// Package pipeline moves images through a model: workers decode and transform
// them straight into the slots of a few batches that are used again and again,
// one goroutine runs the model on whole batches, and results come out in the
// order of the samples, whatever the number of workers.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"image"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"cutmix-eval/imageproc"
)

// Images are the samples: how many, and how to load one. Loader is called once
// per worker; the function it returns is used by that worker alone.
type Images struct {
	N      int
	Loader func() Load
}

// Load loads image i, of which only the part that want gives will be looked at.
// The image need only live until the next call.
type Load func(i int, want imageproc.Window) (imageproc.Image, error)

// Subset is the images at the given indices.
func (im Images) Subset(at []int) Images {
	return Images{N: len(at), Loader: func() Load {
		load := im.Loader()
		return func(i int, want imageproc.Window) (imageproc.Image, error) { return load(at[i], want) }
	}}
}

// Batch is the memory of one run of a model, as runtime.Batch is.
type Batch interface {
	Size() int
	Slot(i int) []float32
	Output(k, i int) []float32
	Run(ctx context.Context, n int) error
	Close() error
}

// Config says what to run, and how.
type Config struct {
	Images   Images
	Recipe   imageproc.Recipe
	NewBatch func(n int) (Batch, error)
	Batch    int // images a run; 0 means 1
	Workers  int // decoding goroutines; 0 means one a core
	// Before, if not nil, may change the tensors of a batch before the model runs on it:
	// those of samples first to first+n-1, in slots 0 to n-1. errs says which of them
	// could not be loaded.
	Before func(b Batch, first, n int, errs []error) error
	// Progress, if not nil, is called with the number of images done so far.
	Progress func(done int)
}

// ring is the number of batches: one in the model, one being filled, one
// waiting between them.
const ring = 3

// Stats are where the time went.
type Stats struct {
	Images int           // all, bad ones included
	Wall   time.Duration // from the first image to the last result
	Load   time.Duration // summed over workers: reading, decoding, transforming
	Model  time.Duration // running the model
	Wait   time.Duration // the model waiting for images
}

// job is one image to put into one slot.
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
	errs  []error       // by slot
	sizes []image.Point // of the pictures as loaded, by slot
	left  atomic.Int32
	ready chan struct{}
}

// Result is what each is called with: the outputs of sample Index, or why there
// are none. Outputs are valid until each returns.
type Result struct {
	Index int
	Err   error       // the image could not be loaded
	Size  image.Point // of the picture as stored, 0 x 0 with an error
	batch Batch
	slot  int
}

// Output is the k-th output of the model for this image. It must not be asked
// for when Err is set.
func (r Result) Output(k int) []float32 { return r.batch.Output(k, r.slot) }

// Input is what the model was given for this image, where the batch has it.
func (r Result) Input() []float32 { return r.batch.Slot(r.slot) }

// Run sends every sample through the model and calls each in sample order, from
// one goroutine. An image that cannot be loaded is no error: each is told. Run
// ends early when ctx does, when the model fails, or when each returns an error.
func Run(ctx context.Context, c Config, each func(Result) error) (Stats, error) {
	size, workers := max(c.Batch, 1), c.Workers
	if workers <= 0 {
		workers = goruntime.GOMAXPROCS(0)
	}
	if c.Images.N == 0 {
		return Stats{}, errors.New("no images to run the model on")
	}
	size = min(size, c.Images.N)
	transforms := make([]*imageproc.Transform, workers)
	for i := range transforms {
		t, err := imageproc.NewTransform(c.Recipe)
		if err != nil {
			return Stats{}, err
		}
		transforms[i] = t
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
	wg.Go(func() { dispatch(ctx, c.Images.N, size, free, jobs, order) })
	var load atomic.Int64
	for _, t := range transforms {
		wg.Go(func() { work(ctx, c.Images.Loader(), t, jobs, &load) })
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
		if err := r.batch.Run(ctx, r.n); err != nil {
			return stats, err
		}
		stats.Model += time.Since(ran)
		for i := range r.n {
			if err := each(Result{Index: r.first + i, Err: r.errs[i], Size: r.sizes[i], batch: r.batch, slot: i}); err != nil {
				return stats, err
			}
		}
		stats.Images += r.n
		stats.Wall, stats.Load = time.Since(start), time.Duration(load.Load())
		if c.Progress != nil {
			c.Progress(stats.Images)
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
		r.errs, r.sizes = make([]error, r.n), make([]image.Point, r.n)
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

func work(ctx context.Context, load Load, t *imageproc.Transform, jobs <-chan job, spent *atomic.Int64) {
	for j := range jobs {
		if ctx.Err() != nil {
			return
		}
		start := time.Now()
		dst := j.r.batch.Slot(j.slot)
		size, err := fill(load, t, j.index, dst)
		if err != nil {
			clear(dst) // the slot runs with the rest; nobody looks at its result
		}
		j.r.sizes[j.slot], j.r.errs[j.slot] = size, err
		spent.Add(int64(time.Since(start)))
		if j.r.left.Add(-1) == 0 {
			close(j.r.ready)
		}
	}
}

func fill(load Load, t *imageproc.Transform, i int, dst []float32) (size image.Point, err error) {
	defer func() {
		if r := recover(); r != nil { // one image must not end the run
			size, err = image.Point{}, fmt.Errorf("loading stopped: %v", r)
		}
	}()
	img, err := load(i, t.Window)
	if err == nil {
		err = t.Apply(img, dst)
	}
	if err != nil {
		return image.Point{}, err
	}
	return img.Size(), nil
}
