package augment

import (
	"image"
	"math"
	"math/rand/v2"
	"testing"
)

// TestResizedCrop: shares of the area and ratios are uniform between their limits, parts lie
// inside, and where nothing fits the middle is taken as torchvision does.
func TestResizedCrop(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	scale, ratio := [2]float64{0.08, 1}, [2]float64{3. / 4, 4. / 3}
	const n = 20000
	area, logs := 0.0, 0.0
	for range n {
		b := ResizedCrop(rng, 1000, 1000, [2]float64{0.08, 0.5}, ratio)
		if !b.In(image.Rect(0, 0, 1000, 1000)) {
			t.Fatalf("%+v", b)
		}
		area += float64(b.Dx()*b.Dy()) / 1e6 / n
		logs += math.Log(float64(b.Dx())/float64(b.Dy())) / n
	}
	// All of them fit. Standard errors are 0.0009 and 0.0012.
	if math.Abs(area-0.29) > 0.005 || math.Abs(logs) > 0.006 {
		t.Errorf("mean share %v, mean logarithm of the ratio %v", area, logs)
	}
	for _, c := range []struct {
		h, w int
		want image.Rectangle
	}{
		{1000, 10, image.Rect(0, 493, 10, 506)}, // as torchvision 0.14 gives them
		{10, 1000, image.Rect(493, 0, 506, 10)},
	} {
		if b := ResizedCrop(rng, c.h, c.w, [2]float64{0.9, 1}, ratio); b != c.want {
			t.Errorf("%d x %d: %+v, want %+v", c.h, c.w, b, c.want)
		}
	}
	if b := ResizedCrop(rng, 30, 40, scale, ratio); b.Dx()*b.Dy() < 90 || b.Dx()*b.Dy() > 1200 {
		t.Errorf("%+v", b)
	}
}
