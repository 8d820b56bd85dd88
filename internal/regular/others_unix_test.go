//go:build unix

package regular

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// others are paths to what is no regular file, and what that is.
func others(t *testing.T, dir string) map[string]string {
	t.Helper()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return map[string]string{dir: "folder", pipe: "named pipe", socket: "socket", "/dev/zero": "device"}
}
