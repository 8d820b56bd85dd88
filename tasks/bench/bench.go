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
)

// Config holds the options of the task.
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
	case c.Images < 0:
		return fmt.Errorf("%d images", c.Images)
	}
	return nil
}

// Series is one number by round.
type Series []float64

// Median is the middle of the rounds.
func (s Series) Median() float64 {
	v := slices.Sorted(slices.Values(s))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// Interval is the range of the rounds. As an interval for the median it has the
// level 1 - 2^(1-rounds), whatever the distribution (order statistics).
func (s Series) Interval() metrics.Interval {
	return metrics.Interval{
		Low: slices.Min(s), High: slices.Max(s),
		Level: 1 - math.Pow(2, float64(1-len(s))), Method: fmt.Sprintf("range of %d rounds", len(s)),
	}
}

// Stage is one part of the work.
type Stage struct {
	Rate Series // images per second
	CPU  Series // processor time of all threads, ms per image
}

func (s *Stage) add(n int, wall, cpu time.Duration) {
	s.Rate = append(s.Rate, float64(n)/wall.Seconds())
	s.CPU = append(s.CPU, 1000*cpu.Seconds()/float64(n))
}

// Result is what was measured.
type Result struct {
	Images  int   // per stage and round
	Timed   int   // of them in the decode and resize stages
	Decode  Stage // reading and decoding, on one thread
	Resize  Stage // resizing, cropping and normalising, on one thread
	Model   Stage // the model on batches that lie in memory
	Whole   Stage // files to results
	Ratio   Series
	Waiting Series // share of the whole way's time in which the model waited for images
	// Allocations are those of the whole way per image, after its first batch.
	Allocations, AllocatedBytes Series
	PeakMemory                  int64 // bytes resident, of the process so far; 0: not known
	Bad                         int   // images that could not be read; the decode stage passes over them
}

// errNothing says that there is nothing to measure with.
var errNothing = errors.New("not one image could be read")

// Input is what is measured: images, prepared by a recipe, and a model.
type Input struct {
	N        int                    // images
	Load     func() evaluation.Load // called once per goroutine
	Recipe   imageproc.Recipe
	NewBatch func(n int) (pipeline.Batch, error)
	Batch    int // images per run of the model
	Workers  int // decoding goroutines
}

// Run measures in.
func Run(ctx context.Context, c Config, in Input, progress func(done, all int)) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	res := &Result{Images: c.Images}
	if res.Images == 0 {
		res.Images = max(in.N, 8*in.Batch)
	}
	t, err := imageproc.NewTransform(in.Recipe)
	if err != nil {
		return nil, err
	}
	alone, err := in.NewBatch(in.Batch)
	if err != nil {
		return nil, err
	}
	defer alone.Close()
	for round := range c.Rounds {
		if err := res.pixels(ctx, in, t, alone, round == 0); err != nil {
			return nil, err
		}
		stages := []func() error{
			func() error { return res.model(ctx, alone) },
			func() error { return res.whole(ctx, in) },
		}
		if round%2 == 1 {
			slices.Reverse(stages)
		}
		for i, stage := range stages {
			goruntime.GC() // each stage pays for its own garbage only
			if err := stage(); err != nil {
				return nil, err
			}
			progress(2*round+i+1, 2*c.Rounds)
		}
		last := len(res.Whole.Rate) - 1
		res.Ratio = append(res.Ratio, res.Whole.Rate[last]/res.Model.Rate[last])
	}
	res.PeakMemory = usage.PeakMemory()
	return res, nil
}

// pixels times decoding and resizing on one thread, and leaves real images in the
// batch: some models run faster on zeros. More images than a few hundred say
// nothing new.
func (res *Result) pixels(ctx context.Context, in Input, t *imageproc.Transform, batch pipeline.Batch, first bool) error {
	const enough = 300
	load := in.Load()
	var wall, cpu [2]time.Duration
	n := 0
	for i := range min(res.Images, enough) {
		if err := ctx.Err(); err != nil {
			return err
		}
		w0, c0 := time.Now(), usage.CPU()
		img, err := load(i%in.N, t.Window)
		if err != nil {
			if first && i < in.N {
				res.Bad++
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
	res.Timed = n
	res.Decode.add(n, wall[0], cpu[0])
	res.Resize.add(n, wall[1], cpu[1])
	return nil
}

func (res *Result) model(ctx context.Context, b pipeline.Batch) error {
	if err := b.Run(ctx, b.Size()); err != nil { // what a first run costs is start-up
		return err
	}
	wall, cpu := time.Now(), usage.CPU()
	for at := 0; at < res.Images; at += b.Size() {
		if err := b.Run(ctx, min(b.Size(), res.Images-at)); err != nil {
			return err
		}
	}
	res.Model.add(res.Images, time.Since(wall), usage.CPU()-cpu)
	return nil
}

func (res *Result) whole(ctx context.Context, in Input) error {
	var from, to goruntime.MemStats
	after := 0 // images done when counting starts
	run := pipeline.Config{
		N: res.Images, NewBatch: in.NewBatch, Batch: in.Batch, Workers: in.Workers,
		Filler: func() (pipeline.Filler, error) {
			load := in.Load()
			return evaluation.Filler(in.Recipe, func(i int, want imageproc.Window) (imageproc.Image, error) { return load(i%in.N, want) })
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
	res.Whole.add(stats.Samples, stats.Wall, usage.CPU()-cpu)
	res.Waiting = append(res.Waiting, stats.Wait.Seconds()/stats.Wall.Seconds())
	goruntime.ReadMemStats(&to)
	if n := float64(stats.Samples - after); n > 0 {
		res.Allocations = append(res.Allocations, float64(to.Mallocs-from.Mallocs)/n)
		res.AllocatedBytes = append(res.AllocatedBytes, float64(to.TotalAlloc-from.TotalAlloc)/n)
	}
	return nil
}
