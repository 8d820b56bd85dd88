package augment

import (
	"fmt"
	"image"
	"math/rand/v2"
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
