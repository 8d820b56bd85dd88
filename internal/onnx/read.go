package onnx

import (
	"os"
	"sync/atomic"
)

var filesRead, parses atomic.Int64

// Read returns the contents of an ONNX file.
func Read(path string) ([]byte, error) {
	filesRead.Add(1)
	return os.ReadFile(path)
}

// Counts is how many files Read has read in this process, and how many models
// Parse has parsed: large files should be read and parsed once.
func Counts() (read, parsed int64) { return filesRead.Load(), parses.Load() }
