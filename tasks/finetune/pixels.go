package finetune

import (
	"context"
	"fmt"
	"image"

	"cutmix-eval/augment"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
)

// pixels is a source of features that the backbone computes anew in every epoch, of images
// that are augmented and mixed.
type pixels struct {
	config   Training
	seed     uint64
	setup    *evaluation.Setup // its session is open; the penultimate vector is its last output
	samples  []int             // of the data, of the training images
	features int
	y        *labels
	progress func(epoch, done int) // may be nil

	scratch []float32
	batch   Batch
}

// Steps is the number of batches of an epoch.
func (s *pixels) Steps() int { return steps(len(s.samples), s.config.Batch) }

// Epoch gives the batches of an epoch.
func (s *pixels) Epoch(ctx context.Context, epoch int, each func(Batch) error) error {
	order := random(s.seed, ordering, epoch, 0).Perm(len(s.samples))
	c := s.setup.Pipeline(nil, nil)
	recipe := s.setup.Cropped()
	c.N, c.Batch = len(order), s.config.Batch
	c.Filler = func() (pipeline.Filler, error) { return evaluation.Filler(recipe, s.load(epoch, order)) }
	if s.progress != nil {
		c.Progress = func(done int) { s.progress(epoch, done) }
	}
	size := s.setup.Size()
	channels, depth := 3, 1
	if recipe.Layout == imageproc.NHWC {
		channels, depth = 1, 3
	}
	var mix *mixing
	c.Before = func(b pipeline.Batch, first, n int, errs []error) error {
		for i, err := range errs {
			if err != nil {
				return fmt.Errorf("training image %s could be read before, and cannot any more: %w", s.setup.Data.Samples[s.samples[order[first+i]]].ID, err)
			}
		}
		if s.config.Mix.Method == None {
			return nil
		}
		step := first / s.config.Batch
		progress := float64(epoch*s.Steps()+step) / float64(s.config.Epochs*s.Steps())
		if mix = s.config.Mix.plan(random(s.seed, mixingOf, epoch, step), n, size.H, size.W, progress); mix != nil {
			s.config.Mix.pixels(mix, func(i int) []float32 { return b.Input(0, i) }, &s.scratch, channels, size.H, size.W, depth)
		}
		return nil
	}
	last := len(s.setup.Session.Outputs) - 1
	s.batch.X = s.batch.X[:0]
	_, err := pipeline.Run(ctx, c, func(r pipeline.Result) error {
		s.batch.X = append(s.batch.X, r.Output(last)...)
		if (r.Index+1)%s.config.Batch != 0 && r.Index+1 != len(order) {
			return nil
		}
		first := r.Index / s.config.Batch * s.config.Batch
		s.batch.Y = mix.targets(s.batch.Y, s.y, order[first:r.Index+1])
		err := each(s.batch)
		s.batch.X = s.batch.X[:0]
		return err
	})
	return err
}

// load loads images in the order of an epoch, augmented, at the size that the model sees.
func (s *pixels) load(epoch int, order []int) evaluation.Load {
	a := &augmenter{config: s.config.Augment, recipe: s.setup.Recipe, size: s.setup.Size()}
	var err error
	if a.transform, err = imageproc.NewTransform(s.setup.Recipe); err != nil {
		panic("finetune: " + err.Error()) // it was checked
	}
	data := s.setup.Data.Loader()
	return func(p int, _ imageproc.Window) (imageproc.Image, error) {
		i := s.samples[order[p]]
		a.seed, a.epoch, a.image = s.seed, epoch, i
		im, err := data.LoadWindow(i, a.window)
		if err != nil {
			return im, err
		}
		return a.apply(im)
	}
}

// augmenter augments images, for one goroutine.
type augmenter struct {
	config       Augment
	recipe       imageproc.Recipe
	size         imageproc.Size
	transform    *imageproc.Transform
	resizer      imageproc.Resizer
	part, mirror []byte

	seed         uint64
	epoch, image int // that come next
}

// draw is the part of a w x h picture, and whether it is mirrored: always the same for an
// image in an epoch.
func (a *augmenter) draw(w, h int) (image.Rectangle, bool) {
	rng := random(a.seed, augmenting, a.epoch, a.image)
	flip := rng.Float64() < a.config.Flip
	if !a.config.Crop {
		return image.Rectangle{}, flip
	}
	return augment.ResizedCrop(rng, h, w, a.config.Scale, a.config.Ratio), flip
}

// window is what will be looked at.
func (a *augmenter) window(w, h int) image.Rectangle {
	if !a.config.Crop {
		return a.transform.Window(w, h)
	}
	b, _ := a.draw(w, h)
	return b
}

// apply is the augmented image, valid until the next call.
func (a *augmenter) apply(im imageproc.Image) (imageproc.Image, error) {
	of := im.Size()
	b, flip := a.draw(im.W, im.H)
	var err error
	if a.config.Crop {
		a.part = a.part[:0]
		for y := b.Min.Y; y < b.Max.Y; y++ {
			a.part = append(a.part, im.Pix[3*(y*im.W+b.Min.X):3*(y*im.W+b.Max.X)]...)
		}
		im = a.resizer.Resize(imageproc.Image{W: b.Dx(), H: b.Dy(), Pix: a.part}, a.size.W, a.size.H, a.recipe.Interpolation)
	} else if im, err = a.transform.Pixels(im); err != nil {
		return im, err
	}
	if flip {
		a.mirror = a.mirror[:0]
		for y := range im.H {
			for x := im.W - 1; x >= 0; x-- {
				a.mirror = append(a.mirror, im.Pix[3*(y*im.W+x):3*(y*im.W+x)+3]...)
			}
		}
		im.Pix = a.mirror
	}
	im.Of = of
	return im, nil
}
