package jpeg

import "fmt"

// scan parses a scan header and decodes its entropy-coded data.
func (d *Decoder) scan() error {
	if !d.frame {
		return FormatError("scan before the frame header")
	}
	p, err := d.payload()
	if err != nil {
		return err
	}
	if len(p) < 1 {
		return FormatError("short scan header")
	}
	n := int(p[0])
	if n < 1 || n > 4 || len(p) != 4+2*n {
		return FormatError("bad scan header")
	}
	comps := d.scanComp[:n]
	blocks := 0
	for i := range comps {
		id, tabs := p[1+2*i], p[2+2*i]
		comps[i] = nil
		for j := range d.comps {
			if d.comps[j].id == id {
				comps[i] = &d.comps[j]
			}
		}
		c := comps[i]
		if c == nil {
			return formatf("scan of unknown component %d", id)
		}
		for j := range i {
			if comps[j] == c {
				return formatf("component %d twice in a scan", id)
			}
		}
		c.td, c.ta = int(tabs>>4), int(tabs&15)
		if c.td > 3 || c.ta > 3 {
			return FormatError("Huffman table number above 3")
		}
		// The table in force at a component's first scan is the one that counts.
		if !c.haveQuant {
			if !d.haveQuant[c.tq] {
				return formatf("quantisation table %d is missing", c.tq)
			}
			c.quant, c.haveQuant = d.quant[c.tq], true
		}
		blocks += c.h * c.v
	}
	if n > 1 && blocks > 10 {
		return formatf("%d blocks in an MCU, more than 10", blocks)
	}
	s := progression{ss: int(p[1+2*n]), se: int(p[2+2*n]), ah: uint(p[3+2*n] >> 4), al: uint(p[3+2*n] & 15)}
	if d.Progressive {
		bad := s.ss > s.se || s.se > 63 || s.al > 13 || s.ah > 13 || s.ah != 0 && s.al != s.ah-1 ||
			s.ss == 0 && s.se != 0 || s.ss > 0 && n != 1
		if bad {
			return formatf("bad progressive parameters Ss=%d Se=%d Ah=%d Al=%d", s.ss, s.se, s.ah, s.al)
		}
	}
	if err := d.checkTables(comps, s); err != nil {
		return err
	}
	// Straight to samples when one scan holds everything; otherwise through
	// coefficients.
	direct := !d.Progressive && n == len(d.comps)
	if d.scans >= maxScans {
		return formatf("more than %d scans", maxScans)
	}
	if err := d.plausible(); err != nil {
		return err
	}
	d.allocate(direct)
	d.scans++

	b := &d.bits
	*b = bitReader{data: d.data, pos: d.pos}
	if err := d.mcus(comps, s, direct); err != nil {
		return err
	}
	// No marker lies before the reader's position; the one that stopped it is
	// read again by the caller.
	d.pos = b.pos
	if b.marker != 0 {
		d.pos -= 2
	}
	if b.eof && b.starved {
		return ErrTruncated
	}
	return nil
}

type progression struct {
	ss, se int
	ah, al uint
	eobRun int32
}

func (d *Decoder) checkTables(comps []*component, s progression) error {
	for _, c := range comps {
		dc := !d.Progressive || s.ss == 0 && s.ah == 0
		ac := !d.Progressive || s.ss > 0
		if dc && !d.dcTab[c.td].ok {
			return formatf("DC Huffman table %d is missing", c.td)
		}
		if ac && !d.acTab[c.ta].ok {
			return formatf("AC Huffman table %d is missing", c.ta)
		}
	}
	return nil
}

// maxScans bounds the work that a small progressive file can ask for; encoders
// write ten or so.
const maxScans = 100

// plausible refuses a size that the file cannot fill, before memory is taken
// for it: every block costs at least one bit.
func (d *Decoder) plausible() error {
	blocks := 0
	for i := range d.comps {
		blocks += d.comps[i].blocksX * d.comps[i].blocksY
	}
	if blocks > 8*len(d.data) {
		return fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", d.Width, d.Height, len(d.data), ErrTruncated)
	}
	return nil
}

