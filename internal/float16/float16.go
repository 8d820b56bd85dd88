// Package float16 converts halves, numbers of IEEE 754 with 16 bits.
package float16

import "math"

// Widen widens an IEEE 754 half; every half is exact as a float32.
func Widen(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10&31), uint32(h&1023)
	switch {
	case exp == 31: // infinity, NaN
		return math.Float32frombits(sign | 0xFF<<23 | frac<<13)
	case exp > 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
	f := float32(frac) / (1 << 24) // zero and subnormals
	if sign != 0 {
		f = -f
	}
	return f
}

// Round rounds to the nearest half, ties to even; overflow is infinity.
func Round(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7FFFFFFF
	switch {
	case b > 0x7F800000:
		return sign | 0x7E00 // NaN
	case b >= 0x477FF000: // 65520 and above rounds out of range
		return sign | 0x7C00
	case b < 0x38800000: // below the smallest normal: steps of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(b))*(1<<24)))
	}
	b += 0xFFF + b>>13&1
	return sign | uint16((b-112<<23)>>13)
}
