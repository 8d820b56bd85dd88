package corrupt

import (
	"math"

	"cutmix-eval/imageproc"
)

// hsv is scikit-image's conversion, of values in 0..1.
func hsv(r, g, b float64) (h, s, v float64) {
	v = max(r, g, b)
	d := v - min(r, g, b)
	if d == 0 {
		return 0, 0, v
	}
	s = d / v
	// Where channels are equal the later one decides.
	switch v {
	case b:
		h = 4 + (r-g)/d
	case g:
		h = 2 + (b-r)/d
	default:
		h = (g - b) / d
	}
	h /= 6
	return h - math.Floor(h), s, v
}

// rgb is its way back.
func rgb(h, s, v float64) (r, g, b float64) {
	h6 := float64(h * 6)
	i := math.Floor(h6)
	f := h6 - i
	p := v * (1 - s)
	q := v * (1 - float64(f*s))
	t := v * (1 - float64((1-f)*s))
	switch int(i) % 6 {
	case 0:
		return v, t, p
	case 1:
		return q, v, p
	case 2:
		return p, v, t
	case 3:
		return p, q, v
	case 4:
		return t, p, v
	}
	return v, p, q
}

func inHSV(dst, src []byte, change func(s, v float64) (float64, float64)) {
	for i := 0; i+2 < len(src); i += 3 {
		h, s, v := hsv(unit[src[i]], unit[src[i+1]], unit[src[i+2]])
		s, v = change(s, v)
		r, g, b := rgb(h, s, v)
		dst[i], dst[i+1], dst[i+2] = truncate(r), truncate(g), truncate(b)
	}
}

// brightness adds c to V.
func brightness(dst, src []byte, c float64) {
	inHSV(dst, src, func(s, v float64) (float64, float64) { return s, min(max(v+c, 0), 1) })
}

// saturate scales S.
func saturate(dst, src []byte, a, b float64) {
	inHSV(dst, src, func(s, v float64) (float64, float64) { return min(max(float64(s*a)+b, 0), 1), v })
}

// contrast pulls every channel to its mean over the image. Pixels are added as numpy does
// it for the mean over the two first axes: one after the other.
func contrast(dst, src []byte, c float64) {
	var t [3][256]byte
	for ch := range 3 {
		sum := 0.0
		for i := ch; i < len(src); i += 3 {
			sum += unit[src[i]]
		}
		mean := sum / float64(len(src)/3)
		for k := range t[ch] {
			t[ch][k] = truncate(float64((unit[k]-mean)*c) + mean)
		}
	}
	for i := 0; i+2 < len(src); i += 3 {
		dst[i], dst[i+1], dst[i+2] = t[0][src[i]], t[1][src[i+1]], t[2][src[i+2]]
	}
}

// pixelate makes the image smaller and larger again, by Pillow's box filter.
func (c *Corruptor) pixelate(dst, src imageproc.Image, share float64) {
	w, h := int(float64(src.W)*share), int(float64(src.H)*share)
	small := c.resizer.Resize(src, w, h, imageproc.Box)
	kept := imageproc.Image{W: w, H: h, Pix: append(c.bytes["small"][:0], small.Pix...)} // the resizer uses its memory again
	c.bytes["small"] = kept.Pix
	copy(dst.Pix, c.resizer.Resize(kept, src.W, src.H, imageproc.Box).Pix)
}
