package doctor

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
	"cutmix-eval/pixels"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"

	"github.com/google/go-cmp/cmp"
)

// paints are the classes of pictures: samples of red, green and blue. Red and blue of the first two are
// exchanged, and so of the last two.
var paints = [][3]float64{{200, 60, 60}, {60, 60, 200}, {200, 140, 30}, {30, 140, 200}}

// side is that of the images that the model sees.
const side = 4

// painted is a folder of pictures of many sizes, and one that is damaged.
func painted(t *testing.T, perClass int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	for c, paint := range paints {
		folder := filepath.Join(dir, fmt.Sprintf("class%d", c))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for k := range perClass {
			m := image.NewRGBA(image.Rect(0, 0, 5+rng.IntN(20), 5+rng.IntN(20)))
			for y := range m.Rect.Dy() {
				for x := range m.Rect.Dx() {
					var v [3]uint8
					for i := range v {
						v[i] = uint8(max(0, min(255, paint[i]+10*rng.NormFloat64())))
					}
					m.Set(x, y, color.RGBA{v[0], v[1], v[2], 255})
				}
			}
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			data := b.Bytes()
			if c == 0 && k == 0 {
				data = data[:len(data)/2]
			}
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%03d.png", k)), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// engine tells paints apart, of samples as its recipe makes them.
type engine struct {
	recipe imageproc.Recipe
	ran    int
}

func (e *engine) Outputs() []runtime.Tensor {
	return []runtime.Tensor{{Name: "logits", Shape: []int64{-1, int64(len(paints))}}}
}
func (*engine) Fixed() int              { return 0 }
func (*engine) Device() results.Device  { return results.Device{ORT: "none", Name: "paint"} }
func (*engine) Runtime() report.Runtime { return report.Runtime{ORT: "none", Device: "paint"} }
func (*engine) Close() error            { return nil }
func (e *engine) NewBatch(n int) (pipeline.Batch, error) {
	return &batch{e, make([]float32, n*3*side*side), make([][]float32, n)}, nil
}

type batch struct {
	*engine
	in  []float32
	out [][]float32
}

func (b *batch) Size() int                { return len(b.out) }
func (b *batch) Input(_, i int) []float32 { return b.in[i*3*side*side : (i+1)*3*side*side] }
func (b *batch) Output(_, i int) []float32 {
	return b.out[i]
}

// Run gives each paint less the further the mean of the samples is from it.
func (b *batch) Run(ctx context.Context, n int) error {
	b.ran += n
	for i := range n {
		scores := make([]float32, len(paints))
		for k, paint := range paints {
			for c := range 3 {
				mean := float32(0)
				for _, v := range b.Input(0, i)[c*side*side : (c+1)*side*side] {
					mean += v / (side * side)
				}
				of := c
				if b.recipe.BGR {
					of = 2 - c
				}
				want := (float32(paint[of])*float32(b.recipe.Range)/255 - b.recipe.Mean[c]) / b.recipe.Std[c]
				scores[k] -= (mean - want) * (mean - want)
			}
		}
		b.out[i] = scores
	}
	return ctx.Err()
}

// subject is a classifier that takes pixels as trained says, and is given present.
func subject(t *testing.T, dir string, trained, present imageproc.Recipe) (Subject, *engine) {
	t.Helper()
	table := &evaltest.Table{Scores: [][]float32{{0, 0, 0, 0}}, Labels: []int{0}, Classes: []string{"a", "b", "c", "d"}}
	e := &engine{recipe: trained}
	start := func(context.Context, *evaluation.Classifier, []string) (evaluation.Engine, error) { return e, nil }
	c := evaluation.NewClassifier(table.Classifier(t).Model, []int64{3, side, side}, evaluation.Running{Workers: 3, Batch: 8}, start)
	t.Cleanup(c.Close)
	c.Recipe, c.RecipeSource = present, "default"
	im, err := c.Images(evaluation.DataConfig{Path: dir, Format: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	labels, err := c.Labels(t.Context(), im)
	if err != nil {
		t.Fatal(err)
	}
	return Subject{Classifier: c, Images: im, Labels: labels}, e
}

func recipe(bgr bool, top int) imageproc.Recipe {
	r := imageproc.Standard()
	r.Resize, r.Crop = imageproc.Size{H: side, W: side}, imageproc.Size{H: side, W: side}
	r.BGR, r.Range, r.Mean, r.Std = bgr, top, [3]float32{}, [3]float32{1, 1, 1}
	return r
}

func TestSearch(t *testing.T) {
	dir := painted(t, 40)
	for name, c := range map[string]struct {
		trained, present imageproc.Recipe
		better           bool
	}{
		"order of the channels": {recipe(true, 255), recipe(false, 255), true},
		"range":                 {recipe(false, 1), recipe(false, 255), true},
		"both":                  {recipe(true, 1), recipe(false, 255), true},
		"right":                 {recipe(true, 255), recipe(true, 255), false},
	} {
		t.Run(name, func(t *testing.T) {
			s, e := subject(t, dir, c.trained, c.present)
			var shown []int
			res, err := Search(t.Context(), DefaultConfig(), s, func(images int) { shown = append(shown, images) })
			if err != nil {
				t.Fatal(err)
			}
			if res.Better() != c.better || c.better && res.Chosen().Recipe != c.trained {
				t.Errorf("better: %v, %v", res.Better(), res.Chosen().Recipe)
			}
			if !slices.IsSorted(shown) || shown[len(shown)-1] != res.Images || e.ran > res.Images+20 { // and what engines are tried with: noise, and a few images in batches
				t.Errorf("progress %v; the model ran on %d images, the result says %d", shown, e.ran, res.Images)
			}
		})
	}
}

// Tensors are those that the evaluation itself makes, from a picture that is kept and from a fresh one.
func TestTensors(t *testing.T) {
	dir := painted(t, 4)
	s, _ := subject(t, dir, recipe(false, 1), recipe(false, 1))
	kept := &store{}
	for name, change := range map[string]func(*imageproc.Recipe){
		"0..1":   func(*imageproc.Recipe) {},
		"0..255": func(r *imageproc.Recipe) { r.Range = 255 },
		"BGR": func(r *imageproc.Recipe) {
			r.BGR, r.Mean, r.Std = true, [3]float32{0.4, 0.5, 0.6}, [3]float32{0.2, 0.3, 0.4}
		},
		"squash":  func(r *imageproc.Recipe) { r.Fit = imageproc.Squash },
		"larger":  func(r *imageproc.Recipe) { r.Resize = imageproc.Size{H: 7, W: 7} },
		"bicubic": func(r *imageproc.Recipe) { r.Interpolation = imageproc.Bicubic },
		"NHWC":    func(r *imageproc.Recipe) { r.Layout = imageproc.NHWC },
	} {
		t.Run(name, func(t *testing.T) {
			r := recipe(false, 1)
			change(&r)
			want, err := s.Images.With(r).Filler()
			if err != nil {
				t.Fatal(err)
			}
			got, err := (&tried{s.Images.With(r), s.Classifier.Size(), kept}).Filler()
			if err != nil {
				t.Fatal(err)
			}
			a, b := make([]float32, 3*side*side), make([]float32, 3*side*side)
			for i := range 2 * s.Images.Len() {
				i %= s.Images.Len()
				sizeA, errA := want(i, a)
				sizeB, errB := got(i, b)
				if sizeA.Size != sizeB.Size || (errA == nil) != (errB == nil) || errA == nil && !slices.Equal(a, b) {
					t.Errorf("image %d: %v %v, %v %v", i, sizeA, sizeB, errA, errB)
				}
			}
		})
	}
}

func TestMix(t *testing.T) {
	table := &evaltest.Table{Scores: [][]float32{{0, 0, 0}}, Classes: []string{"a", "b", "c"}}
	for i := range 90 {
		table.Labels = append(table.Labels, []int{0, 1, 2, 0, 0, -1}[i%6])
	}
	s := table.Samples()
	got := mix(s, nil, 30, 7)
	count := map[int]int{}
	for k, i := range got {
		count[table.Labels[i]]++
		for c := range 3 {
			if n := count[c]; n < k/3 || n > k/3+1 {
				t.Fatalf("of the first %d, %d are of class %d", k+1, n, c)
			}
		}
	}
	if len(got) != 30 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 30 {
		t.Errorf("%v", got)
	}
	if d := cmp.Diff(got, mix(s, nil, 30, 7)); d != "" {
		t.Errorf("the same seed: %s", d)
	}
	if slices.Equal(got, mix(s, nil, 30, 8)) {
		t.Error("another seed mixes in the same way")
	}
	if all := mix(s, []int{0, 1, 5, 6}, 30, 7); !slices.Equal(slices.Sorted(slices.Values(all)), []int{0, 1, 6}) {
		t.Errorf("%v", all)
	}
}

func TestReport(t *testing.T) {
	s, _ := subject(t, painted(t, 10), recipe(true, 255), recipe(false, 255)) // few: all are seen
	r, err := Run(t.Context(), DefaultConfig(), s.Classifier, s.Images, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.BadImages) != 1 || r.Dataset.Bad != 1 || !strings.Contains(r.BadImages[0].ID, "class0/000.png") || r.BadImages[0].Reason == "" {
		t.Errorf("bad images %v", r.BadImages)
	}
	for format, want := range map[report.Format][]string{
		report.Text:     {"Verdict: BGR fits the model better", "  " + pixels.Flags(recipe(true, 255)), "as now"},
		report.Markdown: {"Verdict: BGR", "| as now"},
		report.JSON:     {`"verdict"`, `"yes"`, pixels.Flags(recipe(true, 255)), `"McNemar, exact"`},
		report.CSV:      {"top1_difference", "as now"},
	} {
		var b bytes.Buffer
		if err := r.Write(&b, format); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s: no %q in %s", format, w, b.String())
			}
		}
	}
}

func TestAssumed(t *testing.T) {
	for source, want := range map[string]bool{
		"default": true, "default size, mean and std from ONNX metadata": true, "flags color over models.lock": true, "recipe raw": true,
		"models.lock": false, "file net.json": false, "ONNX metadata": false, "as it was": false,
	} {
		if Assumed(source) != want {
			t.Errorf("%s: %v", source, !want)
		}
	}
}
