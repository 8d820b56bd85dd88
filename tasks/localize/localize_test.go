package localize

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/datasets"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
	"cutmix-eval/internal/npy"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime/ortest"
	"cutmix-eval/tasks"
	"cutmix-eval/variants"

	"github.com/google/go-cmp/cmp"
)

// on is what the task is run on.
type on struct {
	model evaluation.ModelConfig
	data  evaluation.DataConfig
}

func defaults() on { return on{evaluation.DefaultModelConfig(), evaluation.DefaultDataConfig()} }

// open opens classifier and images.
func (e on) open(t *testing.T) (*evaluation.Classifier, *evaluation.Images) {
	t.Helper()
	ortest.Load(t)
	m, err := evaluation.OpenClassifier(e.model, evaluation.DefaultRunning())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	im, err := m.Images(e.data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return m, im
}

// run runs the task and returns its report, and its records with their arrays.
func run(t *testing.T, e on, c Config, store evaluation.Store, path string) (*Job, *report.Report, *result) {
	t.Helper()
	ctx := context.Background()
	m, im := e.open(t)
	job, err := Open(ctx, m, im, c, path, store, Overlays{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = job.Close() })
	loaded, err := tasks.Do(ctx, job, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := loaded.Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	res, err := evaluate(ctx, job.about, job.Pass.Run)
	if err != nil {
		t.Fatal(err)
	}
	return job, r, res
}

func quick() Config {
	c := DefaultConfig()
	c.Replicates = 0
	return c
}

// TestScenes: every record is what its parts give one by one, for methods of every
// kind, whatever the number of goroutines.
func TestScenes(t *testing.T) {
	ortest.Load(t)
	e := defaults()
	e.data.Limit, e.model.Model = 40, "scenes-base"
	s, images := e.open(t)
	h, err := s.Model.Head()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := s.Engine(context.Background(), h.FeatureMap)
	if err != nil {
		t.Fatal(err)
	}
	shape := engine.Outputs()[1].Shape
	type output struct{ logits, features []float32 }
	var out []output
	if _, err := pipeline.Run(context.Background(), s.Pipeline(engine, images, images.Selected(), nil), func(r pipeline.Result) error {
		out = append(out, output{slices.Clone(r.Output(0)), slices.Clone(r.Output(1))})
		return r.Err
	}); err != nil {
		t.Fatal(err)
	}
	for _, m := range []cam.Method{cam.CAM, cam.LayerCAM, cam.AblationCAM, cam.EigenCAM, cam.FEM} {
		for _, target := range []Target{Truth, Prediction} {
			c := quick()
			c.Method, c.Target = m, target
			_, _, res := run(t, e, c, evaluation.Store{}, "")
			if len(res.images) != 40 {
				t.Fatalf("%d images", len(res.images))
			}
			var tracer boxes.Tracer
			for i, im := range res.images {
				index := images.Selected()[i]
				sc := scenes.Generate(scenes.Test, index)
				truth := []boxes.Box{{X0: sc.Box.Min.X, Y0: sc.Box.Min.Y, X1: sc.Box.Max.X - 1, Y1: sc.Box.Max.Y - 1}}
				if int(im.Index) != index || int(im.Label) != sc.Label || !slices.Equal(im.truth, truth) {
					t.Fatalf("%s: %+v, scene %d with %v", im.ID, im.Record, index, truth)
				}
				class := sc.Label
				if target == Prediction {
					class = metrics.Argmax(out[i].logits)
				}
				n := int(shape[2] * shape[3])
				raw, err := cam.Map(m, cam.Features{C: int(shape[1]), H: int(shape[2]), W: int(shape[3]), A: out[i].features},
					cam.Head{Weight: h.Layer().Row(class), Bias: float64(h.Bias[class]), Scale: 1 / float64(n)})
				if err != nil {
					t.Fatal(err)
				}
				heat := cam.WSOL.Apply(raw, int(shape[2]), int(shape[3]), scenes.Size, scenes.Size)
				l, a := make([]float32, boxes.Levels), make([]float32, boxes.Levels)
				tracer.Sweep(cam.Bytes(heat), scenes.Size, scenes.Size, truth, l, a)
				if !slices.Equal(im.largest, l) || !slices.Equal(im.all, a) {
					t.Errorf("%s of %s: other overlaps", m, im.ID)
				}
				b, _, _ := boxes.Region(heat, scenes.Size, scenes.Size, c.Threshold*slices.Max(heat))
				if !slices.Equal(unflat(im.Box), []boxes.Box{b}) || im.IoU != boxes.Best(b, truth) {
					t.Errorf("%s of %s: box %v with %v, want %v", m, im.ID, im.Box, im.IoU, b)
				}
				var in, total float32
				for k := range im.in {
					in, total = in+im.in[k], total+im.in[k]+im.out[k]
				}
				mask := 0
				for _, v := range sc.Mask {
					if v > 0 {
						mask++
					}
				}
				if int(in) != mask || int(total) != scenes.Size*scenes.Size {
					t.Errorf("%s: %v pixels of the object of %v, the mask has %d", im.ID, in, total, mask)
				}
			}
		}
	}
}

// TestGeometry: boxes of real images go where their pixels go, with a crop and
// squashed, and what the crop hides is said.
func TestGeometry(t *testing.T) {
	e := defaults()
	e.model.Model, e.data.Path, e.data.Limit = "../../cmd/cutmix-eval/testdata/tiny224.onnx", golden.Path(t, "data", "tiny-imagenet-val.tar"), long.Or(200, 60)
	_, r, res := run(t, e, quick(), evaluation.Store{}, "")
	annotation := func(id string) [4]float64 {
		data := tinyAnnotations(t, e.data.Path)
		var b [4]float64
		for line := range strings.Lines(data) {
			f := strings.Split(strings.TrimSpace(line), "\t")
			if f[0] == filepath.Base(id) {
				for k := range b {
					if _, err := fmt.Sscan(f[2+k], &b[k]); err != nil {
						t.Fatal(err)
					}
				}
				return b
			}
		}
		t.Fatalf("no annotation of %s", id)
		return b
	}
	hidden := 0
	for _, im := range res.images {
		b := annotation(im.ID)
		// 64 pixels become 256, of which 16 to 239 are seen.
		place := func(v float64) int { return int(v*4) - 16 }
		x0, y0, x1, y1 := place(b[0]), place(b[1]), place(b[2]), place(b[3])
		if x1 < 0 || y1 < 0 || x0 > 223 || y0 > 223 {
			hidden++
			if len(im.truth) != 0 || im.Hidden != 1 || im.IoU != 0 {
				t.Errorf("%s: %v is out of sight: %+v", im.ID, b, im.Record)
			}
			continue
		}
		want := boxes.Box{X0: max(x0, 0), Y0: max(y0, 0), X1: min(x1, 223), Y1: min(y1, 223)}
		if !slices.Equal(im.truth, []boxes.Box{want}) {
			t.Errorf("%s: %v at %v, want %v", im.ID, b, im.truth, want)
		}
	}
	if res.hidden != hidden || (hidden > 0) != slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "show nothing of their true boxes") }) {
		t.Errorf("%d images without a visible box, %d counted, %q", hidden, res.hidden, r.Warnings)
	}
	size := imageproc.Size{H: 224, W: 224}
	e.model.Changes.Resize, e.model.Changes.Crop = &size, &imageproc.Size{}
	_, _, res = run(t, e, quick(), evaluation.Store{}, "")
	for _, im := range res.images {
		b := annotation(im.ID)
		want := boxes.Box{X0: int(b[0] * 3.5), Y0: int(b[1] * 3.5), X1: min(int(b[2]*3.5), 223), Y1: min(int(b[3]*3.5), 223)}
		if !slices.Equal(im.truth, []boxes.Box{want}) {
			t.Errorf("%s, squashed: %v at %v, want %v", im.ID, b, im.truth, want)
		}
	}
}

