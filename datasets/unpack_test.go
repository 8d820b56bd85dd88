package datasets

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
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

// TestHostileArchives: a compressed tar that unpacks to far more than its size, and archives within
// archives, are refused.
func TestHostileArchives(t *testing.T) {
	old := unpackFloor
	unpackFloor = 1 << 16
	defer func() { unpackFloor = old }()
	gz := func(data []byte) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data)
		_ = w.Close()
		return b.String()
	}
	inner := files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}
	for name, c := range map[string][2]string{
		"bomb":              {gz(files{"x/1.png": strings.Repeat("\x00", 5<<20)}.tarBytes(t)), "!times its size"},
		"tar in a tar":      {string(files{"a.tar": string(inner.tarBytes(t)), "b.tar": string(inner.tarBytes(t))}.tarBytes(t)), "!not read within another one"},
		"tar.gz in a tar":   {string(files{"a.tar.gz": gz(inner.tarBytes(t))}.tarBytes(t)), "!not read within another one"},
		"tar.gz in tar.gz":  {gz(files{"a.tar.gz": gz(inner.tarBytes(t))}.tarBytes(t)), "!not read within another one"},
		"tar in a zip":      {string(files{"a.tar": string(inner.tarBytes(t))}.zipBytes(t, zip.Store)), "!not read within another one"},
		"zip in a tar":      {string(files{"a.zip": string(inner.zipBytes(t, zip.Store))}.tarBytes(t)), "!not read within another one"},
		"npz in a tar":      {string(files{"a.npz": string(medMNIST().zipBytes(t, zip.Store))}.tarBytes(t)), "!not read within another one"},
		"gzip within gzip":  {gz([]byte(gz(inner.tarBytes(t)))), "!no tar"},
		"pictures and tars": {string(files{"x/1.png": pngOf(1), "y/2.png": pngOf(2), "a.tar": string(inner.tarBytes(t))}.tarBytes(t)), "x/1.png=x y/2.png=y"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(write(t, "x", c[0]), Options{})
			if refused(t, err, c[1]) {
				return
			}
			defer d.Close()
			if got := describe(d); got != c[1] {
				t.Errorf("%s, want %s", got, c[1])
			}
		})
	}
	if _, err := Open(files{"a.tar.gz": gz(inner.tarBytes(t))}.folder(t), Options{}); err == nil || !strings.Contains(err.Error(), "give one of them") {
		t.Errorf("a folder of a compressed tar: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	old := unpackFloor
	unpackFloor = 1 << 20
	f.Cleanup(func() { unpackFloor = old })
	data := files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}.tarBytes(f)
	var a, b bytes.Buffer
	w := gzip.NewWriter(&a)
	_, _ = w.Write(data)
	_ = w.Close()
	z, _ := zstd.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	f.Add(a.Bytes())
	f.Add(b.Bytes())
	f.Add([]byte("BZh91AY&SY\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00"))
	path := filepath.Join(f.TempDir(), "f")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		openAndLoad(t, path)
	})
}
