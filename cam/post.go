package cam

import "math"

// Post is what is done with a map before boxes are drawn.
type Post string

// The ways of wsolevaluation (Choe et al., CVPR 2020: resized with OpenCV's bicubic
// filter, then scaled to 0..1) and of pytorch-grad-cam (negative values cut off,
// scaled, resized bilinearly, scaled again).
const (
	WSOL       Post = "wsol"
	GradCAMLib Post = "gradcam"
)

// Apply brings a map of h x w to 0..1 at the size H x W. A map with NaN or an
// infinity, or without any contrast, becomes all zeros.
func (p Post) Apply(m []float64, h, w, H, W int) []float64 {
	if p == GradCAMLib {
		small := scale(m)
		return scale(Linear(small, h, w, H, W))
	}
	out := Cubic(m, h, w, H, W)
	Normalise(out)
	return out
}

// scale is pytorch-grad-cam's: negative values are cut off, then
// (x - min) / (1e-7 + max of that).
func scale(m []float64) []float64 {
	out := make([]float64, len(m))
	low := math.Inf(1)
	for i, v := range m {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return make([]float64, len(m))
		}
		out[i] = max(v, 0)
		low = min(low, out[i])
	}
	high := 0.0
	for i := range out {
		out[i] -= low
		high = max(high, out[i])
	}
	for i := range out {
		out[i] /= 1e-7 + high
	}
	return out
}

// Normalise brings a map to 0..1 in place: less its minimum, by the maximum of
// that. A map with NaN or an infinity, or that is constant, becomes all zeros.
func Normalise(m []float64) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range m {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			clear(m)
			return
		}
		low, high = min(low, v), max(high, v)
	}
	if low == high {
		clear(m)
		return
	}
	top := high - low
	for i := range m {
		m[i] = (m[i] - low) / top
	}
}

// Bytes is a map of 0..1 as wsolevaluation cuts it: value times 255, truncated. A map
// whose largest value is a little below 1 is brought there first, so that its largest
// byte is 255.
func Bytes(m []float64) []byte {
	top := 0.0
	for _, v := range m {
		top = max(top, v)
	}
	if top == 0 {
		top = 1
	}
	out := make([]byte, len(m))
	for i, v := range m {
		out[i] = byte(v / top * 255)
	}
	return out
}

// taps are the source positions and weights of each output of one axis.
type taps struct {
	at [][4]int
	k  [][4]float64
}

// Cubic resizes a map as OpenCV's INTER_CUBIC does for float64: A = -0.75,
// coefficients in float32, borders repeated, columns after rows. A map of the
// wanted size is copied.
func Cubic(m []float64, h, w, H, W int) []float64 {
	if h == H && w == W {
		return append([]float64(nil), m...)
	}
	return resize(m, h, w, W, H, cubicTaps(w, W), cubicTaps(h, H))
}

func cubicTaps(in, out int) taps {
	const a = float32(-0.75)
	t := taps{make([][4]int, out), make([][4]float64, out)}
	ratio := 1 / (float64(out) / float64(in))
	for d := range out {
		x := float32((float64(d)+0.5)*ratio - 0.5)
		s := int(math.Floor(float64(x)))
		f := x - float32(s)
		// Each step is rounded to float32, as the conversions say.
		f1 := float32(f + 1)
		c0 := float32(float32(float32(float32(float32(a*f1)-float32(5*a))*f1)+float32(8*a))*f1) - float32(4*a)
		c1 := mid(a, f)
		c2 := mid(a, 1-f)
		c3 := float32(float32(1-c0)-c1) - c2
		t.k[d] = [4]float64{float64(c0), float64(c1), float64(c2), float64(c3)}
		for i := range 4 {
			t.at[d][i] = min(max(s-1+i, 0), in-1)
		}
	}
	return t
}

// mid is ((A+2) x - (A+3)) x x + 1, each step rounded to float32.
func mid(a, x float32) float32 {
	return float32(float32(float32(float32(float32(a+2)*x)-float32(a+3))*x)*x) + 1
}

// Linear resizes a map as OpenCV's INTER_LINEAR does, weights in float32.
func Linear(m []float64, h, w, H, W int) []float64 {
	axis := func(in, out int) taps {
		t := taps{make([][4]int, out), make([][4]float64, out)}
		ratio := 1 / (float64(out) / float64(in))
		for d := range out {
			x := float32((float64(d)+0.5)*ratio - 0.5)
			s := int(math.Floor(float64(x)))
			f := x - float32(s)
			if s < 0 {
				s, f = 0, 0
			}
			if s >= in-1 {
				s, f = in-1, 0
			}
			t.at[d] = [4]int{s, min(s+1, in-1), s, s}
			t.k[d] = [4]float64{float64(1 - f), float64(f), 0, 0}
		}
		return t
	}
	return resize(m, h, w, W, H, axis(w, W), axis(h, H))
}

func resize(m []float64, h, w, W, H int, tx, ty taps) []float64 {
	if len(m) != h*w {
		panic("cam: map of another size than it says")
	}
	rows := make([]float64, h*W)
	for y := range h {
		in, out := m[y*w:(y+1)*w], rows[y*W:(y+1)*W]
		for x := range out {
			at, k := &tx.at[x], &tx.k[x]
			// The conversions keep products from being fused with sums.
			out[x] = float64(float64(float64(in[at[0]]*k[0])+float64(in[at[1]]*k[1]))+float64(in[at[2]]*k[2])) + float64(in[at[3]]*k[3])
		}
	}
	res := make([]float64, H*W)
	for y := range H {
		at, k := &ty.at[y], &ty.k[y]
		a, b, c, d := rows[at[0]*W:][:W], rows[at[1]*W:][:W], rows[at[2]*W:][:W], rows[at[3]*W:][:W]
		out := res[y*W : (y+1)*W]
		for x := range out {
			out[x] = float64(float64(float64(a[x]*k[0])+float64(b[x]*k[1]))+float64(c[x]*k[2])) + float64(d[x]*k[3])
		}
	}
	return res
}

// Centre is a map without a model: a round bump in the middle, 1 there and 0 in the
// corners, so that a sweep over thresholds tries every size of a centred box.
func Centre(w, h int) []float64 {
	m := make([]float64, w*h)
	for y := range h {
		for x := range w {
			dx, dy := (float64(x)+0.5)/float64(w)-0.5, (float64(y)+0.5)/float64(h)-0.5
			m[y*w+x] = math.Exp(-(dx*dx + dy*dy) / (2 * 0.25 * 0.25))
		}
	}
	Normalise(m)
	return m
}
