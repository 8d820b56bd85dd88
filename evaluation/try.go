package evaluation

import (
	"context"
	"fmt"
	"math/rand/v2"

	"cutmix-eval/runtime"
)

// UntriedError is about a model of which nobody knows yet whether it runs: it was not tried.
type UntriedError struct{ Err error }

func (e *UntriedError) Error() string { return e.Err.Error() }
func (e *UntriedError) Unwrap() error { return e.Err }

// mostTried is the largest batch, where the file fixes one, that a model is opened with only to
// learn something of it: memory grows with it.
const mostTried = 256

// Try opens the classifier's engine, with the tensors taps, and runs it on a few images of noise,
// as EngineFor does on those of a data set: the error is what a run would say of the model, and
// Warnings say what a run would. It installs nothing: without ONNX Runtime, and where the file
// fixes a batch that is too large to try, the error is an *UntriedError.
func (c *Classifier) Try(ctx context.Context, taps ...string) error {
	if n := c.Model.Batch; n > mostTried {
		return &UntriedError{fmt.Errorf("the file fixes its batch at %d images, which are too many to try", n)}
	}
	library, err := runtime.Find(c.Running.Library)
	if err == nil {
		err = runtime.Load(library)
	}
	if err != nil {
		return &UntriedError{fmt.Errorf("%w, and what a model can do is known by running it (cutmix-eval runtime install)", err)}
	}
	e, err := c.Engine(ctx, taps...)
	if err != nil {
		return err
	}
	b, err := e.NewBatch(ofBatch + 1)
	if err != nil {
		return err
	}
	defer b.Close()
	images := make([][]float32, min(b.Size(), ofBatch))
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range images {
		images[i] = c.noise(len(b.Input(0, 0)), rng)
	}
	if err := c.checkImages(ctx, e, b, images); err != nil {
		return fmt.Errorf("model %q: %w", c.source, err)
	}
	return nil
}

// noise are n values as the preprocessing could make them of a picture of noise.
func (c *Classifier) noise(n int, rng *rand.Rand) []float32 {
	r := c.Recipe
	black, white := (0-r.Mean[0])/r.Std[0], (float32(r.Range)-r.Mean[0])/r.Std[0]
	out := make([]float32, n)
	for i := range out {
		out[i] = black + (white-black)*rng.Float32()
	}
	return out
}
