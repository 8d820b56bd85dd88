package imageproc

// palette is the colours of an indexed picture. An index without a colour in the file is
// the grey of that value, as Pillow has it.
type palette [256][3]byte

func newPalette() *palette {
	p := new(palette)
	for i := range p {
		p[i] = [3]byte{byte(i), byte(i), byte(i)}
	}
	return p
}

// paletteOf reads colours of three bytes, red first; what is more than 256 is left out.
func paletteOf(rgb []byte) *palette {
	p := newPalette()
	for i := 0; i < len(p) && 3*i+3 <= len(rgb); i++ {
		copy(p[i][:], rgb[3*i:])
	}
	return p
}

// row writes the colours of a row of indices.
func (p *palette) row(out, indices []byte) {
	for x, v := range indices {
		copy(out[3*x:3*x+3], p[v][:])
	}
}

// greyRow writes a row of grey values as colours.
func greyRow(out, grey []byte) {
	for x, v := range grey {
		o := out[3*x : 3*x+3 : 3*x+3]
		o[0], o[1], o[2] = v, v, v
	}
}

// clip16 is a 16-bit grey value as convert("RGB") makes it: clipped, not scaled.
func clip16(v int) byte { return byte(min(max(v, 0), 255)) }