func (d *Decoder) allocate(direct bool) {
	if d.scans > 0 {
		// A second scan after one that went straight to samples adds nothing
		// that can be used; it decodes into coefficients that are then ignored.
		direct = direct || len(d.comps[0].coef) == 0 && d.comps[0].plane != nil
	}
	for i := range d.comps {
		c := &d.comps[i]
		n := c.strideX * c.strideY * 64
		if cap(c.plane) < n {
			c.plane = make([]byte, n)
		}
		c.plane = c.plane[:n]
		if direct || len(c.coef) == n {
			continue
		}
		if cap(c.coef) < n {
			c.coef = make([]int16, n)
		} else {
			c.coef = c.coef[:n]
			clear(c.coef)
		}
	}
}

// mcus decodes all MCUs of a scan.
func (d *Decoder) mcus(comps []*component, s progression, direct bool) error {
	b := &d.bits
	mx, my := d.mcusX, d.mcusY
	single := len(comps) == 1
	if single { // not interleaved: an MCU is one block, and padding blocks are not coded
		mx, my = comps[0].blocksX, comps[0].blocksY
	}
	for _, c := range comps {
		c.dc = 0
	}
	s.eobRun = 0
	left, next := d.restart, byte(0)
	var block [64]int16
	for y := range my {
		for x := range mx {
			if d.restart > 0 {
				if left == 0 {
					d.resync(next)
					next = (next + 1) & 7
					left = d.restart
					s.eobRun = 0
					for _, c := range comps {
						c.dc = 0
					}
				}
				left--
			}
			// After made-up zeros the rest of the interval stays empty.
			skip := b.starved
			for _, c := range comps {
				h, v := c.h, c.v
				if single {
					h, v = 1, 1
				}
				for by := y * v; by < (y+1)*v; by++ {
					for bx := x * h; bx < (x+1)*h; bx++ {
						at := by*c.strideX + bx
						if direct {
							clear(block[:])
							last := 0
							if !skip {
								last = d.sequential(c, &block)
							}
							if c.wants(bx, by) {
								idct(&block, &c.quant, c.plane[by*8*c.strideX*8+bx*8:], c.strideX*8, last)
							}
							continue
						}
						if skip || len(c.coef) == 0 {
							continue
						}
						blk := (*[64]int16)(c.coef[at*64:])
						switch {
						case !d.Progressive:
							d.sequential(c, blk)
						case s.ss == 0 && s.ah == 0:
							if n := d.bits.decode(&d.dcTab[c.td]); n != 0 {
								c.dc += b.extend(int(n))
							}
							blk[0] = int16(c.dc << s.al)
						case s.ss == 0:
							if b.get(1) != 0 {
								blk[0] |= 1 << s.al
							}
						case s.ah == 0:
							d.acFirst(c, blk, &s)
						default:
							d.acRefine(c, blk, &s)
						}
					}
				}
			}
			if b.eof && b.starved {
				return ErrTruncated
			}
		}
	}
	return nil
}

// sequential decodes one block and returns the last zigzag position that was
// set.
func (d *Decoder) sequential(c *component, blk *[64]int16) int {
	b := &d.bits
	if n := b.decode(&d.dcTab[c.td]); n != 0 {
		c.dc += b.extend(int(n))
	}
	blk[0] = int16(c.dc)
	t := &d.acTab[c.ta]
	last := 0
	acc, n := b.acc, b.n // the reader's state, in registers while nothing else reads
	for k := 1; k < 64; k++ {
		if n <= 32 {
			b.acc, b.n = acc, n
			b.fill()
			acc, n = b.acc, b.n
		}
		if n > 32 { // enough for any code and its value
			at := acc >> (uint(n-lookBits) & 63) & (1<<lookBits - 1) // the & 63 spares a check
			if e := t.coef[at]; e != 0 {
				n -= int(e & 255)
				k += int(e >> 8 & 15)
				blk[natural[k&127]&63] = int16(e >> 16)
				last = k
				continue
			}
			if e := t.look[at]; e != 0 {
				n -= int(e >> 8)
				r, size := int(e>>4&15), int(e&15)
				if size == 0 {
					if r != 15 {
						break
					}
					k += 15
					continue
				}
				k += r
				n -= size
				blk[natural[k&127]&63] = int16(signed(int32(acc>>(uint(n)&63))&(1<<uint(size)-1), size))
				last = k
				continue
			}
		}
		b.acc, b.n = acc, n
		rs := b.decode(t)
		r, size := int(rs>>4), int(rs&15)
		if size == 0 {
			acc, n = b.acc, b.n
			if r != 15 {
				break
			}
			k += 15
			continue
		}
		k += r
		blk[natural[k]] = int16(b.extend(size))
		acc, n = b.acc, b.n
		last = k
	}
	b.acc, b.n = acc, n
	return last
}

