package imageproc

import (
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
)

// Filter is a resampling filter.
type Filter string

// The filters. Pillow's, all but Nearest, widen with the reduction (antialiasing); those of
// OpenCV and TensorFlow, all but Area, do not. Backend.Filters says who has which.
const (
	Nearest  Filter = "nearest"
	Box      Filter = "box"
	Bilinear Filter = "bilinear" // cv2.INTER_LINEAR
	Hamming  Filter = "hamming"
	Bicubic  Filter = "bicubic" // cv2.INTER_CUBIC
	Lanczos  Filter = "lanczos" // cv2.INTER_LANCZOS4
	Area     Filter = "area"    // cv2.INTER_AREA
)

// Filters lists the filters that there are with some backend.
func Filters() []Filter { return []Filter{Nearest, Box, Bilinear, Hamming, Bicubic, Lanczos, Area} }

// Filters lists the filters that the library has.
func (b Backend) Filters() []Filter {
	switch b {
	case OpenCV:
		return []Filter{Nearest, Bilinear, Bicubic, Area, Lanczos}
	case TensorFlow:
		return []Filter{Nearest, Bilinear, Bicubic, Area}
	}
	return []Filter{Nearest, Box, Bilinear, Hamming, Bicubic, Lanczos}
}

// backends names the libraries that have the filter.
func (f Filter) backends() (names []string) {
	for _, b := range Backends() {
		if slices.Contains(b.Filters(), f) {
			names = append(names, b.String())
		}
	}
	return names
}

// ParseFilter reads a filter's name.
func ParseFilter(s string) (Filter, error) {
	for _, f := range Filters() {
		if string(f) == s {
			return f, nil
		}
	}
	return "", fmt.Errorf("interpolation %q is not one of %s", s, names(Filters()))
}

// names lists filters with commas.
func names(filters []Filter) string {
	text := make([]string, len(filters))
	for i, f := range filters {
		text[i] = string(f)
	}
	return strings.Join(text, ", ")
}

// kernel returns the filter's weight function and its support. The float64
// conversions keep the compiler from fusing operations, so that every platform
// has the same weights.
func (f Filter) kernel() (func(float64) float64, float64) {
	sinc := func(x float64) float64 {
		if x == 0 {
			return 1
		}
		x *= math.Pi
		return math.Sin(x) / x
	}
	switch f {
	case Box:
		return func(x float64) float64 {
			if x > -0.5 && x <= 0.5 {
				return 1
			}
			return 0
		}, 0.5
	case Bilinear:
		return func(x float64) float64 { return max(0, 1-math.Abs(x)) }, 1
	case Hamming:
		return func(x float64) float64 {
			x = math.Abs(x)
			if x == 0 {
				return 1
			}
			if x >= 1 {
				return 0
			}
			x *= math.Pi
			return math.Sin(x) / x * (0.54 + float64(0.46*math.Cos(x)))
		}, 1
	case Bicubic:
		const a = -0.5
		return func(x float64) float64 {
			x = math.Abs(x)
			if x < 1 {
				return float64(float64(float64((a+2)*x)-(a+3))*x*x) + 1
			}
			if x < 2 {
				return float64(float64(float64(float64(x-5)*x)+8)*x-4) * a
			}
			return 0
		}, 2
	case Lanczos:
		return func(x float64) float64 {
			if -3 <= x && x < 3 {
				return sinc(x) * sinc(x/3)
			}
			return 0
		}, 3
	}
	panic("imageproc: no kernel for filter " + string(f))
}

// precision is the number of fraction bits of a weight. Pillow: 32 bits less
// 8 for the sample and 2 for filters whose weights sum to more than one.
const precision = 32 - 8 - 2

// weights are the fixed-point weights of one axis for a range of outputs.
type weights struct {
	first []int32 // first source position of each output
	count []int32
	k     []int32 // size of them per output, zeros behind the last
	size  int     // a multiple of 4
	reach int     // bytes of an RGB row that groups of four taps look at
}

// from and to bound the source positions that count.
func (w *weights) from() int { return int(w.first[0]) }
func (w *weights) to() int {
	n := len(w.first)
	return int(w.first[n-1] + w.count[n-1])
}

