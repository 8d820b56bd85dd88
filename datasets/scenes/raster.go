package scenes

// point is a place in an object's own coordinates: x to its front, y down,
// 1024 = half its nominal length.
type point struct{ x, y int }

type shapeKind uint8

const (
	ellipse shapeKind = iota // within radii rx, ry of a
	capsule                  // within rx of the line from a to b
	polygon                  // inside pts[:n], even-odd
)

// shape is one painted primitive. A hole (an ellipse, where hole.rx > 0) is
// taken out of it, and what lies below floor if floored.
type shape struct {
	kind     shapeKind
	a, b     point
	rx, ry   int
	pts      [8]point
	n        int
	hole     point
	hrx, hry int
	floored  bool
	floor    int
	paint    int // index into the drawing's paints
}

// paint is two colours and how they alternate over an object's coordinates.
type paint struct {
	c       [2]rgb
	pattern pattern
	period  int // of the pattern, in object units
}

type pattern uint8

const (
	plain pattern = iota
	stripes
	spots
	checks
	bands
	numPatterns
)

// at returns which of a paint's two colours (u, v) has.
func (p *paint) at(u, v int) int {
	switch h := p.period; p.pattern {
	case stripes:
		return (u + 1<<14) / h & 1
	case bands:
		return (v + 1<<14) / h & 1
	case checks:
		return ((u+1<<14)/h + (v+1<<14)/h) & 1
	case spots:
		row := (v + 1<<14) / h
		du := (u+1<<14+row%2*h/2)%h - h/2
		dv := (v+1<<14)%h - h/2
		if 9*(du*du+dv*dv) < h*h {
			return 1
		}
	}
	return 0
}

// drawing is a list of shapes that share a frame.
type drawing struct {
	shapes [64]shape
	n      int
	paints [8]paint
}

func (d *drawing) add(s shape) *shape {
	if d.n == len(d.shapes) {
		panic("scenes: too many shapes in a drawing")
	}
	d.shapes[d.n] = s
	d.n++
	return &d.shapes[d.n-1]
}

func (d *drawing) ellipse(p, x, y, rx, ry int) *shape {
	return d.add(shape{kind: ellipse, a: point{x, y}, rx: rx, ry: ry, paint: p})
}

func (d *drawing) line(p, x0, y0, x1, y1, r int) *shape {
	return d.add(shape{kind: capsule, a: point{x0, y0}, b: point{x1, y1}, rx: r, paint: p})
}

func (d *drawing) polygon(p int, xy ...int) *shape {
	s := shape{kind: polygon, n: len(xy) / 2, paint: p}
	for i := range s.n {
		s.pts[i] = point{xy[2*i], xy[2*i+1]}
	}
	return d.add(s)
}

// arc draws a tube of radius r0 tapering to r1 along part of an ellipse around
// (x, y), from angle a0 to a1 in 1/256 turns, clockwise from the front.
func (d *drawing) arc(p, x, y, rx, ry, a0, a1, r0, r1 int) {
	const steps = 5
	at := func(i int) (int, int) {
		a := a0 + (a1-a0)*i/steps
		return x + rx*cos(a)/16384, y + ry*sin(a)/16384
	}
	px, py := at(0)
	for i := 1; i <= steps; i++ {
		qx, qy := at(i)
		d.line(p, px, py, qx, qy, r0+(r1-r0)*i/steps)
		px, py = qx, qy
	}
}

// bounds returns the smallest rectangle that holds the shape.
func (s *shape) bounds() (x0, y0, x1, y1 int) {
	switch s.kind {
	case ellipse:
		return s.a.x - s.rx, s.a.y - s.ry, s.a.x + s.rx, s.a.y + s.ry
	case capsule:
		return min(s.a.x, s.b.x) - s.rx, min(s.a.y, s.b.y) - s.rx, max(s.a.x, s.b.x) + s.rx, max(s.a.y, s.b.y) + s.rx
	}
	x0, y0, x1, y1 = s.pts[0].x, s.pts[0].y, s.pts[0].x, s.pts[0].y
	for _, p := range s.pts[1:s.n] {
		x0, y0, x1, y1 = min(x0, p.x), min(y0, p.y), max(x1, p.x), max(y1, p.y)
	}
	return x0, y0, x1, y1
}

// inEllipse and contains compute in 64 bits, also where int has 32.
func inEllipse(dx, dy, rx, ry int) bool {
	a, b, r := int64(dx)*int64(ry), int64(dy)*int64(rx), int64(rx)*int64(ry)
	return a*a+b*b <= r*r
}

