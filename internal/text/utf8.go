package text

import (
	"bytes"
	"fmt"

	"golang.org/x/text/encoding/unicode"
)

// UTF8 is a text file as UTF-8 without a byte order mark, with lines that end in \n: files of
// spreadsheets are UTF-16 now and then, and those of old programs end lines in \r.
func UTF8(data []byte) ([]byte, error) {
	if order, wide := utf16Order(data); wide {
		out, err := unicode.UTF16(order, unicode.UseBOM).NewDecoder().Bytes(data)
		if err != nil {
			return nil, fmt.Errorf("it begins as UTF-16, but is none: %w", err)
		}
		data = out
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	return data, nil
}

// utf16Order says whether a text is UTF-16, by its byte order mark or, without one, by what is
// mostly ASCII: of each two bytes nearly always the same one is 0, and the other never.
func utf16Order(data []byte) (order unicode.Endianness, wide bool) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return unicode.LittleEndian, true
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return unicode.BigEndian, true
	case len(data)%2 != 0:
		return unicode.LittleEndian, false
	}
	head := data[:min(len(data), 4096)]
	var zeros [2]int
	for i, b := range head {
		if b == 0 {
			zeros[i%2]++
		}
	}
	order = unicode.LittleEndian
	if zeros[0] > 0 {
		order = unicode.BigEndian
	}
	return order, min(zeros[0], zeros[1]) == 0 && 4*max(zeros[0], zeros[1]) > len(head)
}
