package jpeg

import (
	"fmt"
	"image"
)

// The quantisation tables of ITU-T T.81, annex K, in natural order.
var (
	lumaQuant = [64]int{
		16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
		18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
	}
	chromaQuant = [64]int{
		17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
	}
)

// scaledQuant is a table for a quality of 1 to 100, as the Independent JPEG Group scales it.
func scaledQuant(base *[64]int, quality int) (q [64]int16) {
	s := 200 - 2*quality
	if quality < 50 {
		s = 5000 / quality
	}
	for i, v := range base {
		q[i] = int16(min(max((v*s+50)/100, 1), 255))
	}
	return q
}

// Encoder writes baseline files with chroma of half the resolution (4:2:0) and codes made
// for the picture, as libjpeg does with "optimize". It reuses its buffers; the zero value is ready. Not safe for
// concurrent use.
type Encoder struct {
	d    Decoder   // planes and coefficients, and the way back
	ycc  [3][]byte // rows of a pair
	out  []byte
	acc  uint64
	bits uint

	codings  [4]coding // DC and AC of luma, DC and AC of chroma
	counting bool      // the first of two passes
}

// RoundTrip writes to dst the pixels that a file of the given quality would have: RGB
// bytes row by row, like pix, which may be dst.
func (e *Encoder) RoundTrip(dst, pix []byte, w, h, quality int) error {
	if err := e.transform(pix, w, h, quality); err != nil {
		return err
	}
	e.d.samples()
	_, err := e.d.convert(dst)
	return err
}

// Encode makes a file of RGB bytes. It is valid until the next call.
func (e *Encoder) Encode(pix []byte, w, h, quality int) ([]byte, error) {
	if err := e.transform(pix, w, h, quality); err != nil {
		return nil, err
	}
	for i := range e.codings {
		e.codings[i].often = [257]int{}
	}
	e.counting = true
	e.scan()
	for i := range e.codings {
		e.codings[i].build()
	}
	e.counting = false
	e.headers()
	e.scan()
	return e.out, nil
}

// transform fills the decoder's components with quantised coefficients.
func (e *Encoder) transform(pix []byte, w, h, quality int) error {
	if w < 1 || h < 1 || w > 65535 || h > 65535 || len(pix) < 3*w*h || quality < 1 || quality > 100 {
		return fmt.Errorf("jpeg: an image of %d x %d pixels (%d bytes) of quality %d cannot be encoded", w, h, len(pix), quality)
	}
	d := &e.d
	d.Width, d.Height, d.Space = w, h, YCbCr
	d.maxH, d.maxV, d.mcusX, d.mcusY = 2, 2, ceilDiv(w, 16), ceilDiv(h, 16)
	d.want = image.Rect(0, 0, w, h)
	d.comps = d.compBuf[:3]
	for i := range d.comps {
		c := &d.comps[i]
		f, base := 1, &chromaQuant
		if i == 0 {
			f, base = 2, &lumaQuant
		}
		plane, coef := c.plane, c.coef
		*c = component{h: f, v: f, width: ceilDiv(w*f, 2), height: ceilDiv(h*f, 2), strideX: d.mcusX * f, strideY: d.mcusY * f, quant: scaledQuant(base, quality), haveQuant: true}
		c.blocksX, c.blocksY = ceilDiv(c.width, 8), ceilDiv(c.height, 8)
		c.wantX, c.wantY = [2]int{0, c.blocksX}, [2]int{0, c.blocksY}
		n := c.strideX * c.strideY * 64
		if cap(plane) < n {
			plane, coef = make([]byte, n), make([]int16, n)
		}
		c.plane, c.coef = plane[:n], coef[:n]
	}
	e.planes(pix, w, h)
	for i := range d.comps {
		c := &d.comps[i]
		var half [64]int32
		var div [64]float32
		for k, q := range c.quant {
			half[k], div[k] = 4*int32(q), 8*float32(q)
		}
		stride := c.strideX * 8
		for by := range c.blocksY {
			for bx := range c.blocksX {
				src, out := c.plane[by*8*stride+bx*8:][:7*stride+8], (*[64]int16)(c.coef[(by*c.strideX+bx)*64:])
				if fast {
					fdctAVX2(&src[0], stride, &half, &div, out)
				} else {
					fdctGo(src, stride, &half, &div, out)
				}
			}
		}
	}
	return nil
}

