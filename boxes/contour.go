package boxes

import (
	"math/bits"
)

// Levels is the number of different ways to cut a map of bytes: above 0 to above
// 254.
const Levels = 255

// Contour is the border of a connected region, or of a hole in one, as OpenCV's
// findContours gives it: a closed path over the region's pixels.
type Contour struct {
	Box Box // of wsolevaluation: one pixel larger than the path to the right and below, but at the image's border
	// Area2 is twice the area of the polygon through the pixels' centres (a path
	// along a line has none).
	Area2 int
	Hole  bool

	parent int // index + 1; 0 is the image's frame
}

// Tracer finds the contours of a map at every level. It keeps its memory from map to
// map. The zero value is ready. Not safe for concurrent use.
//
// Borders are followed as Suzuki and Abe do (CVGIP 1985, algorithm 1): regions
// connect over sides and corners, holes over sides.
type Tracer struct {
	w, h, stride int
	set          []byte   // with a frame of zeros: is the pixel above the level?
	bits         []uint64 // the same by rows, without frame
	words        int
	// label is the border that a pixel belongs to, negative where the pixel to its
	// right was found to be outside; values up to base are of earlier levels.
	label    []int32
	base     int32
	contours []Contour
	byValue  [][]int32 // pixels by value
	changed  bool      // the contours are not those of the level before
}

// start prepares for a map.
func (t *Tracer) start(m []byte, w, h int) {
	if len(m) != w*h {
		panic("boxes: map of another size than it says")
	}
	t.w, t.h, t.stride, t.words = w, h, w+2, (w+63)/64
	n := t.stride * (h + 2)
	if cap(t.set) < n {
		t.set, t.label = make([]byte, n), make([]int32, n)
		t.base = 0
	}
	t.set, t.label = t.set[:n], t.label[:n]
	clear(t.set)
	if t.base > 1<<30 {
		clear(t.label)
		t.base = 0
	}
	t.bits = append(t.bits[:0], make([]uint64, t.words*h)...)
	if t.byValue == nil {
		t.byValue = make([][]int32, 256)
	}
	for v := range t.byValue {
		t.byValue[v] = t.byValue[v][:0]
	}
	for i, v := range m {
		if v > 0 {
			x, y := i%w, i/w
			t.set[(y+1)*t.stride+x+1] = 1
			t.bits[y*t.words+x/64] |= 1 << (x % 64)
			t.byValue[v] = append(t.byValue[v], int32(i))
		}
	}
}

// Each calls f with the contours at level 0, 1 … 254: those of the pixels above the
// level. The contours are valid until f returns. Levels that cut the map as the one
// before does are given the same contours again.
func (t *Tracer) Each(m []byte, w, h int, f func(level int, c []Contour)) {
	t.start(m, w, h)
	for level := range Levels {
		t.changed = level == 0
		for _, i := range t.byValue[level] {
			x, y := int(i)%w, int(i)/w
			t.set[(y+1)*t.stride+x+1] = 0
			t.bits[y*t.words+x/64] &^= 1 << (x % 64)
			t.changed = true
		}
		if t.changed {
			t.find()
		}
		f(level, t.contours)
	}
}

// find finds all contours, in the order in which reading the rows meets them.
func (t *Tracer) find() {
	t.base += int32(len(t.contours))
	t.contours = t.contours[:0]
	for y := range t.h {
		row := t.bits[y*t.words : (y+1)*t.words]
		last := int32(0) // number of the border met last in this row, 0 for the frame
		at := (y+1)*t.stride + 1
		carry := uint64(0)
		from := 0 // where the run of set pixels that is open began
		for k, b := range row {
			next := uint64(0)
			if k+1 < len(row) {
				next = row[k+1]
			}
			starts := b &^ (b<<1 | carry)
			ends := b &^ (b>>1 | next<<63)
			carry = b >> 63
			for starts|ends != 0 {
				s, e := bits.TrailingZeros64(starts), bits.TrailingZeros64(ends)
				if s <= e { // a run of set pixels begins, and ends later or here
					starts &= starts - 1
					from = k*64 + s
					p := at + from
					if t.number(p) == 0 { // the border of a region
						t.trace(p, false, last)
					}
					last = abs(t.number(p))
					continue
				}
				ends &= ends - 1
				p := at + k*64 + e
				for q := p; q > at+from; q-- { // the border met last
					if v := t.number(q); v != 0 {
						last = abs(v)
						break
					}
				}
				if t.number(p) >= 0 { // the border of a hole
					t.trace(p, true, last)
				}
				last = abs(t.number(p))
			}
		}
	}
}

