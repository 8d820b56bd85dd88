package imageproc

import "math"

// convert makes RGB of a row of pixels, their samples side by side, as convert("RGB") does.
func (p *tiffPicture) convert(out, in []byte) {
	n := len(out) / 3
	switch p.photometric {
	case tiffWhiteIsZero, tiffBlackIsZero:
		for x := range n {
			v := p.grey(in, x)
			out[3*x], out[3*x+1], out[3*x+2] = v, v, v
		}
	case tiffPalette:
		for x := range n {
			copy(out[3*x:3*x+3], p.palette[p.packed(in, x*p.samples)][:])
		}
	case tiffCMYK:
		for x := range n {
			k := 255 - p.high(in, x*p.samples+3)
			for c := range 3 {
				out[3*x+c] = byte(max(int(k)-int(mulDiv255(p.high(in, x*p.samples+c), k)), 0))
			}
		}
	default:
		premultiplied := len(p.extra) > 0 && p.extra[0] == 1
		for x := range n {
			for c := range 3 {
				v := p.high(in, x*p.samples+c)
				if premultiplied {
					v = unmultiply(v, p.high(in, x*p.samples+3))
				}
				out[3*x+c] = v
			}
		}
	}
}

// grey is the grey value of pixel x.
func (p *tiffPicture) grey(in []byte, x int) byte {
	switch p.bits {
	case 16: // Pillow does not heed that white is zero
		v := p.order.Uint16(in[2*x:])
		if p.format == 2 {
			return clip16(int(int16(v)))
		}
		return clip16(int(v))
	case 32:
		v := p.order.Uint32(in[4*x:])
		if p.format == 3 {
			f := float64(math.Float32frombits(v))
			if math.IsNaN(f) {
				return 0
			}
			return byte(min(max(f, 0), 255))
		}
		return clip16(int(int32(v)))
	}
	v := byte(int(p.packed(in, x*p.samples)) * 255 / (1<<p.bits - 1))
	if p.photometric == tiffWhiteIsZero {
		v = 255 - v
	}
	return v
}

// packed is sample i of samples of up to 8 bits.
func (p *tiffPicture) packed(in []byte, i int) byte {
	at := i * p.bits
	return in[at/8] >> (8 - p.bits - at%8) & byte(1<<p.bits-1)
}

// high is sample i of samples of 8 bits, or the upper 8 of 16.
func (p *tiffPicture) high(in []byte, i int) byte {
	if p.bits == 8 {
		return in[i]
	}
	return byte(p.order.Uint16(in[2*i:]) >> 8)
}

// unmultiply is a colour without the alpha that it is multiplied with.
func unmultiply(v, alpha byte) byte {
	if alpha == 0 {
		return 0
	}
	return byte(min(int(v)*255/int(alpha), 255))
}

// mulDiv255 is a*b/255 rounded, in Pillow's arithmetic.
func mulDiv255(a, b byte) byte {
	t := uint32(a)*uint32(b) + 128
	return byte((t>>8 + t) >> 8)
}
