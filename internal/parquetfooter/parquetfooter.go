// Package parquetfooter looks at the footer of a Parquet file before a reader is given it.
package parquetfooter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxFooter bounds a Parquet file's footer; those of a thousand row groups have a few MiB.
const maxFooter = 32 << 20

// maxDepth bounds how deep values lie in each other.
const maxDepth = 32

// Read is the footer of a file of size bytes. That every list in it has as many entries
// as it says is certain: readers make room for them before they read them.
func Read(r io.ReaderAt, size int64) ([]byte, error) {
	var tail [8]byte
	if size < 12 {
		return nil, errors.New("it is no Parquet file, or cut off")
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	switch {
	case string(tail[4:]) == "PARE":
		return nil, errors.New("it is encrypted; write it again without encryption")
	case string(tail[4:]) != "PAR1" || n > size-12:
		return nil, errors.New("it is cut off or damaged at its end; fetch or write it again")
	case n > maxFooter:
		return nil, fmt.Errorf("its footer has %d bytes, more than %d; it is damaged or hostile", n, maxFooter)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-8-n); err != nil {
		return nil, err
	}
	if err := (&thriftWalk{data: footer}).value(thriftStruct, 0); err != nil {
		return nil, fmt.Errorf("its footer is damaged (%w); fetch or write it again", err)
	}
	return footer, nil
}

// Types of Thrift's compact protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

// thriftWalk goes through a value without keeping any of it.
type thriftWalk struct {
	data []byte
	at   int
}

var errThrift = errors.New("it is no Thrift structure")

func (w *thriftWalk) byte() (byte, error) {
	if w.at >= len(w.data) {
		return 0, errThrift
	}
	w.at++
	return w.data[w.at-1], nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.data[w.at:])
	if n <= 0 {
		return 0, errThrift
	}
	w.at += n
	return v, nil
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.data)-w.at) {
		return errThrift
	}
	w.at += int(n)
	return nil
}

// value passes a value of some type, which has at most maxDepth levels.
func (w *thriftWalk) value(kind byte, depth int) error {
	if depth > maxDepth {
		return errThrift
	}
	switch {
	case kind == thriftTrue || kind == thriftFalse || kind == thriftByte:
		return w.skip(1)
	case kind > thriftByte && kind <= thriftI64:
		_, err := w.varint()
		return err
	case kind == thriftDouble:
		return w.skip(8)
	case kind == thriftUUID:
		return w.skip(16)
	case kind == thriftBinary:
		n, err := w.varint()
		if err == nil {
			err = w.skip(n)
		}
		return err
	case kind == thriftList || kind == thriftSet:
		head, err := w.byte()
		n := uint64(head >> 4)
		if err == nil && n == 15 {
			n, err = w.varint()
		}
		if err == nil && n > uint64(len(w.data)-w.at) { // entries have a byte at least
			err = errThrift
		}
		for ; err == nil && n > 0; n-- {
			err = w.value(head&15, depth+1)
		}
		return err
	case kind == thriftMap:
		n, err := w.varint()
		if err != nil || n == 0 {
			return err
		}
		if n > uint64(len(w.data)-w.at) {
			return errThrift
		}
		kinds, err := w.byte()
		for ; err == nil && n > 0; n-- {
			if err = w.value(kinds>>4, depth+1); err == nil {
				err = w.value(kinds&15, depth+1)
			}
		}
		return err
	case kind == thriftStruct:
		for {
			head, err := w.byte()
			if err != nil || head == 0 {
				return err
			}
			if head>>4 == 0 { // the field's number follows
				if _, err := w.varint(); err != nil {
					return err
				}
			}
			if field := head & 15; field != thriftTrue && field != thriftFalse { // whose value is the type
				if err := w.value(field, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return errThrift
}
