package datasets

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func (f files) zip(t testing.TB, method uint16) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "data.zip")
	if err := os.WriteFile(p, f.zipBytes(t, method), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (f files) zipBytes(t testing.TB, method uint16) []byte {
	t.Helper()
	var names []string
	for name := range f {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return -strings.Compare(a, b) }) // not in order
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		zipAdd(t, w, &zip.FileHeader{Name: name, Method: method}, f[name])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipAdd(t testing.TB, w *zip.Writer, h *zip.FileHeader, data string) {
	t.Helper()
	e, err := w.CreateHeader(h)
	if err == nil {
		_, err = e.Write([]byte(data))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestZip: what is strange in a zip archive is passed over or refused.
func TestZip(t *testing.T) {
	a, b := pngOf(1), pngOf(2)
	made := func(add func(w *zip.Writer)) string {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		zipAdd(t, w, &zip.FileHeader{Name: "x/1.png", Method: zip.Deflate}, a)
		add(w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	add := func(h zip.FileHeader, data string) string {
		return made(func(w *zip.Writer) { zipAdd(t, w, &h, data) })
	}
	raw := func(h zip.FileHeader, data string) string {
		return made(func(w *zip.Writer) {
			e, err := w.CreateRaw(&h)
			if err == nil {
				_, err = e.Write([]byte(data))
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	whole := add(zip.FileHeader{Name: "y/2.png"}, b)
	// The last entry of the list begins where the first does: they share its bytes.
	overlap := []byte(whole)
	last := bytes.LastIndex(overlap, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(overlap[last+42:], 0)
	for _, c := range []struct {
		name, data string
		want       string // samples
		note, err  string
	}{
		{name: "plain", data: whole, want: "x/1.png=x y/2.png=y"},
		{name: "backslashes", data: made(func(w *zip.Writer) { zipAdd(t, w, &zip.FileHeader{Name: `y\2.png`}, b) }), want: "x/1.png=x y/2.png=y"},
		{name: "twice", data: add(zip.FileHeader{Name: "x/1.png"}, b), want: "x/1.png=x", note: "more than once"},
		{name: "out of it", data: add(zip.FileHeader{Name: "../2.png"}, b), want: "x/1.png=x", note: "leads out of the archive"},
		{name: "absolute", data: add(zip.FileHeader{Name: "/y/2.png"}, b), want: "x/1.png=x", note: "leads out of the archive"},
		{name: "zip inside", data: add(zip.FileHeader{Name: "y.zip"}, whole), want: "x/1.png=x", note: "not an image"},
		{name: "desktop files", data: add(zip.FileHeader{Name: "__MACOSX/x/._1.png"}, b), want: "x/1.png=x"},
		{name: "encrypted", data: raw(zip.FileHeader{Name: "y/2.png", Flags: 1, CompressedSize64: 3, UncompressedSize64: 3}, "abc"), err: "password"},
		{name: "method", data: raw(zip.FileHeader{Name: "y/2.png", Method: 14, CompressedSize64: 3, UncompressedSize64: 9}, "abc"), err: "method 14"},
		{name: "bomb", data: raw(zip.FileHeader{Name: "y/2.png", Method: zip.Deflate, CompressedSize64: 1 << 20, UncompressedSize64: 1 << 29}, strings.Repeat("a", 1<<20)), err: "no picture"},
		{name: "impossible", data: raw(zip.FileHeader{Name: "y/2.png", Method: zip.Deflate, CompressedSize64: 3, UncompressedSize64: 1 << 40}, "abc"), err: "damaged or hostile"},
		{name: "overlap", data: string(overlap), err: "share bytes"},
		{name: "cut", data: whole[:len(whole)-30], err: "damaged or cut off"},
		{name: "only a header", data: "PK\x03\x04rest", err: "damaged or cut off"},
		{name: "CIFAR", data: string(files{"cifar-10-batches-bin/test_batch.bin": string(make([]byte, 3073))}.zipBytes(t, zip.Deflate)), err: "unpack it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(write(t, "x.zip", c.data), Options{Format: ClassFolders})
			if c.name == "CIFAR" {
				d, err = Open(write(t, "x.zip", c.data), Options{})
			}
			if err != nil {
				if c.err == "" || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %q", err, c.err)
				}
				return
			}
			defer d.Close()
			if got := describe(d); c.err != "" || got != c.want || !strings.Contains(strings.Join(d.Notes, "\n"), c.note) {
				t.Errorf("%s (%v), want %s, %q, %q", got, d.Notes, c.want, c.note, c.err)
			}
			for i := range d.Samples {
				if _, err := d.Loader().Load(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestZipBytes: a picture whose bytes are damaged, or are more than were listed, is an error of its own.
func TestZipBytes(t *testing.T) {
	data := files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}.zipBytes(t, zip.Store)
	at := bytes.Index(data, []byte("IDAT"))
	data[at+6] ^= 1
	d, err := Open(write(t, "x.zip", string(data)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	// Entries are written in reverse: y/2.png comes first.
	if _, err := d.Loader().Load(1); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("damaged bytes: %v", err)
	}
	if _, err := d.Loader().Load(0); err != nil {
		t.Error(err)
	}
}

func FuzzZip(f *testing.F) {
	f.Add(files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}.zipBytes(f, zip.Store))
	f.Add(files{"x/1.png": pngOf(1), "val/y/2.png": pngOf(2)}.zipBytes(f, zip.Deflate))
	f.Fuzz(func(t *testing.T, data []byte) { openAndLoad(t, write(t, "f.zip", string(data))) })
}

// openAndLoad opens data that may be anything, and loads a few of its images.
func openAndLoad(t *testing.T, path string) {
	d, err := Open(path, Options{})
	if err != nil {
		return
	}
	defer d.Close()
	for i := range min(len(d.Samples), 20) {
		if s := d.Samples[i]; s.Label >= len(d.Classes) {
			t.Fatalf("label %d of %d classes", s.Label, len(d.Classes))
		}
		_, _ = d.Loader().Load(i)
	}
}
