package runtime

import (
	"encoding/binary"
	"math"

	"cutmix-eval/internal/float16"
	"cutmix-eval/internal/onnx"
)

// packers convert float32 values to the element types that inputs can have: src to
// little-endian values at the start of dst. float32 needs none.
var packers = map[onnx.Type]func(dst []byte, src []float32){
	onnx.Float32: nil,
	onnx.Float16: func(dst []byte, src []float32) {
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], float16.Round(v))
		}
	},
	onnx.Float64: func(dst []byte, src []float32) {
		for i, v := range src {
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(v)))
		}
	},
	onnx.Uint8: func(dst []byte, src []float32) {
		for i, v := range src {
			dst[i] = byte(whole(v, 0, math.MaxUint8))
		}
	},
	onnx.Int8: func(dst []byte, src []float32) {
		for i, v := range src {
			dst[i] = byte(whole(v, math.MinInt8, math.MaxInt8))
		}
	},
	onnx.Int32: func(dst []byte, src []float32) {
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], uint32(whole(v, math.MinInt32, math.MaxInt32)))
		}
	},
	onnx.Int64: func(dst []byte, src []float32) {
		for i, v := range src {
			binary.LittleEndian.PutUint64(dst[8*i:], uint64(whole(v, math.MinInt64, math.MaxInt64)))
		}
	},
	onnx.Bool: func(dst []byte, src []float32) {
		for i, v := range src {
			dst[i] = 0
			if v != 0 {
				dst[i] = 1
			}
		}
	},
}

// whole rounds to the nearest integer, ties to even, and keeps the result between
// least and most. NaN becomes 0.
func whole(v float32, least, most int64) int64 {
	r := math.RoundToEven(float64(v))
	switch {
	case r != r:
		return 0
	case r <= float64(least):
		return least
	case r >= float64(most): // of the 64-bit most, which is no float64, this is 2^63
		return most
	}
	return int64(r)
}