// axis computes the weights for outputs lo..hi of an axis of in samples that
// becomes out (Pillow, precompute_coeffs and normalize_coeffs_8bpc).
func axis(in, out, lo, hi int, f Filter) *weights {
	kernel, support := f.kernel()
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	support *= wide
	size := (int(math.Ceil(support))*2 + 1 + 3) &^ 3
	n := hi - lo
	w := &weights{first: make([]int32, n), count: make([]int32, n), k: make([]int32, n*size), size: size}
	k := make([]float64, size)
	inv := 1 / wide
	for i := range n {
		centre := (float64(lo+i) + 0.5) * scale
		first := max(int(centre-support+0.5), 0)
		count := min(int(centre+support+0.5), in) - first
		sum := 0.0
		for x := range count {
			k[x] = kernel(float64(float64(float64(x+first)-centre)+0.5) * inv)
			sum += k[x]
		}
		for x := range count {
			v := k[x]
			if sum != 0 {
				v /= sum
			}
			v = float64(v * (1 << precision))
			if v < 0 {
				v -= 0.5
			} else {
				v += 0.5
			}
			w.k[i*size+x] = int32(v) // truncates towards zero, as C does
		}
		w.first[i], w.count[i] = int32(first), int32(count)
		w.reach = max(w.reach, 3*first+12*((count-1)/4)+16)
	}
	return w
}

// Resizer resizes images, keeping weights and buffers from call to call. The
// zero value is ready. Not safe for concurrent use.
type Resizer struct {
	tmp  []byte
	out  []byte
	acc  []int32
	seen map[axisKey]*weights
}

type axisKey struct {
	in, out, lo, hi int
	f               Filter
}

func (r *Resizer) axis(in, out, lo, hi int, f Filter) *weights {
	key := axisKey{in, out, lo, hi, f}
	if w := r.seen[key]; w != nil {
		return w
	}
	if r.seen == nil || len(r.seen) >= 256 { // photographs come in few sizes
		r.seen = make(map[axisKey]*weights)
	}
	w := axis(in, out, lo, hi, f)
	r.seen[key] = w
	return w
}

// Resize returns src resized to w x h, equal to Pillow's
// Image.resize((w, h), filter) on an RGB image. The result is valid until the
// next call, or is src itself when the size is unchanged.
func (r *Resizer) Resize(src Image, w, h int, f Filter) Image {
	return r.Window(src, w, h, 0, 0, w, h, f)
}

// Window returns the rectangle of cw x ch pixels at (left, top) of src resized
// to w x h, computing only those. It panics if the rectangle does not lie in
// the resized image. The result is valid until the next call and may share
// src's memory.
func (r *Resizer) Window(src Image, w, h, left, top, cw, ch int, f Filter) Image {
	if left < 0 || top < 0 || cw <= 0 || ch <= 0 || left+cw > w || top+ch > h {
		panic(fmt.Sprintf("imageproc: window %dx%d at %d,%d of %dx%d", cw, ch, left, top, w, h))
	}
	switch {
	case w == src.W && h == src.H:
		return r.cut(src, left, top, cw, ch)
	case f == Nearest:
		return r.nearest(src, w, h, left, top, cw, ch)
	}
	if h == src.H {
		src = r.rows(src, top, ch) // no vertical pass: take the rows that count
	} else {
		vert := r.axis(src.H, h, top, top+ch, f)
		if w == src.W {
			return r.cut(r.vertical(src, vert, ch), left, 0, cw, ch)
		}
		lo, hi := vert.from(), vert.to()
		mid := r.horizontal(r.rows(src, lo, hi-lo), r.axis(src.W, w, left, left+cw, f), cw)
		return r.verticalFrom(mid, vert, ch, lo)
	}
	return r.horizontal(src, r.axis(src.W, w, left, left+cw, f), cw)
}

// rows is the part of src with n rows from row at, sharing its memory.
func (r *Resizer) rows(src Image, at, n int) Image {
	return Image{W: src.W, H: n, Pix: src.Pix[at*src.W*3 : (at+n)*src.W*3]}
}

func (r *Resizer) cut(src Image, left, top, w, h int) Image {
	if left == 0 && w == src.W {
		return r.rows(src, top, h)
	}
	out := grow(&r.out, w, h)
	for y := range h {
		copy(out.Pix[y*w*3:(y+1)*w*3], src.Pix[((top+y)*src.W+left)*3:])
	}
	return out
}

func grow(buf *[]byte, w, h int) Image {
	n := w * h * 3
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	return Image{W: w, H: h, Pix: (*buf)[:n]}
}

const half = 1 << (precision - 1)

func clip8(v int32) byte {
	v >>= precision
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return byte(v)
}

