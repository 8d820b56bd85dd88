package corrupt

import "golang.org/x/sys/cpu"

// fast says whether the functions of pair_amd64.s can run. They give the values of their
// counterparts in Go, bit for bit: products are rounded before they are added.
var fast = cpu.X86.HasAVX2

// pairAVX2 adds (a + b) k to n values, a multiple of 4.
//
//go:noescape
func pairAVX2(acc, a, b *float64, k float64, n int)

// pairsAVX2 is the same of integers.
//
//go:noescape
func pairsAVX2(acc *float64, a, b *int32, k float64, n int)
