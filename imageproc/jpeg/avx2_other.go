//go:build !amd64

package jpeg

const fast = false

func idctAVX2(_, _ *[64]int16, _ *byte, _ int) { panic("jpeg: no AVX2") }

func yccRowAVX2(_, _, _, _ *byte, _ int) { panic("jpeg: no AVX2") }

func fdctAVX2(_ *byte, _ int, _ *[64]int32, _ *[64]float32, _ *[64]int16) { panic("jpeg: no AVX2") }

func rgbRowAVX2(_, _, _, _ *byte, _ int) { panic("jpeg: no AVX2") }

func halveAVX2(_, _, _ *byte, _ int) { panic("jpeg: no AVX2") }
