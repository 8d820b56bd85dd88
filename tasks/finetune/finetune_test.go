package finetune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/filelock"
	"cutmix-eval/internal/long"
	"cutmix-eval/results"
	"cutmix-eval/runtime/ortest"
)

// small is a training of a few seconds on embedded scenes.
func small(t *testing.T, method Method, out string) (evaluation.Config, Config, Options) {
	t.Helper()
	on, c := evaluation.DefaultConfig(), DefaultConfig()
	on.Library = ortest.Load(t).Path
	on.Data, on.Limit = "scenes:new-train", 100
	c.Mix.Method, c.Epochs, c.Batch, c.Replicates = method, 5, 32, 100 // 100 images: the last batch is of 4
	return on, c, Options{Val: "scenes:new-val", Out: out}
}

// written reads what a training left: the model, and the log without its times.
func written(t *testing.T, o Options) (model []byte, log []Epoch) {
	t.Helper()
	model, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.Folder(), logName+".json"))
	if err == nil {
		err = json.Unmarshal(text, &log)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range log {
		log[i].Seconds, log[i].Head = 0, 0
	}
	return model, log
}

// TestRunGoesOn: a training that is stopped anywhere, time and again, ends with the bits of
// one that was not; other threads, decoders and batches of the first pass change nothing.
func TestRunGoesOn(t *testing.T) {
	for _, method := range []Method{CutMix, FeatureCutMix} {
		dir := t.TempDir()
		on, c, o := small(t, method, filepath.Join(dir, "whole.onnx"))
		if _, err := Run(context.Background(), on, c, o); err != nil {
			t.Fatal(err)
		}
		want, wantLog := written(t, o)
		if len(wantLog) != 5 {
			t.Fatalf("%d epochs", len(wantLog))
		}
		on.Threads, on.Workers, on.Batch = 1, 3, 13
		o.Out = filepath.Join(dir, "stopped.onnx")
		stops := 0
		for try := 0; ; try++ {
			// Stop after some images of this stage, which is further on every time.
			ctx, cancel := context.WithCancel(context.Background())
			left := 40 + long.Or(150, 400)*try
			o.Stage = func(string, int) (func(int), func()) {
				before := 0
				return func(done int) {
					if left -= done - before; left < 0 {
						cancel()
					}
					before = done
				}, func() {}
			}
			epochs := 0
			o.Told = func(Epoch, int, string) {
				if epochs++; method == FeatureCutMix && try%3 == 2 {
					cancel()
				}
			}
			_, err := Run(ctx, on, c, o)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if stops++; stops > 50 {
				t.Fatal("it does not end")
			}
		}
		got, log := written(t, o)
		if stops < 3 || !bytes.Equal(got, want) {
			t.Errorf("%s: stopped %d times, the file is another", method, stops)
		}
		for i := range wantLog {
			if i >= len(log) || log[i] != wantLog[i] {
				t.Errorf("%s: epoch %d: %+v, want %+v", method, i+1, log, wantLog[i])
				break
			}
		}
		// Nothing is trained again, and the file can be written again.
		if err := os.Remove(o.Out); err != nil {
			t.Fatal(err)
		}
		o.Stage, o.Told = nil, func(Epoch, int, string) { t.Error("an epoch is trained again") }
		if _, err := Run(context.Background(), on, c, o); err != nil {
			t.Fatal(err)
		}
		if again, _ := written(t, o); !bytes.Equal(again, want) {
			t.Error("written again, the file is another")
		}
		// Another training in this folder is refused, and --restart begins anew.
		c.Epochs = 2
		if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), o.Folder()) || !strings.Contains(err.Error(), "--restart") {
			t.Errorf("other options: %v", err)
		}
		on.Model = "scenes-base"
		if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), "--restart") {
			t.Errorf("another model: %v", err)
		}
		o.Restart, o.Told = true, nil
		if _, err := Run(context.Background(), on, c, o); err != nil {
			t.Fatal(err)
		}
		if _, log := written(t, o); len(log) != 2 {
			t.Errorf("%d epochs after --restart", len(log))
		}
	}
}

// TestRunRefuses: models whose head cannot be tuned, before anything is computed.
func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	on, c, o := small(t, CutMix, filepath.Join(dir, "x.txt"))
	if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), ".onnx") {
		t.Errorf("%v", err)
	}
	c.Epochs = 0
	if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), "epochs") {
		t.Errorf("%v", err)
	}
	on, c, o = small(t, CutMix, filepath.Join(dir, "no", "such", "folder", "x.onnx"))
	c.Epochs = 1
	if _, err := Run(context.Background(), on, c, o); err != nil { // folders are made
		t.Error(err)
	}
	on.Model = filepath.Join(dir, "gone.onnx")
	if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), "gone.onnx") {
		t.Errorf("%v", err)
	}
	on.Model, o.Dir = o.Out, filepath.Join(dir, "other.run")
	if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), "is the model itself") {
		t.Errorf("the model as the file to write: %v", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("an empty folder has a report")
	}
}

