package imageproc

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cutmix-eval/internal/long"
)

//go:generate sh -c "cd testdata && python3 resizers.py"

// referenceSet is testdata/resizers.json; testdata/resizers.py says how it was made.
type referenceSet struct {
	OpenCV     map[string]string `json:"opencv"`
	Grey       map[string]string `json:"grey"`
	TensorFlow map[string]string `json:"tensorflow"`
	Fill       map[string]string `json:"fill"`
	Recipes    map[string]struct {
		Size, At []int
		SHA256   string
		Sum      float64
		First    []float64
	} `json:"recipes"`
	KeepRatio []struct{ Image, Target, Cover, Contain []int }  `json:"keepRatio"`
	Letterbox []struct{ Image, Target, Box, TensorFlow []int } `json:"letterbox"`
}

func references(t testing.TB) referenceSet {
	t.Helper()
	data, err := os.ReadFile("testdata/resizers.json")
	if err != nil {
		t.Fatal(err)
	}
	var r referenceSet
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// scanned fills values from a key such as "area 61x45 20x14".
func scanned(t *testing.T, key, format string, values ...any) {
	t.Helper()
	if _, err := fmt.Sscanf(key, format, values...); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
}

func squash(w, h int, f Filter, b Backend) Recipe {
	return Recipe{
		Resize: Size{h, w}, Fit: Squash, Interpolation: f, Resizer: b,
		Range: 255, Std: [3]float32{1, 1, 1}, Layout: NHWC,
	}
}

func transform(t testing.TB, r Recipe) *Transform {
	t.Helper()
	tr, err := NewTransform(r)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func pixels(t testing.TB, r Recipe, img Image) Image {
	t.Helper()
	got, err := transform(t, r).Pixels(img)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestResizeEqualsOpenCV(t *testing.T) {
	cases := references(t).OpenCV
	if len(cases) < 100 {
		t.Fatalf("%d cases", len(cases))
	}
	for key, want := range cases {
		var f string
		var sw, sh, w, h int
		scanned(t, key, "%s %dx%d %dx%d", &f, &sw, &sh, &w, &h)
		if got := pixels(t, squash(w, h, Filter(f), OpenCV), drawn(sw, sh)); got.W != w || got.H != h || sha(got.Pix) != want {
			t.Errorf("%s: pixels differ from cv2's", key)
		}
	}
}

// TestResizeEqualsInstalledOpenCV compares random pictures and sizes with the cv2 of Debian's
// Python, with one channel and three.
func TestResizeEqualsInstalledOpenCV(t *testing.T) {
	const debian = "/usr/bin/python3"
	if err := exec.Command(debian, "-c", "import cv2").Run(); err != nil {
		if os.Getenv("CUTMIX_EVAL_NEED_OPENCV") != "" {
			t.Fatal("Python has no cv2 (Debian's python3-opencv)")
		}
		t.Skip("Python has no cv2 (Debian's python3-opencv)")
	}
	data, err := exec.Command(debian, "testdata/resizers.py", "live", "7", strconv.Itoa(long.Or(400, 30))).Output()
	if err != nil {
		t.Fatal(err)
	}
	read := bytes.NewReader(data)
	pictures := func(w, h, channels int) Image {
		img, raw := New(w, h), make([]byte, w*h*channels)
		if _, err := io.ReadFull(read, raw); err != nil {
			t.Fatal(err)
		}
		for i := range img.Pix {
			img.Pix[i] = raw[i*channels/3]
		}
		return img
	}
	var c openCV
	n := 0
	for ; read.Len() > 0; n++ {
		var head struct{ Filter, Channels, SW, SH, W, H int32 }
		if err := binary.Read(read, binary.LittleEndian, &head); err != nil {
			t.Fatal(err)
		}
		f := []Filter{Nearest, Bilinear, Bicubic, Area, Lanczos}[head.Filter]
		w, h, channels := int(head.W), int(head.H), int(head.Channels)
		src := pictures(int(head.SW), int(head.SH), channels)
		want := pictures(w, h, channels)
		got := c.window(src, w, h, 0, 0, w, h, f, channels == 1)
		if n, largest := differing(got, want); n > 0 {
			t.Errorf("%s of %d channels, %d x %d to %d x %d: %d values differ, by up to %d", f, channels, src.W, src.H, w, h, n, largest)
		}
	}
	t.Logf("%d pictures are equal", n)
}

// drawn is the synthetic picture of testdata/make.py at any size.
func drawn(w, h int) Image {
	img := New(w, h)
	for y := range h {
		for x := range w {
			for c := range 3 {
				v := (x*5 + y*3*(c+1)) % 256
				if (x/9+y/7)%3 == c {
					v = 255 - v
				}
				k := uint32(x*73856093^y*19349663^c*83492791) * 2654435761
				img.Pix[(y*w+x)*3+c] = byte(max(0, min(255, v+int(k>>24)%25-12)))
			}
		}
	}
	return img
}

// The kernels have positions up to 23 in float32, which are off by 2^-20, times steps between
// pixels of up to 255 and two axes; the reference sums in float64.
const tensorFlowTolerance = 2 * 255.0 / (1 << 20)

func TestResizeAgreesWithTensorFlow(t *testing.T) {
	for key, text := range references(t).TensorFlow {
		var f string
		var sw, sh, w, h int
		scanned(t, key, "%s %dx%d %dx%d", &f, &sw, &sh, &w, &h)
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		want, got := make([]float32, len(raw)/4), make([]float32, len(raw)/4)
		if _, err := binary.Decode(raw, binary.LittleEndian, want); err != nil {
			t.Fatal(err)
		}
		if err := transform(t, squash(w, h, Filter(f), TensorFlow)).Apply(drawn(sw, sh), got); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if d := math.Abs(float64(got[i] - want[i])); !(d <= tensorFlowTolerance) {
				t.Errorf("%s: value %d is %v, want %v", key, i, got[i], want[i])
				break
			}
		}
	}
}

func TestGreyEqualsPillowAndOpenCV(t *testing.T) {
	for key, want := range references(t).Grey {
		var b, f string
		var w, h int
		scanned(t, key, "%s %s %dx%d", &b, &f, &w, &h)
		backend, err := ParseBackend(b)
		if err != nil {
			t.Fatal(err)
		}
		r := squash(w, h, Filter(f), backend)
		r.Grey = true
		for _, layout := range []Layout{NCHW, NHWC} {
			r.Layout = layout
			tensor := make([]float32, w*h)
			if err := transform(t, r).Apply(picture(), tensor); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, w*h)
			for i, v := range tensor {
				got[i] = byte(v)
			}
			if sha(got) != want {
				t.Errorf("%s %s: pixels differ", key, layout)
			}
		}
		if err := transform(t, r).Apply(picture(), make([]float32, 3*w*h)); err == nil || !strings.Contains(err.Error(), "tensor of 1 x ") {
			t.Errorf("%s: a tensor of three channels: %v", key, err)
		}
	}
}

// TestGreyOfWindow: of a decoded window nothing outside is looked at, and the picture is not
// changed.
func TestGreyOfWindow(t *testing.T) {
	for _, b := range Backends() {
		r := Standard()
		r.Resizer, r.Grey, r.Resize, r.Crop = b, true, Size{30, 30}, Size{12, 14}
		r.Mean, r.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}
		tr := transform(t, r)
		src := picture()
		want := slices.Clone(pixels(t, r, src).Pix)
		spoil(src, tr.Window(src.W, src.H))
		kept := slices.Clone(src.Pix)
		got, err := tr.Pixels(src)
		if err != nil || !bytes.Equal(got.Pix, want) {
			t.Errorf("%s: other pixels, %v", b, err)
		}
		if !bytes.Equal(src.Pix, kept) {
			t.Errorf("%s: the picture was changed", b)
		}
	}
}

