package datasets

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// left lists what lies in a folder.
func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// TestExportWhole: an export that fails or is interrupted leaves nothing, what one that was killed
// left is removed, and the same call goes through afterwards.
func TestExportWhole(t *testing.T) {
	root := t.TempDir()
	dir, masks := filepath.Join(root, "scenes"), filepath.Join(root, "masks")
	ctx, cancel := context.WithCancel(context.Background())
	_, err := ExportScenes(ctx, dir, masks, "test", 20, func(n int) {
		if n == 10 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(left(t, root)) != 0 {
		t.Errorf("%v; %v is left", err, left(t, root))
	}
	// Masks cannot be written: the pictures are not there either.
	if err := os.WriteFile(masks, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ExportScenes(context.Background(), dir, filepath.Join(masks, "in"), "test", 5, nil); err == nil || len(left(t, root)) != 1 {
		t.Errorf("%v; %v is left", err, left(t, root))
	}
	if err := os.Remove(masks); err != nil {
		t.Fatal(err)
	}
	for _, half := range []string{filepath.Join(root, ".tmp-scenes"), filepath.Join(dir, ".tmp-export")} {
		again(t, root, dir, masks, half)
	}
}

// again exports where a process that was killed left something.
func again(t *testing.T, root, dir, masks, half string) {
	t.Helper()
	for _, d := range []string{dir, masks} {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	half = filepath.Join(half, "bull")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "half.png"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := ExportScenes(context.Background(), dir, masks, "test", 20, nil); err != nil || n != 20 {
		t.Fatalf("%d, %v", n, err)
	}
	if got := left(t, root); len(got) != 2 {
		t.Errorf("%v is left", got)
	}
	if got := left(t, dir); len(got) != 11 { // ten classes, and the boxes
		t.Errorf("%v is left", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "bull", "half.png")); err == nil {
		t.Error("what was left is part of the export")
	}
	if _, err := ExportScenes(context.Background(), dir, "", "test", 5, nil); err == nil {
		t.Error("a folder that is not empty is written into")
	}
}
