package jpeg

import "encoding/binary"

// lookBits is the number of bits resolved by one table look-up.
const lookBits = 10

type huffman struct {
	ok   bool
	look [1 << lookBits]uint16 // length<<8 | symbol, 0 where the code is longer
	// coef resolves a whole AC coefficient, code and value bits, where both fit:
	// value<<16 | run<<8 | bits, 0 where they do not.
	coef [1 << lookBits]uint32
	// maxCode[l] is the largest code of length l, left-aligned compare value
	// -1 where there is none; valOff[l] leads from a code to its symbol.
	maxCode [18]int32
	valOff  [17]int32
	vals    [256]byte
}

func (t *huffman) build(counts [17]int, vals []byte, dc bool) error {
	t.ok = false
	if dc {
		for _, v := range vals {
			if v > 15 {
				return formatf("DC Huffman symbol %d", v)
			}
		}
	}
	clear(t.look[:])
	clear(t.vals[:])
	copy(t.vals[:], vals)
	code, k := int32(0), int32(0)
	for l := 1; l <= 16; l++ {
		t.valOff[l] = k - code
		for range counts[l] {
			if code >= 1<<l {
				return FormatError("Huffman table with too many codes")
			}
			if l <= lookBits {
				first := code << (lookBits - l)
				for j := range int32(1) << (lookBits - l) {
					t.look[first+j] = uint16(l)<<8 | uint16(t.vals[k])
				}
			}
			code++
			k++
		}
		t.maxCode[l] = -1
		if counts[l] > 0 {
			t.maxCode[l] = code - 1
		}
		code <<= 1
	}
	t.maxCode[17] = 1 << 20 // ends every search
	clear(t.coef[:])
	for i, e := range t.look {
		l, run, size := int(e>>8), uint32(e>>4&15), int(e&15)
		if dc || e == 0 || size == 0 || l+size > lookBits {
			continue
		}
		v := signed(int32(i>>(lookBits-l-size))&(1<<size-1), size)
		t.coef[i] = uint32(v)<<16 | run<<8 | uint32(l+size)
	}
	t.ok = true
	return nil
}

// bitReader reads the entropy-coded data of one restart interval. When it
// meets a marker or the end of the file it delivers zeros and sets starved,
// as libjpeg does.
type bitReader struct {
	data    []byte
	pos     int
	acc     uint64
	n       int  // valid bits in acc, at the low end
	marker  byte // the marker that ended the data; its code has been consumed
	ended   bool // no more bytes: marker met or file ended
	eof     bool // the file ended
	starved bool // zeros were made up
}

// fill tops acc up to at least 32 valid bits, with zeros after the end.
func (b *bitReader) fill() {
	for b.n <= 32 && !b.ended {
		if b.pos+4 <= len(b.data) {
			v := binary.BigEndian.Uint32(b.data[b.pos:])
			if x := ^v; (x-0x01010101)&^x&0x80808080 == 0 { // no 0xFF among the four
				b.acc = b.acc<<32 | uint64(v)
				b.n += 32
				b.pos += 4
				return
			}
		}
		b.fillByte()
	}
}

func (b *bitReader) fillByte() {
	if b.pos >= len(b.data) {
		b.ended, b.eof = true, true
		return
	}
	c := b.data[b.pos]
	if c == 0xFF {
		p := b.pos + 1
		for p < len(b.data) && b.data[p] == 0xFF {
			p++
		}
		if p >= len(b.data) {
			b.pos, b.ended, b.eof = p, true, true
			return
		}
		b.pos = p + 1
		if b.data[p] != 0 {
			b.marker, b.ended = b.data[p], true
			return
		}
	} else {
		b.pos++
	}
	b.acc = b.acc<<8 | uint64(c)
	b.n += 8
}

// need makes at least n (up to 32) bits available.
func (b *bitReader) need(n int) {
	if b.n >= n {
		return
	}
	b.fill()
	if b.n < n {
		b.starved = true
		b.acc <<= 40
		b.n += 40
	}
}

func (b *bitReader) get(n int) int32 {
	b.need(n)
	b.n -= n
	return int32(b.acc>>uint(b.n)) & (1<<uint(n) - 1)
}

// decode reads one symbol. A code that is not in the table counts as 0.
func (b *bitReader) decode(t *huffman) byte {
	if b.n < 17 {
		b.fill()
		if b.n < 17 {
			return b.decodeTail(t)
		}
	}
	e := t.look[b.acc>>uint(b.n-lookBits)&(1<<lookBits-1)]
	if e != 0 {
		b.n -= int(e >> 8)
		return byte(e)
	}
	return b.decodeLong(t, lookBits+1)
}

// decodeTail decodes near the end of the data, where the bits that are left
// may still hold whole codes: zeros are made up only if a code needs them.
func (b *bitReader) decodeTail(t *huffman) byte {
	if b.n > 0 {
		v := b.acc << uint(64-b.n) >> (64 - lookBits)
		if e := t.look[v]; e != 0 && int(e>>8) <= b.n {
			b.n -= int(e >> 8)
			return byte(e)
		}
	}
	return b.decodeLong(t, 1)
}

func (b *bitReader) decodeLong(t *huffman, l int) byte {
	code := b.get(l)
	for l <= 16 && code > t.maxCode[l] {
		code = code<<1 | b.get(1)
		l++
	}
	if l > 16 {
		return 0
	}
	return t.vals[(code+t.valOff[l])&255]
}

// extend reads n bits as a signed value (T.81, F.2.2.1).
func (b *bitReader) extend(n int) int32 {
	return signed(b.get(n), n)
}

// signed gives n bits their value: those that begin with 0 are negative.
func signed(v int32, n int) int32 {
	if v < 1<<uint(n-1) {
		v += -1<<uint(n) + 1
	}
	return v
}
