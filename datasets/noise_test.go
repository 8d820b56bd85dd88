package datasets

import (
	"bytes"
	"math"
	"testing"
)

// TestNoise: kinds have the moments of what they are, and image i is always the same.
func TestNoise(t *testing.T) {
	for kind, want := range map[string][2]float64{
		"uniform": {127.5, 73.9}, // sd 256/sqrt(12)
		// 0.5 + Z clipped to 0..1 has the variance E[min(|Z|, 0.5)^2] = P(|Z| < 0.5) - phi(0.5)
		// + 0.25 P(|Z| > 0.5) = 0.3829 - 0.3521 + 0.1543.
		"gaussian": {127.5, 109.7},
	} {
		d, err := Open("noise:"+kind, Options{NoiseW: 40, NoiseH: 30, NoiseSeed: 3})
		if err != nil {
			t.Fatal(err)
		}
		var sum, square, n float64
		for i := range 50 {
			_, im, err := d.src.read(i, nil)
			if err != nil || im.W != 40 || im.H != 30 {
				t.Fatal(err)
			}
			for _, v := range im.Pix {
				sum, square, n = sum+float64(v), square+float64(v)*float64(v), n+1
			}
		}
		mean := sum / n
		sd := math.Sqrt(square/n - mean*mean)
		// 180,000 values: standard errors are below 0.25; values are rounded down.
		if math.Abs(mean-want[0]) > 1.5 || math.Abs(sd-want[1]) > 1 {
			t.Errorf("%s: mean %.2f, sd %.2f", kind, mean, sd)
		}
	}
	o := Options{NoiseW: 32, NoiseH: 32}
	a, err := Open("noise:blobs", o)
	if err != nil {
		t.Fatal(err)
	}
	_, x, _ := a.src.read(7, nil)
	_, y, _ := a.src.read(7, make([]byte, 9000))
	_, z, _ := a.src.read(8, nil)
	if !bytes.Equal(x.Pix, y.Pix) || bytes.Equal(x.Pix, z.Pix) {
		t.Error("an image is not a function of its number")
	}
	zero := 0
	for _, v := range x.Pix {
		if v == 0 {
			zero++
		} else if v < 191 {
			t.Fatalf("a value %d between 0 and the cut", v)
		}
	}
	if zero == 0 || zero == len(x.Pix) {
		t.Error("no blobs")
	}
	// Textures are smooth, and differ: neighbours are alike, images are not.
	tex, err := Open("noise:texture", o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		_, im, _ := tex.src.read(i, nil)
		_, other, _ := tex.src.read(i+1, nil)
		var near, far, span float64
		lo, hi := im.Pix[0], im.Pix[0]
		for y := range 32 {
			for x := range 31 {
				for c := range 3 {
					a, b := im.Pix[3*(32*y+x)+c], im.Pix[3*(32*y+x+1)+c]
					near += math.Abs(float64(a) - float64(b))
					far += math.Abs(float64(a) - float64(other.Pix[3*(32*y+x)+c]))
					lo, hi = min(lo, a), max(hi, a)
				}
			}
		}
		if span = float64(hi) - float64(lo); span < 10 || near > far {
			t.Errorf("texture %d: range %v, difference of neighbours %v, of images %v", i, span, near, far)
		}
	}
	if _, err := Open("noise:pink", o); err == nil {
		t.Error("pink noise is known")
	}
}