var tiny string

func tinyAnnotations(t *testing.T, path string) string {
	if tiny == "" {
		e := defaults()
		e.data.Path = path
		_, im := e.open(t)
		data, _, ok := im.Companion("val_annotations.txt")
		if !ok {
			t.Fatal("no annotations in the tar")
		}
		tiny = string(data)
	}
	return tiny
}

// TestFloorsAndErrors: a centred, a whole and a partial box by hand.
func TestFloorsAndErrors(t *testing.T) {
	rec := func(rank int32, box []int32, truth ...int32) located {
		im := located{Record: Record{Rank: rank, Box: box, Truth: truth}, truth: unflat(truth)}
		if len(box) == 4 {
			im.IoU = boxes.Best(unflat(box)[0], im.truth)
		}
		im.largest, im.all = make([]float32, boxes.Levels), make([]float32, boxes.Levels)
		im.largestRandom, im.allRandom = im.largest, im.all
		for l := range im.largest {
			im.largest[l] = float32(im.IoU)
		}
		return im
	}
	res := &result{about: About{Config: quick(), Frame: [2]int{64, 64}, Boxes: true}, numbers: map[string]*numbers{}}
	res.about.Classify.Outputs = 10
	res.images = []located{
		rec(0, []int32{10, 10, 29, 29}, 10, 10, 29, 29),            // right
		rec(3, []int32{10, 10, 29, 29}, 10, 10, 29, 29),            // class wrong
		rec(0, []int32{0, 0, 63, 31}, 0, 0, 19, 31, 30, 0, 49, 31), // covers two
		rec(0, []int32{10, 10, 14, 14}, 10, 10, 29, 29),            // a part
		rec(0, []int32{0, 0, 63, 63}, 10, 10, 29, 29),              // more
		rec(0, []int32{40, 40, 50, 50}, 0, 0, 9, 9),                // elsewhere
		rec(0, nil, 0, 0, 9, 9),                                    // no box
		rec(0, []int32{0, 0, 63, 63}, 0, 0, 63, 63),                // the whole picture
	}
	res.sweeps()
	var got []string
	for _, row := range res.errors().Rows {
		got = append(got, row[1].String())
	}
	if want := []string{"2", "1", "1", "1", "1", "2"}; !slices.Equal(got, want) {
		t.Errorf("right, class, several, part, more, elsewhere: %v, want %v", got, want)
	}
	var r report.Report
	if err := res.fill(context.Background(), &r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name  string
		at    report.Keys
		value float64
	}{
		{"gt_known_loc", nil, 3.0 / 8}, {"top1_loc", nil, 2.0 / 8}, {"top5_loc", nil, 3.0 / 8},
		{"gt_known_loc", report.Keys{report.KeyFloor.Is("whole")}, 1.0 / 8},
	} {
		if n := r.Find(want.name, want.at...); n == nil || n.Value != want.value {
			t.Errorf("%s %v: %+v, want %v", want.name, want.at, n, want.value)
		}
	}
	// A sweep over the bump in the middle tries every size of a centred box.
	sizes := map[int]bool{}
	var tracer boxes.Tracer
	tracer.Each(cam.Bytes(cam.Centre(64, 64)), 64, 64, func(_ int, c []boxes.Contour) {
		b := boxes.Largest(c).Box
		sizes[b.X1-b.X0] = true
		if b.X0 != 63-b.X1 && b.X0 != 64-b.X1 { // boxes reach one further to the right
			t.Errorf("%v is not in the middle", b)
		}
	})
	if len(sizes) < 25 {
		t.Errorf("%d sizes", len(sizes))
	}
}

