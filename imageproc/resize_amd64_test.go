package imageproc

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// Resizing gives the same bytes with and without AVX2, at sizes around the
// groups of 16 bytes and 4 taps it works in. Black and white make sums that must
// be clipped.
func TestResizeInAssembly(t *testing.T) {
	if !fast {
		t.Skip("this processor has no AVX2")
	}
	defer func() { fast = true }()
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 400 {
		src := New(1+rng.IntN(70), 1+rng.IntN(70))
		for k := range src.Pix {
			src.Pix[k] = byte(rng.IntN(256))
			if i%2 == 0 {
				src.Pix[k] = byte(255 * rng.IntN(2))
			}
		}
		src.Pix = slices.Clip(src.Pix) // no spare memory behind the last row
		w, h := 1+rng.IntN(90), 1+rng.IntN(90)
		f := Pillow.Filters()[1+rng.IntN(len(Pillow.Filters())-1)]
		var a, b Resizer
		fast = true
		got := slices.Clone(a.Resize(src, w, h, f).Pix)
		fast = false
		if want := b.Resize(src, w, h, f).Pix; !bytes.Equal(got, want) {
			t.Fatalf("%d x %d to %d x %d, %s", src.W, src.H, w, h, f)
		}
	}
}
