package imageproc

import (
	"image"
	"math"
)

// floats is a picture of float32 RGB samples in 0..255: rows from the top, pixels from the left,
// three samples per pixel. Bicubic overshoots the range.
type floats struct {
	W, H int
	Pix  []float32
}

// tensorFlow resizes as TensorFlow 2's tf.image.resize(antialias=False) does, whose results are
// not rounded to bytes (tensorflow/core/kernels/image): nearest and bilinear with half-pixel
// centres; bicubic likewise, Keys' kernel with a = -0.5 from a table of 1024 steps, weights
// outside the image left out and the rest scaled to sum to one; area. Every step is float32, so
// that values are TensorFlow's but for what its compiler fuses: about 1e-5 of 255.
//
// The zero value is ready. Not safe for concurrent use.
type tensorFlow struct {
	out  []float32
	line []float32 // one or two rows between the passes
	axes map[tfKey]*tfAxis
}

type tfKey struct {
	in, out, lo, hi int
	f               Filter
}

// tfAxis are source positions, never falling, and weights for each output of a part of an axis.
// Bilinear has the lower and the upper position and as weight how far it lies between them.
type tfAxis struct {
	first []int // where an output's positions begin in at and k; one more than outputs
	at    []int
	k     []float32
	scale float32 // source pixels per output pixel
}

func (a *tfAxis) of(i int) ([]int, []float32) {
	lo, hi := a.first[i], a.first[i+1]
	return a.at[lo:hi], a.k[lo:hi]
}

// from and to bound the source positions that count.
func (a *tfAxis) from() int { return a.at[0] }
func (a *tfAxis) to() int   { return a.at[len(a.at)-1] + 1 }

func (t *tensorFlow) axis(in, out, lo, hi int, f Filter) *tfAxis {
	key := tfKey{in, out, lo, hi, f}
	if a := t.axes[key]; a != nil {
		return a
	}
	if t.axes == nil || len(t.axes) >= 256 { // photographs come in few sizes
		t.axes = make(map[tfKey]*tfAxis)
	}
	a := newTFAxis(in, out, lo, hi, f)
	t.axes[key] = a
	return a
}

func newTFAxis(in, out, lo, hi int, f Filter) *tfAxis {
	scale := float32(in) / float32(out)
	n := (hi - lo) * (3 + int(scale)) // as many as area has at most
	a := &tfAxis{scale: scale, first: make([]int, 1, hi-lo+1), at: make([]int, 0, n), k: make([]float32, 0, n)}
	put := func(at int, k float32) {
		a.at, a.k = append(a.at, min(max(at, 0), in-1)), append(a.k, k)
	}
	for i := lo; i < hi; i++ {
		centre := float32((float32(i) + 0.5) * scale)
		switch f {
		case Nearest:
			put(int(math.Floor(float64(centre))), 1)
		case Bilinear:
			centre -= 0.5
			floor := math.Floor(float64(centre))
			part := centre - float32(floor)
			put(int(floor), part)
			put(int(math.Ceil(float64(centre))), part)
		case Bicubic:
			centre -= 0.5
			floor := math.Floor(float64(centre))
			w := keysCubic(centre - float32(floor))
			sum := float32(0)
			for j := range w {
				if at := int(floor) - 1 + j; at < 0 || at >= in {
					w[j] = 0
				}
				sum += w[j]
			}
			for j := range w {
				put(int(floor)-1+j, w[j]*(1/sum))
			}
		case Area:
			from, to := float32(float32(i)*scale), float32(float32(i+1)*scale)
			end := int(math.Ceil(float64(to)))
			for at := int(math.Floor(float64(from))); at < end; at++ {
				lo, hi := float32(at), float32(at+1)
				share := float32(1)
				switch {
				case lo < from && hi > to:
					share = scale
				case lo < from:
					share = hi - from
				case hi > to:
					share = to - lo
				}
				put(at, share)
			}
		}
		a.first = append(a.first, len(a.at))
	}
	return a
}

// keysCubic are the four weights of Keys' cubic convolution at x in 0..1, looked up as in a table of
// 1024 steps, whose values are computed in float64 and kept in float32.
func keysCubic(x float32) [4]float32 {
	const a, steps = -0.5, 1024
	near := func(x float64) float32 { return float32(float64(float64(float64((a+2)*x)-(a+3))*x*x) + 1) }
	far := func(x float64) float32 {
		x++
		return float32(float64(float64(float64(float64(a*x)-5*a)*x)+8*a)*x - 4*a)
	}
	p := math.RoundToEven(float64(x*steps)) / steps
	return [4]float32{far(p), near(p), near(1 - p), far(1 - p)}
}

