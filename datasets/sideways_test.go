package datasets

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"testing"

	"cutmix-eval/imageproc"
)

// withOrientation puts an eXIf chunk into a PNG file, behind its header: one tag, the orientation.
func withOrientation(file string, o byte) string {
	body := []byte("eXIfII*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00" + string([]byte{o, 0, 0, 0}) + "\x00\x00\x00\x00")
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	chunk = binary.BigEndian.AppendUint32(append(chunk, body...), crc32.ChecksumIEEE(body))
	const head = 8 + 25 // signature, IHDR
	return file[:head] + string(chunk) + file[head:]
}

// wide is a picture of three pixels side by side, as PNG.
func wide() string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 1))); err != nil {
		panic(err)
	}
	return b.String()
}

func TestSideways(t *testing.T) {
	in := files{
		"a/1.png": pngOf(1), "a/2.png": withOrientation(pngOf(2), 6), "a/3": withOrientation(pngOf(3), 3),
		"b/4.png": withOrientation(pngOf(4), 1), "b/5.png": "no picture", "b/6.png": withOrientation(pngOf(6), 8),
	}
	for _, path := range []string{in.folder(t), in.tar(t)} {
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		joined, err := Join("joined", "twice", []*Dataset{d, d}, []string{"x", "y"})
		if err != nil {
			t.Fatal(err)
		}
		variants := d.Derive("made", "for a test", []string{"x", "y", "z"}, nil)
		for name, c := range map[string]struct {
			d    *Dataset
			of   []int
			want int
		}{
			"all": {d, nil, 3}, "some": {d, []int{0, 2, 3}, 1}, "none": {d, []int{}, 0},
			"joined": {joined, nil, 6}, "derived": {variants, nil, 3},
			"some derived": {variants, []int{3, 4, 5, 9}, 1},
		} {
			if got := c.d.Sideways(c.of); got != c.want {
				t.Errorf("%s: %d, want %d", name, got, c.want)
			}
		}
		c, err := d.Check(t.Context(), 2, nil)
		if err != nil || c.Sideways != 3 {
			t.Errorf("a check counts %d, want 3 (%v)", c.Sideways, err)
		}
		turning, err := Open(path, Options{Exif: true})
		if err != nil {
			t.Fatal(err)
		}
		defer turning.Close()
		if n := turning.Oriented(nil); n != 3 {
			t.Errorf("%d pictures were turned, want 3", n)
		}
		if n := turning.Sideways(nil); n != 0 {
			t.Errorf("%d pictures are left as they are where orientation is applied", n)
		}
	}
	scenes, err := Open("scenes", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := scenes.Sideways(nil); n != 0 {
		t.Errorf("%d scenes are not upright", n)
	}
}

// Loaders turn pictures where they are asked to, for whatever is computed from them too.
func TestExifOption(t *testing.T) {
	path := files{"a/1.png": withOrientation(wide(), 6)}.folder(t)
	for _, exif := range []bool{false, true} {
		d, err := Open(path, Options{Exif: exif})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		derived := d.Derive("same", "for a test", []string{"same"}, func(clean func(int) (imageproc.Image, error)) Maker {
			return func(i, _ int) (imageproc.Image, error) { return clean(i) }
		})
		for _, d := range []*Dataset{d, derived} {
			img, err := d.Loader().Load(0)
			if err != nil {
				t.Fatal(err)
			}
			want := [2]int{3, 1}
			if exif {
				want = [2]int{1, 3}
			}
			if got := [2]int{img.W, img.H}; got != want {
				t.Errorf("exif %v: %v, want %v", exif, got, want)
			}
		}
	}
}
