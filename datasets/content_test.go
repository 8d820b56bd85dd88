package datasets

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

// Files without an extension, or with an unknown one, are images where they begin like one.
func TestImagesByContent(t *testing.T) {
	const bmpHead = "BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x18\x00\x00\x00\x00\x00"
	in := files{
		"cat/3f9a0":          pngOf(1),
		"cat/3f9a1.download": pngOf(2),
		"cat/1.2":            "P6 1 1 255 abc",
		"dog/c41e0":          bmpHead,
		"dog/upper.JPG":      "whatever: its name says that it is an image",
		"dog/x.PPM":          "P6 1 1 255 abc",
		"dog/y.tiff":         "II*\x00",
		"dog/photo":          "\x00\x00\x00\x18ftypheic", // an image, which is refused by name when it is read
		"README":             "P5 lists the images",
		"dog/NOTES":          "BMW and other cars, in a text that is long enough to be looked at",
		"dog/Makefile":       "all:\n",
		"dog/empty":          "",
		"dog/picture.txt":    pngOf(3), // named as a text
		"labels.csv":         "image,label\n",
	}
	want := []string{"cat/1.2", "cat/3f9a0", "cat/3f9a1.download", "dog/c41e0", "dog/photo", "dog/upper.JPG", "dog/x.PPM", "dog/y.tiff"}
	for _, path := range []string{in.folder(t), in.tar(t)} {
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range d.Samples {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
		if notes := strings.Join(d.Notes, "\n"); !strings.Contains(notes, "6 files that are not images were passed over") {
			t.Errorf("notes: %s", notes)
		}
		d.Close()
	}
}

// Names without an extension in a list and in a label file.
func TestListedWithoutExtension(t *testing.T) {
	root := files{
		"images/3f9a0": pngOf(1), "images/3f9a1": pngOf(2), "images/c41e0": pngOf(3), "images/text": "no image",
		"list.txt": "3f9a0 0\n3f9a1 0\nc41e0 1\n", "labels.csv": "image,label\n3f9a0,0\n3f9a1,0\nc41e0,1\n",
		"words.txt": "these are\nsome words\n",
		"texts.txt": "text 0\n",
	}.folder(t)
	in := func(name string) string { return filepath.Join(root, name) }
	for name, open := range map[string]func() (*Dataset, error){
		"list":                  func() (*Dataset, error) { return Open(in("list.txt"), Options{Root: in("images")}) },
		"list, images found":    func() (*Dataset, error) { return Open(in("list.txt"), Options{}) },
		"folder and label file": func() (*Dataset, error) { return Open(in("images"), Options{Labels: in("labels.csv")}) },
	} {
		d, err := open()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(d.Samples) != 3 || d.Samples[2].Label != 1 || len(d.Classes) != 2 {
			t.Errorf("%s: %+v of %v", name, d.Samples, d.Classes)
		}
		if img, err := d.Loader().Load(2); err != nil || img.Pix[0] != 3 {
			t.Errorf("%s: %v", name, err)
		}
		d.Close()
	}
	for _, name := range []string{"words.txt", "texts.txt"} {
		if _, err := Open(in(name), Options{Root: in("images")}); err == nil || !strings.Contains(err.Error(), "do not begin with the paths of images") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(in("list.txt"), Options{Root: in("nowhere")}); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("no root: %v", err)
	}
}

// Eight images without extension, named in a table and in a list.
func TestCaseWithoutExtension(t *testing.T) {
	in := func(name string) string { return golden.Path(t, "cases", "files-without-extension", name) }
	for path, o := range map[string]Options{in("images"): {Labels: in("labels.csv")}, in("list.txt"): {Root: in("images")}} {
		d, err := Open(path, o)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if c, err := d.Check(t.Context(), 1, nil); err != nil || c.Good != 8 || !slices.Equal(c.PerClass, []int{4, 4}) {
			t.Errorf("%s: %+v (%v)", path, c, err)
		}
		d.Close()
	}
}

// Where names say enough, no file is opened while a folder is listed.
func TestListingOpensNoImages(t *testing.T) {
	root := files{"a/1.png": pngOf(1), "a/2.JPG": "x", "a/list.txt": "x"}.folder(t)
	opened := 0
	for _, p := range []string{"a/1.png", "a/2.JPG", "a/list.txt", "a/none"} {
		isImage(p, func(buf []byte) int {
			opened++
			return fileStart(filepath.Join(root, p))(buf)
		})
	}
	if opened != 1 {
		t.Errorf("%d files were opened, want the one without extension", opened)
	}
	if n := fileStart(filepath.Join(root, "missing"))(make([]byte, 4)); n != 0 {
		t.Errorf("%d bytes of a file that is not there", n)
	}
}
