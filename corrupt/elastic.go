package corrupt

import (
	"math"

	"cutmix-eval/imageproc"
)

// elastic bends an image: a random affine map, then a random displacement of every pixel,
// smoothed.
func (c *Corruptor) elastic(dst, src imageproc.Image, alpha, sigma, jitter float64, draw func() float64) {
	var move [3][2]float32
	for i := range move {
		for k := range 2 {
			move[i][k] = float32(jitter * draw())
		}
	}
	n := src.W * src.H
	dx, dy := c.floats("dx", n), c.floats("dy", n)
	if alpha != 0 {
		for i := range dx {
			dx[i] = draw()
		}
		for i := range dy {
			dy[i] = draw()
		}
	}
	c.bend(dst, src, alpha, sigma, affineOf(src.W, src.H, move), dx, dy)
}

// affineOf maps three points around the middle to where they are moved, as x, y; rows of
// a 2 x 3 matrix.
func affineOf(w, h int, move [3][2]float32) [6]float64 {
	cy, cx, q := float32(h/2), float32(w/2), float32(min(w, h)/3)
	from := [3][2]float32{{cx + q, cy + q}, {cx + q, cy - q}, {cx - q, cy - q}}
	var m [6]float64
	for k := range 2 { // solve a x + b y + c = target by Cramer's rule
		var t [3]float64
		for i := range 3 {
			t[i] = float64(from[i][k] + move[i][k])
		}
		x0, y0, x1, y1, x2, y2 := float64(from[0][0]), float64(from[0][1]), float64(from[1][0]), float64(from[1][1]), float64(from[2][0]), float64(from[2][1])
		det := float64((x1-x0)*(y2-y0)) - float64((x2-x0)*(y1-y0))
		a := (float64((t[1]-t[0])*(y2-y0)) - float64((t[2]-t[0])*(y1-y0))) / det
		b := (float64((x1-x0)*(t[2]-t[0])) - float64((x2-x0)*(t[1]-t[0]))) / det
		m[3*k], m[3*k+1], m[3*k+2] = a, b, t[0]-float64(a*x0)-float64(b*y0)
	}
	return m
}

// bend warps by m as OpenCV does it, coordinates in 1/32 pixels, and displaces by the
// smoothed dx and dy, which it changes, times alpha.
func (c *Corruptor) bend(dst, src imageproc.Image, alpha, sigma float64, m [6]float64, dx, dy []float64) {
	w, h := src.W, src.H
	warped := c.floats("warped", len(src.Pix))
	// The inverse map.
	det := 1 / (float64(m[0]*m[4]) - float64(m[1]*m[3]))
	a0, a4 := m[4]*det, m[0]*det
	a1, a3 := -m[1]*det, -m[3]*det
	a2 := -float64(a0*m[2]) - float64(a1*m[5])
	a5 := -float64(a3*m[2]) - float64(a4*m[5])
	for y := range h {
		x0 := int(math.RoundToEven((float64(a1*float64(y))+a2)*1024)) + 16
		y0 := int(math.RoundToEven((float64(a4*float64(y))+a5)*1024)) + 16
		for x := range w {
			fx := (x0 + int(math.RoundToEven(float64(a0*float64(x))*1024))) >> 5
			fy := (y0 + int(math.RoundToEven(float64(a3*float64(x))*1024))) >> 5
			px, py := fx>>5, fy>>5
			u, v := float32(float32(fx&31)/32), float32(float32(fy&31)/32)
			xa, xb, ya, yb := reflect101(px, w), reflect101(px+1, w), reflect101(py, h), reflect101(py+1, h)
			k := [4]float32{(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u}
			for e := range 3 {
				s := float32(float32(unit[src.Pix[3*(ya*w+xa)+e]])*k[0]) + float32(float32(unit[src.Pix[3*(ya*w+xb)+e]])*k[1]) +
					float32(float32(unit[src.Pix[3*(yb*w+xa)+e]])*k[2]) + float32(float32(unit[src.Pix[3*(yb*w+xb)+e]])*k[3])
				warped[3*(y*w+x)+e] = float64(s)
			}
		}
	}
	for _, d := range [][]float64{dx, dy} {
		if alpha == 0 {
			clear(d)
			continue
		}
		c.gaussian(d, w, h, 1, sigma, 3, reflect)
		for i := range d {
			d[i] = single(d[i] * alpha)
		}
	}
	for y := range h {
		for x := range w {
			ya, yb, v := neighbours(float64(y)+dy[y*w+x], h)
			xa, xb, u := neighbours(float64(x)+dx[y*w+x], w)
			for e := range 3 {
				s := float64(float64(warped[3*(ya*w+xa)+e]*(1-v))*(1-u)) + float64(float64(warped[3*(ya*w+xb)+e]*(1-v))*u) +
					float64(float64(warped[3*(yb*w+xa)+e]*v)*(1-u)) + float64(float64(warped[3*(yb*w+xb)+e]*v)*u)
				dst.Pix[3*(y*w+x)+e] = truncate32(float32(s))
			}
		}
	}
}

// neighbours are the two nearest samples of a place on a mirrored axis, and how far it is from the
// first.
func neighbours(v float64, n int) (a, b int, f float64) {
	// Into the first mirror image, as scipy does it before it looks for neighbours.
	period := float64(2 * n)
	switch {
	case v < 0:
		if v < -period {
			v += float64(period * math.Floor(-v/period))
		}
		if v < -float64(n) {
			v += period
		} else {
			v = -v - 1
		}
	case v > float64(n-1):
		v -= float64(period * math.Floor(v/period))
		if v >= float64(n) {
			v = period - v - 1
		}
	}
	i := math.Floor(v)
	return reflect(int(i), n), reflect(int(i)+1, n), v - i
}
