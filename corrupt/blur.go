package corrupt

import (
	"math"
	"math/big"

	"cutmix-eval/imageproc"
)

// border is what lies outside of an image.
type border func(i, n int) int

// repeat is the nearest pixel, reflect mirrors with the border's pixel twice, reflect101
// with it once.
func repeat(i, n int) int { return min(max(i, 0), n-1) }

func reflect(i, n int) int {
	i %= 2 * n
	if i < 0 {
		i += 2 * n
	}
	return min(i, 2*n-1-i)
}

func reflect101(i, n int) int {
	if n == 1 {
		return 0
	}
	i %= 2*n - 2
	if i < 0 {
		i += 2*n - 2
	}
	return min(i, 2*n-2-i)
}

// gaussianKernel are scipy's weights for offsets 0 to the radius; the others mirror them.
func gaussianKernel(sigma, cut float64) []float64 {
	r := int(float64(cut*sigma) + 0.5)
	w := make([]float64, r+1)
	sum := 0.0
	for i := -r; i <= r; i++ {
		x := float64(i)
		v := math.Exp(-0.5 / float64(sigma*sigma) * float64(x*x))
		sum += v
		w[max(i, -i)] = v
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// gaussian filters an image of ch channels in place, rows first, then columns, adding as
// scipy does: the centre, then pairs from the outside in.
func (c *Corruptor) gaussian(v []float64, w, h, ch int, sigma, cut float64, b border) {
	if sigma <= 0 {
		return
	}
	k := gaussianKernel(sigma, cut)
	if len(k) == 1 {
		return
	}
	n := w * ch
	if 2*len(k) > max(w, h)/2 { // most of the kernel is border: one matrix is cheaper
		c.gaussianWide(v, w, h, ch, k, b)
		return
	}
	out := c.floats("gauss", len(v))
	for y := range h {
		acc := out[y*n : (y+1)*n]
		for i, x := range v[y*n : (y+1)*n] {
			acc[i] = float64(k[0] * x)
		}
		for j := len(k) - 1; j > 0; j-- {
			lo, hi := b(y-j, h)*n, b(y+j, h)*n
			pair(acc, v[lo:lo+n], v[hi:hi+n], k[j])
		}
	}
	r := len(k) - 1
	line := c.floats("line", n+2*r*ch)
	for y := range h {
		row := out[y*n : (y+1)*n]
		copy(line[r*ch:], row)
		for j := 1; j <= r; j++ {
			copy(line[(r-j)*ch:(r-j+1)*ch], row[b(-j, w)*ch:])
			copy(line[(r+w+j-1)*ch:(r+w+j)*ch], row[b(w+j-1, w)*ch:])
		}
		acc := v[y*n : (y+1)*n]
		for i, x := range row {
			acc[i] = float64(k[0] * x)
		}
		for j := r; j > 0; j-- {
			pair(acc, line[(r-j)*ch:(r-j)*ch+n], line[(r+j)*ch:(r+j)*ch+n], k[j])
		}
	}
}

// gaussianWide does the same with the border folded into one row of weights a pixel.
func (c *Corruptor) gaussianWide(v []float64, w, h, ch int, k []float64, b border) {
	fold := func(n int) []float64 {
		m := c.floats("fold", n*n)
		clear(m)
		for i := range n {
			m[i*n+i] += k[0]
			for j := len(k) - 1; j > 0; j-- {
				m[i*n+b(i-j, n)] += k[j]
				m[i*n+b(i+j, n)] += k[j]
			}
		}
		return m
	}
	out := c.floats("gauss", len(v))
	n := w * ch
	m := fold(h)
	for y := range h {
		acc := out[y*n : (y+1)*n]
		clear(acc)
		for s := range h {
			axpy(acc, v[s*n:(s+1)*n], m[y*h+s])
		}
	}
	m = fold(w)
	clear(v)
	for y := range h {
		for s := range w {
			// The fold is symmetric, so a column of it is a row.
			for e := range ch {
				x := out[y*n+s*ch+e]
				if ch == 1 {
					axpy(v[y*n:(y+1)*n], m[s*w:(s+1)*w], x)
					continue
				}
				for t, k := range m[s*w : (s+1)*w] {
					v[y*n+t*ch+e] += float64(k * x)
				}
			}
		}
	}
}

func axpy(acc, x []float64, k float64) {
	if k == 0 {
		return
	}
	x = x[:len(acc)]
	for i := range acc {
		acc[i] += float64(x[i] * k)
	}
}

// spread writes bytes as values in 0..1.
func spread(v []float64, pix []byte) {
	for i, k := range pix {
		v[i] = unit[k]
	}
}

func gather(dst []byte, v []float64) {
	for i, x := range v {
		dst[i] = truncate(x)
	}
}

// gaussianBlur is skimage.filters.gaussian.
func (c *Corruptor) gaussianBlur(dst, src imageproc.Image, sigma float64) {
	v := c.floats("image", len(src.Pix))
	spread(v, src.Pix)
	c.gaussian(v, src.W, src.H, 3, sigma, 4, repeat)
	gather(dst.Pix, v)
}

// glass shuffles pixels within d between two Gaussian filters. The original means to swap
// two pixels and copies one (two views of one array); so does this.
func (c *Corruptor) glass(dst, src imageproc.Image, sigma float64, d, iterations int, draw func() (dx, dy int)) {
	v := c.floats("image", len(src.Pix))
	spread(v, src.Pix)
	c.gaussian(v, src.W, src.H, 3, sigma, 4, repeat)
	gather(dst.Pix, v)
	w := src.W
	for range iterations {
		for y := src.H - d; y > d; y-- {
			for x := w - d; x > d; x-- {
				dx, dy := draw()
				copy(dst.Pix[3*(y*w+x):3*(y*w+x)+3], dst.Pix[3*((y+dy)*w+x+dx):])
			}
		}
	}
	spread(v, dst.Pix)
	c.gaussian(v, src.W, src.H, 3, sigma, 4, repeat)
	gather(dst.Pix, v)
}

// disk is the defocus kernel: a disk smoothed by a Gaussian of 3 x 3 or 5 x 5, in float32
// as OpenCV has it. Where the disk touches the border of its grid the mirrored border adds
// weight, so that the sum is not 1.
type disk struct {
	r   int     // of the grid
	row [][]tap // of rows 0 to r from the middle on: weights that are not 0
}

// tap is a weight at a distance from the middle.
type tap struct {
	at int
	k  float64
}

func newDisk(radius, alias float64) disk {
	r, size := 8, 1
	if radius > 8 {
		r, size = int(radius), 2
	}
	n := 2*r + 1
	k, count := make([]float32, n*n), 0
	for y := -r; y <= r; y++ {
		for x := -r; x <= r; x++ {
			if float64(x*x+y*y) <= radius*radius {
				k[(y+r)*n+x+r] = 1
				count++
			}
		}
	}
	for i := range k {
		k[i] /= float32(count)
	}
	// OpenCV's weights of the small Gaussian.
	g := make([]float32, size+1)
	sum := 0.0
	for i := range g {
		v := math.Exp(-0.5 / float64(alias*alias) * float64(i*i))
		if sum += v; i > 0 {
			sum += v
		}
	}
	for i := range g {
		g[i] = float32(math.Exp(-0.5/float64(alias*alias)*float64(i*i)) / sum)
	}
	// And its order: rows, where the first pair is rounded before the centre is added to it,
	// then columns, which begin with the centre; further pairs are fused.
	pass := func(at func(line, i int) int, first func(centre, pair float32) float32) {
		row := make([]float32, n)
		for line := range n {
			for i := range n {
				pair := func(j int) float32 { return k[at(line, reflect101(i-j, n))] + k[at(line, reflect101(i+j, n))] }
				v := first(k[at(line, i)], pair(1))
				for j := 2; j <= size; j++ {
					v = fma(g[j], pair(j), v)
				}
				row[i] = v
			}
			for i, v := range row {
				k[at(line, i)] = v
			}
		}
	}
	pass(func(y, x int) int { return y*n + x }, func(centre, pair float32) float32 { return fma(g[0], centre, g[1]*pair) })
	pass(func(x, y int) int { return y*n + x }, func(centre, pair float32) float32 { return fma(g[1], pair, g[0]*centre) })
	d := disk{r: r}
	for y := range r + 1 {
		var row []tap
		for x, v := range k[(y+r)*n+r : (y+r+1)*n] {
			if v != 0 {
				row = append(row, tap{x, float64(v)})
			}
		}
		d.row = append(d.row, row)
	}
	return d
}

// fma is x*y + z as the fused instruction for float32 has it, on every machine: float64 holds
// the product exactly. (Rounding the sum to float64 first matters in one of 2^29 cases.)
func fma(x, y, z float32) float32 {
	return float32(math.FMA(float64(x), float64(y), float64(z)))
}

// defocus correlates with a disk, borders mirrored. The kernel is symmetric, so what lies
// at equal distances is added first, as integers.
func (c *Corruptor) defocus(dst, src imageproc.Image, radius, alias float64) {
	key := [2]float64{radius, alias}
	d, ok := c.disks[key]
	if !ok {
		d = newDisk(radius, alias)
		c.disks[key] = d
	}
	w, h, r := src.W, src.H, d.r
	n := 3 * w
	line := room(c.ints, "line", n+6*r)
	acc := c.floats("acc", n)
	for y := range h {
		clear(acc)
		for dy := range d.row {
			row := d.row[dy]
			if len(row) == 0 {
				continue
			}
			a := src.Pix[reflect101(y-dy, h)*n:][:n]
			mid := line[3*r : 3*r+n]
			if dy == 0 {
				for i, v := range a {
					mid[i] = int32(v)
				}
			} else {
				b := src.Pix[reflect101(y+dy, h)*n:][:n]
				for i, v := range a {
					mid[i] = int32(v) + int32(b[i])
				}
			}
			for j := 1; j <= r; j++ {
				copy(line[3*(r-j):3*(r-j)+3], mid[3*reflect101(-j, w):])
				copy(line[3*(r+w+j-1):3*(r+w+j)], mid[3*reflect101(w+j-1, w):])
			}
			for _, t := range row {
				if t.at > 0 {
					pairs(acc, line[3*(r-t.at):][:n], line[3*(r+t.at):][:n], t.k)
					continue
				}
				for i, v := range mid {
					acc[i] += float64(float64(v) * t.k)
				}
			}
		}
		out := dst.Pix[y*n : (y+1)*n]
		for i, v := range acc {
			out[i] = truncate(v / 255)
		}
	}
}

// motion is ImageMagick's one-sided motion blur, of ch channels: 16-bit values, rounded,
// of which the upper byte is taken.
func (c *Corruptor) motion(dst, src []byte, w, h, ch int, radius, sigma, degrees float64) {
	width := 2*int(math.Ceil(radius)) + 1
	k := make([]float64, width)
	sum := 0.0
	for i := range k {
		k[i] = math.Exp(-float64(i*i) / (2 * sigma * sigma))
		sum += k[i]
	}
	angle := degrees * math.Pi / 180
	px, py := float64(width)*math.Cos(angle), float64(width)*math.Sin(angle)
	length := hypot(px, py)
	n := w * ch
	acc := c.floats("acc", n)
	type step struct {
		x, y int
		k    float64
	}
	taps := make([]step, width)
	for i := range k {
		taps[i] = step{int(math.Ceil(float64(float64(i)*px)/length - 0.5)), int(math.Ceil(float64(float64(i)*py)/length - 0.5)), k[i] / sum}
	}
	for y := range h {
		clear(acc)
		for _, t := range taps {
			row := src[repeat(y+t.y, h)*n:][:n]
			lo, hi := min(max(-t.x, 0), w), min(max(w-t.x, 0), w) // x for which x + t.x is inside
			for x := 0; x < lo; x++ {
				for e := range ch {
					acc[x*ch+e] += float64(t.k * float64(257*int(row[e])))
				}
			}
			if lo < hi {
				from := row[(lo+t.x)*ch : (hi+t.x)*ch]
				to := acc[lo*ch : hi*ch]
				for i, v := range from {
					to[i] += float64(t.k * wide[v])
				}
			}
			for x := max(hi, lo); x < w; x++ {
				for e := range ch {
					acc[x*ch+e] += float64(t.k * float64(257*int(row[(w-1)*ch+e])))
				}
			}
		}
		out := dst[y*n : (y+1)*n]
		for i, v := range acc {
			out[i] = byte(int(v+0.5) / 257)
		}
	}
}

// hypot is the length of (x, y), rounded correctly: where the path runs between two
// pixels a last digit decides which of them is meant.
func hypot(x, y float64) float64 {
	square := func(v float64) *big.Float {
		f := new(big.Float).SetPrec(160).SetFloat64(v)
		return f.Mul(f, f)
	}
	sum := square(x)
	out, _ := sum.Sqrt(sum.Add(sum, square(y))).Float64()
	return out
}

// wide is every byte as a 16-bit value.
var wide = func() (t [256]float64) {
	for k := range t {
		t[k] = float64(257 * k)
	}
	return t
}()

// axis is how the samples of a zoomed axis are made: of two neighbours, with weights.
type axis struct {
	at []int
	k  [][2]float64
}

// zoomed is the middle of an axis of n samples, magnified by z with scipy.ndimage.zoom,
// order 1.
func zoomed(n int, z float64) axis {
	crop := int(math.Ceil(float64(n) / z))
	top := (n - crop) / 2
	size := int(math.RoundToEven(float64(crop) * z))
	trim := (size - n) / 2
	step := 0.0
	if size > 1 {
		step = float64(crop-1) / float64(size-1)
	}
	a := axis{at: make([]int, n), k: make([][2]float64, n)}
	for i := range n {
		x := float64(float64(i+trim) * step)
		at := int(math.Floor(x))
		f := x - float64(at)
		if at >= crop-1 {
			at, f = crop-2, 1
		}
		a.at[i], a.k[i] = top+at, [2]float64{1 - f, f}
	}
	return a
}

// zoom magnifies the middle of an image of ch channels.
func zoom(dst []float64, v []float64, w, h, ch int, z float64, add bool, as func(float64) float64) {
	ax, ay := zoomed(w, z), zoomed(h, z)
	n := w * ch
	for y := range h {
		a, b := v[ay.at[y]*n:][:n], v[(ay.at[y]+1)*n:][:n]
		ky := ay.k[y]
		out := dst[y*n : (y+1)*n]
		for x := range w {
			i, kx := ax.at[x]*ch, ax.k[x]
			for e := range ch {
				s := float64(float64(a[i+e]*ky[0])*kx[0]) + float64(float64(a[i+e+ch]*ky[0])*kx[1]) +
					float64(float64(b[i+e]*ky[1])*kx[0]) + float64(float64(b[i+e+ch]*ky[1])*kx[1])
				if add {
					out[x*ch+e] = as(out[x*ch+e] + as(s))
				} else {
					out[x*ch+e] = as(s)
				}
			}
		}
	}
}

// zoomBlur is the mean of the image and of n magnified ones, in float32.
func (c *Corruptor) zoomBlur(dst, src imageproc.Image, n int, step float64) {
	v, sum := c.floats("image", len(src.Pix)), c.floats("sum", len(src.Pix))
	for i, k := range src.Pix {
		v[i], sum[i] = float64(float32(unit[k])), 0
	}
	delta := (1 + step) - 1 // as numpy's arange counts
	for i := range n {
		z := 1 + float64(float64(i)*delta)
		zoom(sum, v, src.W, src.H, 3, z, true, single)
	}
	for i := range v {
		dst.Pix[i] = truncate32((float32(v[i]) + float32(sum[i])) / float32(n+1))
	}
}

func single(v float64) float64 { return float64(float32(v)) }

// truncate32 is truncate in float32.
func truncate32(v float32) byte {
	if !(v > 0) {
		return 0
	}
	if v >= 1 {
		return 255
	}
	return byte(v * 255)
}
