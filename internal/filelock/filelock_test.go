package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func TestAcquire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", ".lock")
	release, err := Acquire(context.Background(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(context.Background(), path, 50*time.Millisecond); !errors.Is(err, ErrHeld) {
		t.Errorf("taken twice: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := Acquire(ctx, path, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting while cancelled: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, release)
	again, err := Acquire(context.Background(), path, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
