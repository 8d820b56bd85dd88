package results

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
)

// A part's table carries a checksum of all of it in eight bytes before the footer, where readers of
// Parquet do not look: the format's own checksums leave out the footer and the heads of pages, a
// byte of which can make a column another one. Tables of earlier versions have none.
var sealMark = []byte("CRCC") // and the CRC-32C of what is before the mark and after the checksum

// sealed puts the checksum into a Parquet file.
func sealed(table []byte) ([]byte, error) {
	at, err := footer(table, int64(len(table)))
	if err != nil {
		return nil, err
	}
	sum := crc32.Checksum(table, castagnoli)
	return slices.Concat(table[:at], binary.LittleEndian.AppendUint32(slices.Clone(sealMark), sum), table[at:]), nil
}

// checkSeal compares a table with its checksum, if it has one.
func checkSeal(table []byte) error {
	at, err := footer(table, int64(len(table)))
	if err != nil || at < 8 || !bytes.Equal(table[at-8:at-4], sealMark) {
		return err
	}
	sum := crc32.Update(crc32.Checksum(table[:at-8], castagnoli), castagnoli, table[at:])
	if sum != binary.LittleEndian.Uint32(table[at-4:]) {
		return errors.New("it is damaged: its checksum is another")
	}
	return nil
}

var errCutOff = errors.New("it is cut off")

// footer is where the footer of a Parquet file of that size begins. tail is the file's end, of at
// least eight bytes.
func footer(tail []byte, size int64) (at int64, err error) {
	if size < 12 {
		return 0, errCutOff
	}
	tail = tail[len(tail)-8:]
	if n := int64(binary.LittleEndian.Uint32(tail)); string(tail[4:]) == "PAR1" && n <= size-12 {
		return size - 8 - n, nil
	}
	return 0, errors.New("it is cut off or damaged at its end")
}