// spoil overwrites what is outside of a rectangle.
func spoil(img Image, r image.Rectangle) {
	for y := range img.H {
		for x := range img.W {
			if !image.Pt(x, y).In(r) {
				copy(img.Pix[3*(y*img.W+x):], []byte{1, 254, 1})
			}
		}
	}
}

// TestWindowOfBackends: a crop holds the values of the same part of the whole, from no more of
// the picture than Window says, and Window is no larger than it must be.
func TestWindowOfBackends(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, b := range []Backend{OpenCV, TensorFlow} {
		for _, f := range b.Filters() {
			for i := range 150 {
				src := New(1+rng.IntN(60), 1+rng.IntN(60))
				for k := range src.Pix {
					src.Pix[k] = byte(rng.IntN(256))
				}
				w, h := 1+rng.IntN(70), 1+rng.IntN(70)
				switch i % 5 {
				case 1:
					w, h = src.W, src.H
				case 2:
					w, h = max(1, src.W/2), max(1, src.H/2)
					src = New(2*w, 2*h)
				case 3:
					w, h = max(1, src.W/3), max(1, src.H/2)
					src = New(3*w, 2*h)
				}
				whole := squash(w, h, f, b)
				part := whole
				part.Crop = Size{1 + rng.IntN(h), 1 + rng.IntN(w)}
				all := make([]float32, 3*w*h)
				got := make([]float32, 3*part.Crop.H*part.Crop.W)
				if err := transform(t, whole).Apply(src, all); err != nil {
					t.Fatal(err)
				}
				tr := transform(t, part)
				window := tr.Window(src.W, src.H)
				if !window.In(image.Rect(0, 0, src.W, src.H)) {
					t.Fatalf("%s %s: window %v of %d x %d", b, f, window, src.W, src.H)
				}
				spoil(src, window)
				if err := tr.Apply(src, got); err != nil {
					t.Fatal(err)
				}
				g := part.Geometry(src.W, src.H)
				for y := range g.CropH {
					want := all[3*((g.Top+y)*w+g.Left):][:3*g.CropW]
					if !slices.Equal(got[3*y*g.CropW:3*(y+1)*g.CropW], want) {
						t.Fatalf("%s %s %d x %d to %+v: row %d differs", b, f, src.W, src.H, g, y)
					}
				}
			}
		}
	}
	r := mlperfResNet50()
	if got, all := transform(t, r).Window(2000, 1000), image.Rect(0, 0, 2000, 1000); got == all {
		t.Error("the window of a crop is the whole picture")
	}
}