func (r *Resizer) horizontal(src Image, wt *weights, w int) Image {
	out := grow(&r.tmp, w, src.H)
	for y := range src.H {
		in := src.Pix[y*src.W*3 : (y+1)*src.W*3]
		o := out.Pix[y*w*3 : (y+1)*w*3]
		if fast && wt.reach <= cap(in) { // near the end of memory, one by one
			horizontalAVX2(&o[0], &in[0], &wt.first[0], &wt.count[0], &wt.k[0], wt.size, w)
			continue
		}
		for x := range w {
			n := int(wt.count[x])
			k := wt.k[x*wt.size:][:n]
			p := in[int(wt.first[x])*3:][:3*n]
			if n == 3 { // usual for photographs
				q, k0, k1, k2 := (*[9]byte)(p), k[0], k[1], k[2]
				to := (*[3]byte)(o[3*x:])
				to[0] = clip8(half + int32(q[0])*k0 + int32(q[3])*k1 + int32(q[6])*k2)
				to[1] = clip8(half + int32(q[1])*k0 + int32(q[4])*k1 + int32(q[7])*k2)
				to[2] = clip8(half + int32(q[2])*k0 + int32(q[5])*k1 + int32(q[8])*k2)
				continue
			}
			a, b, c := int32(half), int32(half), int32(half)
			for i, kv := range k {
				q := p[3*i : 3*i+3 : 3*i+3]
				a += int32(q[0]) * kv
				b += int32(q[1]) * kv
				c += int32(q[2]) * kv
			}
			q := o[3*x : 3*x+3 : 3*x+3]
			q[0], q[1], q[2] = clip8(a), clip8(b), clip8(c)
		}
	}
	return out
}

func (r *Resizer) vertical(src Image, wt *weights, h int) Image {
	return r.verticalFrom(src, wt, h, 0)
}

// verticalFrom resizes along columns; src begins at row from of the image the
// weights were made for.
func (r *Resizer) verticalFrom(src Image, wt *weights, h, from int) Image {
	out := grow(&r.out, src.W, h)
	stride := src.W * 3
	if cap(r.acc) < stride {
		r.acc = make([]int32, stride)
	}
	for y := range h {
		k := wt.k[y*wt.size:][:wt.count[y]]
		at := int(wt.first[y]) - from
		in := src.Pix[at*stride : (at+len(k))*stride]
		o := out.Pix[y*stride : (y+1)*stride]
		if n := stride &^ 15; fast && n > 0 {
			verticalAVX2(&o[0], &in[0], stride, &k[0], len(k), n)
			o, in = o[n:], in[n:]
		}
		columns(o, in, stride, k, r.acc)
	}
	return out
}

// columns computes one output row from len(k) input rows, which begin stride
// bytes apart in src. acc has room for the row's sums.
func columns(out, src []byte, stride int, k, acc []int32) {
	n := len(out)
	switch len(k) { // usual for photographs: no sums in memory
	case 2:
		a, b := src[:n], src[stride:][:n]
		k0, k1 := k[0], k[1]
		for x := range out {
			out[x] = clip8(half + int32(a[x])*k0 + int32(b[x])*k1)
		}
		return
	case 3:
		a, b, c := src[:n], src[stride:][:n], src[2*stride:][:n]
		k0, k1, k2 := k[0], k[1], k[2]
		for x := range out {
			out[x] = clip8(half + int32(a[x])*k0 + int32(b[x])*k1 + int32(c[x])*k2)
		}
		return
	}
	acc = acc[:n]
	for i := range acc {
		acc[i] = half
	}
	for i, kv := range k {
		for x, v := range src[i*stride:][:n] {
			acc[x] += int32(v) * kv
		}
	}
	for x, v := range acc {
		out[x] = clip8(v)
	}
}

// source is the part of a sw x sh image that Window looks at to make a window of
// its resized form.
func (r *Resizer) source(sw, sh, w, h, left, top, cw, ch int, f Filter) image.Rectangle {
	span := func(in, out, lo, n int) (int, int) {
		switch {
		case in == out:
			return lo, lo + n
		case f == Nearest:
			at := steps(in, out)
			return at[lo], at[lo+n-1] + 1
		}
		wt := r.axis(in, out, lo, lo+n, f)
		return wt.from(), wt.to()
	}
	x0, x1 := span(sw, w, left, cw)
	y0, y1 := span(sh, h, top, ch)
	return image.Rect(x0, y0, x1, y1)
}

// nearest follows Pillow's affine scaling: positions are accumulated, not
// multiplied, which decides which side of an edge a rounding falls.
func (r *Resizer) nearest(src Image, w, h, left, top, cw, ch int) Image {
	out := grow(&r.out, cw, ch)
	xs := steps(src.W, w)[left : left+cw]
	ys := steps(src.H, h)[top : top+ch]
	for y, sy := range ys {
		in := src.Pix[sy*src.W*3:]
		o := out.Pix[y*cw*3:]
		for x, sx := range xs {
			copy(o[3*x:3*x+3], in[3*sx:3*sx+3])
		}
	}
	return out
}

func steps(in, out int) []int {
	s := make([]int, out)
	step := float64(in) / float64(out)
	at := float64(step * 0.5)
	for i := range s {
		s[i] = min(int(at), in-1)
		at += step
	}
	return s
}
