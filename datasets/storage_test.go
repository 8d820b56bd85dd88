package datasets

import (
	"archive/zip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
)

// TestStorage: what fails in the storage is told from what is wrong with an image, in data of every
// kind; and the same data are read again when the storage is back.
func TestStorage(t *testing.T) {
	images := files{"a/1.png": pngOf(1), "a/2.png": pngOf(2), "b/3.png": pngOf(3)}
	shards := files{"1.png": pngOf(1), "1.cls": "0", "2.png": pngOf(2), "2.cls": "1"}
	cifar := strings.Repeat("\x03"+strings.Repeat("x", 3072), 10000)
	array := "\x93NUMPY\x01\x00\x76\x00" + pad("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4, 4, 3), }", 118) + strings.Repeat("y", 96)
	for _, c := range []struct {
		name string
		path string // of the data
		file string // in it, that holds the last image; empty: the data's own
	}{
		{name: "folder", path: images.folder(t), file: "b/3.png"},
		{name: "tar", path: images.tar(t)},
		{name: "stored zip", path: images.zip(t, zip.Store)},
		{name: "deflated zip", path: images.zip(t, zip.Deflate)},
		{name: "webdataset", path: shards.tar(t)},
		{name: "Parquet", path: write(t, "x.parquet", parquetBytes(t, []hfRow{hf("b/1.png", 1, 1), hf("a/2.png", 2, 0)}))},
		{name: "CIFAR", path: write(t, "test_batch.bin", cifar)},
		{name: "numpy", path: write(t, "images.npy", array)},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(c.path, filepath.FromSlash(c.file))
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			open := func() *Dataset {
				d, err := Open(c.path, Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { d.Close() })
				return d
			}
			d := open()
			last := len(d.Samples) - 1
			sum := func() uint32 {
				t.Helper()
				l := d.Loader()
				if _, err := l.Load(last); err != nil {
					t.Fatal(err)
				}
				return l.Sum()
			}
			before := sum()
			if d.Changed(last).IsZero() {
				t.Error("nothing says when it was changed")
			}
			d = open() // the pages of a Parquet file that were read are kept
			if err := os.Truncate(file, 20); err != nil {
				t.Fatal(err)
			}
			var storage *StorageError
			if _, err := d.Loader().Load(last); !errors.As(err, &storage) || !strings.Contains(err.Error(), "when the data was opened") {
				t.Errorf("cut off: %v", err)
			}
			if err := os.WriteFile(file, whole, 0o600); err != nil { // in the same place: open files see it
				t.Fatal(err)
			}
			if after := sum(); after != before || before == 0 {
				t.Errorf("checksum %x, and %x after the storage was back", before, after)
			}
		})
	}
}

// pad ends a header of numpy's with a line.
func pad(s string, n int) string { return s + strings.Repeat(" ", n-1-len(s)) + "\n" }

// TestGone: a file that is gone is not a bad image, and one with the wrong contents is.
func TestGone(t *testing.T) {
	root := files{"a/1.png": pngOf(1), "a/2.png": pngOf(2)[:40], "b/3.png": pngOf(3)}.folder(t)
	d, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	gone := filepath.Join(root, "b", "3.png")
	if err := os.Rename(gone, gone+".away"); err != nil {
		t.Fatal(err)
	}
	var storage *StorageError
	if _, err := d.Loader().Load(2); !errors.As(err, &storage) || storage.Path != gone || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("gone: %v", err)
	}
	if _, err := d.Loader().Load(1); err == nil || errors.As(err, &storage) {
		t.Errorf("torn: %v", err)
	}
	l := d.Loader()
	if _, err := l.Load(0); err != nil || l.Sum() == 0 {
		t.Errorf("%v, checksum %x", err, l.Sum())
	}
	if _, err := l.Load(2); err == nil || l.Sum() != 0 {
		t.Errorf("%v, checksum %x of what could not be read", err, l.Sum())
	}
	if err := os.Rename(gone+".away", gone); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Loader().Load(2); err != nil {
		t.Errorf("back: %v", err)
	}
}

// TestDerivedSum: the checksum of a derived image is that of the image that it is made of, whichever
// other it needs.
func TestDerivedSum(t *testing.T) {
	d, err := Open(files{"a/1.png": pngOf(1), "a/2.png": pngOf(2)}.folder(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l := d.Loader()
	var want [2]uint32
	for i := range want {
		if _, err := l.Load(i); err != nil {
			t.Fatal(err)
		}
		want[i] = l.Sum()
	}
	mixed := d.Derive("mixed", "", []string{"v"}, func(load func(int) (imageproc.Image, error)) Maker {
		return func(i, _ int) (imageproc.Image, error) {
			im, err := load(i)
			if err == nil {
				_, err = load(1 - i)
			}
			return im, err
		}
	})
	l = mixed.Loader()
	for i := range want {
		if _, err := l.Load(i); err != nil {
			t.Fatal(err)
		}
		stored, err := mixed.Loader().Stored(i)
		if l.Sum() != want[i] || stored != want[i] || err != nil {
			t.Errorf("image %d: checksum %x loaded, %x stored, not %x (%v)", i, l.Sum(), stored, want[i], err)
		}
		if mixed.Changed(i).IsZero() {
			t.Error("nothing says when it was changed")
		}
	}
}
