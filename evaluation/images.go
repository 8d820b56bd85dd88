package evaluation

import (
	"image"

	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
)

// Load loads image i, of which only the part that want gives will be looked at. The
// image need only live until the next call. A Load is used by one goroutine.
type Load func(i int, want imageproc.Window) (imageproc.Image, error)

// Filler fills in images as load gives them, prepared by a recipe.
func Filler(r imageproc.Recipe, load Load) (pipeline.Filler, error) {
	t, err := imageproc.NewTransform(r)
	if err != nil {
		return nil, err
	}
	return func(i int, dst []float32) (image.Point, error) {
		img, err := load(i, t.Window)
		if err == nil {
			err = t.Apply(img, dst)
		}
		return img.Size(), err
	}, nil
}

// Load loads the images of the samples at (nil is all).
func (s *Setup) Load(at []int) Load {
	load := s.Data.Loader().LoadWindow
	if at == nil {
		return load
	}
	return func(i int, want imageproc.Window) (imageproc.Image, error) { return load(at[i], want) }
}
