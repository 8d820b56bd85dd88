package imageproc

import (
	"image"
	"math"
)

// openCV resizes as cv2.resize does 8-bit images, byte for byte (OpenCV 4.6.0 without Intel's
// IPP, modules/imgproc/src/resize.cpp). Builds with IPP, as the wheels for x86 are, hand bicubic
// and lanczos to it, whose rounding is not published; nearest, bilinear and area are
// OpenCV's own there as well.
//
// The zero value is ready. Not safe for concurrent use.
type openCV struct {
	out  []byte
	line []int32   // rows after the horizontal pass, one per tap
	have []int     // which rows of the source they are
	mean []float32 // the same for area: one row, then the sums
	taps map[cvKey]*cvTaps
	area map[cvKey]*cvArea
}

type cvKey struct {
	in, out, lo, hi int
	how             cvMethod
}

// cvMethod is what cv2.resize does for a filter and a pair of sizes.
type cvMethod int

const (
	cvCopy     cvMethod = iota
	cvNearest           // the pixel at floor(x * scale)
	cvMean              // area by whole factors
	cvAreaDown          // area
	cvAreaUp            // area where a side grows: linear, with the weights of areas
	cvLinear
	cvCubic
	cvLanczos
)

func methodOf(sw, sh, w, h int, f Filter) cvMethod {
	x, y := cvScale(sw, w), cvScale(sh, h)
	whole := func(v float64) bool { return math.Abs(v-math.RoundToEven(v)) < 0x1p-52 }
	switch {
	case sw == w && sh == h:
		return cvCopy
	case f == Nearest:
		return cvNearest
	case f == Bicubic:
		return cvCubic
	case f == Lanczos:
		return cvLanczos
	case f == Bilinear && !(whole(x) && whole(y) && math.RoundToEven(x) == 2 && math.RoundToEven(y) == 2):
		return cvLinear
	case x < 1 || y < 1:
		return cvAreaUp
	case whole(x) && whole(y):
		return cvMean
	}
	return cvAreaDown
}

// cvScale is source pixels per output pixel, rounded as in cv2.
func cvScale(in, out int) float64 { return 1 / (float64(out) / float64(in)) }

// window returns the rectangle of cw x ch pixels at (left, top) of src resized to w x h. grey
// says that src stands for an image of one channel. The result is valid until the next call and
// may share src's memory.
func (c *openCV) window(src Image, w, h, left, top, cw, ch int, f Filter, grey bool) Image {
	how := methodOf(src.W, src.H, w, h, f)
	out := grow(&c.out, cw, ch)
	switch how {
	case cvCopy:
		for y := range ch {
			copy(out.Pix[y*cw*3:(y+1)*cw*3], src.Pix[((top+y)*src.W+left)*3:])
		}
	case cvNearest:
		xs, ys := c.axis(src.W, w, left, left+cw, how), c.axis(src.H, h, top, top+ch, how)
		for y, sy := range ys.at {
			in, o := src.Pix[int(sy)*src.W*3:], out.Pix[y*cw*3:]
			for x, sx := range xs.at {
				copy(o[3*x:3*x+3], in[3*sx:3*sx+3])
			}
		}
	case cvMean:
		wholeMean(src, out, src.W/w, src.H/h, left, top)
	case cvAreaDown:
		c.areaDown(src, out, c.areas(src.W, w, left, left+cw), c.areas(src.H, h, top, top+ch))
	default:
		samples, from := 3*w, 3*left
		if grey {
			samples, from = w, left
		}
		// cv2's vector code takes eight samples of a row at a time and leaves the rest, which
		// for bicubic is rounded in another way.
		vector := samples&^7 - from
		if grey {
			vector *= 3
		}
		c.separable(src, out, c.axis(src.W, w, left, left+cw, how), c.axis(src.H, h, top, top+ch, how), min(max(vector, 0), 3*cw))
	}
	return out
}

