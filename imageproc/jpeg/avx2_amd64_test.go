package jpeg

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// The functions in assembly give the bytes of those in Go: on blocks such as
// files hold, on coefficients and tables of any value (damaged files have
// them), and on single coefficients.
func TestInverseDCTInAssembly(t *testing.T) {
	if !fast {
		t.Skip("this processor has no AVX2")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const stride = 24
	for i := range 30000 {
		var blk [64]int16
		var q [64]int16
		for k := range 64 {
			q[k] = int16(1 + rng.IntN(64))
			switch {
			case i%3 == 0:
				blk[k] = int16(rng.IntN(1 << 16))
				q[k] = int16(rng.IntN(1 << 16))
			case rng.IntN(10) == 0:
				blk[k] = int16(rng.IntN(400) - 200)
			}
		}
		if i < 64 {
			blk = [64]int16{}
			blk[i] = 1000
		}
		got, want := make([]byte, 8*stride), make([]byte, 8*stride)
		idctAVX2(&blk, &q, &got[8], stride)
		idctGo(&blk, &q, want[8:], stride)
		if !bytes.Equal(got, want) {
			t.Fatalf("block %d: %v with %v", i, blk, q)
		}
	}
}

// Every pair of Cb and Cr, with Y at the ends of its range and between.
func TestColourInAssembly(t *testing.T) {
	if !fast {
		t.Skip("this processor has no AVX2")
	}
	var ys, cbs, crs [256]byte
	for i := range crs {
		crs[i] = byte(i)
	}
	got, want := make([]byte, 3*256), make([]byte, 3*256)
	for cb := range 256 {
		for _, y := range []int{0, 1, 77, 128, 200, 254, 255} {
			for i := range ys {
				ys[i], cbs[i] = byte(y), byte(cb)
			}
			yccRow(got, ys[:], cbs[:], crs[:])
			yccRowGo(want, ys[:], cbs[:], crs[:])
			if !bytes.Equal(got, want) {
				t.Fatalf("cb %d, y %d", cb, y)
			}
		}
	}
	for n := range 50 { // lengths that are no multiple of 16
		got, want := make([]byte, 3*n+3), make([]byte, 3*n+3)
		yccRow(got[:3*n], ys[:n], cbs[:n], crs[:n])
		yccRowGo(want[:3*n], ys[:n], cbs[:n], crs[:n])
		if !bytes.Equal(got, want) {
			t.Fatalf("%d pixels", n)
		}
	}
}

// TestFDCTVector: the vector code gives the coefficients of the code in Go.
func TestFDCTVector(t *testing.T) {
	if !fast {
		t.Skip("this processor has no AVX2")
	}
	rng := rand.New(rand.NewPCG(5, 5))
	for k := range 3000 {
		const stride = 24
		src := make([]byte, 7*stride+8)
		for i := range src {
			switch k % 3 {
			case 0:
				src[i] = byte(rng.Uint32())
			case 1:
				src[i] = byte(255 * rng.IntN(2)) // the largest coefficients
			default:
				src[i] = byte(i * k)
			}
		}
		var half [64]int32
		var div [64]float32
		for i := range half {
			q := 1 + rng.IntN(255)
			if k%5 == 0 {
				q = 1
			}
			half[i], div[i] = int32(4*q), float32(8*q)
		}
		var want, got [64]int16
		fdctGo(src, stride, &half, &div, &want)
		fdctAVX2(&src[0], stride, &half, &div, &got)
		if want != got {
			t.Fatalf("block %d: %v, want %v", k, got, want)
		}
	}
}

// TestPlanesVector: the vector code gives the colours and the halves of the code in Go, at
// every width, and writes no further than the row.
func TestPlanesVector(t *testing.T) {
	if !fast {
		t.Skip("this processor has no AVX2")
	}
	rng := rand.New(rand.NewPCG(6, 6))
	random := func(n, k int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
			if k%2 == 1 {
				b[i] = byte(255 * rng.IntN(2))
			}
		}
		return b
	}
	for n := 1; n < 200; n++ {
		rgb := random(3*n, n)
		var want, got [3][]byte
		for i := range want {
			want[i], got[i] = make([]byte, n+32), make([]byte, n+32)
		}
		rgbRowGo(rgb, want[0], want[1], want[2])
		rgbRow(rgb, got[0], got[1], got[2])
		above, below := random(2*n, n), random(2*n, n)
		a, b := make([]byte, n), make([]byte, n+32)
		halveGo(above, below, a)
		halve(above, below, b[:n])
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Fatalf("%d pixels, plane %d: %v, want %v", n, i, got[i], want[i])
			}
		}
		if !slices.Equal(b[:n], a) || !slices.Equal(b[n:], make([]byte, 32)) {
			t.Fatalf("%d halves: %v, want %v", n, b, a)
		}
	}
}