func (d *Decoder) acFirst(c *component, blk *[64]int16, s *progression) {
	if s.eobRun > 0 {
		s.eobRun--
		return
	}
	b := &d.bits
	t := &d.acTab[c.ta]
	for k := s.ss; k <= s.se; k++ {
		rs := b.decode(t)
		r, n := int(rs>>4), int(rs&15)
		if n == 0 {
			if r != 15 {
				s.eobRun = 1<<uint(r) - 1
				if r > 0 {
					s.eobRun += b.get(r)
				}
				return
			}
			k += 15
			continue
		}
		k += r
		blk[natural[k]] = int16(b.extend(n) << s.al)
	}
}

func (d *Decoder) acRefine(c *component, blk *[64]int16, s *progression) {
	b := &d.bits
	plus, minus := int16(1)<<s.al, int16(-1)<<s.al
	refine := func(p *int16) {
		if b.get(1) != 0 && *p&plus == 0 {
			if *p >= 0 {
				*p += plus
			} else {
				*p += minus
			}
		}
	}
	k := s.ss
	if s.eobRun == 0 {
		t := &d.acTab[c.ta]
		for ; k <= s.se; k++ {
			rs := b.decode(t)
			r, n := int(rs>>4), int(rs&15)
			var v int16
			if n != 0 { // size other than 1 is damage; libjpeg warns and goes on
				v = minus
				if b.get(1) != 0 {
					v = plus
				}
			} else if r != 15 {
				s.eobRun = 1 << uint(r)
				if r > 0 {
					s.eobRun += b.get(r)
				}
				break
			}
			for ; k <= s.se; k++ {
				p := &blk[natural[k]]
				if *p != 0 {
					refine(p)
				} else {
					if r == 0 {
						break
					}
					r--
				}
			}
			if v != 0 && k < 64 {
				blk[natural[k]] = v
			}
		}
	}
	if s.eobRun > 0 {
		for ; k <= s.se; k++ {
			if p := &blk[natural[k]]; *p != 0 {
				refine(p)
			}
		}
		s.eobRun--
	}
}

// resync moves to the restart marker with number want and starts a new
// interval, with libjpeg's rules for one that is missing or out of order.
func (d *Decoder) resync(want byte) {
	b := &d.bits
	b.acc, b.n = 0, 0
	marker := b.marker
	if marker == 0 {
		marker = b.seek()
	}
	for marker != 0 {
		switch {
		case marker == mRST0+want:
			b.marker, b.ended, b.starved = 0, false, false
			return
		case marker < mSOF0:
			marker = b.seek() // not a marker that exists
		case marker < mRST0 || marker > mRST7:
			b.marker, b.ended = marker, true // the image goes on elsewhere
			return
		case marker == mRST0+(want+1)&7 || marker == mRST0+(want+2)&7:
			b.marker, b.ended = marker, true // intervals were lost; wait for their turn
			return
		case marker == mRST0+(want-1)&7 || marker == mRST0+(want-2)&7:
			marker = b.seek() // an old one
		default:
			b.marker, b.ended, b.starved = 0, false, false
			return
		}
	}
	b.marker, b.ended, b.eof = 0, true, true
}

// seek passes over bytes to the next marker and returns its code, 0 at the end
// of the file.
func (b *bitReader) seek() byte {
	for b.pos+1 < len(b.data) {
		if b.data[b.pos] == 0xFF && b.data[b.pos+1] != 0 && b.data[b.pos+1] != 0xFF {
			b.pos += 2
			return b.data[b.pos-1]
		}
		b.pos++
	}
	b.pos = len(b.data)
	return 0
}

// samples turns stored coefficients into samples.
func (d *Decoder) samples() {
	for i := range d.comps {
		c := &d.comps[i]
		if len(c.coef) == 0 {
			continue
		}
		for by := c.wantY[0]; by < c.wantY[1]; by++ {
			for bx := c.wantX[0]; bx < c.wantX[1]; bx++ {
				blk := (*[64]int16)(c.coef[(by*c.strideX+bx)*64:])
				idct(blk, &c.quant, c.plane[by*8*c.strideX*8+bx*8:], c.strideX*8, 63)
			}
		}
	}
}
