package jpeg

// convert upsamples the component planes and turns them into RGB.
func (d *Decoder) convert(dst []byte) ([]byte, error) {
	n := d.Width * d.Height * 3
	if cap(dst) < n {
		dst = make([]byte, n, n+n/8)
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
	x0, x1 := d.want.Min.X, d.want.Max.X
	for y := d.want.Min.Y; y < d.want.Max.Y; y++ {
		for i := range d.comps {
			row[i] = d.upsample(&d.comps[i], y, d.rows[i])[x0:x1]
		}
		out := dst[(y*d.Width+x0)*3 : (y*d.Width+x1)*3]
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
	out = out[:3*len(ys)]
	if n := len(ys) &^ 15; fast && n > 0 {
		yccRowAVX2(&out[0], &ys[0], &cbs[0], &crs[0], n)
		out, ys, cbs, crs = out[3*n:], ys[n:], cbs[n:], crs[n:]
	}
	yccRowGo(out, ys, cbs, crs)
}

func yccRowGo(out, ys, cbs, crs []byte) {
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
// plane has that resolution already; only the wanted columns are computed. Which
// filter is used follows libjpeg: triangle filters for the ratios 2:1, 1:2 and 2:2
// (the horizontal ones only when the plane is wider than two samples), plain
// repetition otherwise. Rows and columns beyond the plane repeat its border.
func (d *Decoder) upsample(c *component, y int, buf []byte) []byte {
	stride := c.strideX * 8
	w := c.width
	line := func(y int) []byte {
		y = min(max(y, 0), c.height-1)
		return c.plane[y*stride : y*stride+stride]
	}
	hx, vx := d.maxH/c.h, d.maxV/c.v
	lo, hi := d.want.Min.X/hx, min(ceilDiv(d.want.Max.X, hx), w) // wanted samples of the plane
	switch {
	case hx == 1 && vx == 1:
		return line(y)
	case hx == 2 && vx == 1 && w > 2:
		in := line(y)[:w]
		for x := lo; x < hi; x++ {
			v := 3 * int32(in[x])
			o := buf[2*x : 2*x+2 : 2*x+2]
			o[0] = byte((v + int32(in[max(x-1, 0)]) + 1) >> 2)
			o[1] = byte((v + int32(in[min(x+1, w-1)]) + 2) >> 2)
		}
	case hx == 1 && vx == 2:
		near, far, bias := line(y / 2)[lo:hi], line(y/2 - 1)[lo:hi], int32(1)
		if y&1 == 1 {
			far, bias = line(y/2 + 1)[lo:hi], 2
		}
		out := buf[lo:hi]
		for x, v := range near {
			out[x] = byte((3*int32(v) + int32(far[x]) + bias) >> 2)
		}
	case hx == 2 && vx == 2 && w > 2:
		near, far := line(y / 2)[:w], line(y/2 - 1)[:w]
		if y&1 == 1 {
			far = line(y/2 + 1)[:w]
		}
		at := func(x int) int32 { return 3*int32(near[x]) + int32(far[x]) }
		last, this := at(max(lo-1, 0)), at(lo)
		for x := lo; x < hi; x++ {
			next := at(min(x+1, w-1))
			o := buf[2*x : 2*x+2 : 2*x+2]
			o[0] = byte((3*this + last + 8) >> 4)
			o[1] = byte((3*this + next + 7) >> 4)
			last, this = this, next
		}
	default:
		in := line(y / vx)
		for x := d.want.Min.X; x < d.want.Max.X; x++ {
			buf[x] = in[x/hx]
		}
	}
	return buf
}
