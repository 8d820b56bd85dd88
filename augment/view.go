package augment

import (
	"fmt"
	"image"
	"math/rand/v2"

	"cutmix-eval/imageproc"
)

// Views says what is done to an image before it is mixed, anew in every epoch.
type Views struct {
	Crop  bool       `json:"crop"`  // a random part, resized to the model's size, as torchvision's RandomResizedCrop
	Scale [2]float64 `json:"scale"` // share of the picture's area
	Ratio [2]float64 `json:"ratio"` // of width to height
	Flip  float64    `json:"flip"`  // probability of a mirror image
}

// Any says whether images differ from epoch to epoch.
func (v Views) Any() bool { return v.Crop || v.Flip > 0 }

// Validate says what in it makes no sense.
func (v Views) Validate() error {
	switch {
	case !(v.Flip >= 0 && v.Flip <= 1):
		return fmt.Errorf("a flip probability of %v is not within 0 and 1", v.Flip)
	case !(v.Scale[0] > 0 && v.Scale[0] <= v.Scale[1] && v.Scale[1] <= 1):
		return fmt.Errorf("crops of %v to %v of the area: two shares are needed, the smaller first", v.Scale[0], v.Scale[1])
	case !(v.Ratio[0] > 0 && v.Ratio[0] <= v.Ratio[1] && v.Ratio[1] < 100):
		return fmt.Errorf("crops of %v to %v times as wide as high", v.Ratio[0], v.Ratio[1])
	}
	return nil
}

// Draw draws the part of an h x w picture that is taken, empty where it is not cropped, and whether
// it is mirrored.
func (v Views) Draw(rng *rand.Rand, h, w int) (part image.Rectangle, flip bool) {
	flip = rng.Float64() < v.Flip
	if v.Crop {
		part = ResizedCrop(rng, h, w, v.Scale, v.Ratio)
	}
	return part, flip
}

// Augmenter makes views of pictures at the size that a model sees. Not safe for concurrent use.
type Augmenter struct {
	Views
	recipe       imageproc.Recipe
	size         imageproc.Size
	transform    *imageproc.Transform
	part, mirror []byte
}

// NewAugmenter makes views of the given size in place of what a recipe makes of pictures.
func NewAugmenter(v Views, r imageproc.Recipe, size imageproc.Size) (*Augmenter, error) {
	t, err := imageproc.NewTransform(r)
	return &Augmenter{Views: v, recipe: r, size: size, transform: t}, err
}

// Window is the part of a w x h picture that will be looked at.
func (a *Augmenter) Window(rng *rand.Rand, w, h int) image.Rectangle {
	if !a.Crop {
		return a.transform.Window(w, h)
	}
	part, _ := a.Draw(rng, h, w)
	return part
}

// Apply is the view of a picture that the generator draws, as Window does. It is valid until the
// next call.
func (a *Augmenter) Apply(rng *rand.Rand, im imageproc.Image) (imageproc.Image, error) {
	of := im.Size()
	b, flip := a.Draw(rng, im.H, im.W)
	var err error
	if a.Crop {
		a.part = a.part[:0]
		for y := b.Min.Y; y < b.Max.Y; y++ {
			a.part = append(a.part, im.Pix[3*(y*im.W+b.Min.X):3*(y*im.W+b.Max.X)]...)
		}
		im = a.transform.Resize(imageproc.Image{W: b.Dx(), H: b.Dy(), Pix: a.part}, a.size.W, a.size.H)
	} else if im, err = a.transform.Pixels(im); err != nil {
		return im, err
	} else if err := a.recipe.Fits(of.X, of.Y, a.size); err != nil {
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
