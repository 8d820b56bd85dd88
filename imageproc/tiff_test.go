package imageproc

import (
	"encoding/binary"
	"strings"
	"testing"
)

// TestTIFFJPEGWithAlpha: JPEG data of colours or grey with alpha is refused as not supported, not as
// damaged: a JPEG decoder takes four components for CMYK, and none reads two.
func TestTIFFJPEGWithAlpha(t *testing.T) {
	const blackIsZero, rgb = 1, 2
	for _, c := range []struct {
		photometric, samples int
		want                 string
	}{
		{rgb, 4, "pixels of 4 samples"},
		{blackIsZero, 2, "grey with alpha that is compressed as JPEG is not supported"},
		{blackIsZero, 3, "grey with alpha that is compressed as JPEG is not supported"},
	} {
		_, format, err := new(Decoder).Decode(jpegTIFF(c.photometric, c.samples))
		if format != TIFF || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "convert it to PNG") {
			t.Errorf("%d samples: %s: %v, want %q", c.samples, format, err, c.want)
		}
	}
}

// jpegTIFF is a file of one strip that is said to be compressed as JPEG, and one further sample.
func jpegTIFF(photometric, samples int) []byte {
	entry := func(tag, kind, value int) []byte {
		b := binary.LittleEndian.AppendUint16(nil, uint16(tag))
		b = binary.LittleEndian.AppendUint16(b, uint16(kind))
		b = binary.LittleEndian.AppendUint32(b, 1)
		return binary.LittleEndian.AppendUint32(b, uint32(value))
	}
	const short, long = 3, 4
	var entries [][]byte
	for _, e := range [][3]int{
		{256, short, 8}, {257, short, 8}, {258, short, 8}, {259, short, 7}, {262, short, photometric}, {273, long, 256}, {277, short, samples}, {278, short, 8}, {279, long, 64}, {338, short, 2},
	} {
		entries = append(entries, entry(e[0], e[1], e[2]))
	}
	file := append([]byte("II*\x00"), 8, 0, 0, 0)
	file = binary.LittleEndian.AppendUint16(file, uint16(len(entries)))
	for _, e := range entries {
		file = append(file, e...)
	}
	file = append(file, make([]byte, 320-len(file))...)
	return file
}
