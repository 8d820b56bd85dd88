package imageproc

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
)

// The pictures of testdata are made, and expected.json is computed, with Debian 12's python3-pil.
//go:generate sh -c "cd testdata && python3 make.py"

// expectedSet is testdata/expected.json; testdata/make.py says how it was made.
type expectedSet struct {
	RGB     map[string]string `json:"rgb"`
	Picture string            `json:"picture"`
	Resized map[string]string `json:"resized"`
}

func expected(t testing.TB) expectedSet {
	t.Helper()
	data, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var e expectedSet
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// picture is the synthetic picture of testdata/make.py.
func picture() Image { return drawn(61, 45) }

func TestDecodeOwnFiles(t *testing.T) {
	e := expected(t)
	var d Decoder
	for name, want := range e.RGB {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		img, _, err := d.Decode(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if img.W != 61 || img.H != 45 || sha(img.Pix) != want {
			t.Errorf("%s: pixels differ from Pillow's", name)
		}
	}
}

func TestResizeEqualsPillow(t *testing.T) {
	e := expected(t)
	src := picture()
	if sha(src.Pix) != e.Picture {
		t.Fatal("the synthetic picture differs from make.py's")
	}
	var r Resizer
	for key, want := range e.Resized {
		var f string
		var w, h int
		if _, err := fmt.Sscanf(key, "%s %dx%d", &f, &w, &h); err != nil {
			t.Fatal(err)
		}
		if got := r.Resize(src, w, h, Filter(f)); sha(got.Pix) != want {
			t.Errorf("%s: pixels differ from Pillow's", key)
		}
	}
}

// A window must hold the same values as the same part of the whole.
func TestWindowEqualsPartOfWhole(t *testing.T) {
	src := picture()
	for _, f := range Pillow.Filters() {
		for _, size := range [][2]int{{61, 45}, {30, 45}, {61, 20}, {33, 21}, {90, 70}} {
			w, h := size[0], size[1]
			var a, b Resizer
			whole := a.Resize(src, w, h, f)
			for _, win := range [][4]int{{0, 0, w, h}, {3, 2, 20, 15}, {w - 5, h - 4, 5, 4}, {0, 7, w, 6}} {
				got := b.Window(src, w, h, win[0], win[1], win[2], win[3], f)
				for y := range got.H {
					part := whole.Pix[((win[1]+y)*w+win[0])*3:][:got.W*3]
					if !slices.Equal(got.Pix[y*got.W*3:(y+1)*got.W*3], part) {
						t.Fatalf("%s %dx%d window %v: row %d differs", f, w, h, win, y)
					}
				}
			}
		}
	}
}

func TestGeometry(t *testing.T) {
	std := Standard()
	exact := std
	exact.Resize, exact.Fit = Size{100, 50}, Squash
	for _, c := range []struct {
		r    Recipe
		w, h int
		want Geometry
	}{
		{std, 500, 375, Geometry{341, 256, 58, 16, 224, 224}}, // 341.33 truncated; 58.5 to even
		{std, 375, 500, Geometry{256, 341, 16, 58, 224, 224}},
		{std, 256, 256, Geometry{256, 256, 16, 16, 224, 224}},
		{std, 1000, 3, Geometry{85333, 256, 42554, 16, 224, 224}},
		{exact, 10, 10, Geometry{50, 100, -87, -62, 224, 224}},
	} {
		if got := c.r.Geometry(c.w, c.h); got != c.want {
			t.Errorf("%v of %dx%d: %+v, want %+v", c.r.Resize, c.w, c.h, got, c.want)
		}
	}
}

// torchvision pads an image that is smaller than the crop with zeros.
func TestCropPads(t *testing.T) {
	r := Standard()
	r.Resize, r.Crop = Size{}, Size{5, 6}
	tr, err := NewTransform(r)
	if err != nil {
		t.Fatal(err)
	}
	src := New(3, 2)
	for i := range src.Pix {
		src.Pix[i] = 200
	}
	got, err := tr.Pixels(src)
	if err != nil {
		t.Fatal(err)
	}
	lit := 0
	for y := range 5 {
		for x := range 6 {
			inside := x >= 1 && x < 4 && y >= 1 && y < 3 // (6-3)/2 = 1, (5-2)/2 = 1
			v := got.Pix[(y*6+x)*3]
			if inside != (v == 200) {
				t.Errorf("(%d,%d) = %d", x, y, v)
			}
			if v != 0 {
				lit++
			}
		}
	}
	if lit != 6 {
		t.Errorf("%d lit pixels, want 6", lit)
	}
}

func TestApplyLayouts(t *testing.T) {
	src := Image{W: 2, H: 1, Pix: []byte{10, 20, 30, 40, 50, 60}}
	base := Recipe{Fit: Shorter, Interpolation: Bilinear, Range: 255, Mean: [3]float32{1, 2, 3}, Std: [3]float32{1, 1, 2}, Layout: NCHW}
	for _, c := range []struct {
		name string
		edit func(*Recipe)
		want []float32
	}{
		{"NCHW", func(*Recipe) {}, []float32{9, 39, 18, 48, 13.5, 28.5}},
		{"NHWC", func(r *Recipe) { r.Layout = NHWC }, []float32{9, 18, 13.5, 39, 48, 28.5}},
		{"BGR", func(r *Recipe) { r.BGR = true }, []float32{29, 59, 18, 48, 3.5, 18.5}},
		{"0..1", func(r *Recipe) { r.Range, r.Mean = 1, [3]float32{} },
			[]float32{float32(10) / 255, float32(40) / 255, float32(20) / 255, float32(50) / 255, float32(30) / 255 / 2, float32(60) / 255 / 2}},
	} {
		r := base
		c.edit(&r)
		tr, err := NewTransform(r)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 6)
		if err := tr.Apply(src, got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if err := tr.Apply(src, make([]float32, 7)); err == nil {
			t.Errorf("%s: no error for a tensor of another size", c.name)
		}
	}
}

func TestRecipeErrors(t *testing.T) {
	for _, edit := range []func(*Recipe){
		func(r *Recipe) { r.Range = 2 },
		func(r *Recipe) { r.Std[1] = 0 },
		func(r *Recipe) { r.Std[1] = float32(math.NaN()) },
		func(r *Recipe) { r.Mean[0] = float32(math.Inf(1)) },
		func(r *Recipe) { r.Interpolation = "cubic" },
		func(r *Recipe) { r.Crop = Size{224, 0} },
		func(r *Recipe) { r.Layout = "HWC" },
		func(r *Recipe) { r.Fit = "" },
	} {
		r := Standard()
		edit(&r)
		if _, err := NewTransform(r); err == nil {
			t.Errorf("no error for %+v", r)
		}
	}
	for _, s := range []string{"", "x", "-1", "3x", "0x4", "99999", "1e3"} {
		if _, err := ParseSize(s); err == nil {
			t.Errorf("size %q: no error", s)
		}
	}
}

func TestFingerprintSeesEveryField(t *testing.T) {
	seen := map[string]bool{Standard().Fingerprint(): true}
	for i, edit := range []func(*Recipe){
		func(r *Recipe) { r.Resize.H++ }, func(r *Recipe) { r.Fit = Squash }, func(r *Recipe) { r.Interpolation = Box },
		func(r *Recipe) { r.Crop.W++ }, func(r *Recipe) { r.Range = 255 }, func(r *Recipe) { r.Mean[2] = 0 },
		func(r *Recipe) { r.Std[0] = 1 }, func(r *Recipe) { r.BGR = true }, func(r *Recipe) { r.Layout = NHWC },
		func(r *Recipe) { r.Fit = Cover }, func(r *Recipe) { r.Fit = Contain }, func(r *Recipe) { r.Resizer = OpenCV },
		func(r *Recipe) { r.Resizer = TensorFlow }, func(r *Recipe) { r.Fill[1] = 1 }, func(r *Recipe) { r.Grey = true },
		func(r *Recipe) { r.Exif = true },
	} {
		r := Standard()
		edit(&r)
		if f := r.Fingerprint(); seen[f] {
			t.Errorf("edit %d does not change the fingerprint", i)
		} else {
			seen[f] = true
		}
	}
}

// FuzzDecode: whatever the bytes, an image of the stated size or an error.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, ".py") || strings.HasSuffix(name, ".json") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if w, h := claimedSize(data); w*h > 1<<22 {
			t.Skip("large pictures are slow, not interesting")
		}
		var d Decoder
		img, _, err := d.Decode(data)
		if err != nil {
			if strings.Contains(err.Error(), "decoder stopped") && Sniff(data) == JPEG {
				t.Fatal(err) // our own decoder must not panic
			}
			return
		}
		if img.W <= 0 || img.H <= 0 || len(img.Pix) != img.W*img.H*3 {
			t.Fatalf("%d x %d with %d bytes", img.W, img.H, len(img.Pix))
		}
		w := image.Rect(img.W/3, img.H/4, (2*img.W+2)/3, (3*img.H+3)/4)
		var part Decoder
		got, _, err := part.DecodeWindow(data, func(int, int) image.Rectangle { return w })
		if err != nil || !sameWithin(img, got, w) {
			t.Fatalf("window %v of %d x %d: other pixels (%v)", w, img.W, img.H, err)
		}
	})
}

