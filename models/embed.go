// Package models holds the small networks that the program carries. README.md
// beside it says how they were trained and what they measure.
package models

import (
	"embed"
	"strings"
)

// tools/scenes-pair makes the files, in hours: train.py there says how.
//
//go:embed *.onnx
var files embed.FS

// Names returns the names of the embedded models, sorted: file names without
// their ".onnx".
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("models: " + err.Error()) // an embedded folder always lists
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".onnx")
	}
	return names
}

// Bytes returns a new copy of the ONNX file of the named model, and whether
// there is one. It is safe for concurrent use.
func Bytes(name string) ([]byte, bool) {
	b, err := files.ReadFile(name + ".onnx")
	return b, err == nil
}
