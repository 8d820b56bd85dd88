package datasets

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cutmix-eval/internal/text"
)

// maxUnpacked bounds what one compressed file of an archive may unpack to. Pictures hardly
// compress; what unpacks to more is no picture.
const maxUnpacked = 256 << 20

// deflateRatio is the most that deflate can make of a byte (RFC 1951: 258 bytes of 2 bits).
const deflateRatio = 1032

// Flag bits of a zip entry (APPNOTE.TXT 4.4.4).
const zipEncrypted = 1<<0 | 1<<6 | 1<<13

// isZip says whether a file begins as a zip archive, which may be an empty one.
func isZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
}

// indexZip lists a zip archive, whose files stay packed.
func indexZip(name string) (*tree, error) {
	f, err := openStored(name)
	if err != nil {
		return nil, err
	}
	t := &tree{kind: "zip archive, read in place", root: name, handles: []io.Closer{f}}
	if err := t.indexZip(f, f.size, f.at); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

func (t *tree) indexZip(r io.ReaderAt, size int64, at time.Time) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return fmt.Errorf("reading the zip archive's list of files: %w; it is damaged or cut off, so fetch or make it again", err)
	}
	byPath := map[string]int{}
	for _, e := range z.File {
		name := e.Name
		if !strings.Contains(name, "/") {
			name = strings.ReplaceAll(name, `\`, "/") // as some programs on Windows write it
		}
		p := path.Clean(printable(name))
		switch hide := slices.ContainsFunc(strings.Split(p, "/"), hidden); {
		case path.IsAbs(p) || !filepath.IsLocal(p) && p != ".":
			t.note("%s leads out of the archive", p)
			continue
		case hide:
			continue
		case strings.HasSuffix(name, "/"):
			t.dirs = append(t.dirs, p)
			continue
		case !e.Mode().IsRegular():
			t.note("%s is a link or no regular file", p)
			continue
		}
		if err := readable(e); err != nil {
			if imageName(p) {
				return fmt.Errorf("%s %w", p, err)
			}
			t.note("%s %v", p, err)
			continue
		}
		fl := file{path: p, size: int64(e.UncompressedSize64), zip: e, image: isImage(p, entryStart(e)), at: at}
		if i, ok := byPath[p]; ok {
			t.files[i] = fl // as most programs unpack it: the last one wins
			t.note("%s is in the archive more than once; its last copy counts", p)
			continue
		}
		byPath[p] = len(t.files)
		t.files = append(t.files, fl)
	}
	if err := t.apart(size); err != nil {
		return err
	}
	t.sort()
	return nil
}

// entryStart reads the first bytes of an entry; nothing where it cannot be read.
func entryStart(e *zip.File) func(buf []byte) int {
	return func(buf []byte) int {
		r, err := e.Open()
		if err != nil {
			return 0
		}
		defer r.Close()
		n, _ := io.ReadFull(r, buf)
		return n
	}
}

// readable says what keeps an entry from being read in place.
func readable(e *zip.File) error {
	switch {
	case e.Flags&zipEncrypted != 0:
		return errors.New("is encrypted; unpack the archive with its password and give the folder")
	case e.Method != zip.Store && e.Method != zip.Deflate:
		return fmt.Errorf("is compressed by method %d, not stored or deflated; unpack the archive and give the folder", e.Method)
	case e.Method == zip.Store && e.UncompressedSize64 != e.CompressedSize64:
		return fmt.Errorf("is stored with %d bytes and listed with %d: the archive is damaged", e.CompressedSize64, e.UncompressedSize64)
	case e.Method == zip.Deflate && e.UncompressedSize64/deflateRatio > e.CompressedSize64:
		return fmt.Errorf("is listed with %d bytes, more than its %d compressed bytes can hold: the archive is damaged or hostile", e.UncompressedSize64, e.CompressedSize64)
	case e.Method == zip.Deflate && e.UncompressedSize64 > maxUnpacked && imageName(e.Name):
		return fmt.Errorf("unpacks to %d bytes, more than %d: it is no picture", e.UncompressedSize64, maxUnpacked)
	}
	return nil
}

// apart checks that no two files share bytes of an archive of size bytes, as those of zip bombs do.
func (t *tree) apart(size int64) error {
	type span struct {
		from, to int64
		path     string
	}
	spans := make([]span, 0, len(t.files))
	for _, f := range t.files {
		off, err := f.zip.DataOffset()
		if err != nil {
			return fmt.Errorf("%s cannot be found in the zip archive (%w); it is damaged, so fetch or make it again", f.path, err)
		}
		to := off + int64(f.zip.CompressedSize64)
		if to < off || to > size {
			return fmt.Errorf("the zip archive is cut off: %s should have %d bytes, %d are left", f.path, f.zip.CompressedSize64, size-off)
		}
		spans = append(spans, span{off, to, f.path})
	}
	slices.SortFunc(spans, func(a, b span) int { return int(min(max(a.from-b.from, -1), 1)) })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return fmt.Errorf("%s and %s share bytes of the zip archive, which is damaged or a bomb", spans[i-1].path, spans[i].path)
		}
	}
	return nil
}

// readZip unpacks an entry into buf's memory where it is large enough. It never unpacks more than
// the entry's listed size.
func readZip(e *zip.File, buf []byte) ([]byte, error) {
	size := int(e.UncompressedSize64)
	if uint64(size) > maxUnpacked && e.Method != zip.Store {
		return buf, fmt.Errorf("it unpacks to %d bytes, more than %d", size, maxUnpacked)
	}
	r, err := e.Open()
	if err != nil {
		return buf, err
	}
	defer r.Close()
	if cap(buf) < size {
		buf = make([]byte, size+size/4)
	}
	buf = buf[:size]
	if _, err = io.ReadFull(r, buf); err != nil {
		return buf, fmt.Errorf("unpacking it: %w", text.Ended(err))
	}
	var more [1]byte // the end is where its checksum is compared
	switch n, err := r.Read(more[:]); {
	case n > 0:
		return buf, fmt.Errorf("it unpacks to more than the %d bytes that it is listed with", size)
	case errors.Is(err, zip.ErrChecksum):
		return buf, errors.New("its checksum differs: the archive is damaged")
	case err != nil && !errors.Is(err, io.EOF):
		return buf, fmt.Errorf("unpacking it: %w", text.Ended(err))
	}
	return buf, nil
}
