//go:build unix

package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path"
	"strings"
)

// changePNG changes a PNG file; what it changes in the header has the right checksum.
func changePNG(rng *rand.Rand, data []byte) ([]byte, string) {
	if len(data) < 33 || rng.IntN(2) == 0 {
		return changeBytes(rng, data)
	}
	out := bytes.Clone(data)
	header := out[12:29] // IHDR and its 13 bytes
	what := ""
	switch rng.IntN(5) {
	case 0, 1:
		w, h := pick(rng, uint32(0), 1, 64, 65535, 100000, 1<<31-1, 1<<31, 1<<32-1), pick(rng, uint32(0), 1, 64, 65535, 100000, 1<<31-1)
		binary.BigEndian.PutUint32(header[4:], w)
		binary.BigEndian.PutUint32(header[8:], h)
		what = fmt.Sprintf("%d x %d pixels, it says", w, h)
	case 2:
		header[12] = pick(rng, byte(0), 1, 2, 4, 8, 16, 255)
		what = fmt.Sprintf("%d bits, it says", header[12])
	case 3:
		header[13] = byte(rng.IntN(8))
		what = fmt.Sprintf("colour type %d, it says", header[13])
	default:
		if rng.IntN(16) == 0 {
			const side = 8192
			return hugePNG(side), fmt.Sprintf("%d x %d pixels of 16 bits", side, side)
		}
		header[16] = 1
		what = "interlaced, it says"
	}
	binary.BigEndian.PutUint32(out[29:], crc32.ChecksumIEEE(header))
	return out, what
}

// hugePNG is a small file of a large black picture, RGBA with 16 bits.
func hugePNG(side int) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(name string, data []byte) {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(data)))
		text := append([]byte(name), data...)
		b.Write(text)
		_ = binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE(text))
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(side)), uint32(side))
	chunk("IHDR", append(header, 16, 6, 0, 0, 0))
	var pixels bytes.Buffer
	z, _ := zlib.NewWriterLevel(&pixels, 1)
	row := make([]byte, 1+8*side)
	for range side {
		_, _ = z.Write(row)
	}
	_ = z.Close()
	chunk("IDAT", pixels.Bytes())
	chunk("IEND", nil)
	return b.Bytes()
}

// changeXML changes a file of annotations.
func changeXML(rng *rand.Rand, data []byte) ([]byte, string) {
	if rng.IntN(2) == 0 {
		return changeBytes(rng, data)
	}
	number := pick(rng, append(extremes, "NaN", "", "x")...)
	tag := pick(rng, "xmin", "ymin", "xmax", "ymax", "width", "name")
	before, rest, ok := strings.Cut(string(data), "<"+tag+">")
	_, after, closed := strings.Cut(rest, "</"+tag+">")
	if !ok || !closed {
		return changeBytes(rng, data)
	}
	return []byte(before + "<" + tag + ">" + number + "</" + tag + ">" + after), fmt.Sprintf("%s is %q", tag, number)
}

// changeFor is how a file of that name is changed.
func changeFor(name string) change {
	structured := map[string]change{
		".json": changeJSON, ".lock": changeJSON, ".csv": changeText, ".txt": changeText, ".xml": changeXML, ".onnx": changeProtobuf, ".zip": changeZip, ".npz": changeZip,
		".detector": changeZip, ".tar": changeTar, ".gz": changeTarGz, ".parquet": changeParquet, ".npy": changeNpy, ".png": changePNG,
	}[path.Ext(name)]
	return func(rng *rand.Rand, data []byte) ([]byte, string) {
		if structured == nil || rng.IntN(4) == 0 {
			return changeBytes(rng, data)
		}
		return structured(rng, data)
	}
}
