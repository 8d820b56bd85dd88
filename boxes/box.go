// Package boxes turns maps into bounding boxes, as the evaluation of weakly
// supervised localization does: contours as OpenCV's findContours finds them at
// every threshold (Choe et al., CVPR 2020), and connected regions (Yun et al.,
// ICCV 2019).
//
// Pixels are counted from 0 at the top left. Boxes hold their corners' pixels.
package boxes

// Box is the pixels from (X0, Y0) to (X1, Y1), both inclusive.
type Box struct{ X0, Y0, X1, Y1 int }

// area counts the pixels; 0 for a box turned inside out.
func (b Box) area() int { return max(0, b.X1-b.X0+1) * max(0, b.Y1-b.Y0+1) }

// Intersection counts the pixels in both.
func Intersection(a, b Box) int {
	return Box{max(a.X0, b.X0), max(a.Y0, b.Y0), min(a.X1, b.X1), min(a.Y1, b.Y1)}.area()
}

// IoU is the intersection over the union, in pixels; 0 where there is no union.
func IoU(a, b Box) float64 {
	i := Intersection(a, b)
	u := a.area() + b.area() - i
	if u <= 0 {
		return 0
	}
	return float64(i) / float64(u)
}

// Best is the largest IoU of b with any of the others, 0 without any.
func Best(b Box, others []Box) float64 {
	best := 0.0
	for _, o := range others {
		best = max(best, IoU(b, o))
	}
	return best
}

// Covered gives the largest share of a true box that b covers, the largest share of
// b that lies in a true box, and the number of true boxes of which b covers more
// than share.
func Covered(b Box, truth []Box, share float64) (ofTruth, ofBox float64, many int) {
	for _, t := range truth {
		i := float64(Intersection(b, t))
		if a := t.area(); a > 0 {
			ofTruth = max(ofTruth, i/float64(a))
			if i/float64(a) > share {
				many++
			}
		}
		if a := b.area(); a > 0 {
			ofBox = max(ofBox, i/float64(a))
		}
	}
	return ofTruth, ofBox, many
}

// Region is the tight box of the largest connected region of values above level
// (neighbours share a side or a corner), by number of pixels; the first in reading
// order where several are as large. ok is false where nothing is above level.
func Region(m []float64, w, h int, level float64) (box Box, pixels int, ok bool) {
	return region(m, w, h, level, true)
}

func region(m []float64, w, h int, level float64, corners bool) (best Box, most int, ok bool) {
	seen := make([]bool, w*h)
	var stack []int
	for start, v := range m {
		if seen[start] || !(v > level) {
			continue
		}
		seen[start] = true
		stack = append(stack[:0], start)
		b, n := Box{w, h, -1, -1}, 0
		for len(stack) > 0 {
			p := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			x, y := p%w, p/w
			n++
			b = Box{min(b.X0, x), min(b.Y0, y), max(b.X1, x), max(b.Y1, y)}
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					if !corners && dx*dy != 0 {
						continue
					}
					nx, ny := x+dx, y+dy
					if nx < 0 || ny < 0 || nx >= w || ny >= h {
						continue
					}
					if q := ny*w + nx; !seen[q] && m[q] > level {
						seen[q] = true
						stack = append(stack, q)
					}
				}
			}
		}
		if n > most {
			best, most, ok = b, n, true
		}
	}
	return best, most, ok
}

// Place brings a box of a w x h picture into the frame: coordinates times the ratio of
// sizes, truncated, as wsolevaluation does, then moved and clipped. ok is false where
// the frame shows nothing of it.
func (v Window) Place(x0, y0, x1, y1 float64, w, h int) (b Box, ok bool) {
	rx, ry := float64(v.W)/float64(w), float64(v.H)/float64(h)
	b = Box{int(x0*rx) - v.Left, int(y0*ry) - v.Top, int(x1*rx) - v.Left, int(y1*ry) - v.Top}
	if b.X1 < 0 || b.Y1 < 0 || b.X0 >= v.FrameW || b.Y0 >= v.FrameH {
		return Box{}, false
	}
	// What a crop cuts off ends at its edge. Where nothing is cut, a coordinate may be that
	// of the edge behind the last pixel, as in wsolevaluation.
	if v.FrameW < v.W {
		b.X0, b.X1 = max(b.X0, 0), min(b.X1, v.FrameW-1)
	}
	if v.FrameH < v.H {
		b.Y0, b.Y1 = max(b.Y0, 0), min(b.Y1, v.FrameH-1)
	}
	return b, true
}
