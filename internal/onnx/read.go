package onnx

import (
	"fmt"
	"os"
	"sync/atomic"

	"cutmix-eval/internal/regular"
)

var filesRead, parses atomic.Int64

// maxFile is the largest message of protobuf.
const maxFile = 1<<31 - 1

// Read returns the contents of an ONNX file. Of a folder, and of a file that is recognised as
// something else, the error is a *WrongFileError.
func Read(path string) ([]byte, error) {
	filesRead.Add(1)
	info, err := regular.Check(path)
	if err != nil {
		if info != nil && info.IsDir() {
			what, do := recogniseFolder(path)
			return nil, &WrongFileError{path, what, do}
		}
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if what, do := Recognise(f, info.Size()); what != "" {
		return nil, &WrongFileError{path, what, do}
	}
	if info.Size() > maxFile {
		return nil, &WrongFileError{path, fmt.Sprintf("a file of %d bytes, and protobuf ends at 2 GiB", info.Size()),
			"save the model with its weights beside it (onnx.save with save_as_external_data=True)"}
	}
	return regular.Read(path, maxFile)
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