// planes converts colours and halves the chroma. Beyond the image, columns repeat its last
// pixels; rows repeat the last row of each plane.
func (e *Encoder) planes(pix []byte, w, h int) {
	d := &e.d
	stride := d.comps[0].strideX * 8
	y, cb, cr := d.comps[0].plane, d.comps[1].plane, d.comps[2].plane
	half := d.comps[1].strideX * 8
	for i := range e.ycc {
		if len(e.ycc[i]) < 2*stride {
			e.ycc[i] = make([]byte, 2*stride)
		}
	}
	for row := 0; row < h; row += 2 {
		for k := range 2 {
			from := pix[3*min(row+k, h-1)*w:][:3*w]
			luma := y[(row+k)*stride:][:stride]
			b, r := e.ycc[1][k*stride:][:stride], e.ycc[2][k*stride:][:stride]
			rgbRow(from, luma, b, r)
			for x := w; x < stride; x++ {
				luma[x], b[x], r[x] = luma[w-1], b[w-1], r[w-1]
			}
		}
		for i, to := range [][]byte{cb[row/2*half:][:half], cr[row/2*half:][:half]} {
			a, b := e.ycc[1+i][:2*half], e.ycc[1+i][stride:][:2*half]
			halve(a, b, to)
		}
	}
	for i := range d.comps {
		c := &d.comps[i]
		s := c.strideX * 8
		last := c.plane[(c.height-1)*s:][:s]
		for row := c.height; row < c.blocksY*8; row++ {
			copy(c.plane[row*s:], last)
		}
	}
}

// rgbRow converts a row of pixels, three bytes each: their luma and chroma.
func rgbRow(rgb, y, cb, cr []byte) {
	done := 0
	// The vector code reads four bytes more than it converts.
	if n := (len(rgb)/3 - 2) &^ 7; fast && n > 0 {
		rgbRowAVX2(&rgb[0], &y[0], &cb[0], &cr[0], n)
		done = n
	}
	rgbRowGo(rgb[3*done:], y[done:], cb[done:], cr[done:])
}

func rgbRowGo(rgb, y, cb, cr []byte) {
	for x := range len(rgb) / 3 {
		p := rgb[3*x : 3*x+3 : 3*x+3]
		red, green, blue := int32(p[0]), int32(p[1]), int32(p[2])
		y[x] = byte((19595*red + 38470*green + 7471*blue + 1<<15) >> 16)
		const offset = 128<<16 + 1<<15 - 1
		cb[x] = byte((-11059*red - 21709*green + 32768*blue + offset) >> 16)
		cr[x] = byte((32768*red - 27439*green - 5329*blue + offset) >> 16)
	}
}

// halve makes one value of each two by two of the rows above and below; the rounding
// alternates.
func halve(above, below, to []byte) {
	done := 0
	if n := len(to) &^ 15; fast && n > 0 {
		halveAVX2(&above[0], &below[0], &to[0], n)
		done = n
	}
	halveGo(above[2*done:], below[2*done:], to[done:])
}

func halveGo(above, below, to []byte) {
	for x := range to {
		bias := int32(1 + x&1)
		to[x] = byte((int32(above[2*x]) + int32(above[2*x+1]) + int32(below[2*x]) + int32(below[2*x+1]) + bias) >> 2)
	}
}