// Transform.Resize is the recipe's resize without its geometry.
func TestTransformResize(t *testing.T) {
	for _, b := range Backends() {
		for _, f := range b.Filters() {
			for _, grey := range []bool{false, true} {
				r := squash(17, 29, f, b)
				r.Grey = grey
				want := slices.Clone(pixels(t, r, picture()).Pix)
				r.Resize, r.Crop = Size{8, 8}, Size{5, 5}
				if got := transform(t, r).Resize(picture(), 17, 29); got.W != 17 || got.H != 29 || !bytes.Equal(got.Pix, want) {
					t.Errorf("%s %s grey %v: other pixels", b, f, grey)
				}
			}
		}
	}
}

// A picture of one colour stays so, at any size and with any border.
func TestOneColourStays(t *testing.T) {
	for _, b := range Backends() {
		for _, f := range b.Filters() {
			for _, size := range [][2]int{{1, 1}, {2, 1}, {7, 5}, {40, 33}, {6, 3}, {3, 9}} {
				src := New(size[0], size[1])
				paint(src.Pix, [3]byte{200, 100, 7})
				r := squash(13, 9, f, b)
				r.Crop, r.Fill = Size{15, 10}, [3]byte{200, 100, 7}
				got := pixels(t, r, src)
				want := New(10, 15)
				paint(want.Pix, [3]byte{200, 100, 7})
				// cv2's linear drops bits of both weights, so that it may be one too dark.
				n, largest := differing(got, want)
				if n > 0 && !(b == OpenCV && largest <= 1) {
					t.Errorf("%s %s of %v: %d values differ, by up to %d", b, f, size, n, largest)
				}
			}
		}
	}
}

func TestFillEqualsTimm(t *testing.T) {
	for key, want := range references(t).Fill {
		var w, h, tw, th int
		scanned(t, key, "%dx%d %dx%d", &w, &h, &tw, &th)
		r := Standard()
		r.Resize, r.Crop, r.Fill = Size{}, Size{th, tw}, [3]byte{124, 116, 104}
		if got := pixels(t, r, drawn(w, h)); sha(got.Pix) != want {
			t.Errorf("%s: pixels differ from timm's", key)
		}
	}
}