// TestPixelBatches: the features that a head learns from are those of the mixed tensors: what
// plan and pixels, which are compared with the authors' code, make of the images as they are.
func TestPixelBatches(t *testing.T) {
	ortest.Load(t)
	const heads = "../../model/testdata/heads/"
	for _, c := range []struct {
		model  string
		side   int
		method Method
	}{{"scenes-cutmix", 64, CutMix}, {"scenes-cutmix", 64, Mixup}, {heads + "tf2onnx.onnx", 16, CutMix}, {heads + "tf2onnx.onnx", 16, Cutout}, {heads + "resnet-fixed.onnx", 32, CutMix}} {
		size := imageproc.Size{H: c.side, W: c.side}
		on := evaluation.DefaultConfig()
		on.Model, on.Data = c.model, "scenes:new-train"
		if c.model != "scenes-cutmix" {
			on.Changes.Resize, on.Changes.Crop = &size, &size
		}
		s, err := evaluation.Prepare(on)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		head, err := s.Model.Head()
		if err != nil {
			t.Fatal(err)
		}
		s.Taps, s.Penultimate = []string{head.Penultimate}, true
		if err := s.Start(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		config := DefaultConfig().Training
		config.Mix.Method, config.Mix.Prob, config.Batch = c.method, 1, 8
		config.Augment.Crop, config.Augment.Flip = false, 0
		samples := make([]int, 20) // the last batch is of 4
		y := &labels{classes: 10}
		for i := range samples {
			samples[i] = 7 * i
			y.class = append(y.class, i%10)
		}
		src := &pixels{config: config, seed: 3, setup: s, samples: samples, features: head.Features, y: y}
		transform, err := imageproc.NewTransform(s.Cropped())
		if err != nil {
			t.Fatal(err)
		}
		exact, err := imageproc.NewTransform(s.Recipe)
		if err != nil {
			t.Fatal(err)
		}
		in := s.Size()
		channels, depth := 3, 1
		if s.Recipe.Layout == imageproc.NHWC {
			channels, depth = 1, 3
		}
		load := s.Data.Loader()
		order := random(3, ordering, 0, 0).Perm(20)
		step, differ := 0, 0
		err = src.Epoch(context.Background(), 0, func(got Batch) error {
			at := order[step*8 : min(step*8+8, 20)]
			b, err := s.Session.NewBatch(len(at))
			if err != nil {
				return err
			}
			defer b.Close()
			features := func() []float32 {
				if err := b.Run(context.Background(), len(at)); err != nil {
					t.Fatal(err)
				}
				var out []float32
				for i := range at {
					out = append(out, b.Output(len(s.Session.Outputs)-1, i)...)
				}
				return out
			}
			for i, k := range at {
				im, err := load.Load(samples[k])
				if err != nil {
					return err
				}
				im, err = exact.Pixels(im)
				if err == nil {
					err = transform.Apply(im, b.Input(0, i))
				}
				if err != nil {
					return err
				}
			}
			plain := features()
			mix := config.Mix.plan(random(3, mixingOf, 0, step), len(at), in.H, in.W, 0)
			var scratch []float32
			config.Mix.pixels(mix, func(i int) []float32 { return b.Input(0, i) }, &scratch, channels, in.H, in.W, depth)
			want, targets := features(), mix.targets(nil, y, at)
			if len(got.X) != len(want) || !slices.Equal(got.Y, targets) {
				t.Errorf("%s, %s: %d values, want %d; targets %v, want %v", c.model, c.method, len(got.X), len(want), got.Y, targets)
				return nil
			}
			for i, w := range want {
				if math.Abs(float64(got.X[i]-w)) > 1e-4*max(1, math.Abs(float64(w))) { // batches of another size, float32
					t.Errorf("%s, %s: feature %d of batch %d is %v, want %v", c.model, c.method, i, step, got.X[i], w)
					return nil
				}
				if math.Abs(float64(plain[i]-w)) > 1e-3*max(1, math.Abs(float64(w))) {
					differ++
				}
			}
			step++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if step != 3 || differ < 100 {
			t.Errorf("%s, %s: %d batches, and mixing changed %d features", c.model, c.method, step, differ)
		}
	}
}

// TestAugmenter: a crop is that of the picture, resized; a mirror image is one; the same in
// the same epoch, another in the next.
func TestAugmenter(t *testing.T) {
	im := imageproc.Image{W: 40, H: 30, Pix: make([]byte, 40*30*3)}
	for i := range im.Pix {
		im.Pix[i] = byte(i * 31 % 251)
	}
	recipe := imageproc.Standard()
	recipe.Resize, recipe.Crop = imageproc.Size{H: 16, W: 16}, imageproc.Size{H: 16, W: 16}
	transform, err := imageproc.NewTransform(recipe)
	if err != nil {
		t.Fatal(err)
	}
	make := func(crop bool, flip float64, epoch, image int) []byte {
		a := &augmenter{config: Augment{Crop: crop, Scale: [2]float64{0.3, 0.6}, Ratio: [2]float64{0.8, 1.2}, Flip: flip}, recipe: recipe, size: imageproc.Size{H: 16, W: 16}, transform: transform, seed: 1, epoch: epoch, image: image}
		out, err := a.apply(im)
		if err != nil || out.W != 16 || out.H != 16 || out.Of != im.Size() {
			t.Fatalf("%d x %d, %v", out.W, out.H, err)
		}
		box, _ := a.draw(im.W, im.H)
		if w := a.window(im.W, im.H); crop && (w != box || w.Dx() >= 40 && w.Dy() >= 30) {
			t.Errorf("window %v, box %+v", w, box)
		}
		return slices.Clone(out.Pix)
	}
	plain, err := transform.Pixels(im)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(make(false, 0, 0, 0), plain.Pix) {
		t.Error("without augmentation it is another picture than at evaluation")
	}
	mirror := make(false, 1, 0, 0)
	for y := range 16 {
		for x := range 16 {
			if !slices.Equal(mirror[3*(y*16+x):3*(y*16+x)+3], plain.Pix[3*(y*16+15-x):3*(y*16+15-x)+3]) {
				t.Fatalf("the mirror image differs at %d, %d", x, y)
			}
		}
	}
	a := make(true, 0, 2, 5)
	if !slices.Equal(a, make(true, 0, 2, 5)) || slices.Equal(a, make(true, 0, 3, 5)) || slices.Equal(a, make(true, 0, 2, 6)) {
		t.Error("crops are not those of image and epoch")
	}
}

// TestUnknownTargets: what is not known of an image is not known of a mix with it, unless
// nothing of it is seen.
func TestUnknownTargets(t *testing.T) {
	nan := math.NaN()
	for own, want := range map[float64][]float64{1: {1, nan, 0}, 0: {0, 1, nan}, 0.25: {0.25, nan, nan}} {
		got := make([]float64, 3)
		blend(got, []float64{1, nan, 0}, []float64{0, 1, nan}, own)
		for c, w := range want {
			if got[c] != w && !(math.IsNaN(w) && math.IsNaN(got[c])) {
				t.Errorf("own %v: %v, want %v", own, got, want)
			}
		}
	}
}

// TestLabels: targets of one label and of several, smoothed, weighted, and of some images.
func TestLabels(t *testing.T) {
	one := &labels{classes: 3, class: []int{0, 0, 2}}
	if got := one.rows(); !slices.Equal(got, []float64{1, 0, 0, 1, 0, 0, 0, 0, 1}) {
		t.Errorf("%v", got)
	}
	one.balanced()
	if one.smoothing = 0.3; !close12(one.rows(), []float64{0.6, 0.1, 0.15, 0.6, 0.1, 0.15, 0.075, 0.1, 1.2}) { // weights 0.75, 1 and 1.5
		t.Errorf("balanced and smoothed: %v", one.rows())
	}
	some := one.only([]int{2})
	if got := some.rows(); !close12(got, []float64{0.075, 0.1, 1.2}) {
		t.Errorf("one image: %v", got)
	}
	nan := math.NaN()
	many := &labels{classes: 2, class: []int{0, 2, 1}, several: []float64{1, nan, 0, 0, nan, 1}, smoothing: 0.2}
	got := many.rows()
	if !math.IsNaN(got[1]) || !math.IsNaN(got[4]) || got[0] != 0.9 || got[2] != 0.1 || got[5] != 0.9 {
		t.Errorf("several: %v", got)
	}
	if many.known(0) != 2 || many.known(1) != 2 || !many.any(0) || !many.any(1) {
		t.Errorf("known: %d, %d", many.known(0), many.known(1))
	}
	if none := many.only([]int{1}); none.any(0) || none.any(1) || none.known(0) != 1 {
		t.Error("an image of no class is of one")
	}
}

func close12(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) < 1e-12 })
}

// TestAnew: what cannot be used is made again; a failure that has nothing to do with the run
// leaves it.
func TestAnew(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		gone bool
	}{"another run": {&results.DifferentRunError{}, true}, "other samples": {results.ErrOtherSamples, true}, "damage": {errUnreadable, true}, "a device": {errors.New("no such device"), false}, "held": {filelock.ErrHeld, false}} {
		dir := filepath.Join(t.TempDir(), "run")
		run, err := results.Claim(context.Background(), dir, results.Manifest{Key: results.Key{Task: Name, Data: results.Data{N: 1}, PartSize: 1}}, nil, results.Shard{})
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Close(); err != nil {
			t.Fatal(err)
		}
		tries := 0
		err = anew(context.Background(), dir, func() error {
			if tries++; tries > 1 {
				return nil
			}
			return c.err
		})
		if (err == nil) != c.gone || results.IsRun(dir) == c.gone {
			t.Errorf("%s: %v, the run is there: %v", name, err, results.IsRun(dir))
		}
	}
}
