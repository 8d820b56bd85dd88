package imageproc

import (
	"encoding/binary"
	"strings"
	"testing"
)

// TestTIFFJPEGWithAlpha: JPEG data of colours with alpha is refused, for a JPEG decoder takes its
// four components for CMYK.
func TestTIFFJPEGWithAlpha(t *testing.T) {
	entry := func(tag, kind, value int) []byte {
		b := binary.LittleEndian.AppendUint16(nil, uint16(tag))
		b = binary.LittleEndian.AppendUint16(b, uint16(kind))
		b = binary.LittleEndian.AppendUint32(b, 1)
		return binary.LittleEndian.AppendUint32(b, uint32(value))
	}
	const short, long = 3, 4
	var entries [][]byte
	for _, e := range [][3]int{
		{256, short, 8}, {257, short, 8}, {258, short, 8}, {259, short, 7}, {262, short, 2}, {273, long, 256}, {277, short, 4}, {278, short, 8}, {279, long, 64}, {338, short, 2},
	} {
		entries = append(entries, entry(e[0], e[1], e[2]))
	}
	file := append([]byte("II*\x00"), 8, 0, 0, 0)
	file = binary.LittleEndian.AppendUint16(file, uint16(len(entries)))
	for _, e := range entries {
		file = append(file, e...)
	}
	file = append(file, make([]byte, 320-len(file))...)
	_, format, err := new(Decoder).Decode(file)
	if format != TIFF || err == nil || !strings.Contains(err.Error(), "convert it to PNG") {
		t.Errorf("%s: %v", format, err)
	}
}
