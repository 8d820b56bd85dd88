package finetune

import (
	"context"
	"fmt"
	"image"
	"math/rand/v2"
	"slices"

	"cutmix-eval/augment"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
	"cutmix-eval/runtime"
)

// pixels is a source of features that the backbone computes anew in every epoch, of images
// that are augmented and mixed.
type pixels struct {
	config   Training
	seed     uint64
	base     *evaluation.Classifier
	engine   evaluation.Engine
	feature  int // which output of it the penultimate vector is
	images   *evaluation.Images
	samples  []int // of the images, those that train
	targets  *heads.Targets
	progress func(epoch, done int) // may be nil

	scratch []float32
	x       []float32
	y       []float64
}

// output is the place of an engine's output; -1 for none.
func output(e evaluation.Engine, name string) int {
	return slices.IndexFunc(e.Outputs(), func(t runtime.Tensor) bool { return t.Name == name })
}

// report makes every epoch a stage of its own. The function that it returns ends the last.
func (s *pixels) report(epochs int, stage func(what string, n int) (func(int), func())) (end func()) {
	at, done, finish := -1, func(int) {}, func() {}
	s.progress = func(epoch, n int) {
		if epoch != at {
			finish()
			done, finish = stage(fmt.Sprintf("epoch %d/%d", epoch+1, epochs), len(s.samples))
			at = epoch
		}
		done(n)
	}
	return func() { finish() }
}

// Steps is the number of batches of an epoch.
func (s *pixels) Steps() int { return (len(s.samples) + s.config.Batch - 1) / s.config.Batch }

// Epoch gives the batches of an epoch.
func (s *pixels) Epoch(ctx context.Context, epoch int, each func(x []float32, y []float64) error) error {
	order := heads.Order(s.seed, epoch, len(s.samples))
	c := s.base.Pipeline(s.engine, s.images, order, nil)
	c.Filler, c.Batch = func() (pipeline.Filler, error) { return s.filler(epoch, order) }, s.config.Batch
	if s.progress != nil {
		c.Progress = func(done int) { s.progress(epoch, done) }
	}
	var mix *augment.Plan
	c.Before = func(b pipeline.Batch, first, n int, errs []error) error {
		for i, err := range errs {
			if err != nil {
				id := s.images.ID(s.samples[order[first+i]])
				return fmt.Errorf("training image %s could be read before, and cannot any more: %w", id, err)
			}
		}
		mix = s.mix(b, epoch, first/s.config.Batch, n)
		return nil
	}
	s.x = s.x[:0]
	_, err := pipeline.Run(ctx, c, func(r pipeline.Result) error {
		s.x = append(s.x, r.Output(s.feature)...)
		if (r.Index+1)%s.config.Batch != 0 && r.Index+1 != len(order) {
			return nil
		}
		at := order[r.Index/s.config.Batch*s.config.Batch : r.Index+1]
		partner, own := mix.Labels()
		s.y = s.targets.Mixed(s.y, at, partner, own)
		err := each(s.x, s.y)
		s.x = s.x[:0]
		return err
	})
	return err
}

// mix mixes the n images of a batch, where it is mixed.
func (s *pixels) mix(b pipeline.Batch, epoch, step, n int) *augment.Plan {
	if s.config.Mix.Method == augment.None {
		return nil
	}
	size, channels, depth := s.base.Size(), s.images.Recipe.Channels(), 1
	if s.images.Recipe.Layout == imageproc.NHWC {
		channels, depth = depth, channels
	}
	progress := float64(epoch*s.Steps()+step) / float64(s.config.Epochs*s.Steps())
	p := s.config.Mix.Plan(heads.Mixing.Rand(s.seed, epoch, step), n, size.H, size.W, progress)
	if p != nil {
		slot := func(i int) []float32 { return b.Input(0, i) }
		s.config.Mix.Apply(p, slot, &s.scratch, channels, size.H, size.W, depth)
	}
	return p
}

// filler loads images in the order of an epoch, augmented, at the size that the model sees.
func (s *pixels) filler(epoch int, order []int) (pipeline.Filler, error) {
	a, err := augment.NewAugmenter(s.config.Augment, s.images.Recipe, s.base.Size())
	if err != nil {
		return nil, err
	}
	data := s.images.Loader()
	return evaluation.Filler(s.base.Cropped(), s.base.Size(), func(p int, _ imageproc.Window) (imageproc.Image, error) {
		i := s.samples[order[p]]
		drawn := func() *rand.Rand { return heads.Augmenting.Rand(s.seed, epoch, i) } // always the same for an image in an epoch
		im, err := data.LoadWindow(i, func(w, h int) image.Rectangle { return a.Window(drawn(), w, h) })
		if err != nil {
			return im, err
		}
		return a.Apply(drawn(), im)
	})
}
