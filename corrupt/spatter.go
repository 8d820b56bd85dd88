package corrupt

import (
	"math"

	"cutmix-eval/imageproc"
)

// spatter throws water or mud at the lens. p are the layer's mean and deviation, its
// smoothing, threshold, strength (mud: smoothing again), and 1 for mud.
func (c *Corruptor) spatter(dst, src imageproc.Image, p []float64, normal func() float64) {
	w, h := src.W, src.H
	layer := c.floats("layer", w*h)
	for i := range layer {
		layer[i] = p[0] + float64(p[1]*normal())
	}
	c.gaussian(layer, w, h, 1, p[2], 4, repeat)
	for i, v := range layer {
		if v < p[3] {
			layer[i] = 0
		}
	}
	if p[5] == 1 {
		c.mud(dst, src, layer, p[3], p[4])
		return
	}
	c.water(dst, src, layer, p[4])
}

// mud covers what lies in the smoothed splashes.
func (c *Corruptor) mud(dst, src imageproc.Image, layer []float64, threshold, sigma float64) {
	for i, v := range layer {
		if layer[i] = 0; v > threshold {
			layer[i] = 1
		}
	}
	c.gaussian(layer, src.W, src.H, 1, sigma, 4, repeat)
	for i, v := range layer {
		m := float32(v)
		if m < 0.8 {
			m = 0
		}
		for e, colour := range [3]float32{63. / 255, 42. / 255, 20. / 255} {
			x := float32(unit[src.Pix[3*i+e]])
			dst.Pix[3*i+e] = truncate32(float32(x*(1-m)) + float32(colour*m))
		}
	}
}

// water refracts: the layer's edges, by their distance, equalised and embossed.
func (c *Corruptor) water(dst, src imageproc.Image, layer []float64, strength float64) {
	w, h := src.W, src.H
	n := w * h
	liquid := room(c.bytes, "liquid", n)
	gather(liquid, layer)
	edges := c.canny(liquid, w, h)
	dist := c.distance(edges, w, h)
	a, b := room(c.bytes, "water", n), room(c.bytes, "drops", n)
	near := c.floats("near", n)
	for i, v := range dist {
		near[i] = float64(min(v, 20))
	}
	sums := c.sum3(near, w, h)
	for i, v := range sums {
		a[i] = byte(float32(v / 9))
	}
	equalise(b, a)
	emboss(a, b, w, h)
	for i, v := range a {
		near[i] = float64(v)
	}
	for i, v := range c.sum3(near, w, h) {
		b[i] = byte(int(v/9 + 0.5)) // a ninth is never a half
	}
	top := float32(0)
	for i := range n {
		top = max(top, float32(float32(liquid[i])*float32(b[i])))
	}
	for i := range n {
		m := float32(0)
		if top > 0 { // no drop at all: the original divides by zero
			m = float32(float32(liquid[i])*float32(b[i])) / top * float32(strength)
		}
		for e, colour := range [3]float32{175. / 255, 238. / 255, 238. / 255} {
			dst.Pix[3*i+e] = truncate32(float32(unit[src.Pix[3*i+e]]) + float32(m*colour))
		}
	}
}

// canny marks edges as OpenCV's Canny(50, 150) does: Sobel 3 x 3 with repeated borders,
// the sum of absolute gradients, thinned along the gradient, and hysteresis.
func (c *Corruptor) canny(src []byte, w, h int) []byte {
	const low, high = 50, 150
	n := w * h
	gx, gy := room(c.ints, "gx", n), room(c.ints, "gy", n)
	mag := room(c.ints, "mag", (w+2)*(h+2)) // a border of zeros
	clear(mag)
	for y := range h {
		up, mid, down := src[repeat(y-1, h)*w:][:w], src[y*w:][:w], src[repeat(y+1, h)*w:][:w]
		for x := range w {
			l, r := max(x-1, 0), min(x+1, w-1)
			dx := int32(up[r]) - int32(up[l]) + 2*(int32(mid[r])-int32(mid[l])) + int32(down[r]) - int32(down[l])
			dy := int32(down[l]) - int32(up[l]) + 2*(int32(down[x])-int32(up[x])) + int32(down[r]) - int32(up[r])
			gx[y*w+x], gy[y*w+x] = dx, dy
			mag[(y+1)*(w+2)+x+1] = max(dx, -dx) + max(dy, -dy)
		}
	}
	out := room(c.bytes, "edges", n)
	clear(out)
	var stack []int
	const sure, maybe = 255, 1
	for y := range h {
		for x := range w {
			i, at := y*w+x, (y+1)*(w+2)+x+1
			m := mag[at]
			if m <= low {
				continue
			}
			ax, ay := max(gx[i], -gx[i]), max(gy[i], -gy[i])<<15
			flat := ax * 13573 // tan 22.5 degrees
			var is bool
			switch {
			case ay < flat:
				is = m > mag[at-1] && m >= mag[at+1]
			case ay > flat+ax<<16: // tan 67.5 = tan 22.5 + 2
				is = m > mag[at-w-2] && m >= mag[at+w+2]
			default:
				s := 1
				if gx[i]^gy[i] < 0 {
					s = -1
				}
				is = m > mag[at-w-2-s] && m > mag[at+w+2+s]
			}
			if is {
				if out[i] = maybe; m > high {
					out[i] = sure
					stack = append(stack, i)
				}
			}
		}
	}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				x, y := i%w+dx, i/w+dy
				if x >= 0 && x < w && y >= 0 && y < h && out[y*w+x] == maybe {
					out[y*w+x] = sure
					stack = append(stack, y*w+x)
				}
			}
		}
	}
	for i, v := range out {
		if v != sure {
			out[i] = 0
		}
	}
	return out
}

