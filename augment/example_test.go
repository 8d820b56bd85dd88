package augment_test

import (
	"fmt"

	"cutmix-eval/augment"
)

// CutMix pastes a box of one image into another and mixes their labels by area. The border cuts
// this box off, so that the image keeps more than the lambda that was drawn.
func ExamplePaste() {
	const h, w = 4, 4
	cat, dog := make([]float32, h*w), make([]float32, h*w) // one channel
	for i := range cat {
		cat[i], dog[i] = 1, 7
	}
	const lambda = 0.75                        // sides of sqrt(1 - 0.75) = half the image's
	box := augment.BoxAt(h, w, lambda, 0, 2)   // around row 0 and column 2
	augment.Paste(cat, cat, dog, 1, h, w, box) // in place
	for y := range h {
		fmt.Println(cat[y*w : (y+1)*w])
	}
	share := augment.Shares.Share(augment.Lambda(box, h, w))
	fmt.Printf("box %v; label %.3f cat, %.3f dog\n", box, share, 1-share)
	// Output:
	// [1 7 7 1]
	// [1 1 1 1]
	// [1 1 1 1]
	// [1 1 1 1]
	// box (1,0)-(3,1); label 0.875 cat, 0.125 dog
}
