package float16

import "testing"

func TestHalves(t *testing.T) {
	for h := range 1 << 16 {
		f := Widen(uint16(h))
		if f != f {
			if back := Round(f); back&0x7C00 != 0x7C00 || back&0x3FF == 0 {
				t.Fatalf("NaN %#x became %#x", h, back)
			}
			continue
		}
		if back := Round(f); back != uint16(h) {
			t.Fatalf("%#x -> %v -> %#x", h, f, back)
		}
	}
	for f, want := range map[float32]uint16{
		1: 0x3C00, -2: 0xC000, 65504: 0x7BFF, 65519.99: 0x7BFF, 65520: 0x7C00, 1e9: 0x7C00,
		1.00048828125: 0x3C00, 1.00146484375: 0x3C02, // halfway: to even
		5.9604645e-8: 1, 2.9802322e-8: 0, 8.940697e-8: 2,
	} {
		if got := Round(f); got != want {
			t.Errorf("%v -> %#x, want %#x", f, got, want)
		}
	}
}
