package evaluation_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
)

// turned is a PNG file of the grey values 1, 2, 3 side by side, whose EXIF data say that it lies on
// its side: 6 is to be turned clockwise, 8 the other way.
func turned(t *testing.T, orientation byte) []byte {
	m := image.NewGray(image.Rect(0, 0, 3, 1))
	copy(m.Pix, []byte{1, 2, 3})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	body := []byte("eXIfII*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00" + string([]byte{orientation, 0, 0, 0}) + "\x00\x00\x00\x00")
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	chunk = binary.BigEndian.AppendUint32(append(chunk, body...), crc32.ChecksumIEEE(body))
	const head = 8 + 25 // signature, IHDR
	return slices.Concat(b.Bytes()[:head], chunk, b.Bytes()[head:])
}

// The orientation that EXIF gives is applied where the recipe says so; otherwise the report says
// how many pictures have one.
func TestExif(t *testing.T) {
	dir := t.TempDir()
	for name, o := range map[string]byte{"a/1.png": 1, "a/6.png": 6, "b/8.png": 8} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, turned(t, o), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, exif := range []bool{false, true} {
		r, err := imageproc.NamedRecipe("raw")
		if err != nil {
			t.Fatal(err)
		}
		r.Exif, r.Range, r.Crop = exif, 255, imageproc.Size{H: 3, W: 3}
		c := evaltest.Pixels(t, r, 2, func([]float32) []float32 { return []float32{0, 0} })
		im, err := c.Images(evaluation.DataConfig{Path: dir, Format: datasets.Auto})
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		fill, err := im.Filler()
		if err != nil {
			t.Fatal(err)
		}
		row, down, up := []float32{0, 0, 0, 1, 2, 3, 0, 0, 0}, []float32{0, 1, 0, 0, 2, 0, 0, 3, 0}, []float32{0, 3, 0, 0, 2, 0, 0, 1, 0}
		want := [][]float32{row, row, row}
		if exif {
			want = [][]float32{row, down, up}
		}
		got := make([]float32, 27)
		for i, w := range want {
			if _, err := fill(i, got); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got[:9], w) {
				t.Errorf("exif %v, image %s: %v, want %v", exif, im.ID(i), got[:9], w)
			}
		}
		var h report.Head
		im.Describe(&h)
		notes := strings.Join(h.Dataset.Notes, "\n")
		if said := strings.Contains(notes, "2 of the pictures have an EXIF orientation other than upright"); said == exif {
			t.Errorf("exif %v: notes %q", exif, notes)
		}
	}
}
