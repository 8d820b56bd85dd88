package jpeg

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"math/rand/v2"
	"os"
	"testing"

	"cutmix-eval/internal/golden"
)

func rgb(t *testing.T, elem ...string) (pix []byte, w, h int) {
	t.Helper()
	data, err := os.ReadFile(golden.Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b := m.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, _ := m.At(x, y).RGBA()
			pix = append(pix, byte(r>>8), byte(g>>8), byte(bl>>8))
		}
	}
	return pix, b.Dx(), b.Dy()
}

// TestEncodeGolden: files of quality 85 decode to the pixels that Pillow's files do.
func TestEncodeGolden(t *testing.T) {
	var e Encoder
	var d Decoder
	for _, name := range []string{"brightness-1", "contrast-5", "defocus_blur-3", "gaussian_noise-3"} {
		pix, w, h := rgb(t, "golden", "corruptions", "expected", "rock_python-224", name+".png")
		want, _, _ := rgb(t, "golden", "corruptions", "jpeg85", name+"-decoded.png")
		file, err := e.Encode(pix, w, h, 85)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := d.Decode(file, nil, nil)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the file's pixels are others (%v)", name, err)
		}
		// Pillow's codes are made for the picture, too.
		ref, err := os.ReadFile(golden.Path(t, "golden", "corruptions", "jpeg85", name+".JPEG"))
		if err != nil || len(file) > len(ref) {
			t.Errorf("%s: %d bytes, Pillow's has %d (%v)", name, len(file), len(ref), err)
		}
	}
}

// TestEncodeAny: for any size and quality, our decoder and Go's read the file, and a round
// trip without one gives the same pixels.
func TestEncodeAny(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var e, r Encoder
	var d Decoder
	for range 120 {
		w, h, q := 1+rng.IntN(50), 1+rng.IntN(50), 1+rng.IntN(100)
		pix := make([]byte, 3*w*h)
		for i := range pix {
			if pix[i] = byte(5*i/(1+rng.IntN(3)) + 40*(i%3)); q%3 == 0 {
				pix[i] = byte(rng.Uint32())
			}
		}
		name := fmt.Sprintf("%d x %d, quality %d", w, h, q)
		file, err := e.Encode(pix, w, h, q)
		if err != nil {
			t.Fatal(err)
		}
		got, head, err := d.Decode(file, nil, nil)
		if err != nil || head.Width != w || head.Height != h {
			t.Fatalf("%s: %v", name, err)
		}
		trip := make([]byte, len(pix))
		if err := r.RoundTrip(trip, pix, w, h, q); err != nil || !bytes.Equal(trip, got) {
			t.Fatalf("%s: the round trip differs from the file (%v)", name, err)
		}
		if _, _, err := image.Decode(bytes.NewReader(file)); err != nil {
			t.Fatalf("%s: Go's decoder says %v", name, err)
		}
	}
	for _, c := range [][3]int{{0, 5, 50}, {5, 0, 50}, {5, 5, 0}, {5, 5, 101}, {70000, 1, 50}} {
		if _, err := e.Encode(make([]byte, 3*70000), c[0], c[1], c[2]); err == nil {
			t.Errorf("%v is encoded", c)
		}
	}
	if _, err := e.Encode(make([]byte, 10), 5, 5, 50); err == nil {
		t.Error("too few bytes are encoded")
	}
}

// TestCodes: codes are prefix-free, at most 16 bits long, none of all ones, and as short as
// can be: the more often a value occurs the shorter.
func TestCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for k := range 60 {
		var c coding
		n, a, b := 1+rng.IntN(256), 1, 1
		for v := range n {
			switch {
			case k%3 == 0 && v < 40: // would need 40 bits
				c.often[v], a, b = a, b, a+b
			case k%3 == 1:
				c.often[v] = 1 + rng.IntN(1000)
			default:
				c.often[v] = rng.IntN(3)
			}
		}
		c.often[rng.IntN(n)]++ // at least one
		often := c.often
		c.build()
		sum := 0
		for v := range 256 {
			if (often[v] > 0) != (c.length[v] > 0) {
				t.Fatalf("value %d occurs %d times and has %d bits", v, often[v], c.length[v])
			}
			if often[v] == 0 {
				continue
			}
			l := c.length[v]
			if l > 16 || c.code[v] == 1<<l-1 {
				t.Fatalf("value %d has the code %b of %d bits", v, c.code[v], l)
			}
			sum += 1 << (16 - l)
			for w := range v {
				if m := c.length[w]; m > 0 && (m <= l && c.code[v]>>(l-m) == c.code[w] || m > l && c.code[w]>>(m-l) == c.code[v]) {
					t.Fatalf("the codes of %d and %d begin alike", v, w)
				}
				if often[w] > 0 && often[w] > often[v] && c.length[w] > l {
					t.Fatalf("%d occurs more often than %d and has a longer code", w, v)
				}
			}
		}
		if sum >= 1<<16 {
			t.Errorf("codes leave no room for that of all ones")
		}
	}
}
