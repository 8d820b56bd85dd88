package corrupt

import (
	"math"
	"math/rand/v2"
	"sync"

	"cutmix-eval/imageproc"
)

// snow adds a layer of blurred flakes, and the same turned round, to a whitened image.
// p are the layer's mean, deviation, magnification and threshold, the motion blur's radius
// and sigma, and the image's share.
func (c *Corruptor) snow(dst, src imageproc.Image, p []float64, normal, angle func() float64) {
	w, h := src.W, src.H
	v, flakes := c.floats("layer", w*h), c.floats("flakes", w*h)
	for i := range v {
		v[i] = p[0] + float64(p[1]*normal())
	}
	zoom(flakes, v, w, h, 1, p[2], false, func(v float64) float64 { return v })
	layer := room(c.bytes, "layer", w*h)
	for i, x := range flakes {
		if x < p[3] {
			x = 0
		}
		layer[i] = truncate(x)
	}
	blurred := room(c.bytes, "blurred", w*h)
	c.motion(blurred, layer, w, h, 1, p[4], p[5], angle())
	mix, rest := float32(p[6]), float32(1-p[6])
	for i := range w * h {
		r, g, b := float32(unit[src.Pix[3*i]]), float32(unit[src.Pix[3*i+1]]), float32(unit[src.Pix[3*i+2]])
		// Fused, as OpenCV's vector code has it; products of two float32 are exact in float64.
		grey := float32(float64(float64(float32(0.587))*float64(g)) + float64(float32(float32(0.299)*r)))
		grey = float32(float64(float64(float32(0.114))*float64(b)) + float64(grey))
		white := float32(grey*1.5) + 0.5
		add := unit[blurred[i]]
		turned := unit[blurred[w*h-1-i]]
		for e, x := range [3]float32{r, g, b} {
			y := float32(mix*x) + float32(rest*max(x, white))
			dst.Pix[3*i+e] = truncate(float64(y) + add + turned)
		}
	}
}

// Frosts are textures of frost, in the order of the benchmark's files frost1 to frost5.
type Frosts []imageproc.Image

// frost adds a random piece of a random texture, shrunk for the smaller sets.
func (c *Corruptor) frost(dst, src imageproc.Image, a, b float64, draw func(n int) int) {
	t := c.scaledFrost(draw(len(c.frosts)), src.W, src.H)
	row, col := 0, 0
	if n := t.H - src.H; n > 0 {
		row = draw(n)
	}
	if n := t.W - src.W; n > 0 {
		col = draw(n)
	}
	c.addFrost(dst, src, a, b, t, row, col)
}

func (c *Corruptor) addFrost(dst, src imageproc.Image, a, b float64, t imageproc.Image, row, col int) {
	for y := range src.H {
		at := 3 * y * src.W
		from := t.Pix[3*((row+y)*t.W+col):]
		for i, k := range src.Pix[at : at+3*src.W] {
			v := float64(a*float64(k)) + float64(b*float64(from[i]))
			if v >= 255 {
				v = 255
			}
			dst.Pix[at+i] = byte(v)
		}
	}
}

// scaledFrost is a texture at the size for the set, larger where the image is.
func (c *Corruptor) scaledFrost(i, w, h int) imageproc.Image {
	t := c.frosts[i]
	scale := map[Set]float64{64: 0.3, 32: 0.2}[c.set]
	if scale == 0 {
		scale = 1
	}
	size := func(n int) int { return int(math.RoundToEven(float64(n) * scale)) }
	if need := max(float64(w)/float64(t.W), float64(h)/float64(t.H)); size(t.W) < w || size(t.H) < h {
		scale = need * 1.01
	}
	if scale == 1 {
		return t
	}
	if c.scaled == nil {
		c.scaled = map[int]imageproc.Image{}
	}
	s, ok := c.scaled[i]
	if !ok || s.W != size(t.W) || s.H != size(t.H) {
		s = shrink(t, size(t.W), size(t.H), scale)
		c.scaled[i] = s
	}
	return s
}

// shrink is OpenCV's bilinear resizing of bytes: two taps, weights of 11 bits, no filter
// against aliases.
func shrink(src imageproc.Image, w, h int, scale float64) imageproc.Image {
	dst := imageproc.New(w, h)
	taps := func(n, size int) (at []int, k [][2]int32) {
		at, k = make([]int, size), make([][2]int32, size)
		for i := range size {
			x := (float64(i)+0.5)/scale - 0.5
			a := int(math.Floor(x))
			f := float32(x - float64(a))
			if a < 0 {
				a, f = 0, 0
			}
			if a >= n-1 {
				a, f = n-2, 1
			}
			at[i], k[i] = a, [2]int32{int32(math.RoundToEven(float64((1 - f) * 2048))), int32(math.RoundToEven(float64(f * 2048)))}
		}
		return at, k
	}
	ax, kx := taps(src.W, w)
	ay, ky := taps(src.H, h)
	line := func(y int, out []int32) {
		row := src.Pix[3*y*src.W:]
		for x := range w {
			for e := range 3 {
				i := 3*ax[x] + e
				out[3*x+e] = int32(row[i])*kx[x][0] + int32(row[i+3])*kx[x][1]
			}
		}
	}
	a, b := make([]int32, 3*w), make([]int32, 3*w)
	for y := range h {
		line(ay[y], a)
		line(ay[y]+1, b)
		for i := range a {
			v := ((ky[y][0]*(a[i]>>4))>>16 + (ky[y][1]*(b[i]>>4))>>16 + 2) >> 2
			dst.Pix[3*y*w+i] = byte(min(max(v, 0), 255))
		}
	}
	return dst
}

