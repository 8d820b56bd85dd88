package jpeg

// convert upsamples the component planes and turns them into RGB.
func (d *Decoder) convert(dst []byte) ([]byte, error) {
	n := d.Width * d.Height * 3
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	dst = dst[:n]
	for i := range d.comps {
		c := &d.comps[i]
		if !c.haveQuant {
			return nil, formatf("no scan holds component %d", c.id)
		}
		if need := ceilDiv(d.Width, 8)*8 + 64; len(d.rows[i]) < need {
			d.rows[i] = make([]byte, need)
		}
	}
	var row [4][]byte
	for y := range d.Height {
		for i := range d.comps {
			row[i] = d.upsample(&d.comps[i], y, d.rows[i])[:d.Width]
		}
		out := dst[y*d.Width*3 : (y+1)*d.Width*3]
		switch d.Space {
		case Grey:
			for x, v := range row[0] {
				o := out[3*x : 3*x+3 : 3*x+3]
				o[0], o[1], o[2] = v, v, v
			}
		case RGB:
			r, g, b := row[0], row[1], row[2]
			for x := range r {
				o := out[3*x : 3*x+3 : 3*x+3]
				o[0], o[1], o[2] = r[x], g[x], b[x]
			}
		case YCbCr:
			yccRow(out, row[0], row[1], row[2])
		case CMYK, YCCK:
			// Pillow takes four components as inverted, so the stored C, M, Y
			// already are what is left of red, green and blue. In YCCK files
			// libjpeg gives C = 255 - R.
			c, m, ye := row[0], row[1], row[2]
			if d.Space == YCCK {
				yccRow(out, c, m, ye)
			}
			for x, k := range row[3] {
				o := out[3*x : 3*x+3 : 3*x+3]
				if d.Space == CMYK {
					o[0], o[1], o[2] = c[x], m[x], ye[x]
				} else {
					o[0], o[1], o[2] = 255-o[0], 255-o[1], 255-o[2]
				}
				// R = K' - (255-c)*K'/255 with c and K' the stored, inverted values.
				for j, v := range o {
					o[j] = k - mulDiv255(255-v, k)
				}
			}
		}
	}
	return dst, nil
}

// mulDiv255 is a*b/255 rounded, in Pillow's arithmetic.
func mulDiv255(a, b byte) byte {
	t := uint32(a)*uint32(b) + 128
	return byte((t>>8 + t) >> 8)
}

// Tables of the YCbCr to RGB conversion (JFIF; 16-bit fixed point, the green
// terms summed before one rounding).
var crR, cbB, crG, cbG = colourTables()

func colourTables() (crR, cbB, crG, cbG [256]int32) {
	const half = 1 << 15
	for i := range int32(256) {
		x := i - 128
		crR[i] = (91881*x + half) >> 16  // 1.40200
		cbB[i] = (116130*x + half) >> 16 // 1.77200
		crG[i] = -46802 * x              // 0.71414
		cbG[i] = -22554*x + half         // 0.34414
	}
	return crR, cbB, crG, cbG
}

func clip(v int32) byte {
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return byte(v)
}

func yccRow(out, ys, cbs, crs []byte) {
	cbs, crs = cbs[:len(ys)], crs[:len(ys)]
	for x, yv := range ys {
		y, cb, cr := int32(yv), cbs[x], crs[x]
		o := out[3*x : 3*x+3 : 3*x+3]
		o[0] = clip(y + crR[cr])
		o[1] = clip(y + (cbG[cb]+crG[cr])>>16)
		o[2] = clip(y + cbB[cb])
	}
}

// upsample returns row y of component c at full resolution, in buf unless the
// plane has that resolution already. Which filter is used follows libjpeg:
// triangle filters for the ratios 2:1, 1:2 and 2:2 (the horizontal ones only
// when the plane is wider than two samples), plain repetition otherwise. Rows
// and columns beyond the plane repeat its border.
func (d *Decoder) upsample(c *component, y int, buf []byte) []byte {
	stride := c.strideX * 8
	line := func(y int) []byte {
		y = min(max(y, 0), c.height-1)
		return c.plane[y*stride : y*stride+stride]
	}
	hx, vx := d.maxH/c.h, d.maxV/c.v
	w := c.width
	switch {
	case hx == 1 && vx == 1:
		return line(y)
	case hx == 2 && vx == 1 && w > 2:
		in := line(y)[:w]
		buf[0] = in[0]
		buf[1] = byte((3*int32(in[0]) + int32(in[1]) + 2) >> 2)
		for x := 1; x < w-1; x++ {
			v := 3 * int32(in[x])
			buf[2*x] = byte((v + int32(in[x-1]) + 1) >> 2)
			buf[2*x+1] = byte((v + int32(in[x+1]) + 2) >> 2)
		}
		buf[2*w-2] = byte((3*int32(in[w-1]) + int32(in[w-2]) + 1) >> 2)
		buf[2*w-1] = in[w-1]
	case hx == 1 && vx == 2:
		near, far, bias := line(y/2), line(y/2-1), int32(1)
		if y&1 == 1 {
			far, bias = line(y/2+1), 2
		}
		for x := range w {
			buf[x] = byte((3*int32(near[x]) + int32(far[x]) + bias) >> 2)
		}
	case hx == 2 && vx == 2 && w > 2:
		near, far := line(y / 2)[:w], line(y/2 - 1)[:w]
		if y&1 == 1 {
			far = line(y/2 + 1)[:w]
		}
		last := 3*int32(near[0]) + int32(far[0])
		this := last
		next := 3*int32(near[1]) + int32(far[1])
		buf[0] = byte((4*this + 8) >> 4)
		buf[1] = byte((3*this + next + 7) >> 4)
		for x := 1; x < w-1; x++ {
			last, this, next = this, next, 3*int32(near[x+1])+int32(far[x+1])
			o := buf[2*x : 2*x+2 : 2*x+2]
			o[0] = byte((3*this + last + 8) >> 4)
			o[1] = byte((3*this + next + 7) >> 4)
		}
		buf[2*w-2] = byte((3*next + this + 8) >> 4)
		buf[2*w-1] = byte((4*next + 7) >> 4)
	default:
		in := line(y / vx)
		for x := range d.Width {
			buf[x] = in[x/hx]
		}
	}
	return buf
}
