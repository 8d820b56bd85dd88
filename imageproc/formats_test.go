package imageproc

import (
	"archive/tar"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"errors"
	"image"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

//go:generate sh -c "cd testdata && python3 make_formats.py"

// formatFile is a file of testdata/formats.json and what Pillow makes of it;
// testdata/make_formats.py says how.
type formatFile struct {
	Name   string
	Data   []byte
	Size   [2]int // width, height
	RGB    string // SHA-256 of the pixels
	Turned string // likewise, after exif_transpose; empty where that changes nothing
	Error  string // Pillow's, where it reads nothing
}

func formatFiles(t testing.TB) []formatFile {
	t.Helper()
	data, err := os.ReadFile("testdata/formats.json")
	if err != nil {
		t.Fatal(err)
	}
	var files []formatFile
	if err := json.Unmarshal(data, &files); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		r, err := zlib.NewReader(bytes.NewReader(files[i].Data))
		if err != nil {
			t.Fatal(err)
		}
		if files[i].Data, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 700 {
		t.Fatalf("%d files are fewer than there must be", len(files))
	}
	return files
}

// refused says whether a file must be an error, whatever Pillow makes of it.
func (f *formatFile) refused() bool {
	return strings.Contains(f.Name, "!") || strings.Contains(f.Name, "cut")
}

// Every kind of BMP, PPM, TIFF and GIF gives Pillow's pixels or is refused.
func TestFormatsEqualPillow(t *testing.T) {
	var d Decoder
	for _, f := range formatFiles(t) {
		img, format, err := d.Decode(f.Data)
		switch {
		case f.refused():
			if err == nil {
				t.Errorf("%s: read, and must be refused", f.Name)
			} else if strings.Contains(err.Error(), "stopped") {
				t.Errorf("%s: %v", f.Name, err)
			}
		case f.Error != "": // what Pillow does not read may be read
		case err != nil:
			t.Errorf("%s: %v", f.Name, err)
		case img.W != f.Size[0] || img.H != f.Size[1] || sha(img.Pix) != f.RGB:
			t.Errorf("%s (%s): %d x %d, want %d x %d; pixels differ from Pillow's", f.Name, format, img.W, img.H, f.Size[0], f.Size[1])
		}
	}
}

// The orientation that EXIF gives is found, and applied as exif_transpose does.
func TestOrientationEqualsPillow(t *testing.T) {
	var d Decoder
	turned := 0
	for _, f := range formatFiles(t) {
		if f.refused() || f.Error != "" {
			continue
		}
		img, _, err := d.DecodeOriented(f.Data, nil)
		if err != nil {
			t.Fatal(f.Name, err)
		}
		want := f.RGB
		if f.Turned != "" {
			want = f.Turned
			turned++
		}
		if sha(img.Pix) != want {
			t.Errorf("%s: pixels differ from Pillow's", f.Name)
		}
		if o := OrientationOf(bytes.NewReader(f.Data)); o.turns() != (f.Turned != "") {
			t.Errorf("%s: orientation %d", f.Name, o)
		}
	}
	if turned < 21 {
		t.Errorf("%d files were turned, which are fewer than there must be", turned)
	}
}

// A window of a turned picture has the pixels of the whole one there.
func TestDecodeOrientedWindow(t *testing.T) {
	var whole, part Decoder
	rng := rand.New(rand.NewPCG(3, 4))
	for _, f := range formatFiles(t) {
		if f.Turned == "" {
			continue
		}
		img, _, err := whole.DecodeOriented(f.Data, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			x, y := rng.IntN(img.W), rng.IntN(img.H)
			w := image.Rect(x, y, x+1+rng.IntN(img.W-x), y+1+rng.IntN(img.H-y))
			got, _, err := part.DecodeOriented(f.Data, func(pw, ph int) image.Rectangle {
				if pw != img.W || ph != img.H {
					t.Errorf("%s: window asked for %d x %d, not %d x %d", f.Name, pw, ph, img.W, img.H)
				}
				return w
			})
			if err != nil || got.W != img.W || got.H != img.H || !sameWithin(img, got, w) {
				t.Fatalf("%s: window %v: other pixels (%v)", f.Name, w, err)
			}
		}
	}
}

// GTSRB's originals are binary PPM files, which end with the pixels as they are.
func TestRealPPM(t *testing.T) {
	f, err := os.Open(golden.Path(t, "data", "real", "gtsrb-test860.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var d Decoder
	n := 0
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(h.Name) != ".ppm" {
			continue
		}
		n++
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		img, format, err := d.Decode(data)
		if err != nil || format != Netpbm {
			t.Fatalf("%s: %s, %v", h.Name, format, err)
		}
		if head := len(data) - len(img.Pix); head > 64 || !bytes.HasSuffix(data, img.Pix) {
			t.Errorf("%s: other pixels", h.Name)
		}
	}
	if n != 5 {
		t.Errorf("%d PPM files, want 5", n)
	}
}

// What the first frame does not cover has colour 0, as in Pillow 9.4.
func TestSmallFirstFrame(t *testing.T) {
	data, err := os.ReadFile(golden.Path(t, "cases", "gif-small-first-frame", "offset.gif"))
	if err != nil {
		t.Fatal(err)
	}
	var d Decoder
	img, _, err := d.Decode(data)
	if err != nil || img.W != 24 || img.H != 24 {
		t.Fatalf("%d x %d, want 24 x 24 (%v)", img.W, img.H, err)
	}
	if got := [3]byte(img.Pix); got != [3]byte{28, 50, 47} {
		t.Errorf("the corner is %v, want 28, 50, 47", got)
	}
}

// Formats that are not read are named, with the command that converts them.
func TestRefusedFormats(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want []string
	}{
		"AVIF":      {"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", []string{"AVIF", "convert it to PNG", "avifdec"}},
		"HEIC":      {"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", []string{"HEIC", "convert it to PNG", "heif-convert"}},
		"JPEG 2000": {"\x00\x00\x00\x0cjP  \r\n\x87\n", []string{"JPEG 2000", "convert it to PNG", "opj_decompress"}},
		"JPEG XL":   {"\xff\x0a\x00\x00", []string{"JPEG XL", "convert it to PNG", "djxl"}},
		"PAM":       {"P7\nWIDTH 1", []string{"PAM", "convert it to PNG"}},
		"PFM":       {"PF\n1 1\n-1.0\n", []string{"PFM", "convert it to PNG"}},
		"text":      {"P9 is no picture", []string{"not an image in a known format"}},
	} {
		var d Decoder
		_, _, err := d.Decode([]byte(c.data))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, err, w)
			}
		}
	}
}