func abs(v int32) int32 {
	if v < 0 {
		return -v
	}
	return v
}

// number is the border that a pixel belongs to at this level, negative where the
// pixel to its right is outside; 0 for none.
func (t *Tracer) number(p int) int32 {
	v := t.label[p]
	switch {
	case v > t.base:
		return v - t.base
	case v < -t.base:
		return v + t.base
	}
	return 0
}

// trace follows the border that begins at pixel start and appends its contour.
func (t *Tracer) trace(start int, hole bool, last int32) {
	s := t.stride
	// Neighbours, counterclockwise from the right.
	around := [8]int{1, 1 - s, -s, -1 - s, -1, s - 1, s, s + 1}
	dx := [8]int{1, 1, 0, -1, -1, -1, 0, 1}
	dy := [8]int{0, -1, -1, -1, 0, 1, 1, 1}
	c := Contour{Hole: hole, parent: int(last)}
	if last > 0 {
		if other := t.contours[last-1]; other.Hole == hole {
			c.parent = other.parent
		}
	} // the frame counts as a hole: regions may lie in it
	nbd := t.base + int32(len(t.contours)) + 1
	x, y := start%s-1, start/s-1
	b := Box{x, y, x, y}
	area := 0
	end := 4
	if hole {
		end = 0
	}
	dir := end
	second := -1
	for {
		dir = (dir - 1) & 7
		if t.set[start+around[dir]] != 0 {
			second = start + around[dir]
			break
		}
		if dir == end {
			break
		}
	}
	if second < 0 { // a single pixel
		t.label[start] = -nbd
	} else {
		p := start
		for {
			stop := dir
			for {
				dir++
				if t.set[p+around[dir&7]] != 0 {
					break
				}
			}
			dir &= 7
			next := p + around[dir]
			if uint(dir-1) < uint(stop) { // the search passed the pixel to the right
				t.label[p] = -nbd
			} else if t.number(p) == 0 {
				t.label[p] = nbd
			}
			nx, ny := x+dx[dir], y+dy[dir]
			area += x*ny - nx*y
			if next == start && p == second {
				break
			}
			x, y = nx, ny
			b = Box{min(b.X0, x), min(b.Y0, y), max(b.X1, x), max(b.Y1, y)}
			p = next
			dir = (dir + 4) & 7
		}
	}
	if area < 0 {
		area = -area
	}
	c.Area2 = area
	c.Box = Box{b.X0, b.Y0, min(b.X1+1, t.w-1), min(b.Y1+1, t.h-1)}
	t.contours = append(t.contours, c)
}

// Largest is the contour with the largest area; where several have it, the first in
// OpenCV's list: parents before their children, and of those with one parent the
// last one found first. c must not be empty.
func Largest(c []Contour) Contour {
	most, same := -1, 0
	best := 0
	for i := range c {
		switch {
		case c[i].Area2 > most:
			most, same, best = c[i].Area2, 1, i
		case c[i].Area2 == most:
			same++
		}
	}
	if same == 1 {
		return c[best]
	}
	child, sibling := make([]int, len(c)+1), make([]int, len(c)+1) // index + 1; 0 is none
	for i := range c {
		sibling[i+1] = child[c[i].parent]
		child[c[i].parent] = i + 1
	}
	stack := []int{child[0]}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n == 0 {
			continue
		}
		if c[n-1].Area2 == most {
			return c[n-1]
		}
		stack = append(stack, sibling[n], child[n])
	}
	panic("boxes: contours that no frame holds")
}

// Sweep cuts a map of bytes at all levels and gives, by level, the best overlap
// with the true boxes of the largest contour's box, and of any contour's. Where
// nothing is above the level the box is the pixel (0, 0) to (0, 0), as in
// wsolevaluation. Both slices have Levels values.
func (t *Tracer) Sweep(m []byte, w, h int, truth []Box, largest, all []float32) {
	var ofLargest, ofAll float32
	t.Each(m, w, h, func(level int, c []Contour) {
		if t.changed {
			ofLargest, ofAll = float32(Best(Box{}, truth)), float32(Best(Box{}, truth))
			if len(c) > 0 {
				ofLargest, ofAll = float32(Best(Largest(c).Box, truth)), 0
			}
			for i := range c {
				ofAll = max(ofAll, float32(Best(c[i].Box, truth)))
			}
		}
		largest[level], all[level] = ofLargest, ofAll
	})
}
