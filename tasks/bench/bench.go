// Package bench measures how fast a model and its data run here: reading and
// decoding, resizing, the model alone, and everything together as the tasks do
// it, with the ratio of the last two.
//
// The stages take turns, round by round, so that a machine whose speed drifts
// still gives fair ratios; ratios are taken within a round.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	goruntime "runtime"
	"slices"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/usage"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
)

// Name is the task's name in reports.
const Name = "bench"

// Config holds the task's options.
type Config struct {
	Rounds int `json:"rounds"`
	Images int `json:"images"` // per stage and round, going round the data; 0: all, but no fewer than 8 batches
}

// DefaultConfig is what the command line starts from. Six rounds are the fewest
// whose range is a 95 % interval of the median.
func DefaultConfig() Config { return Config{Rounds: 6} }

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Rounds < 1:
		return fmt.Errorf("%d rounds: at least 1 is needed", c.Rounds)
	case c.Rounds > 10_000:
		return fmt.Errorf("%d rounds: at most 10000", c.Rounds)
	case c.Images < 0 || c.Images > 100_000_000:
		return fmt.Errorf("%d images per stage are not 0 to 100000000", c.Images)
	}
	return nil
}

// series is one number by round.
type series []float64

// median is the middle of the rounds.
func (s series) median() float64 {
	v := slices.Sorted(slices.Values(s))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// interval is the range of the rounds. As an interval for the median it has the
// level 1 - 2^(1-rounds), whatever the distribution (order statistics).
func (s series) interval() metrics.Interval {
	return metrics.Interval{
		Low: slices.Min(s), High: slices.Max(s),
		Level: 1 - math.Pow(2, float64(1-len(s))), Method: fmt.Sprintf("range of %d rounds", len(s)),
	}
}

// stage is one part of the work.
type stage struct {
	rate series // images per second
	cpu  series // processor time of all threads, ms per image
}

func (s *stage) add(n int, wall, cpu time.Duration) {
	s.rate = append(s.rate, float64(n)/wall.Seconds())
	s.cpu = append(s.cpu, 1000*cpu.Seconds()/float64(n))
}

// measured is what was measured.
type measured struct {
	images  int   // per stage and round
	timed   int   // of them in the decode and resize stages
	decode  stage // reading and decoding, on one thread
	resize  stage // resizing, cropping and normalising, on one thread
	model   stage // the model on batches that lie in memory
	whole   stage // files to results
	ratio   series
	waiting series // share of the whole way's time in which the model waited for images
	// allocations are those of the whole way per image, after its first batch.
	allocations, allocatedBytes series
	peakMemory                  int64 // bytes resident, of the process so far; 0: not known
	bad                         int   // images that could not be read; the decode stage passes over them
}

// errNothing says that there is nothing to measure with.
var errNothing = errors.New("not one image could be read")

// Run measures a classifier on images, and reports it. progress, if not nil, is called after
// every timing of the model.
func Run(ctx context.Context, config Config, c *evaluation.Classifier, images *evaluation.Images, progress func(done, all int),
) (*report.Report, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	selected := images.Selected()
	engine, err := c.EngineFor(ctx, images, selected)
	if err != nil {
		return nil, err
	}
	p := c.Pipeline(engine, images, selected, nil)
	res, err := measure(ctx, config, input{
		n: p.N, recipe: images.Recipe, size: c.Size(), newBatch: p.NewBatch, batch: p.Batch, workers: p.Workers,
		load: func() evaluation.Load {
			load := images.Loader().LoadWindow
			if selected == nil {
				return load
			}
			return func(i int, want imageproc.Window) (imageproc.Image, error) { return load(selected[i], want) }
		},
	}, progress)
	if err != nil {
		return nil, err
	}
	h := c.Head(Name, images, config)
	h.Runtime = *c.Ran()
	r := res.report(h)
	r.Warnings = append(r.Warnings, c.Warnings()...)
	return r, nil
}

// input is what is measured: images, prepared by a recipe, and a model.
type input struct {
	n        int                    // images
	load     func() evaluation.Load // called once per goroutine
	recipe   imageproc.Recipe
	size     imageproc.Size // of the images that the model sees
	newBatch func(n int) (pipeline.Batch, error)
	batch    int // images per run of the model
	workers  int // decoding goroutines
}

func measure(ctx context.Context, c Config, in input, progress func(done, all int)) (*measured, error) {
	res := &measured{images: c.Images}
	if res.images == 0 {
		res.images = max(in.n, 8*in.batch)
	}
	t, err := imageproc.NewTransform(in.recipe)
	if err != nil {
		return nil, err
	}
	alone, err := in.newBatch(in.batch)
	if err != nil {
		return nil, err
	}
	defer alone.Close()
	for round := range c.Rounds {
		if err := res.timePixels(ctx, in, t, alone, round == 0); err != nil {
			return nil, err
		}
		stages := []func() error{
			func() error { return res.timeModel(ctx, alone) },
			func() error { return res.timeWhole(ctx, in) },
		}
		if round%2 == 1 {
			slices.Reverse(stages)
		}
		for i, stage := range stages {
			goruntime.GC() // each stage pays for its own garbage only
			if err := stage(); err != nil {
				return nil, err
			}
			if progress != nil {
				progress(2*round+i+1, 2*c.Rounds)
			}
		}
		last := len(res.whole.rate) - 1
		res.ratio = append(res.ratio, res.whole.rate[last]/res.model.rate[last])
	}
	res.peakMemory = usage.PeakMemory()
	return res, nil
}

// timePixels times decoding and resizing on one thread, and leaves real images in the
// batch: some models run faster on zeros. More images than a few hundred say
// nothing new.
func (res *measured) timePixels(ctx context.Context, in input, t *imageproc.Transform, batch pipeline.Batch, first bool) error {
	const enough = 300
	load := in.load()
	var wall, cpu [2]time.Duration
	n := 0
	for i := range min(res.images, enough) {
		if err := ctx.Err(); err != nil {
			return err
		}
		w0, c0 := time.Now(), usage.CPU()
		img, err := load(i%in.n, t.Window)
		if err != nil {
			if first && i < in.n {
				res.bad++
			}
			continue
		}
		w1, c1 := time.Now(), usage.CPU()
		if err := t.Apply(img, batch.Input(0, n%batch.Size())); err != nil {
			return err
		}
		wall[0], cpu[0] = wall[0]+w1.Sub(w0), cpu[0]+c1-c0
		wall[1], cpu[1] = wall[1]+time.Since(w1), cpu[1]+usage.CPU()-c1
		n++
	}
	if n == 0 {
		return errNothing
	}
	for i := n; i < batch.Size(); i++ {
		copy(batch.Input(0, i), batch.Input(0, i%n))
	}
	res.timed = n
	res.decode.add(n, wall[0], cpu[0])
	res.resize.add(n, wall[1], cpu[1])
	return nil
}

func (res *measured) timeModel(ctx context.Context, b pipeline.Batch) error {
	if err := b.Run(ctx, b.Size()); err != nil { // what a first run costs is start-up
		return err
	}
	wall, cpu := time.Now(), usage.CPU()
	for at := 0; at < res.images; at += b.Size() {
		if err := b.Run(ctx, min(b.Size(), res.images-at)); err != nil {
			return err
		}
	}
	res.model.add(res.images, time.Since(wall), usage.CPU()-cpu)
	return nil
}

func (res *measured) timeWhole(ctx context.Context, in input) error {
	var from, to goruntime.MemStats
	after := 0 // images done when counting starts
	run := pipeline.Config{
		N: res.images, NewBatch: in.newBatch, Batch: in.batch, Workers: in.workers,
		Filler: func() (pipeline.Filler, error) {
			load := in.load()
			return evaluation.Filler(in.recipe, in.size, func(i int, want imageproc.Window) (imageproc.Image, error) { return load(i%in.n, want) })
		},
		Progress: func(done int) {
			if after == 0 {
				after = done
				goruntime.ReadMemStats(&from)
			}
		},
	}
	cpu := usage.CPU()
	stats, err := pipeline.Run(ctx, run, func(pipeline.Result) error { return nil })
	if err != nil {
		return err
	}
	res.whole.add(stats.Samples, stats.Wall, usage.CPU()-cpu)
	res.waiting = append(res.waiting, stats.Wait.Seconds()/stats.Wall.Seconds())
	goruntime.ReadMemStats(&to)
	if n := float64(stats.Samples - after); n > 0 {
		res.allocations = append(res.allocations, float64(to.Mallocs-from.Mallocs)/n)
		res.allocatedBytes = append(res.allocatedBytes, float64(to.TotalAlloc-from.TotalAlloc)/n)
	}
	return nil
}
