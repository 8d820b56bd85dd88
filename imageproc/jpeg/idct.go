package jpeg

import "math"

// The accurate integer inverse DCT of Loeffler, Ligtenberg and Moschytz in the
// fixed-point form of the Independent JPEG Group: constants with 13 fraction
// bits, two extra bits kept after the column pass, rounding by adding a half
// and shifting.
const (
	constBits = 13
	passBits  = 2

	f0298 = 2446  // 0.298631336 * 2^13, and so on
	f0390 = 3196  // 0.390180644
	f0541 = 4433  // 0.541196100
	f0765 = 6270  // 0.765366865
	f0899 = 7373  // 0.899976223
	f1175 = 9633  // 1.175875602
	f1501 = 12299 // 1.501321110
	f1847 = 15137 // 1.847759065
	f1961 = 16069 // 1.961570560
	f2053 = 16819 // 2.053119869
	f2562 = 20995 // 2.562915447
	f3072 = 25172 // 3.072711026
)

// idct dequantises blk (natural order), transforms it and writes 8 x 8 samples
// to dst. last is the last zigzag position that may be non-zero.
func idct(blk *[64]int16, q *[64]int16, dst []byte, stride, last int) {
	if last == 0 {
		// Only the mean: both passes reduce to one rounding.
		v := clamp((int32(blk[0]*q[0])<<passBits + 1<<(passBits+2)) >> (passBits + 3))
		for y := range 8 {
			row := dst[y*stride : y*stride+8 : y*stride+8]
			for x := range row {
				row[x] = v
			}
		}
		return
	}
	if fast {
		idctAVX2(blk, q, &dst[:7*stride+8][0], stride)
		return
	}
	idctGo(blk, q, dst, stride)
}

func idctGo(blk *[64]int16, q *[64]int16, dst []byte, stride int) {
	var ws [64]int32
	for x := range 8 {
		// Products of 16 bits, and sums clipped to 16 below, are what
		// libjpeg-turbo's vector code has; they matter in damaged files only.
		c0, c1 := int32(blk[x]*q[x]), int32(blk[8+x]*q[8+x])
		c2, c3 := int32(blk[16+x]*q[16+x]), int32(blk[24+x]*q[24+x])
		c4, c5 := int32(blk[32+x]*q[32+x]), int32(blk[40+x]*q[40+x])
		c6, c7 := int32(blk[48+x]*q[48+x]), int32(blk[56+x]*q[56+x])
		if c1|c2|c3|c4|c5|c6|c7 == 0 {
			dc := clip16(c0 << passBits)
			for y := range 8 {
				ws[y*8+x] = dc
			}
			continue
		}

		z1 := (c2 + c6) * f0541
		e2 := z1 - c6*f1847
		e3 := z1 + c2*f0765
		e0 := (c0 + c4) << constBits
		e1 := (c0 - c4) << constBits
		t10, t13 := e0+e3, e0-e3
		t11, t12 := e1+e2, e1-e2

		o0, o1, o2, o3 := odd(c7, c5, c3, c1)
		const r, s = 1 << (constBits - passBits - 1), constBits - passBits
		ws[x] = clip16((t10 + o3 + r) >> s)
		ws[56+x] = clip16((t10 - o3 + r) >> s)
		ws[8+x] = clip16((t11 + o2 + r) >> s)
		ws[48+x] = clip16((t11 - o2 + r) >> s)
		ws[16+x] = clip16((t12 + o1 + r) >> s)
		ws[40+x] = clip16((t12 - o1 + r) >> s)
		ws[24+x] = clip16((t13 + o0 + r) >> s)
		ws[32+x] = clip16((t13 - o0 + r) >> s)
	}
	for y := range 8 {
		w := (*[8]int32)(ws[y*8:])
		row := (*[8]byte)(dst[y*stride:])
		if w[1]|w[2]|w[3]|w[4]|w[5]|w[6]|w[7] == 0 {
			v := clamp((w[0] + 1<<(passBits+2)) >> (passBits + 3))
			*row = [8]byte{v, v, v, v, v, v, v, v}
			continue
		}

		z1 := (w[2] + w[6]) * f0541
		e2 := z1 - w[6]*f1847
		e3 := z1 + w[2]*f0765
		e0 := (w[0] + w[4]) << constBits
		e1 := (w[0] - w[4]) << constBits
		t10, t13 := e0+e3, e0-e3
		t11, t12 := e1+e2, e1-e2

		o0, o1, o2, o3 := odd(w[7], w[5], w[3], w[1])
		const r, s = 1 << (constBits + passBits + 2), constBits + passBits + 3
		row[0] = clamp((t10 + o3 + r) >> s)
		row[7] = clamp((t10 - o3 + r) >> s)
		row[1] = clamp((t11 + o2 + r) >> s)
		row[6] = clamp((t11 - o2 + r) >> s)
		row[2] = clamp((t12 + o1 + r) >> s)
		row[5] = clamp((t12 - o1 + r) >> s)
		row[3] = clamp((t13 + o0 + r) >> s)
		row[4] = clamp((t13 - o0 + r) >> s)
	}
}

// odd is the odd half of the eight-point transform, for inputs 7, 5, 3, 1.
func odd(t0, t1, t2, t3 int32) (o0, o1, o2, o3 int32) {
	z1, z2, z3, z4 := t0+t3, t1+t2, t0+t2, t1+t3
	z5 := (z3 + z4) * f1175
	t0 *= f0298
	t1 *= f2053
	t2 *= f3072
	t3 *= f1501
	z1 *= -f0899
	z2 *= -f2562
	z3 = z3*-f1961 + z5
	z4 = z4*-f0390 + z5
	return t0 + z1 + z3, t1 + z2 + z4, t2 + z2 + z3, t3 + z1 + z4
}

func clip16(v int32) int32 { return min(max(v, math.MinInt16), math.MaxInt16) }

// clamp shifts a level-centred sample to 0..255.
func clamp(v int32) byte {
	v += 128
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return byte(v)
}
