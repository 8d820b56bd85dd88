package finetune

import (
	"context"
	"math"
	"slices"
	"testing"

	"cutmix-eval/augment"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
	"cutmix-eval/runtime/ortest"
)

// TestPixelBatches: the features that a head learns from are those of the mixed tensors: what Plan
// and Apply, which are compared with the authors' code, make of the images as they are.
func TestPixelBatches(t *testing.T) {
	running := evaluation.DefaultRunning()
	running.Library = ortest.Load(t).Path
	const tf2onnx, fixed = "../../model/testdata/heads/tf2onnx.onnx", "../../model/testdata/heads/resnet-fixed.onnx"
	for _, c := range []struct {
		name, model string
		side        int
		method      augment.Method
	}{
		{"cutmix", "scenes-cutmix", 64, augment.CutMix}, {"mixup", "scenes-cutmix", 64, augment.Mixup},
		{"channels together", tf2onnx, 16, augment.CutMix}, {"cutout", tf2onnx, 16, augment.Cutout}, {"fixed batch", fixed, 32, augment.CutMix},
	} {
		t.Run(c.name, func(t *testing.T) {
			of := evaluation.ModelConfig{Model: c.model}
			if c.model != "scenes-cutmix" {
				size := imageproc.Size{H: c.side, W: c.side}
				of.Changes = evaluation.Changes{Resize: &size, Crop: &size}
			}
			base, err := evaluation.OpenClassifier(of, running)
			if err != nil {
				t.Fatal(err)
			}
			defer base.Close()
			im, err := base.Images(evaluation.DataConfig{Path: "scenes:new-train"})
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			head, err := base.Model.Head()
			if err != nil {
				t.Fatal(err)
			}
			e, err := base.Engine(context.Background(), head.Penultimate)
			if err != nil {
				t.Fatal(err)
			}
			config := DefaultConfig().Training
			config.Mix.Method, config.Mix.Prob, config.Batch = c.method, 1, 8
			config.Augment.Crop, config.Augment.Flip = false, 0
			samples := make([]int, 20) // the last batch is of 4
			y := &heads.Targets{Classes: 10}
			for i := range samples {
				samples[i] = 7 * i
				y.Class = append(y.Class, i%10)
			}
			src := &pixels{config: config, seed: 3, base: base, engine: e, feature: output(e, head.Penultimate), images: im, samples: samples, targets: y}
			order, step, differ := heads.Order(3, 0, 20), 0, 0
			err = src.Epoch(context.Background(), 0, func(x []float32, targets []float64) error {
				at := order[step*8 : min(step*8+8, 20)]
				b, err := e.NewBatch(len(at))
				if err != nil {
					return err
				}
				defer b.Close()
				fill(t, b, im, samples, at)
				plain := features(t, b, src.feature, len(at))
				mix := src.mix(b, 0, step, len(at))
				want := features(t, b, src.feature, len(at))
				if !slices.Equal(targets, y.Mixed(nil, at, mix.Partner, mix.Own)) {
					t.Errorf("batch %d: targets %v", step, targets)
				}
				if far(x, want, 1e-4) > 0 { // batches of another size, float32
					t.Errorf("batch %d: features are not those of the mixed images", step)
				}
				differ += far(plain, want, 1e-3)
				step++
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if step != 3 || differ < 100 {
				t.Errorf("%d batches, and mixing changes %d features", step, differ)
			}
		})
	}
}

// fill puts images as they are into a batch.
func fill(t *testing.T, b pipeline.Batch, im *evaluation.Images, samples, at []int) {
	t.Helper()
	load, err := im.Filler()
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range at {
		if _, err := load(samples[k], b.Input(0, i)); err != nil {
			t.Fatal(err)
		}
	}
}

// features runs a batch and returns an output of it.
func features(t *testing.T, b pipeline.Batch, k, n int) (out []float32) {
	t.Helper()
	if err := b.Run(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		out = append(out, b.Output(k, i)...)
	}
	return out
}

// far counts the values that differ by more than a share of them, and of 1.
func far(a, b []float32, tolerance float64) int {
	if len(a) != len(b) {
		return max(len(a), len(b))
	}
	n := 0
	for i, v := range a {
		if !(math.Abs(float64(v-b[i])) <= tolerance*max(1, math.Abs(float64(b[i])))) {
			n++
		}
	}
	return n
}
