package datasets

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/text"

	"github.com/klauspost/compress/zstd"
)

// Bounds of what a compressed tar may unpack to: so many times its size, and this much.
const unpackRatio = 100

var unpackFloor int64 = 1 << 30 // a test lowers it

// isCompressed says whether a file begins as one of gzip, zstd, bzip2 or xz.
func isCompressed(head []byte) bool {
	for _, magic := range []string{"\x1f\x8b", "\x28\xb5\x2f\xfd", "BZh", "\xfd7zXZ\x00"} {
		if strings.HasPrefix(string(head), magic) {
			return true
		}
	}
	return false
}

// unpackTar unpacks a compressed tar into a temporary file, which is gone when the tree is closed.
func unpackTar(name string) (t *tree, err error) {
	in, err := regular.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var head [6]byte
	if _, err := in.ReadAt(head[:], 0); err != nil {
		return nil, errors.New("it is cut off")
	}
	var r io.Reader
	switch {
	case head[0] == 0x1f:
		r, err = gzip.NewReader(in)
	case head[0] == 'B':
		r = bzip2.NewReader(in)
	case head[0] == 0xfd:
		return nil, errors.New("it is compressed with xz; unpack it first (unxz)")
	default:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in, zstd.WithDecoderMaxMemory(1<<30), zstd.WithDecoderConcurrency(1)); err == nil {
			defer z.Close()
			r = z
		}
	}
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w; fetch or make it again", text.Ended(err))
	}
	var first [512]byte
	if n, err := io.ReadFull(r, first[:]); err != nil || !isTar(first[:]) {
		if err != nil && n == 0 {
			return nil, fmt.Errorf("it is damaged: %w; fetch or make it again", text.Ended(err))
		}
		return nil, errors.New("it is compressed, and what is in it is no tar file; unpack it first (gunzip)")
	}
	most := max(unpackRatio*info(in), unpackFloor)
	temp, n, err := unpackTo(io.MultiReader(bytes.NewReader(first[:]), io.LimitReader(r, most)))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
		}
	}()
	if n >= most {
		return nil, fmt.Errorf("it unpacks to more than %d bytes, %d times its size: it is no archive of images", most, unpackRatio)
	}
	out := temp.f
	if _, err = out.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	at, err := store(out)
	if err != nil {
		return nil, err
	}
	t = &tree{kind: "tar", root: name, tar: at, handles: []io.Closer{temp}}
	if err = t.index(); err != nil {
		return nil, err
	}
	t.skip = append(t.skip, "the compressed tar was unpacked into a temporary file, which is deleted in the end; a tar that is not compressed is read in place")
	return t, nil
}

// unpackTo writes what r gives into a temporary file.
func unpackTo(r io.Reader) (temp *temporary, n int64, err error) {
	out, err := os.CreateTemp("", "cutmix-eval-*")
	if err != nil {
		return nil, 0, err
	}
	temp = &temporary{out}
	_ = os.Remove(out.Name()) // where that can be done while it is open, nothing stays whatever happens
	if n, err = io.Copy(out, r); err == nil {
		return temp, n, nil
	}
	_ = temp.Close()
	if errors.Is(err, syscall.ENOSPC) {
		return nil, n, fmt.Errorf("there is no room to unpack it in %s; set TMPDIR to a folder with room, or unpack it first", os.TempDir())
	}
	return nil, n, fmt.Errorf("unpacking it: %w; it is damaged or cut off", text.Ended(err))
}

// temporary is a file that is deleted when it is closed, which may be done already.
type temporary struct{ f *os.File }

func (t *temporary) Close() error {
	_ = t.f.Close()
	_ = os.Remove(t.f.Name())
	return nil
}