// The border is normalised as the picture is, in the order of the channels.
func TestFillIsNormalised(t *testing.T) {
	for _, b := range Backends() {
		r := Recipe{
			Fit: Shorter, Interpolation: Bilinear, Resizer: b, Crop: Size{1, 3}, Fill: [3]uint8{10, 20, 30},
			Range: 255, Mean: [3]float32{1, 2, 3}, Std: [3]float32{1, 1, 1}, BGR: true, Layout: NHWC,
		}
		got := make([]float32, 9)
		if err := transform(t, r).Apply(Image{W: 1, H: 1, Pix: []byte{40, 50, 60}}, got); err != nil {
			t.Fatal(err)
		}
		if want := []float32{29, 18, 7, 59, 48, 37, 29, 18, 7}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", b, got, want)
		}
		r.BGR, r.Grey, r.Mean = false, true, [3]float32{1, 1, 1}
		got = make([]float32, 3)
		if err := transform(t, r).Apply(Image{W: 1, H: 1, Pix: []byte{40, 40, 40}}, got); err != nil {
			t.Fatal(err)
		}
		if want := []float32{17, 39, 17}; !slices.Equal(got, want) { // 0.299*10 + 0.587*20 + 0.114*30 = 18.15
			t.Errorf("%s: grey %v, want %v", b, got, want)
		}
	}
}

// TestKeepRatio: sizes are timm's, and with the other backends those of Ultralytics and of
// tf.image.resize_with_pad, with their borders.
func TestKeepRatio(t *testing.T) {
	refs := references(t)
	got := func(image, target []int, fit Fit, b Backend) []int {
		r := Recipe{Resize: Size{target[0], target[1]}, Fit: fit, Resizer: b, Crop: Size{target[0], target[1]}}
		g := r.Geometry(image[0], image[1])
		return []int{g.W, g.H, -g.Left, -g.Top}
	}
	for _, c := range refs.KeepRatio {
		for fit, want := range map[Fit][]int{Cover: c.Cover, Contain: c.Contain} {
			want = []int{max(1, want[0]), max(1, want[1])} // timm fails where a side is none
			if g := got(c.Image, c.Target, fit, Pillow); !slices.Equal(g[:2], want) {
				t.Errorf("%s of %v to %v: %v, want %v", fit, c.Image, c.Target, g, want)
			}
		}
	}
	for _, c := range refs.Letterbox {
		for b, want := range map[Backend][]int{OpenCV: c.Box, TensorFlow: c.TensorFlow} {
			if want[0] == 0 || want[1] == 0 {
				continue // these fail, likewise
			}
			if g := got(c.Image, c.Target, Contain, b); !slices.Equal(g, want) {
				t.Errorf("%s: %v to %v: %v, want %v", b, c.Image, c.Target, g, want)
			}
		}
	}
}

// TestNamedRecipesOfFrameworks compares whole tensors with those that the projects' own code
// makes of the decoded picture.
func TestNamedRecipesOfFrameworks(t *testing.T) {
	for key, want := range references(t).Recipes {
		var name string
		var w, h int
		scanned(t, key, "%s %dx%d", &name, &w, &h)
		r, err := NamedRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		if g := r.Geometry(w, h); want.Size != nil && (g.W != want.Size[0] || g.H != want.Size[1] || g.Left != want.At[0] || g.Top != want.At[1]) {
			t.Errorf("%s: %+v, want size %v and offset %v", key, g, want.Size, want.At)
		}
		r.Layout = NHWC
		got := make([]float32, 3*224*224)
		if err := transform(t, r).Apply(drawn(w, h), got); err != nil {
			t.Fatal(err)
		}
		raw, err := binary.Append(nil, binary.LittleEndian, got)
		if err != nil {
			t.Fatal(err)
		}
		if want.SHA256 != "" {
			if sha(raw) != want.SHA256 {
				t.Errorf("%s: the tensor differs", key)
			}
			continue
		}
		// These divide in another order: the last bit of a float32 may differ.
		sum := 0.0
		for i, v := range got {
			sum += float64(v)
			if i < len(want.First) && math.Abs(float64(v)-want.First[i]) > 1e-6 {
				t.Errorf("%s: value %d is %v, want %v", key, i, v, want.First[i])
			}
		}
		if math.Abs(sum-want.Sum) > 1e-6*float64(len(got)) {
			t.Errorf("%s: sum %v, want %v", key, sum, want.Sum)
		}
	}
}