// source is the part of a sw x sh image that window looks at.
func (c *openCV) source(sw, sh, w, h, left, top, cw, ch int, f Filter) image.Rectangle {
	how := methodOf(sw, sh, w, h, f)
	span := func(in, out, lo, hi int) (int, int) {
		switch how {
		case cvCopy:
			return lo, hi
		case cvMean:
			return lo * (in / out), hi * (in / out)
		case cvAreaDown:
			a := c.areas(in, out, lo, hi)
			last, k := a.of(hi - lo - 1)
			return int(a.first[0]), last + len(k)
		}
		t := c.axis(in, out, lo, hi, how)
		return int(t.at[0]), int(t.at[len(t.at)-1]) + 1
	}
	x0, x1 := span(sw, w, left, left+cw)
	y0, y1 := span(sh, h, top, top+ch)
	return image.Rect(x0, y0, x1, y1)
}

// cvTaps are n source positions, never falling, and weights for each output of a part of an axis.
type cvTaps struct {
	n  int
	at []int32
	k  []int32 // in units of 1/2048
}

func (c *openCV) axis(in, out, lo, hi int, how cvMethod) *cvTaps {
	key := cvKey{in, out, lo, hi, how}
	if t := c.taps[key]; t != nil {
		return t
	}
	if c.taps == nil || len(c.taps) >= 256 { // photographs come in few sizes
		c.taps = make(map[cvKey]*cvTaps)
	}
	t := newTaps(in, out, lo, hi, how)
	c.taps[key] = t
	return t
}

func newTaps(in, out, lo, hi int, how cvMethod) *cvTaps {
	scale := cvScale(in, out)
	t := &cvTaps{n: 2}
	switch how {
	case cvNearest:
		t.n = 1
	case cvCubic:
		t.n = 4
	case cvLanczos:
		t.n = 8
	}
	t.at, t.k = make([]int32, 0, t.n*(hi-lo)), make([]int32, 0, t.n*(hi-lo))
	for i := lo; i < hi; i++ {
		var at int // of the tap in the middle, or of the left one of two
		var part float32
		switch how {
		case cvNearest:
			at = int(math.Floor(float64(i) * scale))
		case cvAreaUp:
			at = int(math.Floor(float64(i) * scale))
			inverse := float64(out) / float64(in)
			part = max(0, float32(float64(i+1)-float64(float64(at+1)*inverse)))
			part -= float32(math.Floor(float64(part)))
		default:
			centre := float32(float64((float64(i)+0.5)*scale) - 0.5)
			at = int(math.Floor(float64(centre)))
			part = centre - float32(at)
		}
		var k [8]float32
		switch how {
		case cvNearest:
			k[0] = 1
		case cvCubic:
			k = cvCubicWeights(part)
		case cvLanczos:
			k = cvLanczosWeights(part)
		default:
			k[0], k[1] = 1-part, part
		}
		for j := range t.n {
			t.at = append(t.at, int32(min(max(at-(t.n-1)/2+j, 0), in-1)))
			t.k = append(t.k, int32(math.RoundToEven(float64(k[j]*2048))))
		}
	}
	return t
}

// cvCubicWeights has a = -0.75. The conversions keep every step rounded to float32.
func cvCubicWeights(x float32) (k [8]float32) {
	const a = float32(-0.75)
	far := func(x float32) float32 {
		v := float32(a*x) - 5*a
		v = float32(v*x) + 8*a
		return float32(v*x) - 4*a
	}
	near := func(x float32) float32 {
		v := float32((a+2)*x) - (a + 3)
		return float32(float32(v*x)*x) + 1
	}
	k[0], k[1], k[2] = far(x+1), near(x), near(1-x)
	k[3] = 1 - k[0] - k[1] - k[2]
	return k
}

func cvLanczosWeights(x float32) (k [8]float32) {
	const s = math.Sqrt2 / 2
	turn := [8][2]float64{{1, 0}, {-s, -s}, {0, 1}, {s, -s}, {-1, 0}, {s, s}, {0, -1}, {-s, s}}
	if x < 0x1p-23 {
		k[3] = 1
		return k
	}
	sin, cos := math.Sincos(-float64(x+3) * math.Pi * 0.25)
	sum := float32(0)
	for i, t := range turn {
		y := -float64(x+3-float32(i)) * math.Pi * 0.25
		k[i] = float32((float64(t[0]*sin) + float64(t[1]*cos)) / float64(y*y))
		sum += k[i]
	}
	sum = 1 / sum
	for i := range k {
		k[i] *= sum
	}
	return k
}

