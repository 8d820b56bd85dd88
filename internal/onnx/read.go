package onnx

import (
	"fmt"
	"os"
	"sync/atomic"
)

var filesRead, parses atomic.Int64

// Read returns the contents of an ONNX file. Of a folder, and of a file that is recognised as
// something else, the error is a *WrongFileError.
func Read(path string) ([]byte, error) {
	filesRead.Add(1)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		what, do := recogniseFolder(path)
		return nil, &WrongFileError{path, what, do}
	case !info.Mode().IsRegular():
		return os.ReadFile(path)
	}
	if what, do := Recognise(f, info.Size()); what != "" {
		return nil, &WrongFileError{path, what, do}
	}
	return os.ReadFile(path)
}

// WrongFileError is about what was given as a model and is none.
type WrongFileError struct {
	Path string
	What string // what it is
	Do   string // what to do
}

func (e *WrongFileError) Error() string {
	return fmt.Sprintf("%q is %s, not an ONNX model: %s", e.Path, e.What, e.Do)
}

// Counts is how many files Read has read in this process, and how many models
// Parse has parsed: large files should be read and parsed once.
func Counts() (read, parsed int64) { return filesRead.Load(), parses.Load() }
