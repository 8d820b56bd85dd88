package jpeg

import "golang.org/x/sys/cpu"

// fast says whether the functions of avx2_amd64.s can run. They give the values
// of their counterparts in Go, bit for bit.
var fast = cpu.X86.HasAVX2

// idctAVX2 is idct for blocks of more than a mean. dst has 7*stride+8 bytes.
//
//go:noescape
func idctAVX2(blk, q *[64]int16, dst *byte, stride int)

// fdctAVX2 is fdctGo: half is half of what the coefficients are divided by, div.
//
//go:noescape
func fdctAVX2(src *byte, stride int, half *[64]int32, div *[64]float32, out *[64]int16)

// rgbRowAVX2 is rgbRowGo for n pixels, a multiple of 8 and not 0; it reads four bytes beyond
// them.
//
//go:noescape
func rgbRowAVX2(rgb, y, cb, cr *byte, n int)

// halveAVX2 is halveGo for n results, a multiple of 16 and not 0.
//
//go:noescape
func halveAVX2(above, below, to *byte, n int)

// yccRowAVX2 converts n pixels, a multiple of 16 and not 0.
//
//go:noescape
func yccRowAVX2(out, ys, cbs, crs *byte, n int)