func TestFiltersOfBackends(t *testing.T) {
	for _, c := range []struct {
		b    Backend
		f    Filter
		want string
	}{
		{Pillow, Area, `resizer pillow has no interpolation area, as opencv or tensorflow has; it has nearest, box, bilinear, hamming, bicubic, lanczos`},
		{OpenCV, Hamming, `resizer opencv has no interpolation hamming, as pillow has; it has nearest, bilinear, bicubic, area, lanczos`},
		{TensorFlow, Lanczos, `resizer tensorflow has no interpolation lanczos, as pillow or opencv has; it has nearest, bilinear, bicubic, area`},
		{OpenCV, Area, ""},
		{Pillow, Box, ""},
	} {
		r := Standard()
		r.Resizer, r.Interpolation = c.b, c.f
		if _, err := NewTransform(r); (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s %s: %v, want %q", c.b, c.f, err, c.want)
		}
	}
}

// TestNamedRecipes: all are valid, and no two are the same.
func TestNamedRecipes(t *testing.T) {
	seen := map[string]string{}
	for _, n := range RecipeNames() {
		r, err := NamedRecipe(n[0])
		if err == nil {
			err = r.Validate()
		}
		if err != nil {
			t.Errorf("%s: %v", n[0], err)
		}
		if other := seen[r.Fingerprint()]; other != "" {
			t.Errorf("%s is %s", n[0], other)
		}
		seen[r.Fingerprint()] = n[0]
	}
}

// FuzzResizers: no size and no filter stops a resizer.
func FuzzResizers(f *testing.F) {
	f.Add(uint8(1), uint8(0), uint16(1), uint16(1), uint16(3), uint16(900))
	f.Add(uint8(2), uint8(2), uint16(400), uint16(3), uint16(1), uint16(1))
	f.Fuzz(func(t *testing.T, backend, filter uint8, sw, sh, w, h uint16) {
		b := Backends()[int(backend)%3]
		fs := b.Filters()
		side := func(v uint16) int { return 1 + int(v)%1000 }
		if side(sw)*side(sh) > 1<<18 || side(w)*side(h) > 1<<18 {
			t.Skip("large pictures are slow, not interesting")
		}
		r := squash(side(w), side(h), fs[int(filter)%len(fs)], b)
		r.Grey = sw%2 == 0
		img := drawn(side(sw), side(sh))
		if !transform(t, r).Window(img.W, img.H).In(image.Rect(0, 0, img.W, img.H)) {
			t.Fatal("window outside of the picture")
		}
		if got := pixels(t, r, img); len(got.Pix) != 3*side(w)*side(h) {
			t.Fatalf("%d bytes", len(got.Pix))
		}
	})
}

// BenchmarkTransform prepares a photograph's size; allocations must be none.
func BenchmarkTransform(b *testing.B) {
	img := drawn(500, 375)
	pillow, tensorflow := Standard(), Standard()
	tensorflow.Resizer = TensorFlow
	grey := Standard()
	grey.Grey, grey.Mean, grey.Std = true, [3]float32{}, [3]float32{1, 1, 1}
	cubic := paddleClas()
	cubic.Interpolation = Bicubic
	for _, c := range []struct {
		name string
		r    Recipe
	}{
		{"pillow", pillow}, {"pillow grey", grey}, {"opencv bilinear", paddleClas()}, {"opencv bicubic", cubic}, {"opencv area", mlperfResNet50()},
		{"tensorflow bilinear", tensorflow},
	} {
		b.Run(c.name, func(b *testing.B) {
			t := transform(b, c.r)
			dst := make([]float32, c.r.Channels()*224*224)
			b.ReportAllocs()
			for b.Loop() {
				if err := t.Apply(img, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
