package evaluation

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/pipeline"
	"cutmix-eval/runtime/ortest"
)

// pictures writes n images of this size, grey ones where grey is set.
func pictures(t *testing.T, n, w, h int, grey bool) (dir string, all []*image.NRGBA) {
	t.Helper()
	dir = t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		m := image.NewNRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				c := color.NRGBA{byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256)), 255}
				if grey {
					c.G, c.B = c.R, c.R
				}
				m.SetNRGBA(x, y, c)
			}
		}
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, m); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return dir, all
}

// Every way to give an image in gives the sums that the models of testdata are made of
// (make_inputs.py), computed here from the pixels.
func TestInputs(t *testing.T) {
	ortest.Load(t)
	files, err := filepath.Glob("../model/testdata/inputs/*.onnx")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d models, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".onnx")
		if strings.HasPrefix(name, "refused-") || strings.HasPrefix(name, "open-") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c, err := OpenClassifier(ModelConfig{Model: file}, DefaultRunning())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			m, r := c.Model, c.Recipe
			dir, all := pictures(t, 5, m.W, m.H, m.Channels == 1)
			d := DefaultDataConfig()
			d.Path, d.Unlabelled = dir, true
			im, err := c.Images(d)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			e, err := c.Engine(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if m.NoBatch != (e.Fixed() == 1) && name != "batch1-vector-out" {
				t.Errorf("fixed at %d", e.Fixed())
			}
			n := 0
			_, err = pipeline.Run(context.Background(), c.Pipeline(e, im, nil, nil), func(res pipeline.Result) error {
				n++
				if res.Err != nil {
					return res.Err
				}
				got := res.Output(0)
				if len(got) != 4 {
					return fmt.Errorf("%d scores", len(got))
				}
				for k, want := range sums(all[res.Index], m.InputType, m.Channels, r.Layout == imageproc.NHWC, name == "second-with-default") {
					// Sums of up to 108 products: float32 rounds each in its 24th digit. float16
					// inputs have 11.
					tolerance := 1e-5 * math.Max(1, math.Abs(want)) * 20
					if m.InputType == onnx.Float16 {
						tolerance = 0.05
					}
					if math.Abs(float64(got[k])-want) > tolerance {
						t.Errorf("image %d, score %d: %v, want %v", res.Index, k, got[k], want)
					}
				}
				return nil
			})
			if err != nil || n != 5 {
				t.Errorf("%d results, %v", n, err)
			}
		})
	}
}

// sums are the scores of an image under the default recipe for its type.
func sums(m *image.NRGBA, typ onnx.Type, channels int, last, twice bool) [4]float64 {
	mean, std := imageproc.ImageNetMean, imageproc.ImageNetStd
	var out [4]float64
	b := m.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			p := m.NRGBAAt(x, y)
			for c, v := range []byte{p.R, p.G, p.B}[:channels] {
				value := float64(v)
				switch {
				case typ == onnx.Int8:
					value -= 128
				case typ == onnx.Uint8 || typ == onnx.Int32:
				case channels == 1:
					value /= 255
				default:
					value = (value/255 - float64(mean[c])) / float64(std[c])
				}
				i := (c*b.Dy()+y)*b.Dx() + x
				if last {
					i = (y*b.Dx()+x)*channels + c
				}
				for k := range out {
					w := float64((7*i+13*k)%11-5) / 8
					if twice {
						w *= 2
					}
					out[k] += w * value
				}
			}
		}
	}
	return out
}

