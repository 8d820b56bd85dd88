package scenes

// rgb is a colour, sRGB values 0 to 255.
type rgb [3]uint8

// hsv returns a colour from its hue (0 to 1535, red at 0, then through yellow),
// saturation and value (0 to 255).
func hsv(h, s, v int) rgb {
	lo := v * (255 - s) / 255
	f := (v - lo) * (h % 256) / 256
	up, down := uint8(lo+f), uint8(v-f)
	V, L := uint8(v), uint8(lo)
	switch h / 256 % 6 {
	case 0:
		return rgb{V, up, L}
	case 1:
		return rgb{down, V, L}
	case 2:
		return rgb{L, V, up}
	case 3:
		return rgb{L, down, V}
	case 4:
		return rgb{up, L, V}
	}
	return rgb{V, L, down}
}

// randomColour returns any colour of clutter.
func randomColour(r *random) rgb {
	return hsv(r.below(1536), r.between(0, 255), r.between(40, 245))
}

// dullColour returns a colour of surfaces: any hue, not bright.
func dullColour(r *random) rgb {
	return hsv(r.below(1536), r.between(0, 200), r.between(30, 150))
}

// brightColour returns a colour of creatures with a hue near the given one.
func brightColour(r *random, hue int) rgb {
	return hsv((hue+r.between(-90, 90)+1536)%1536, r.between(70, 235), r.between(170, 255))
}

// near returns c with each channel moved by at most d.
func (c rgb) near(r *random, d int) rgb {
	for i := range c {
		c[i] = uint8(min(max(int(c[i])+r.between(-d, d), 0), 255))
	}
	return c
}

// shaded returns c at k/256 of its brightness, k <= 256.
func (c rgb) shaded(k int) rgb {
	for i := range c {
		c[i] = uint8(int(c[i]) * k / 256)
	}
	return c
}

func randomPaint(r *random, a, b rgb) paint {
	return paint{c: [2]rgb{a, b}, pattern: pattern(r.below(int(numPatterns))), period: r.between(170, 420)}
}

// cloud is smooth noise over the picture: values 0 to 255 at the corners of a
// grid of cells 1<<shift pixels wide, blended in between.
type cloud struct {
	grid  [(Size/4 + 2) * (Size/4 + 2)]uint8
	shift uint
}

func newCloud(r *random, shift uint) *cloud {
	c := &cloud{shift: shift}
	n := Size>>shift + 2
	for i := range n * n {
		c.grid[i] = uint8(r.next() >> 56)
	}
	return c
}

// at returns 0 to 255.
func (c *cloud) at(x, y int) int {
	n, cell := Size>>c.shift+2, 1<<c.shift
	i := y>>c.shift*n + x>>c.shift
	fx, fy := x&(cell-1), y&(cell-1)
	top := int(c.grid[i])*(cell-fx) + int(c.grid[i+1])*fx
	bottom := int(c.grid[i+n])*(cell-fx) + int(c.grid[i+n+1])*fx
	return (top*(cell-fy) + bottom*fy) >> (2 * c.shift)
}

// paintSurface fills the picture with a surface of two colours and returns the
// one halfway.
func paintSurface(pix []byte, r *random) rgb {
	a := dullColour(r)
	b := a.near(r, r.between(8, 70))
	coarse, fine := newCloud(r, uint(r.between(4, 5))), newCloud(r, uint(r.between(2, 3)))
	p := paint{pattern: pattern(r.below(int(numPatterns))), period: r.between(500, 1400)}
	turn := r.below(256)
	c, s := cos(turn), sin(turn)
	gx, gy := r.between(-2, 2), r.between(-2, 2)
	rough, tint := r.between(0, 90), r.between(60, 256)
	for y := range Size {
		for x := range Size {
			u, v := (x*c-y*s)>>8, (x*s+y*c)>>8
			t := coarse.at(x, y) + p.at(u, v)*tint - 64 // share of b, 256 = all
			t = min(max(t, 0), 256)
			light := 256 + (x-Size/2)*gx + (y-Size/2)*gy + (fine.at(x, y)-128)*rough/128
			k := 3 * (y*Size + x)
			for ch := range 3 {
				v := (int(a[ch])*(256-t) + int(b[ch])*t) * light >> 16
				pix[k+ch] = byte(min(max(v, 0), 255))
			}
		}
	}
	var mid rgb
	for i := range mid {
		mid[i] = uint8((int(a[i]) + int(b[i])) / 2)
	}
	return mid
}

// drawTexture fills the picture with a surface and nothing on it: half of them
// of the kind that lies behind the creatures, half of kinds found nowhere else.
func drawTexture(seed uint64, pix []byte) {
	r := stream(seed, backgroundStream)
	if r.percent(50) {
		paintSurface(pix, r)
		finish(seed, pix)
		return
	}
	a := randomColour(r)
	b := randomColour(r)
	warp, shade := newCloud(r, 4), newCloud(r, uint(r.between(2, 4)))
	kind, turn := r.below(4), r.below(256)
	c, s := cos(turn), sin(turn)
	step, bend := r.between(6, 40), r.between(0, 3)
	ox, oy := r.between(-20, 84), r.between(-20, 84)
	for y := range Size {
		for x := range Size {
			u, v := (x*c-y*s)>>14, (x*s+y*c)>>14
			w := (warp.at(x, y) - 128) * bend / 2
			var t int // share of b, 256 = all
			switch kind {
			case 0: // marble
				t = (sin(u*step+2*w) + 16384) >> 7
			case 1: // weave
				t = (sin(u*step+w)*sin(v*step)>>14 + 16384) >> 7
			case 2: // ripples
				dx, dy := x-ox, y-oy
				t = (sin((dx*dx+dy*dy)*step/64+w) + 16384) >> 7
			default: // grain
				t = (warp.at(x, y) + shade.at(x, y) - 128) * 2
			}
			t = min(max(t, 0), 256)
			light := 200 + shade.at(x, y)*112/256
			k := 3 * (y*Size + x)
			for ch := range 3 {
				pix[k+ch] = byte(min((int(a[ch])*(256-t)+int(b[ch])*t)*light>>16, 255))
			}
		}
	}
	finish(seed, pix)
}

// drawNoise fills the picture with uniform noise, bell-shaped noise (grey or in
// colour) or hard-edged blobs.
func drawNoise(seed uint64, pix []byte) {
	r := stream(seed, backgroundStream)
	switch r.below(3) {
	case 0:
		for i := range pix {
			pix[i] = byte(r.next() >> 56)
		}
	case 1:
		mid, spread := r.between(70, 185), r.between(60, 256)
		grey := r.percent(30)
		for i := range pix {
			if grey && i%3 != 0 {
				pix[i] = pix[i-i%3]
				continue
			}
			pix[i] = byte(min(max(mid+bell(r)*spread/256, 0), 255))
		}
	default:
		var clouds [3]*cloud
		shift := uint(r.between(2, 4))
		for i := range clouds {
			clouds[i] = newCloud(r, shift)
		}
		if r.percent(30) {
			clouds[1], clouds[2] = clouds[0], clouds[0]
		}
		hard := r.between(1, 12)
		for i := range pix {
			v := clouds[i%3].at(i/3%Size, i/3/Size)
			pix[i] = byte(min(max((v-128)*hard+128, 0), 255))
		}
	}
}

// bell returns a number of mean 0 and standard deviation 148: the sum of four
// even bytes, which stays within 510 of it.
func bell(r *random) int {
	z := r.next()
	return int(z>>56) + int(z>>48&255) + int(z>>40&255) + int(z>>32&255) - 510
}