// fdctGo is the accurate integer transform of Loeffler, Ligtenberg and Moschytz, the inverse
// of idct, and quantisation: halves are rounded away from 0.
func fdctGo(src []byte, stride int, half *[64]int32, div *[64]float32, out *[64]int16) {
	var ws [64]int32
	for y := range 8 {
		p := (*[8]byte)(src[y*stride:])
		var v [8]int32
		for x := range v {
			v[x] = int32(p[x]) - 128
		}
		w := (*[8]int32)(ws[8*y:])
		s0, s1, s2, s3 := v[0]+v[7], v[1]+v[6], v[2]+v[5], v[3]+v[4]
		e0, e3, e1, e2 := s0+s3, s0-s3, s1+s2, s1-s2
		const r, s = 1 << (constBits - passBits - 1), constBits - passBits
		w[0], w[4] = (e0+e1)<<passBits, (e0-e1)<<passBits
		z := (e2 + e3) * f0541
		w[2], w[6] = (z+e3*f0765+r)>>s, (z-e2*f1847+r)>>s
		o0, o1, o2, o3 := odd(v[3]-v[4], v[2]-v[5], v[1]-v[6], v[0]-v[7])
		w[7], w[5], w[3], w[1] = (o0+r)>>s, (o1+r)>>s, (o2+r)>>s, (o3+r)>>s
	}
	for x := range 8 {
		v0, v1, v2, v3, v4, v5, v6, v7 := ws[x], ws[8+x], ws[16+x], ws[24+x], ws[32+x], ws[40+x], ws[48+x], ws[56+x]
		s0, s1, s2, s3 := v0+v7, v1+v6, v2+v5, v3+v4
		e0, e3, e1, e2 := s0+s3, s0-s3, s1+s2, s1-s2
		const r, s = 1 << (constBits + passBits - 1), constBits + passBits
		const low = 1 << (passBits - 1)
		ws[x], ws[32+x] = (e0+e1+low)>>passBits, (e0-e1+low)>>passBits
		z := (e2 + e3) * f0541
		ws[16+x], ws[48+x] = (z+e3*f0765+r)>>s, (z-e2*f1847+r)>>s
		o0, o1, o2, o3 := odd(v3-v4, v2-v5, v1-v6, v0-v7)
		ws[56+x], ws[40+x], ws[24+x], ws[8+x] = (o0+r)>>s, (o1+r)>>s, (o2+r)>>s, (o3+r)>>s
	}
	for k, v := range ws {
		// Numbers are below 2^23: quotients of float32 are cut off to the right integers.
		sign := v >> 31
		q := int32(float32((v^sign)-sign+half[k]) / div[k])
		out[k] = int16((q ^ sign) - sign)
	}
}

func (e *Encoder) marker(m byte, payload ...byte) {
	n := len(payload) + 2
	e.out = append(append(e.out, 0xff, m, byte(n>>8), byte(n)), payload...)
}

func (e *Encoder) headers() {
	d := &e.d
	e.out = append(e.out[:0], 0xff, 0xd8)
	e.marker(0xe0, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0)
	for i, c := range d.comps[:2] {
		table := []byte{byte(i)}
		for _, at := range natural[:64] {
			table = append(table, byte(c.quant[at]))
		}
		e.marker(0xdb, table...)
	}
	e.marker(0xc0, 8, byte(d.Height>>8), byte(d.Height), byte(d.Width>>8), byte(d.Width), 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1)
	for i := range e.codings {
		t := &e.codings[i]
		e.marker(0xc4, append(append([]byte{byte(i&1<<4 | i>>1)}, t.counts[:]...), t.values...)...)
	}
	e.marker(0xda, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0)
}

// coding is a Huffman code for a picture: how often each value occurs, and what follows
// from that.
type coding struct {
	often  [257]int
	counts [16]byte // codes of 1 to 16 bits
	values []byte   // by length
	code   [256]uint32
	length [256]uint
}