// sameWithin says whether two pictures of one size agree in a rectangle.
func sameWithin(a, b Image, r image.Rectangle) bool {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		if from, to := (y*a.W+r.Min.X)*3, (y*a.W+r.Max.X)*3; !bytes.Equal(a.Pix[from:to], b.Pix[from:to]) {
			return false
		}
	}
	return true
}

// A window of a file has the pixels of the whole file there, whatever the buffers
// held before, and nothing is computed in vain: another part stays as it was.
func TestDecodeWindow(t *testing.T) {
	for name := range expected(t).RGB {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var d, part Decoder
		whole, format, err := d.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(7, 7))
		for range 300 {
			x, y := rng.IntN(whole.W), rng.IntN(whole.H)
			w := image.Rect(x, y, x+1+rng.IntN(whole.W-x), y+1+rng.IntN(whole.H-y))
			for i := range part.pix[:cap(part.pix)] {
				part.pix[:cap(part.pix)][i] = 77
			}
			got, _, err := part.DecodeWindow(data, func(pw, ph int) image.Rectangle {
				if pw != whole.W || ph != whole.H {
					t.Errorf("%s: window asked for %d x %d", name, pw, ph)
				}
				return w
			})
			if err != nil || got.W != whole.W || got.H != whole.H || !sameWithin(whole, got, w) {
				t.Fatalf("%s: window %v: %v", name, w, err)
			}
		}
		if format == JPEG {
			got, _, _ := part.DecodeWindow(data, func(int, int) image.Rectangle { return image.Rect(0, 0, 8, 8) })
			if sameWithin(whole, got, image.Rect(40, 40, whole.W, whole.H)) {
				t.Errorf("%s: the part that nobody wants was computed", name)
			}
		}
	}
}

