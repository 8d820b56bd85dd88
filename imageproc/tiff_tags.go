package imageproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Tags of TIFF files (TIFF 6.0, 1992).
const (
	tiffWidth        = 256
	tiffHeight       = 257
	tiffBits         = 258
	tiffCompression  = 259
	tiffPhotometric  = 262
	tiffFillOrder    = 266
	tiffStripOffsets = 273
	tiffOrientation  = 274
	tiffSamples      = 277
	tiffRowsPerStrip = 278
	tiffStripBytes   = 279
	tiffPlanar       = 284
	tiffT4Options    = 292
	tiffPredictor    = 317
	tiffColours      = 320
	tiffTileWidth    = 322
	tiffTileHeight   = 323
	tiffTileOffsets  = 324
	tiffTileBytes    = 325
	tiffExtra        = 338
	tiffSampleFormat = 339
	tiffJPEGTables   = 347
)

// tiffFile is the first directory of a TIFF file, or of EXIF data.
type tiffFile struct {
	data  []byte
	order binary.ByteOrder
	tags  map[int]tiffEntry
	// broken says that the directory, or the values of a tag about pixels, lead out of the file.
	broken bool
}

// tiffEntry is the values of a tag, as they are stored.
type tiffEntry struct {
	kind int
	raw  []byte
}

// tiffSizes is the length of a value of each kind, in bytes.
var tiffSizes = [...]int{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

// readTIFF reads the first directory of a TIFF or BigTIFF file. Tags whose values lie outside
// of the file are left out.
func readTIFF(data []byte) (*tiffFile, error) {
	t := &tiffFile{data: data, order: binary.LittleEndian, tags: map[int]tiffEntry{}}
	if len(data) < 8 {
		return nil, ErrTruncated
	}
	switch string(data[:2]) {
	case "II":
	case "MM":
		t.order = binary.BigEndian
	default:
		return nil, errors.New("no TIFF header")
	}
	word, first := 4, 4 // bytes of an offset, and where the first one is
	switch version := t.order.Uint16(data[2:]); version {
	case 42:
	case 43:
		word, first = 8, 8
	default:
		return nil, fmt.Errorf("version %d, not 42 or 43", version)
	}
	at := t.offset(first, word)
	n := 0
	if word == 4 && at+2 <= uint64(len(data)) {
		n = int(t.order.Uint16(data[at:]))
		at += 2
	} else if word == 8 && at <= uint64(len(data)) && at+8 <= uint64(len(data)) {
		n = int(min(t.order.Uint64(data[at:]), 1<<16))
		at += 8
	} else {
		return nil, ErrTruncated
	}
	entry := 4 + 2*word
	for range n {
		if at+uint64(entry) > uint64(len(data)) {
			t.broken = true // EXIF data are read as far as they go
			break
		}
		e := data[at : at+uint64(entry)]
		tag, kind := int(t.order.Uint16(e)), int(t.order.Uint16(e[2:]))
		if count := t.offset(int(at)+4, word); kind < len(tiffSizes) && tiffSizes[kind] > 0 {
			count = min(count, 1<<40) // no file has so many
			size := uint64(tiffSizes[kind]) * count
			raw := e[4+word:]
			if size > uint64(word) {
				raw = nil
				if from := t.offset(int(at)+4+word, word); from <= uint64(len(data)) && size <= uint64(len(data))-from {
					raw = data[from:]
				}
			}
			t.broken = t.broken || raw == nil && tag <= tiffJPEGTables
			if raw != nil && size > 0 {
				t.tags[tag] = tiffEntry{kind, raw[:size]}
			}
		}
		at += uint64(entry)
	}
	return t, nil
}

// offset reads an offset or a count, of four or eight bytes; the largest number where the file
// has none there.
func (t *tiffFile) offset(at, word int) uint64 {
	switch {
	case at+word > len(t.data):
		return 1<<64 - 1 - 1<<16
	case word == 8:
		return min(t.order.Uint64(t.data[at:]), 1<<64-1-1<<16)
	}
	return uint64(t.order.Uint32(t.data[at:]))
}

// count is the number of values of a tag; 0 without it.
func (t *tiffFile) count(tag int) int {
	e, ok := t.tags[tag]
	if !ok {
		return 0
	}
	return len(e.raw) / tiffSizes[e.kind]
}

// at is value i of a tag of whole numbers, 0 of other kinds.
func (t *tiffFile) at(tag, i int) uint64 {
	e := t.tags[tag]
	switch e.kind {
	case 1, 7:
		return uint64(e.raw[i])
	case 3:
		return uint64(t.order.Uint16(e.raw[2*i:]))
	case 4, 13:
		return uint64(t.order.Uint32(e.raw[4*i:]))
	case 16, 18:
		return t.order.Uint64(e.raw[8*i:])
	}
	return 0
}

// number is the first value of a tag, or the default without it.
func (t *tiffFile) number(tag int, otherwise uint64) uint64 {
	if t.count(tag) == 0 {
		return otherwise
	}
	return t.at(tag, 0)
}

// small is number for values that are compared with small ones: larger ones become 65535.
func (t *tiffFile) small(tag int, otherwise uint64) int {
	return int(min(t.number(tag, otherwise), 65535))
}

// all are the values of a tag, at most so many.
func (t *tiffFile) all(tag, most int) []int {
	var out []int
	for i := range min(t.count(tag), most) {
		out = append(out, int(min(t.at(tag, i), 1<<40)))
	}
	return out
}

// has says whether a tag is there.
func (t *tiffFile) has(tags ...int) bool {
	return !slices.ContainsFunc(tags, func(tag int) bool { return t.count(tag) == 0 })
}
