package finetune

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"

	"cutmix-eval/augment"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/runtime/ortest"
	"cutmix-eval/tasks"

	"github.com/google/go-cmp/cmp"
)

// TestRunGoesOn: on ONNX Runtime, a training that is stopped in its images and epochs ends with the
// bits of one that was not; other threads, decoders and batches of the first pass change nothing.
func TestRunGoesOn(t *testing.T) {
	running := evaluation.DefaultRunning()
	running.Library = ortest.Load(t).Path
	train, val, _ := scenes(t)
	for _, method := range []augment.Method{augment.CutMix, augment.FeatureCutMix} {
		t.Run(string(method), func(t *testing.T) {
			// run stops after some images of the passes or, of the training, of pixels or epochs.
			run := func(r evaluation.Running, out string, stop int) error {
				base, err := evaluation.OpenClassifier(evaluation.DefaultModelConfig(), r)
				if err != nil {
					t.Fatal(err)
				}
				defer base.Close()
				im, err := base.Images(evaluation.DataConfig{Path: train})
				if err != nil {
					t.Fatal(err)
				}
				defer im.Close()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				before := 0
				count := func(done int) {
					if stop -= max(done-before, 1); stop < 0 {
						cancel()
					}
					before = done
				}
				o := Options{Val: val, Out: out, Told: func(heads.Epoch, int, string) { count(before) }}
				o.Stage = func(string, int) (func(int), func()) { before = 0; return count, func() {} }
				j, err := Open(ctx, base, im, few(method), o)
				if err != nil {
					return err
				}
				defer j.Close()
				_, err = tasks.Do(ctx, j, func(done, _ int) { count(done) })
				return err
			}
			whole, parts := Options{Out: t.TempDir() + "/a.onnx"}, Options{Out: t.TempDir() + "/a.onnx"}
			if err := run(running, whole.Out, math.MaxInt); err != nil {
				t.Fatal(err)
			}
			other := running
			other.Threads, other.Workers, other.Batch = 1, 3, 13
			stops := 0
			for err := error(context.Canceled); err != nil; stops++ {
				if err = run(other, parts.Out, 20+60*stops); err != nil && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			if stops < 3 {
				t.Errorf("stopped %d times", stops-1)
			}
			want, wantLog := written(t, whole)
			got, log := written(t, parts)
			if !bytes.Equal(got, want) {
				t.Error("the file is another")
			}
			if d := cmp.Diff(wantLog, log); d != "" {
				t.Error(d)
			}
		})
	}
}