// Sizes beyond the limit, and below it but beyond the file, are errors that cost no memory.
func TestAbsurdFormatSizes(t *testing.T) {
	le := binary.LittleEndian
	edit := func(data []byte, at int, v uint32) []byte {
		out := bytes.Clone(data)
		le.PutUint32(out[at:], v)
		return out
	}
	files := map[string][]byte{}
	for _, f := range formatFiles(t) {
		files[f.Name] = f.Data
	}
	// The size is the first tag of a TIFF file, both as numbers of 32 bits here.
	tags := func(name string, w, h uint16) []byte {
		out := bytes.Clone(files[name])
		le.PutUint32(out[10+8:], uint32(w))
		le.PutUint16(out[10+12+8:], h)
		return out
	}
	for name, data := range map[string][]byte{
		"PPM over the limit":           []byte("P6 50000 50000 255 abc"),
		"PPM under the limit":          []byte("P6 13000 13000 255 abc"),
		"plain PPM under the limit":    []byte("P3 13000 13000 255 1 2 3"),
		"PBM of 2^32":                  []byte("P4 4294967295 4294967295 abc"),
		"BMP over the limit":           edit(edit(files["24.bmp"], 18, 1<<30), 22, 1<<30),
		"BMP under the limit":          edit(edit(files["24.bmp"], 18, 13000), 22, 13000),
		"run lengths under the limit":  edit(edit(files["rle8.bmp"], 18, 13000), 22, 13000),
		"TIFF over the limit":          tags("rgb.tif", 65535, 65535),
		"TIFF under the limit":         tags("rgb.tif", 13000, 13000),
		"deflated TIFF under":          tags("rgb-deflate.tif", 13000, 13000),
		"TIFF of tiles, under":         tags("rgb-tiles.tif", 13000, 13000),
		"CCITT TIFF under the limit":   tags("pillow-one-group4.tif", 60000, 2900),
		"GIF frame beyond the data":    append([]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\xc8\x32\xc8\x32\x00\x02\x02D\x01\x00;"), 0),
		"GIF frame beyond the limit":   []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00,\xff\xff\xff\xff\xff\xff\xff\xff\x00\x02\x02D\x01\x00;"),
		"GIF screen beyond the limits": []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"),
	} {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		var d Decoder
		_, _, err := d.Decode(data)
		goruntime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "stopped") {
			t.Errorf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d MiB were allocated before %q", name, used>>20, err)
		}
	}
}

// A file that ends early is an error, at whatever byte, or has lost nothing that counts.
func TestTruncatedFormats(t *testing.T) {
	var d Decoder
	for _, f := range formatFiles(t) {
		if f.Error != "" || f.refused() || len(f.Data) > 3000 {
			continue
		}
		for n := 0; n < len(f.Data); n += 1 + len(f.Data)/60 {
			img, _, err := d.Decode(f.Data[:n])
			if err != nil && strings.Contains(err.Error(), "stopped") {
				t.Errorf("%s: %d of %d bytes: %v", f.Name, n, len(f.Data), err)
			}
			// A number of text that loses its last digit is still one.
			lastNumber := f.Name[0] == 'p' && f.Name[1] <= '3' && n > len(f.Data)-6
			if err == nil && sha(img.Pix) != f.RGB && !lastNumber {
				t.Errorf("%s: %d of %d bytes give other pixels", f.Name, n, len(f.Data))
			}
		}
	}
	_, _, err := d.Decode([]byte("P6 2 2 255 abcabcabcab"))
	if !errors.Is(err, ErrTruncated) {
		t.Errorf("a PPM file that is cut off: %v", err)
	}
}

// FuzzFormats: whatever the bytes, an image of the stated size or an error.
func FuzzFormats(f *testing.F) {
	for _, file := range formatFiles(f) {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Decoder
		img, format, err := d.Decode(data)
		if err != nil {
			if strings.Contains(err.Error(), "decoder stopped") && format != WebP {
				t.Fatal(err) // these decoders are our own
			}
			return
		}
		if img.W <= 0 || img.H <= 0 || len(img.Pix) != img.W*img.H*3 {
			t.Fatalf("%d x %d with %d bytes", img.W, img.H, len(img.Pix))
		}
		w, h := OrientationOf(bytes.NewReader(data)).Size(img.W, img.H)
		if img, _, err = d.DecodeOriented(data, nil); err != nil || img.W != w || img.H != h {
			t.Fatalf("turned: %d x %d, want %d x %d (%v)", img.W, img.H, w, h, err)
		}
	})
}
