package imageproc

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"image"
	"image/png"
	"math"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

type goldenImage struct {
	Size   [2]int `json:"size"`
	SHA256 string `json:"sha256"`
	PNG    string `json:"png"`
	Resize [2]int `json:"resized_size"`
	Crop   [2]int `json:"crop_left_top"`
	Tensor *struct {
		Sum    float64   `json:"sum"`
		Min    float32   `json:"min"`
		Max    float32   `json:"max"`
		First  []float32 `json:"first8"`
		SHA256 string    `json:"sha256_float32_le"`
	} `json:"tensor"`
}

type goldenFile struct {
	RGB     goldenImage            `json:"rgb"`
	Recipes map[string]goldenImage `json:"recipes"`
	Error   *struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"pillow_error"`
}

type goldenSet struct {
	Files map[string]goldenFile `json:"files"`
	Bad   map[string]goldenFile `json:"bad_files"`
}

func loadGolden(t *testing.T) goldenSet {
	var g goldenSet
	golden.JSON(t, &g, "golden", "preprocess", "expected.json")
	// Damaged files that Pillow reads all the same are readable files.
	for name, f := range g.Bad {
		if f.Error == nil {
			g.Files[name] = f
			delete(g.Bad, name)
		}
	}
	if len(g.Files) < 48 || len(g.Bad) < 10 {
		t.Fatalf("%d files and %d bad files are fewer than there must be", len(g.Files), len(g.Bad))
	}
	return g
}

func sha(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// readPNG reads an expected picture (plain 8-bit RGB).
func readPNG(t *testing.T, rel string) Image {
	t.Helper()
	data, err := os.ReadFile(golden.Path(t, "golden", "preprocess", rel))
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var d Decoder
	switch m.(type) {
	case *image.RGBA, *image.NRGBA:
	default:
		t.Fatalf("%s: %T", rel, m)
	}
	return d.fromGo(m)
}

func differing(a, b Image) (n, largest int) {
	for i, v := range a.Pix {
		if d := int(v) - int(b.Pix[i]); d != 0 {
			n++
			largest = max(largest, d, -d)
		}
	}
	return n, largest
}

// TestDecodeEqualsPillow asks for every value of every file that Pillow reads,
// damaged scan data and checksums included.
func TestDecodeEqualsPillow(t *testing.T) {
	g := loadGolden(t)
	total, exact := 0, 0
	var dec Decoder
	for name, f := range g.Files {
		data, err := os.ReadFile(golden.Path(t, "golden", "preprocess", "images", name))
		if err != nil {
			t.Fatal(err)
		}
		img, format, err := dec.Decode(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := readPNG(t, f.RGB.PNG)
		if img.W != want.W || img.H != want.H {
			t.Errorf("%s: %s of %d x %d, want %d x %d", name, format, img.W, img.H, want.W, want.H)
			continue
		}
		n, largest := differing(img, want)
		total += len(img.Pix)
		exact += len(img.Pix) - n
		if sha(img.Pix) != f.RGB.SHA256 {
			t.Errorf("%s: %s: %d of %d values differ, by up to %d", name, format, n, len(img.Pix), largest)
		}
	}
	t.Logf("%d of %d values equal Pillow's (%.4f %%)", exact, total, 100*float64(exact)/float64(total))
}

func TestBadFilesAreErrors(t *testing.T) {
	g := loadGolden(t)
	var dec Decoder
	for name, f := range g.Bad {
		data, err := os.ReadFile(golden.Path(t, "golden", "preprocess", "images", name))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = dec.Decode(data)
		t.Logf("%-28s %-24s %v", name, f.Error.Type, err)
		if err == nil {
			t.Errorf("%s: no error; Pillow says %s: %s", name, f.Error.Type, f.Error.Message)
		}
		if strings.Contains(f.Error.Message, "truncated") && strings.HasSuffix(name, ".jpg") && !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v, want a truncated file", name, err)
		}
	}
}

var goldenRecipes = map[string]Recipe{
	"r256b_c224": Standard(),
	"r256c_c224": recipe(Size{256, 256}, Shorter, Bicubic, Size{224, 224}),
	"r235c_c224": recipe(Size{235, 235}, Shorter, Bicubic, Size{224, 224}),
	"squash224":  recipe(Size{224, 224}, Squash, Bilinear, Size{}),
	"squash64b":  recipe(Size{64, 64}, Squash, Bilinear, Size{}),
	"r32l":       recipe(Size{32, 32}, Squash, Lanczos, Size{}),
	"box64":      recipe(Size{64, 64}, Squash, Box, Size{}),
}

func recipe(size Size, fit Fit, f Filter, crop Size) Recipe {
	r := Standard()
	r.Resize, r.Fit, r.Interpolation, r.Crop = size, fit, f, crop
	return r
}

// TestRecipesEqualTorchvision starts from the expected RGB, so that it judges
// resize, crop and normalisation alone: no value may differ.
func TestRecipesEqualTorchvision(t *testing.T) {
	g := loadGolden(t)
	pictures, tensors := 0, 0
	for name, f := range g.Files {
		src := readPNG(t, f.RGB.PNG)
		for rn, want := range f.Recipes {
			r, ok := goldenRecipes[rn]
			if !ok {
				t.Fatalf("recipe %s is not known to this test", rn)
			}
			tr, err := NewTransform(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tr.Pixels(Image{W: src.W, H: src.H, Pix: slices.Clone(src.Pix)})
			if err != nil {
				t.Fatalf("%s %s: %v", name, rn, err)
			}
			pictures++
			if sha(got.Pix) != want.SHA256 {
				n, largest := differing(got, readPNG(t, want.PNG))
				t.Errorf("%s %s: %d of %d values differ, by up to %d", name, rn, n, len(got.Pix), largest)
			}
			geo := r.Geometry(src.W, src.H)
			if want.Resize != [2]int{} && want.Resize != [2]int{geo.W, geo.H} {
				t.Errorf("%s %s: resized to %d x %d, want %v", name, rn, geo.W, geo.H, want.Resize)
			}
			if want.Tensor == nil {
				continue
			}
			tensors++
			dst := make([]float32, 3*got.W*got.H)
			if err := tr.Apply(src, dst); err != nil {
				t.Fatal(err)
			}
			raw, err := binary.Append(nil, binary.LittleEndian, dst)
			if err != nil {
				t.Fatal(err)
			}
			if sha(raw) != want.Tensor.SHA256 || !slices.Equal(dst[:len(want.Tensor.First)], want.Tensor.First) {
				t.Errorf("%s %s: tensor differs (sum %v, want %v)", name, rn, exactSum(dst), want.Tensor.Sum)
			}
		}
	}
	t.Logf("%d pictures and %d tensors are equal", pictures, tensors)
}

func exactSum(v []float32) float64 {
	sum := new(big.Float).SetPrec(200)
	for _, x := range v {
		sum.Add(sum, big.NewFloat(float64(x)))
	}
	f, _ := sum.Float64()
	return f
}

// TestWholePipeline goes from the file to the cropped picture: every value
// must equal torchvision's.
func TestWholePipeline(t *testing.T) {
	g := loadGolden(t)
	var dec Decoder
	for rn, r := range goldenRecipes {
		tr, err := NewTransform(r)
		if err != nil {
			t.Fatal(err)
		}
		files, same, values, exact, worst := 0, 0, 0, 0, 0
		for name, f := range g.Files {
			want, ok := f.Recipes[rn]
			if !ok {
				continue
			}
			data, err := os.ReadFile(golden.Path(t, "golden", "preprocess", "images", name))
			if err != nil {
				t.Fatal(err)
			}
			img, _, err := dec.DecodeWindow(data, tr.Window)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := tr.Pixels(img)
			if err != nil {
				t.Fatal(err)
			}
			n, largest := 0, 0
			if sha(got.Pix) != want.SHA256 {
				n, largest = differing(got, readPNG(t, want.PNG))
				t.Errorf("%s %s: %d values differ by up to %d", name, rn, n, largest)
			} else {
				same++
			}
			files++
			values += len(got.Pix)
			exact += len(got.Pix) - n
			worst = max(worst, largest)
		}
		t.Logf("%-11s %d of %d files equal, %.4f %% of values, largest difference %d", rn, same, files, 100*float64(exact)/float64(values), worst)
	}
}

func TestNoNaNInTables(t *testing.T) {
	for rn, r := range goldenRecipes {
		tr, err := NewTransform(r)
		if err != nil {
			t.Fatal(err)
		}
		for c := range tr.lut {
			for _, v := range tr.lut[c] {
				if math.IsNaN(float64(v)) {
					t.Fatalf("%s: NaN", rn)
				}
			}
		}
	}
}