// separable resizes along rows into 32-bit sums and then along columns. The first vector
// samples of a row are those of cv2's vector code.
func (c *openCV) separable(src, out Image, xs, ys *cvTaps, vector int) {
	n, stride := ys.n, 3*out.W
	if cap(c.line) < n*stride {
		c.line = make([]int32, n*stride)
	}
	c.have = c.have[:0]
	for range n {
		c.have = append(c.have, -1)
	}
	var rows [8][]int32
	for y := range out.H {
		for j, sy := range ys.at[y*n : (y+1)*n] {
			slot := int(sy) % n // rows that are used together differ in it
			row := c.line[slot*stride : (slot+1)*stride]
			if c.have[slot] != int(sy) {
				c.have[slot] = int(sy)
				xs.row(row, src.Pix[int(sy)*src.W*3:(int(sy)+1)*src.W*3])
			}
			rows[j] = row
		}
		o, k := out.Pix[y*stride:(y+1)*stride], ys.k[y*n:(y+1)*n]
		switch n {
		case 2:
			linearColumns(o, rows[0], rows[1], k)
		case 4:
			vectorCubicColumns(o[:vector], rows[:4], k)
			exactColumns(o[vector:], rows[:4], k, vector)
		default:
			exactColumns(o, rows[:n], k, 0)
		}
	}
}

// row applies the taps to one row of RGB pixels.
func (t *cvTaps) row(out []int32, in []byte) {
	if t.n == 2 {
		for x := 0; 3*x < len(out); x++ {
			k0, k1 := t.k[2*x], t.k[2*x+1]
			p, q := in[3*t.at[2*x]:][:3], in[3*t.at[2*x+1]:][:3]
			o := out[3*x:][:3]
			o[0] = int32(p[0])*k0 + int32(q[0])*k1
			o[1] = int32(p[1])*k0 + int32(q[1])*k1
			o[2] = int32(p[2])*k0 + int32(q[2])*k1
		}
		return
	}
	for x := 0; 3*x < len(out); x++ {
		var a, b, c int32
		at := t.at[x*t.n : (x+1)*t.n]
		for j, k := range t.k[x*t.n : (x+1)*t.n] {
			p := in[3*at[j]:][:3]
			a += int32(p[0]) * k
			b += int32(p[1]) * k
			c += int32(p[2]) * k
		}
		o := out[3*x:][:3]
		o[0], o[1], o[2] = a, b, c
	}
}

// linearColumns drops four bits, then sixteen of the product, and rounds the last two.
func linearColumns(out []byte, a, b, k []int32) {
	a, b = a[:len(out)], b[:len(out)]
	k0, k1 := k[0], k[1]
	for x := range out {
		out[x] = byte((k0*(a[x]>>4)>>16 + k1*(b[x]>>4)>>16 + 2) >> 2)
	}
}

// vectorCubicColumns computes in float32, from the last row to the first, and rounds to even.
func vectorCubicColumns(out []byte, rows [][]int32, k []int32) {
	const unit = float32(1) / (2048 * 2048)
	k0, k1, k2, k3 := float32(k[0])*unit, float32(k[1])*unit, float32(k[2])*unit, float32(k[3])*unit
	n := len(out)
	r0, r1, r2, r3 := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
	for x := range out {
		v := float32(float32(r2[x])*k2) + float32(float32(r3[x])*k3)
		v = float32(float32(r1[x])*k1) + v
		v = float32(float32(r0[x])*k0) + v
		out[x] = saturate(roundToEven(v))
	}
}

// exactColumns sums in integers and rounds half up; out begins at sample from of the rows.
func exactColumns(out []byte, rows [][]int32, k []int32, from int) {
	for x := range out {
		sum := int32(1 << 21)
		for j, r := range rows {
			sum += r[from+x] * k[j]
		}
		out[x] = saturate(sum >> 22)
	}
}

// roundToEven rounds to the nearest integer; |v| is below 2^22.
func roundToEven(v float32) int32 {
	const magic = 3 << 22 // its float32 neighbours are one apart
	return int32(math.Float32bits(v+magic)) - int32(math.Float32bits(magic))
}

func saturate(v int32) byte { return byte(min(max(v, 0), 255)) }

