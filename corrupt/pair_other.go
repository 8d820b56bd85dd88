//go:build !amd64

package corrupt

const fast = false

func pairAVX2(_, _, _ *float64, _ float64, _ int) { panic("corrupt: no AVX2") }

func pairsAVX2(_ *float64, _, _ *int32, _ float64, _ int) { panic("corrupt: no AVX2") }