// What a model and its preprocessing cannot be to each other is refused before anything runs.
func TestInputsRefused(t *testing.T) {
	grey, whole := &[3]float32{0.1, 0.2, 0.3}, 255
	size := imageproc.Size{H: 8, W: 8}
	for _, c := range []struct {
		name, model string
		config      ModelConfig
		want        string
	}{
		{"three means for one channel", "float32-nchw-grey", ModelConfig{Changes: Changes{Mean: grey}}, "of one channel give one value each"},
		{"a recipe of colours for one channel", "float32-nchw-grey", ModelConfig{Recipe: "imagenet"}, "of one channel give one value each"},
		{"normalised pixels for uint8", "uint8-nhwc", ModelConfig{Recipe: "imagenet"}, "takes whole numbers (uint8, 0 to 255)"},
		{"0..1 for uint8", "uint8-nhwc", ModelConfig{Recipe: "raw"}, "makes only 2 different values of 256; give --range 0..255"},
		{"0..255 for int8", "int8-nchw-grey", ModelConfig{Changes: Changes{Range: &whole, Mean: &[3]float32{}}}, "makes values beyond it; give --range 0..255 --mean 128"},
		{"another size for a flat input", "flat", ModelConfig{Changes: Changes{Crop: &size}}, "takes 36 values, which are 6 x 6 pixels of one channel; give --crop 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Model = "../model/testdata/inputs/" + c.model + ".onnx"
			m, err := OpenClassifier(c.config, DefaultRunning())
			if err == nil {
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	t.Run("another size", func(t *testing.T) {
		for _, changes := range []struct {
			Changes
			want string
		}{
			{Changes{Crop: &size}, "default"}, {Changes{Resize: &size, Crop: &imageproc.Size{}, BothSides: true}, "--resize 4x6"},
		} {
			c, err := OpenClassifier(ModelConfig{Model: "../model/testdata/inputs/float32-nchw-grey.onnx", Changes: changes.Changes}, DefaultRunning())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Engine(context.Background()); err == nil || !strings.Contains(err.Error(), "makes images of 8 x 8 pixels, and input") || !strings.Contains(err.Error(), changes.want) {
				t.Errorf("%v, want %q", err, changes.want)
			}
		}
	})
	for name, want := range map[string]string{"huge": "insists on batches of 1099511627776", "zero": "has a batch axis of size 0"} {
		t.Run("a batch of "+name+" size", func(t *testing.T) {
			ortest.Load(t)
			c, err := OpenClassifier(ModelConfig{Model: "../model/testdata/inputs/refused-" + name + "-batch.onnx"}, DefaultRunning())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Engine(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// Where the preprocessing leaves the size to the pictures, each must have the model's: as many
// pixels of another shape are no picture of it.
func TestPicturesOfAnotherShape(t *testing.T) {
	ortest.Load(t)
	model := "../model/testdata/inputs/float32-nchw-grey.onnx"
	none := imageproc.Size{}
	c, err := OpenClassifier(ModelConfig{Model: model, Changes: Changes{Resize: &none, Crop: &none}}, DefaultRunning())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h, w := c.Model.H, c.Model.W
	for _, size := range []imageproc.Size{{H: h, W: w}, {H: 2 * h, W: w / 2}, {H: h + 1, W: w}} {
		dir, _ := pictures(t, 1, size.W, size.H, true)
		d := DefaultDataConfig()
		d.Path, d.Unlabelled = dir, true
		im, err := c.Images(d)
		if err != nil {
			t.Fatal(err)
		}
		fill, err := im.Filler()
		if err != nil {
			t.Fatal(err)
		}
		fits := size.H == h && size.W == w
		if _, err := fill(0, make([]float32, h*w)); (err == nil) != fits || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("give --resize %dx%d", h, w)) {
			t.Errorf("%v: %v", size, err)
		}
		im.Close()
	}
}

// Of several outputs the number of classes of the data decides, once; where nothing does, the
// classifier does not run.
func TestOutputIsSettledByData(t *testing.T) {
	ortest.Load(t)
	for _, c := range []struct {
		name, output string
		classes      int
		want, err    string
	}{
		{"two-tasks", "", 7, "age", ""},
		{"two-tasks", "", 2, "sex", ""},
		{"two-tasks", "age", 2, "age", ""},
		{"two-tasks", "", 3, "", `"age" (n x 7), "sex" (n x 2), and nothing says which; give one with --output`},
		{"twins", "", 5, "", "nothing says which"},
		{"twins", "b", 5, "b", ""},
		{"early-first", "", 5, "980", ""},
		{"features-first", "", 8, "z", ""}, // as many classes as features
	} {
		t.Run(fmt.Sprintf("%s, %d classes, output %q", c.name, c.classes, c.output), func(t *testing.T) {
			m, err := OpenClassifier(ModelConfig{Model: "../model/testdata/outputs/" + c.name + ".onnx", Output: c.output}, DefaultRunning())
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if err = m.settleOutput(c.classes); err == nil {
				_, err = m.Engine(context.Background())
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %q", err, c.err)
				}
				return
			}
			if err != nil || m.Model.Output != c.want {
				t.Errorf("output %q, %v; want %q", m.Model.Output, err, c.want)
			}
			if choice := m.describe(c.classes).Choice; (choice == "") != (c.output != "") {
				t.Errorf("choice %q", choice)
			}
		})
	}
}