// wholeMean averages blocks of kx x ky pixels; out begins at (left, top).
func wholeMean(src, out Image, kx, ky, left, top int) {
	scale := 1 / float32(kx*ky)
	for y := range out.H {
		for x := range out.W {
			var sum [3]int32
			for j := range ky {
				p := src.Pix[(((top+y)*ky+j)*src.W+(left+x)*kx)*3:][:3*kx]
				for i := 0; i < len(p); i += 3 {
					sum[0] += int32(p[i])
					sum[1] += int32(p[i+1])
					sum[2] += int32(p[i+2])
				}
			}
			o := out.Pix[(y*out.W+x)*3:][:3]
			for i, s := range sum {
				if kx == 2 && ky == 2 {
					o[i] = byte((s + 2) >> 2) // cv2's fast path, which rounds half up
				} else {
					o[i] = byte(roundToEven(float32(s) * scale))
				}
			}
		}
	}
}

// cvArea are the first source position and the weights of each output of a part of an axis.
type cvArea struct {
	first []int32
	end   []int32 // where an output's weights end in k
	k     []float32
}

func (a *cvArea) of(i int) (first int, k []float32) {
	from := int32(0)
	if i > 0 {
		from = a.end[i-1]
	}
	return int(a.first[i]), a.k[from:a.end[i]]
}

func (c *openCV) areas(in, out, lo, hi int) *cvArea {
	key := cvKey{in, out, lo, hi, cvAreaDown}
	if a := c.area[key]; a != nil {
		return a
	}
	if c.area == nil || len(c.area) >= 256 {
		c.area = make(map[cvKey]*cvArea)
	}
	a := newArea(in, out, lo, hi)
	c.area[key] = a
	return a
}

// newArea gives each source pixel the weight of its share in the output pixel, where the share
// is above a thousandth of a pixel (computeResizeAreaTab).
func newArea(in, out, lo, hi int) *cvArea {
	scale := cvScale(in, out)
	n := hi - lo
	a := &cvArea{first: make([]int32, n), end: make([]int32, n), k: make([]float32, 0, n*(int(scale)+3))}
	for i := range n {
		from := float64(float64(lo+i) * scale)
		to := from + scale
		cell := min(scale, float64(in)-from)
		last := min(int(math.Floor(to)), in-1)
		first := min(int(math.Ceil(from)), last)
		a.first[i] = int32(first)
		if float64(first)-from > 1e-3 {
			a.first[i]--
			a.k = append(a.k, float32((float64(first)-from)/cell))
		}
		for range last - first {
			a.k = append(a.k, float32(1/cell))
		}
		if to-float64(last) > 1e-3 {
			a.k = append(a.k, float32(min(to-float64(last), 1, cell)/cell))
		}
		a.end[i] = int32(len(a.k))
	}
	return a
}

// areaDown sums in float32 along rows, then along columns, in the order of the source.
func (c *openCV) areaDown(src, out Image, xs, ys *cvArea) {
	stride := 3 * out.W
	if cap(c.mean) < 2*stride {
		c.mean = make([]float32, 2*stride)
	}
	line, sum := c.mean[:stride], c.mean[stride:2*stride]
	have := -1
	for y := range out.H {
		first, k := ys.of(y)
		for j, kv := range k {
			if sy := first + j; sy != have {
				xs.row(line, src.Pix[sy*src.W*3:(sy+1)*src.W*3])
				have = sy
			}
			if j == 0 {
				for x, v := range line {
					sum[x] = kv * v
				}
				continue
			}
			for x, v := range line {
				sum[x] += float32(kv * v)
			}
		}
		o := out.Pix[y*stride : (y+1)*stride]
		for x, v := range sum {
			o[x] = saturate(roundToEven(v))
		}
	}
}

func (a *cvArea) row(out []float32, in []byte) {
	for x := range a.first {
		first, k := a.of(x)
		p := in[3*first:][:3*len(k)]
		var r, g, b float32
		for j, kv := range k {
			q := p[3*j:][:3]
			r += float32(float32(q[0]) * kv)
			g += float32(float32(q[1]) * kv)
			b += float32(float32(q[2]) * kv)
		}
		o := out[3*x:][:3]
		o[0], o[1], o[2] = r, g, b
	}
}