// window returns the rectangle of cw x ch pixels at (left, top) of src resized to w x h. The
// result is valid until the next call.
func (t *tensorFlow) window(src Image, w, h, left, top, cw, ch int, f Filter) floats {
	if w == src.W && h == src.H {
		f = Nearest // the image as it is
	}
	if n := 3 * cw * ch; cap(t.out) < n {
		t.out = make([]float32, n)
	}
	out := floats{W: cw, H: ch, Pix: t.out[:3*cw*ch]}
	xs, ys := t.axis(src.W, w, left, left+cw, f), t.axis(src.H, h, top, top+ch, f)
	switch f {
	case Nearest:
		for y := range ch {
			in, o := src.Pix[ys.at[y]*src.W*3:], out.Pix[3*y*cw:3*(y+1)*cw]
			for x, sx := range xs.at {
				p, q := in[3*sx:][:3], o[3*x:][:3]
				q[0], q[1], q[2] = float32(p[0]), float32(p[1]), float32(p[2])
			}
		}
	case Bilinear:
		t.bilinear(src, out, xs, ys)
	case Bicubic:
		t.bicubic(src, out, xs, ys)
	case Area:
		t.area(src, out, xs, ys)
	}
	return out
}

// source is the part of a sw x sh image that window looks at.
func (t *tensorFlow) source(sw, sh, w, h, left, top, cw, ch int, f Filter) image.Rectangle {
	if w == sw && h == sh {
		f = Nearest
	}
	xs, ys := t.axis(sw, w, left, left+cw, f), t.axis(sh, h, top, top+ch, f)
	return image.Rect(xs.from(), ys.from(), xs.to(), ys.to())
}

func (t *tensorFlow) lines(n int) []float32 {
	if cap(t.line) < n {
		t.line = make([]float32, n)
	}
	return t.line[:n]
}

// bilinear interpolates along rows, then between two of them.
func (t *tensorFlow) bilinear(src Image, out floats, xs, ys *tfAxis) {
	stride := 3 * out.W
	upper, lower := t.lines(2 * stride)[:stride], t.lines(2 * stride)[stride:]
	inUpper, inLower := -1, -1
	fill := func(row []float32, sy int) {
		in := src.Pix[sy*src.W*3 : (sy+1)*src.W*3]
		for x := range out.W {
			p, q, part := in[3*xs.at[2*x]:][:3], in[3*xs.at[2*x+1]:][:3], xs.k[2*x]
			o := row[3*x:][:3]
			for c := range 3 {
				l, r := float32(p[c]), float32(q[c])
				o[c] = l + float32((r-l)*part)
			}
		}
	}
	for y := range out.H {
		a, b, part := ys.at[2*y], ys.at[2*y+1], ys.k[2*y]
		if a == inLower {
			upper, lower, inUpper, inLower = lower, upper, inLower, inUpper
		}
		if a != inUpper {
			fill(upper, a)
			inUpper = a
		}
		under := lower
		if b == a {
			under = upper
		} else if b != inLower {
			fill(lower, b)
			inLower = b
		}
		o := out.Pix[y*stride : (y+1)*stride]
		for i, v := range upper {
			o[i] = v + float32((under[i]-v)*part)
		}
	}
}

// bicubic sums four pixels of each column, then four of these.
func (t *tensorFlow) bicubic(src Image, out floats, xs, ys *tfAxis) {
	from, to := 3*xs.from(), 3*xs.to()
	line := t.lines(to - from)
	for y := range out.H {
		at, k := ys.of(y)
		var in [4][]byte
		for j, sy := range at {
			in[j] = src.Pix[sy*src.W*3+from:][:len(line)]
		}
		k0, k1, k2, k3 := k[0], k[1], k[2], k[3]
		for i := range line {
			v := float32(float32(in[0][i])*k0) + float32(float32(in[1][i])*k1)
			v += float32(float32(in[2][i]) * k2)
			line[i] = v + float32(float32(in[3][i])*k3)
		}
		o := out.Pix[3*y*out.W : 3*(y+1)*out.W]
		for x := range out.W {
			at, k := xs.at[4*x:][:4], xs.k[4*x:][:4]
			for c := range 3 {
				v := float32(line[3*at[0]-from+c]*k[0]) + float32(line[3*at[1]-from+c]*k[1])
				v += float32(line[3*at[2]-from+c] * k[2])
				o[3*x+c] = v + float32(line[3*at[3]-from+c]*k[3])
			}
		}
	}
}

// area sums shares along rows, then along columns, and divides by the area.
func (t *tensorFlow) area(src Image, out floats, xs, ys *tfAxis) {
	scale := float32(1 / float64(ys.scale*xs.scale))
	stride := 3 * out.W
	line := t.lines(stride)
	have := -1
	for y := range out.H {
		o := out.Pix[y*stride : (y+1)*stride]
		clear(o)
		at, k := ys.of(y)
		for j, sy := range at {
			if sy != have {
				xs.sums(line, src.Pix[sy*src.W*3:(sy+1)*src.W*3])
				have = sy
			}
			for i, v := range line {
				o[i] += float32(v * k[j])
			}
		}
		for i := range o {
			o[i] *= scale
		}
	}
}

func (a *tfAxis) sums(out []float32, in []byte) {
	for x := range len(a.first) - 1 {
		var r, g, b float32
		at, k := a.of(x)
		for j, sx := range at {
			p := in[3*sx:][:3]
			r += float32(float32(p[0]) * k[j])
			g += float32(float32(p[1]) * k[j])
			b += float32(float32(p[2]) * k[j])
		}
		o := out[3*x:][:3]
		o[0], o[1], o[2] = r, g, b
	}
}
