package augment

import (
	"slices"
	"testing"

	"cutmix-eval/imageproc"
)

// TestAugmenter: a crop is that of the picture, resized; a mirror image is one; the same in
// the same epoch, another in the next.
func TestAugmenter(t *testing.T) {
	im := imageproc.Image{W: 40, H: 30, Pix: make([]byte, 40*30*3)}
	for i := range im.Pix {
		im.Pix[i] = byte(i * 31 % 251)
	}
	recipe := imageproc.Standard()
	recipe.Resize, recipe.Crop = imageproc.Size{H: 16, W: 16}, imageproc.Size{H: 16, W: 16}
	transform, err := imageproc.NewTransform(recipe)
	if err != nil {
		t.Fatal(err)
	}
	augmented := func(crop bool, flip float64, epoch, image int) []byte {
		t.Helper()
		v := Views{Crop: crop, Scale: [2]float64{0.3, 0.6}, Ratio: [2]float64{0.8, 1.2}, Flip: flip}
		a, err := NewAugmenter(v, recipe, imageproc.Size{H: 16, W: 16})
		if err != nil {
			t.Fatal(err)
		}
		out, err := a.Apply(drawn(epoch, image), im)
		if err != nil {
			t.Fatal(err)
		}
		if out.W != 16 || out.H != 16 || out.Of != im.Size() {
			t.Fatalf("%d x %d of %v", out.W, out.H, out.Of)
		}
		part, _ := v.Draw(drawn(epoch, image), im.H, im.W)
		if w := a.Window(drawn(epoch, image), im.W, im.H); crop && w != part {
			t.Errorf("window %v, part %v", w, part)
		}
		return slices.Clone(out.Pix)
	}
	plain, err := transform.Pixels(im)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(augmented(false, 0, 0, 0), plain.Pix) {
		t.Error("without augmentation it is another picture than at evaluation")
	}
	mirror := augmented(false, 1, 0, 0)
	for y := range 16 {
		for x := range 16 {
			if !slices.Equal(mirror[3*(y*16+x):3*(y*16+x)+3], plain.Pix[3*(y*16+15-x):3*(y*16+15-x)+3]) {
				t.Fatalf("the mirror image differs at %d, %d", x, y)
			}
		}
	}
	a := augmented(true, 0, 2, 5)
	if !slices.Equal(a, augmented(true, 0, 2, 5)) {
		t.Error("the same image is another in the same epoch")
	}
	if slices.Equal(a, augmented(true, 0, 3, 5)) || slices.Equal(a, augmented(true, 0, 2, 6)) {
		t.Error("crops are not those of image and epoch")
	}
}
