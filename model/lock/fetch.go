package lock

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"cutmix-eval/internal/pin"
)

// Path is where a downloaded model lies in the cache directory dir.
func (e Entry) Path(dir string) string {
	return filepath.Join(dir, "models", e.SHA256[:16]+"-"+e.Name+".onnx")
}

// Fetch downloads a model into the cache directory dir, unless it is there, and
// returns its path; see pin.File.Fetch.
func (e Entry) Fetch(ctx context.Context, dir string, progress func(done, total int64)) (string, error) {
	return e.fetch(ctx, dir, time.Minute, progress)
}

// fetch gives up when nothing has come for as long as patience.
func (e Entry) fetch(ctx context.Context, dir string, patience time.Duration, progress func(done, total int64)) (string, error) {
	if e.Kind != Download {
		return "", fmt.Errorf("model %q is %s; there is nothing to download", e.Name, e.Kind)
	}
	path := e.Path(dir)
	err := pin.File{Name: fmt.Sprintf("model %q", e.Name), URL: e.URL, SHA256: e.SHA256, Size: e.Size}.Fetch(ctx, path, patience, progress)
	if err != nil {
		return "", err
	}
	return path, nil
}
