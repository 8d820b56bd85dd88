package boxes_test

import (
	"fmt"

	"cutmix-eval/boxes"
)

// Boxes hold the pixels of both corners: each of these has 4 x 4, and they share 2 x 4.
func ExampleIoU() {
	a := boxes.Box{X0: 0, Y0: 0, X1: 3, Y1: 3}
	b := boxes.Box{X0: 2, Y0: 0, X1: 5, Y1: 3}
	fmt.Printf("%d pixels in both, IoU %.3f\n", boxes.Intersection(a, b), boxes.IoU(a, b))
	// Output:
	// 8 pixels in both, IoU 0.333
}

// The box of the largest region of a map above a level.
func ExampleRegion() {
	const w, h = 6, 4
	heat := []float64{
		0.1, 0.9, 0.0, 0.0, 0.0, 0.0,
		0.0, 0.0, 0.0, 0.8, 0.7, 0.0,
		0.0, 0.0, 0.3, 0.6, 0.9, 0.1,
		0.0, 0.0, 0.0, 0.0, 0.4, 0.0,
	}
	box, pixels, _ := boxes.Region(heat, w, h, 0.5)
	fmt.Printf("above 0.5: %+v, %d pixels\n", box, pixels)
	box, pixels, _ = boxes.Region(heat, w, h, 0.25)
	fmt.Printf("above 0.25: %+v, %d pixels\n", box, pixels)
	// Output:
	// above 0.5: {X0:3 Y0:1 X1:4 Y1:2}, 4 pixels
	// above 0.25: {X0:2 Y0:1 X1:4 Y1:3}, 6 pixels
}
