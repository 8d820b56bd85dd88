//go:build !amd64

package imageproc

const fast = false

func horizontalAVX2(_, _ *byte, _, _, _ *int32, _, _ int) { panic("imageproc: no AVX2") }

func verticalAVX2(_, _ *byte, _ int, _ *int32, _, _ int) { panic("imageproc: no AVX2") }