// build finds the shortest codes of at most 16 bits, as annex K.2 of ITU-T T.81 does.
func (t *coding) build() {
	// The value 256 takes the code of all ones, which may not be used.
	t.often[256] = 1
	var size [257]int
	var next [257]int
	for i := range next {
		next[i] = -1
	}
	often := t.often
	for {
		a, b := -1, -1 // the two least, the last ones among equals
		for v, n := range often {
			switch {
			case n == 0:
			case a < 0 || n <= often[a]:
				a, b = v, a
			case b < 0 || n <= often[b]:
				b = v
			}
		}
		if b < 0 {
			break
		}
		often[a] += often[b]
		often[b] = 0
		for size[a]++; next[a] >= 0; size[a]++ {
			a = next[a]
		}
		next[a] = b
		for size[b]++; next[b] >= 0; size[b]++ {
			b = next[b]
		}
	}
	var counts [258]int
	for _, n := range size {
		counts[n]++
	}
	for n := len(counts) - 1; n > 16; n-- {
		for counts[n] > 0 { // a pair moves up; a shorter code is split for one of them
			j := n - 2
			for counts[j] == 0 {
				j--
			}
			counts[n] -= 2
			counts[n-1]++
			counts[j+1] += 2
			counts[j]--
		}
	}
	last := 16
	for counts[last] == 0 {
		last--
	}
	counts[last]-- // that of 256
	t.values = t.values[:0]
	for n := 1; n < len(counts); n++ {
		for v, l := range size[:256] {
			if l == n {
				t.values = append(t.values, byte(v))
			}
		}
	}
	code, at := uint32(0), 0
	for n := range t.counts {
		t.counts[n] = byte(counts[n+1])
		for range counts[n+1] {
			v := t.values[at]
			t.code[v], t.length[v] = code, uint(n+1)
			code, at = code+1, at+1
		}
		code <<= 1
	}
}

func (e *Encoder) put(bits uint32, n uint) {
	e.acc = e.acc<<n | uint64(bits)
	for e.bits += n; e.bits >= 8; {
		e.bits -= 8
		b := byte(e.acc >> e.bits)
		if e.out = append(e.out, b); b == 0xff {
			e.out = append(e.out, 0)
		}
	}
}

// symbol writes the code of a value, or counts it.
func (e *Encoder) symbol(t *coding, v byte) {
	if e.counting {
		t.often[v]++
		return
	}
	e.put(t.code[v], t.length[v])
}

// number writes a code of a value's size, with high in its upper bits, and the value.
func (e *Encoder) number(t *coding, high byte, v int32) {
	n, m := uint(0), max(v, -v)
	for m>>n != 0 {
		n++
	}
	e.symbol(t, high|byte(n))
	if v < 0 {
		v += 1<<n - 1
	}
	if n > 0 && !e.counting {
		e.put(uint32(v), n)
	}
}

func (e *Encoder) scan() {
	d := &e.d
	e.acc, e.bits = 0, 0
	var dc [3]int32
	var empty [64]int16
	for my := range d.mcusY {
		for mx := range d.mcusX {
			for i := range d.comps {
				c := &d.comps[i]
				for v := range c.v {
					for h := range c.h {
						bx, by := mx*c.h+h, my*c.v+v
						blk := (*[64]int16)(c.coef[(by*c.strideX+bx)*64:])
						if bx >= c.blocksX || by >= c.blocksY { // fills the unit up: as before, without detail
							empty[0] = int16(dc[i])
							blk = &empty
						}
						e.block(blk, &dc[i], &e.codings[2*min(i, 1)], &e.codings[2*min(i, 1)+1])
					}
				}
			}
		}
	}
	if e.counting {
		return
	}
	if e.bits > 0 {
		e.put(1<<(8-e.bits)-1, 8-e.bits)
	}
	e.out = append(e.out, 0xff, 0xd9)
}

func (e *Encoder) block(blk *[64]int16, dc *int32, dcCodes, acCodes *coding) {
	e.number(dcCodes, 0, int32(blk[0])-*dc)
	*dc = int32(blk[0])
	zeros := byte(0)
	for _, at := range natural[1:64] {
		v := int32(blk[at])
		if v == 0 {
			zeros++
			continue
		}
		for ; zeros > 15; zeros -= 16 {
			e.symbol(acCodes, 0xf0)
		}
		e.number(acCodes, zeros<<4, v)
		zeros = 0
	}
	if zeros > 0 {
		e.symbol(acCodes, 0)
	}
}
