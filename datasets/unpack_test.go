package datasets

import (
	"bytes"
	"compress/gzip"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestCompressedTar: a compressed tar is the same data as the tar, and leaves no file behind.
func TestCompressedTar(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	pack := func(data []byte) (gz, zst string) {
		var a, b bytes.Buffer
		w := gzip.NewWriter(&a)
		_, _ = w.Write(data)
		_ = w.Close()
		z, _ := zstd.NewWriter(&b)
		_, _ = z.Write(data)
		_ = z.Close()
		return a.String(), b.String()
	}
	gz, zst := pack(files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}.tarBytes(t))
	for name, data := range map[string]string{"d.tar.gz": gz, "d.tgz": gz, "d.tar.zst": zst} {
		d, err := Open(write(t, name, data), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(d); got != "x/1.png=x y/2.png=y" || d.Name != "d" {
			t.Errorf("%s: %s (%s)", name, got, d.Name)
		}
		if _, err := d.Loader().Load(1); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil && !strings.Contains(err.Error(), "already closed") {
			t.Error(err)
		}
	}
	text, _ := pack([]byte("hello"))
	for name, c := range map[string][2]string{"text": {text, "no tar"}, "cut": {gz[:len(gz)-20], "cut off"}, "xz": {"\xfd7zXZ\x00abc", "unxz"}, "short": {"\x1f\x8b\x08rest", "damaged"}} {
		if _, err := Open(write(t, "x", c[0]), Options{}); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %q", name, err, c[1])
		}
	}
	left, err := os.ReadDir(temp)
	for _, e := range left {
		if err != nil || strings.HasPrefix(e.Name(), "cutmix-eval-") {
			t.Errorf("%s is left (%v)", e.Name(), err)
		}
	}
}