// builtinFrosts are drawn: ridges of crystal between random points, brightest where two
// are equally far, on a bluish ground. They have the sizes of the benchmark's files.
var builtinFrosts = sync.OnceValue(func() Frosts {
	var out Frosts
	for k, size := range [][2]int{{900, 600}, {560, 315}, {560, 315}, {527, 350}, {660, 495}} {
		rng := rand.New(rand.NewPCG(uint64(k), 0xf0057))
		out = append(out, drawFrost(rng, size[0], size[1]))
	}
	return out
})

func drawFrost(rng *rand.Rand, w, h int) imageproc.Image {
	im := imageproc.New(w, h)
	const cell = 24
	gw, gh := w/cell+3, h/cell+3
	px, py := make([]float64, gw*gh), make([]float64, gw*gh)
	for i := range px {
		px[i], py[i] = float64((float64(i%gw-1)+float64(rng.Float64()))*cell), float64((float64(i/gw-1)+float64(rng.Float64()))*cell)
	}
	var c Corruptor
	c.buf = map[string][]float64{}
	side := 1024
	cloud := c.plasma(side, 1.6, func() float64 { return 2 * (float64(rng.Float64()) - 0.5) })
	for y := range h {
		for x := range w {
			first, second := math.Inf(1), math.Inf(1)
			gx, gy := x/cell+1, y/cell+1
			for j := gy - 1; j <= gy+1; j++ {
				for i := gx - 1; i <= gx+1; i++ {
					dx, dy := px[j*gw+i]-float64(x), py[j*gw+i]-float64(y)
					d := math.Sqrt(float64(dx*dx) + float64(dy*dy))
					if d < first {
						first, second = d, first
					} else if d < second {
						second = d
					}
				}
			}
			ridge := math.Exp(-(second - first) / 2.5)
			v := 0.15 + float64(0.55*cloud[y*side+x]) + float64(0.6*ridge*cloud[(h-1-y)*side+x])
			for e, tint := range [3]float64{0.86, 0.94, 1} {
				im.Pix[3*(y*w+x)+e] = truncate(v * tint)
			}
		}
	}
	return im
}

// plasmaSide is the side of a fog's map: the set's own, or more for larger images.
func plasmaSide(s Set, im imageproc.Image) int {
	side := map[Set]int{224: 256, 299: 512, 64: 64, 32: 32}[s]
	for side < max(im.W, im.H) {
		side *= 2
	}
	return side
}

// fog adds a plasma map and keeps the largest value. The map's rows are as long as its side.
func (c *Corruptor) fog(dst, src imageproc.Image, a float64, plasma []float64) {
	side := int(math.Round(math.Sqrt(float64(len(plasma)))))
	top := 0.0
	for _, k := range src.Pix {
		top = max(top, unit[k])
	}
	for y := range src.H {
		for x := range src.W {
			add := float64(a * plasma[y*side+x])
			at := 3 * (y*src.W + x)
			for i := at; i < at+3; i++ {
				dst.Pix[i] = truncate(float64((unit[src.Pix[i]]+add)*top) / (top + a))
			}
		}
	}
}

// plasma is a map of side x side values in 0..1 by the diamond-square method on a torus.
// What is added is wibble times a number between -wibble and wibble, as in the original.
// draw gives numbers between -1 and 1.
func (c *Corruptor) plasma(side int, decay float64, draw func() float64) []float64 {
	m := c.floats("plasma", side*side)
	clear(m)
	wibble := 100.0
	mask := side - 1
	at := func(y, x int) float64 { return m[(y&mask)*side+x&mask] }
	noise := func(sum float64) float64 { return float64(sum/4) + float64(wibble*float64(wibble*draw())) }
	for step := side; step >= 2; step /= 2 {
		half := step / 2
		for y := 0; y < side; y += step {
			for x := 0; x < side; x += step {
				m[(y+half)*side+x+half] = noise((at(y, x) + at(y+step, x)) + (at(y, x+step) + at(y+step, x+step)))
			}
		}
		for y := 0; y < side; y += step {
			for x := 0; x < side; x += step { // between columns: centres above and below, corners left and right
				m[y*side+x+half] = noise((at(y+half, x+half) + at(y-half, x+half)) + (at(y, x) + at(y, x+step)))
			}
		}
		for y := 0; y < side; y += step {
			for x := 0; x < side; x += step {
				m[(y+half)*side+x] = noise((at(y+half, x+half) + at(y+half, x-half)) + (at(y, x) + at(y+step, x)))
			}
		}
		wibble /= decay
	}
	low := m[0]
	for _, v := range m {
		low = min(low, v)
	}
	top := 0.0
	for i := range m {
		m[i] -= low
		top = max(top, m[i])
	}
	for i := range m {
		m[i] /= top
	}
	return m
}