// distance is how far every pixel is from the next edge, in steps of 1, 1.4 and 2.1969
// (OpenCV's 5 x 5 chamfer distance, in 16-bit fixed point).
func (c *Corruptor) distance(edges []byte, w, h int) []float32 {
	const bits = 16
	fix := func(v float64) int32 { return int32(math.RoundToEven(v * (1 << bits))) }
	straight, diagonal, knight := fix(1), fix(float64(float32(1.4))), fix(float64(float32(2.1969)))
	const far = math.MaxInt32 >> 2
	s := w + 4
	d := room(c.ints, "distance", s*(h+4))
	for i := range d {
		d[i] = far
	}
	steps := [8]struct {
		at int
		k  int32
	}{
		{-2*s - 1, knight}, {-2*s + 1, knight}, {-s - 2, knight}, {-s - 1, diagonal},
		{-s, straight}, {-s + 1, diagonal}, {-s + 2, knight}, {-1, straight},
	}
	for y := range h {
		for x := range w {
			at := (y+2)*s + x + 2
			if edges[y*w+x] != 0 {
				d[at] = 0
				continue
			}
			best := int32(far)
			for _, t := range steps {
				best = min(best, d[at+t.at]+t.k)
			}
			d[at] = best
		}
	}
	out := room(c.singles, "distance", w*h)
	for y := h - 1; y >= 0; y-- {
		for x := w - 1; x >= 0; x-- {
			at := (y+2)*s + x + 2
			best := d[at]
			if best > straight {
				for _, t := range steps {
					best = min(best, d[at-t.at]+t.k)
				}
				d[at] = best
			}
			out[y*w+x] = float32(float32(best) * (1. / (1 << bits)))
		}
	}
	return out
}

// sum3 sums 3 x 3 neighbours, borders mirrored.
func (c *Corruptor) sum3(v []float64, w, h int) []float64 {
	out, col := c.floats("sum3", w*h), c.floats("column", w+2)
	for y := range h {
		up, mid, down := v[reflect101(y-1, h)*w:][:w], v[y*w:][:w], v[reflect101(y+1, h)*w:][:w]
		for x := range w {
			col[x+1] = up[x] + mid[x] + down[x]
		}
		col[0], col[w+1] = col[1+reflect101(-1, w)], col[1+reflect101(w, w)]
		row := out[y*w:][:w]
		for x := range row {
			row[x] = col[x] + col[x+1] + col[x+2]
		}
	}
	return out
}

// equalise spreads the values so that they are used equally often.
func equalise(dst, src []byte) {
	var count [256]int
	for _, v := range src {
		count[v]++
	}
	first := 0
	for count[first] == 0 {
		first++
	}
	var to [256]byte
	if rest := len(src) - count[first]; rest == 0 {
		to[first] = byte(first) // one value: it stays
	} else {
		scale, sum := float32(255)/float32(rest), 0
		for v := first + 1; v < 256; v++ {
			sum += count[v]
			to[v] = byte(min(math.RoundToEven(float64(float32(sum)*scale)), 255))
		}
	}
	for i, v := range src {
		dst[i] = to[v]
	}
}

// emboss correlates with the rows (-2 -1 0), (-1 1 1), (0 1 2), borders mirrored.
func emboss(dst, src []byte, w, h int) {
	for y := range h {
		up, mid, down := src[reflect101(y-1, h)*w:][:w], src[y*w:][:w], src[reflect101(y+1, h)*w:][:w]
		for x := range w {
			l, r := x-1, x+1
			if x == 0 || x == w-1 {
				l, r = reflect101(l, w), reflect101(r, w)
			}
			v := -2*int(up[l]) - int(up[x]) - int(mid[l]) + int(mid[x]) + int(mid[r]) + int(down[x]) + 2*int(down[r])
			dst[y*w+x] = byte(min(max(v, 0), 255))
		}
	}
}