// TestForeignMaps: maps that were saved and are measured as ones made elsewhere give
// the numbers of the run they come from; a damaged one is a bad image,
// a missing one is refused before anything runs.
func TestForeignMaps(t *testing.T) {
	e := defaults()
	e.data.Limit = 30
	dir := t.TempDir()
	job, r, res := run(t, e, quick(), evaluation.Store{Dir: filepath.Join(dir, "run"), Save: []string{evaluation.Maps, evaluation.Features}}, "")
	maps := filepath.Join(dir, "maps")
	err := results.Each[Record](context.Background(), job.Pass.Run, []string{evaluation.Maps}, func(rec *Record, v [][]float32) error {
		side := int(math.Sqrt(float64(len(v[0]))))
		data := npy.Header("f4", side, side)
		for _, x := range v[0] {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
		path := filepath.Join(maps, filepath.FromSlash(rec.ID)+".npy")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	c := quick()
	c.Maps = maps
	_, again, other := run(t, e, c, evaluation.Store{}, "")
	for i, m := range r.Main {
		// Maps are stored in float32: one box in thousands may move by a pixel.
		if math.Abs(m.Value-again.Main[i].Value) > 0.04 || m.Name != again.Main[i].Name {
			t.Errorf("%s %v, from stored maps %v", m.Name, m.Value, again.Main[i].Value)
		}
	}
	same := 0
	for i := range res.images {
		if slices.Equal(res.images[i].Box, other.images[i].Box) {
			same++
		}
	}
	if same < 28 {
		t.Errorf("%d of 30 boxes are the same", same)
	}
	damaged := filepath.Join(maps, filepath.FromSlash(res.images[5].ID)+".npy")
	if err := os.WriteFile(damaged, []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, third := run(t, e, c, evaluation.Store{}, "")
	if len(third.bad) != 1 || len(third.images) != 29 || !strings.Contains(third.bad[0].Reason, "not a .npy") {
		t.Errorf("%+v", third.bad)
	}
	if err := os.Remove(damaged); err != nil {
		t.Fatal(err)
	}
	m, im := e.open(t)
	_, err = Open(context.Background(), m, im, c, "", evaluation.Store{}, Overlays{})
	if err == nil || !strings.Contains(err.Error(), "1 of 30 images have no map") || !strings.Contains(err.Error(), damaged) {
		t.Errorf("a map is missing: %v", err)
	}
}

// TestMapPath: maps lie under the IDs of their images, which may begin below the folder that
// all images lie in.
func TestMapPath(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"data/in/x/1.png", "data/in/y/1.png", "data/in/y/2.png", "maps/in/x/1.png.npy", "maps/y/1.npy", "maps/2.npy"} {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := datasets.Open(filepath.Join(dir, "data"), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i, want := range []string{"in/x/1.png.npy", "y/1.npy", ""} {
		path, ok := mapPath(filepath.Join(dir, "maps"), d, i)
		if ok != (want != "") || ok && path != filepath.Join(dir, "maps", filepath.FromSlash(want)) {
			t.Errorf("%s: %s %v, want %q", d.Samples[i].ID, path, ok, want)
		}
	}
}

// TestDerivedGeometry: boxes of images that were made at the model's size lie where those
// of the pictures do: localization on derived images that nothing was done to is that on the
// pictures.
func TestDerivedGeometry(t *testing.T) {
	e := defaults()
	e.model.Changes.Resize = &imageproc.Size{H: 80, W: 80} // and a crop of 64: boxes move and some are cut
	e.data.Limit = 40
	c, pictures := e.open(t)
	source := variants.Source{Data: pictures.Dataset, Recipe: pictures.Recipe, Size: c.Size()}
	v, err := variants.New(source, variants.Config{Experiment: variants.Centre, Steps: 1})
	if err != nil {
		t.Fatal(err)
	}
	v.Variants = v.Variants[:1] // nothing is done
	var got [2][]*report.Number
	for i, images := range []*evaluation.Images{pictures, pictures.Derive(v.Dataset(), 1, c.Cropped())} {
		j, err := Open(t.Context(), c, images, DefaultConfig(), "", evaluation.Store{}, Overlays{})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		res, err := tasks.Do(t.Context(), j, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := res.Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got[i] = r.Main
	}
	if d := cmp.Diff(got[0], got[1]); d != "" {
		t.Errorf("pictures and derived images: %s", d)
	}
}

// TestRefusals: what a head cannot support is refused with the reason.
func TestRefusals(t *testing.T) {
	ortest.Load(t)
	for _, c := range []struct {
		model  string
		method cam.Method
		want   string
	}{
		{"vit", cam.CAM, "class token"},
		{"timm-vit-mean", cam.GradCAM, "between them lie"},
		{"vgg-flatten", cam.GradCAM, "for every place of it (Flatten)"},
		{"if-body", cam.EigenCAM, "no feature map"},
		{"maxpool", cam.CAM, "pooled by MaxPool"},
		{"conv-then-max", cam.GradCAM, "pooled by"},
	} {
		e := defaults()
		e.model.Model = "../../model/testdata/heads/" + c.model + ".onnx"
		m, im := e.open(t)
		cfg := quick()
		cfg.Method = c.method
		job, err := Open(context.Background(), m, im, cfg, "", evaluation.Store{}, Overlays{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: %v, want %q", c.method, c.model, err, c.want)
		}
		if err == nil {
			_ = job.Close()
		}
	}
	data := numbered(t, 7)
	// Methods that need no head run on tokens, the class token left out.
	for _, name := range []string{"vit", "swin", "squeezenet", "convnext", "tf2onnx", "vgg-flatten"} {
		e := defaults()
		e.model.Model, e.data.Path = "../../model/testdata/heads/"+name+".onnx", data
		c := quick()
		c.Method = cam.EigenCAM
		_, _, res := run(t, e, c, evaluation.Store{}, "")
		if len(res.images) != 14 {
			t.Errorf("%s: %d images", name, len(res.images))
		}
	}
	e := defaults()
	e.model.Model, e.data.Path = "../../model/testdata/heads/squeezenet.onnx", data
	for _, m := range []cam.Method{cam.CAM, cam.GradCAMPP, cam.AblationCAM, cam.ScoreCAM} {
		c := quick()
		c.Method = m
		if _, _, res := run(t, e, c, evaluation.Store{}, ""); len(res.images) != 14 {
			t.Errorf("%s of a 1x1-convolution head: %d images", m, len(res.images))
		}
	}
}

// numbered makes a folder of scenes in classes 0 to n-1, two each, with boxes beside
// them.
func numbered(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var list strings.Builder
	list.WriteString("path,class,x0,y0,x1,y1\n")
	for i := range 2 * n {
		sc := scenes.Generate(scenes.Test, i)
		m := image.NewNRGBA(image.Rect(0, 0, scenes.Size, scenes.Size))
		for p := range scenes.Size * scenes.Size {
			copy(m.Pix[4*p:], append(slices.Clone(sc.Pixels[3*p:3*p+3]), 255))
		}
		name := fmt.Sprintf("%d/%d.png", i%n, i)
		var b bytes.Buffer
		if err := errors.Join(png.Encode(&b, m), os.MkdirAll(filepath.Join(dir, fmt.Sprint(i%n)), 0o755), os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&list, "%s,%d,%d,%d,%d,%d\n", name, i%n, sc.Box.Min.X, sc.Box.Min.Y, sc.Box.Max.X, sc.Box.Max.Y)
	}
	if err := os.WriteFile(filepath.Join(dir, "boxes.csv"), []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
