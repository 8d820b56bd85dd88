package imageproc_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"cutmix-eval/imageproc"
)

// From the bytes of a file to the tensor that a network takes. Transform.Window lets the decoder
// leave out what the crop does not show.
func ExampleTransform_Apply() {
	var file bytes.Buffer
	m := image.NewRGBA(image.Rect(0, 0, 6, 4))
	for y := range 4 {
		for x := range 6 {
			m.Set(x, y, color.RGBA{R: 255, G: uint8(51 * x), A: 255})
		}
	}
	if err := png.Encode(&file, m); err != nil {
		fmt.Println(err)
		return
	}

	recipe, err := imageproc.NamedRecipe("raw") // samples 0 to 1, as they are
	if err != nil {
		fmt.Println(err)
		return
	}
	recipe.Crop = imageproc.Size{H: 2, W: 4}
	recipe.Mean = [3]float32{0.5, 0, 0}
	t, err := imageproc.NewTransform(recipe)
	if err != nil {
		fmt.Println(err)
		return
	}

	var d imageproc.Decoder
	im, format, err := d.DecodeWindow(file.Bytes(), t.Window)
	if err != nil {
		fmt.Println(err)
		return
	}
	tensor := make([]float32, 3*2*4) // channels x rows x columns
	if err := t.Apply(im, tensor); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s, %d x %d\n", format, im.W, im.H)
	fmt.Println("red  ", tensor[:4])
	fmt.Printf("green %.1f\n", tensor[8:12])
	fmt.Println("blue ", tensor[16:20])
	// Output:
	// PNG, 6 x 4
	// red   [0.5 0.5 0.5 0.5]
	// green [0.2 0.4 0.6 0.8]
	// blue  [0 0 0 0]
}
