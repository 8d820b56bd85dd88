package imageproc

import "golang.org/x/sys/cpu"

// fast says whether the functions of resize_amd64.s can run. They give the
// values of their counterparts in Go, bit for bit.
var fast = cpu.X86.HasAVX2

// horizontalAVX2 computes n RGB pixels of one row. Weights come in groups of four
// per pixel, size (a multiple of 4) from one pixel to the next, zeros behind the
// last; 16 bytes are read for each group.
//
//go:noescape
func horizontalAVX2(out, in *byte, first, count, k *int32, size, n int)

// verticalAVX2 computes n bytes (a multiple of 16, not 0) of one row from taps
// rows that are stride bytes apart.
//
//go:noescape
func verticalAVX2(out, src *byte, stride int, k *int32, taps, n int)