// A file of a few bytes that claims a huge picture is an error, and costs no
// memory worth speaking of: neither sizes beyond the limit nor those below it.
func TestAbsurdSizes(t *testing.T) {
	png := func(w, h uint32) []byte {
		chunk := func(kind string, body []byte) []byte {
			c := append([]byte(kind), body...)
			out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
			return binary.BigEndian.AppendUint32(append(out, c...), crc32.ChecksumIEEE(c))
		}
		head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
		return slices.Concat([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, 8, 2, 0, 0, 0)), chunk("IDAT", []byte{0x78, 0x9c, 1}))
	}
	own := func(name string, at int, size ...byte) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		copy(data[at:], size)
		return data
	}
	jpeg := own("420.jpg", 0)
	frame := bytes.Index(jpeg, []byte{0xff, 0xc0})
	for name, data := range map[string][]byte{
		"png over the limit":   png(50000, 50000),
		"png under the limit":  png(13000, 13000),
		"png of 2^31":          png(1<<31, 1),
		"png of no size":       png(0, 5),
		"jpeg under the limit": own("420.jpg", frame+5, 0x32, 0xc8, 0x32, 0xc8),
		"jpeg over the limit":  own("420.jpg", frame+5, 0xff, 0xff, 0xff, 0xff),
		"bmp under the limit":  own("plain.bmp", 18, 0xc8, 0x32, 0, 0, 0xc8, 0x32, 0, 0),
		"bmp over the limit":   own("plain.bmp", 18, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f),
		"gif over the limit":   own("colours.gif", 6, 0xff, 0xff, 0xff, 0xff),
	} {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		var d Decoder
		_, _, err := d.Decode(data)
		goruntime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d MiB were allocated before %q", name, used>>20, err)
		}
	}
}

// claimedSize is the size that the header of a JPEG or PNG file claims.
func claimedSize(data []byte) (w, h int) {
	var d Decoder
	if Sniff(data) == JPEG {
		hd, err := d.jpeg.ReadHeader(data)
		if err != nil {
			return 0, 0
		}
		return hd.Width, hd.Height
	}
	if Sniff(data) == PNG && len(data) > 24 {
		return int(data[16])<<24 | int(data[17])<<16 | int(data[18])<<8 | int(data[19]), int(data[20])<<24 | int(data[21])<<16 | int(data[22])<<8 | int(data[23])
	}
	return 0, 0
}

func BenchmarkDecodeJPEG(b *testing.B) {
	data, err := os.ReadFile("testdata/420.jpg")
	if err != nil {
		b.Fatal(err)
	}
	var d Decoder
	b.SetBytes(61 * 45 * 3)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := d.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