// contains reports whether (u, v) is inside.
func (s *shape) contains(u, v int) bool {
	if s.floored && v > s.floor {
		return false
	}
	if s.hrx > 0 && inEllipse(u-s.hole.x, v-s.hole.y, s.hrx, s.hry) {
		return false
	}
	switch s.kind {
	case ellipse:
		return inEllipse(u-s.a.x, v-s.a.y, s.rx, s.ry)
	case capsule:
		dx, dy := int64(s.b.x-s.a.x), int64(s.b.y-s.a.y)
		px, py := int64(u-s.a.x), int64(v-s.a.y)
		length, r2 := dx*dx+dy*dy, int64(s.rx)*int64(s.rx)
		t := px*dx + py*dy
		if t <= 0 {
			return px*px+py*py <= r2
		}
		if t >= length {
			px, py = px-dx, py-dy
			return px*px+py*py <= r2
		}
		cross := px*dy - py*dx
		return cross*cross <= r2*length
	}
	in := false
	for i, j := 0, s.n-1; i < s.n; j, i = i, i+1 {
		p, q := s.pts[i], s.pts[j]
		if (p.y > v) == (q.y > v) {
			continue
		}
		// u < p.x + (v-p.y)*(q.x-p.x)/(q.y-p.y), without the division
		side := (u-p.x)*(q.y-p.y) - (v-p.y)*(q.x-p.x)
		if (side < 0) == (q.y > p.y) {
			in = !in
		}
	}
	return in
}

// frame places object coordinates in the picture.
type frame struct {
	x, y   int // centre, 1/256 pixels
	sx, sy int // half length along and across, 1/256 pixels
	c, s   int // cosine and sine of the turn, times 16384
	mirror bool
}

// forward maps object coordinates to 1/256 pixels.
func (f *frame) forward(u, v int) (x, y int) {
	if f.mirror {
		u = -u
	}
	u, v = u*f.sx/1024, v*f.sy/1024
	return f.x + (u*f.c-v*f.s)/16384, f.y + (u*f.s+v*f.c)/16384
}

// inverse returns the matrix that takes an offset from the centre in 1/256
// pixels to object coordinates times 65536.
func (f *frame) inverse() (ux, uy, vx, vy int64) {
	iu, iv := 1024<<16/int64(f.sx), 1024<<16/int64(f.sy)
	c, s := int64(f.c), int64(f.s)
	ux, uy = c*iu/16384, s*iu/16384
	vx, vy = -s*iv/16384, c*iv/16384
	if f.mirror {
		ux, uy = -ux, -uy
	}
	return ux, uy, vx, vy
}

type role uint8

const (
	clutter  role = iota // paints and leaves the mask
	object               // paints and adds to the mask
	occluder             // paints and takes from the mask
)

// The four places in a pixel at which coverage is tested, in 1/256 pixels: a
// grid turned so that no two share a row or column.
var taps = [4]point{{32, 96}, {96, 224}, {160, 32}, {224, 160}}

// draw paints d, in order, over the picture. shade tilts its brightness along
// the two axes of the picture, in 1/256 of the value for each pixel.
func (d *drawing) draw(pix, mask []byte, f *frame, what role, shade point) {
	ux, uy, vx, vy := f.inverse()
	for i := range d.n {
		s := &d.shapes[i]
		p := &d.paints[s.paint]
		x0, y0, x1, y1 := d.extent(s, f)
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				hits, second := 0, 0
				for _, t := range taps {
					dx, dy := int64(x<<8+t.x-f.x), int64(y<<8+t.y-f.y)
					u, v := int((dx*ux+dy*uy)>>16), int((dx*vx+dy*vy)>>16)
					if s.contains(u, v) {
						hits++
						second += p.at(u, v)
					}
				}
				if hits == 0 {
					continue
				}
				k := y*Size + x
				light := 256 + ((x<<8-f.x)*shade.x+(y<<8-f.y)*shade.y)>>8
				light = min(max(light, 160), 340)
				for ch := range 3 {
					c := (int(p.c[0][ch])*(hits-second) + int(p.c[1][ch])*second) * light >> 8
					old := int(pix[3*k+ch])
					pix[3*k+ch] = byte(min((old*(4-hits)+c)/4, 255))
				}
				switch a := int(mask[k]); what {
				case object:
					mask[k] = byte(a + (255-a)*hits/4)
				case occluder:
					mask[k] = byte(a * (4 - hits) / 4)
				}
			}
		}
	}
}

// extent returns the pixels that may show s, Max exclusive.
func (d *drawing) extent(s *shape, f *frame) (x0, y0, x1, y1 int) {
	u0, v0, u1, v1 := s.bounds()
	x0, y0, x1, y1 = 1<<30, 1<<30, -1<<30, -1<<30
	for _, p := range [4]point{{u0, v0}, {u1, v0}, {u0, v1}, {u1, v1}} {
		x, y := f.forward(p.x, p.y)
		x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
	}
	return max(x0>>8-1, 0), max(y0>>8-1, 0), min(x1>>8+2, Size), min(y1>>8+2, Size)
}
