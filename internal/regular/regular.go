// Package regular reads regular files and refuses everything else: a pipe without a writer would
// be waited for without end, and a device may have no end.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Small bounds files of settings, which a person writes or reads.
const Small = 64 << 20

// KindError says that a path leads to something that is no regular file.
type KindError struct {
	Path string
	Mode fs.FileMode
}

func (e *KindError) Error() string {
	return fmt.Sprintf("%q is a %s, not a regular file", e.Path, kind(e.Mode))
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// SizeError says that a file is larger than one of its kind may be.
type SizeError struct {
	Path       string
	Size, Most int64 // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%q has %d bytes, more than the %d that such a file may have", e.Path, e.Size, e.Most)
}

// Check says why a path does not lead to a regular file: an error of os.Stat, or a *KindError.
func Check(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		e.Op = "open" // as os.Open says it
	}
	if err == nil && !info.Mode().IsRegular() {
		err = &KindError{path, info.Mode()}
	}
	return info, err
}

// Open opens a regular file to be read.
func Open(path string) (*os.File, error) {
	if _, err := Check(path); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// Read reads a regular file of at most most bytes. Of a larger one the error is a *SizeError.
func Read(path string, most int64) ([]byte, error) {
	info, err := Check(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, &SizeError{path, info.Size(), most}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, 0, info.Size()+1)
	for int64(len(data)) <= most { // some files in /proc have more than they say
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, &SizeError{path, int64(len(data)), most}
}
