package model

import (
	"errors"

	"cutmix-eval/internal/onnx"
)

// OfScores is a model of which only its class scores are known: it has no graph to run, and no
// head. classes may name them.
func OfScores(name, path, sha256 string, size int64, outputs int, classes []string) *Model {
	const scores = "scores"
	m := &Model{
		Name: name, Path: path, SHA256: sha256, Size: size, Output: scores, Logits: scores, Classes: outputs, ClassNames: classes,
		file: &onnx.Model{},
	}
	m.head = func() (*Head, error) {
		return nil, errors.New("only its scores are known; give the ONNX file by --model")
	}
	return m
}
