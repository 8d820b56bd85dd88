package runtime

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// loadable says why the file at path cannot be a shared library that is whole; empty where it
// may be one. Loaders map a file into memory, and end the program where it is cut off; a pipe
// would keep them waiting.
func loadable(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return "it is not a regular file"
	}
	f, err := os.Open(path)
	if err != nil {
		return unreadable(err)
	}
	defer f.Close()
	const cut = "it is cut off: install it again"
	within := func(at, n uint64) bool { return at <= uint64(info.Size()) && n <= uint64(info.Size())-at }
	if e, err := elf.NewFile(f); err == nil {
		for _, p := range e.Progs {
			if p.Type == elf.PT_LOAD && !within(p.Off, p.Filesz) {
				return cut
			}
		}
		return ""
	}
	if m, err := macho.NewFile(f); err == nil {
		for _, l := range m.Loads {
			if s, ok := l.(*macho.Segment); ok && !within(s.Offset, s.Filesz) {
				return cut
			}
		}
		return ""
	}
	var magic [4]byte
	switch _, err := f.ReadAt(magic[:], 0); {
	case errors.Is(err, io.EOF):
		return cut
	case string(magic[:]) == elf.ELFMAG:
		return cut // its table of sections lies at its end
	}
	return "" // of another kind; the loader says what it is
}

func unreadable(err error) string {
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return "it cannot be read: " + err.Error()
}

// located is path such that a loader opens that file: a bare name is one that loaders look up in
// the system's folders.
func located(path string) string {
	if strings.ContainsRune(path, filepath.Separator) || strings.ContainsRune(path, '/') {
		return path
	}
	return "." + string(filepath.Separator) + path
}
