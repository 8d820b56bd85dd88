package evaluation

import (
	"context"
	"path/filepath"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/pipeline"
	"cutmix-eval/runtime/ortest"
)

// Models that people keep give the accuracy that their makers, or a computation of their graphs
// in PyTorch on Pillow's pixels (burn_mnist, mnistfc_256x2: numbers of right images), give:
// grey, flat, three axes, NHWC, and several outputs.
func TestRealModels(t *testing.T) {
	ortest.Load(t)
	one := func(v float32) *[3]float32 { return &[3]float32{v, v, v} }
	zero, unit := one(0), one(1)
	big := 255
	for _, c := range []struct {
		model, data []string
		split       string
		changes     Changes
		right, of   int
	}{
		{[]string{"models", "real", "burn_mnist.onnx"}, []string{"data", "real", "mnist-png.tar"}, "",
			Changes{Mean: one(0.1307), Std: one(0.3081)}, 996, 1000},
		{[]string{"models", "real", "mnistfc_256x2.onnx"}, []string{"data", "real", "mnist-png.tar"}, "", Changes{}, 991, 1000},
		{[]string{"models", "real", "gtsrb_3_48_48_qconv.onnx"}, []string{"data", "real", "gtsrb-test860.tar"}, "test",
			Changes{Mean: zero, Std: unit, Range: &big, Resize: &imageproc.Size{H: 48, W: 48}, Fit: new(imageproc.Squash)}, 799, 860},
		{[]string{"cases", "aux-output-first", "aux80.onnx"}, []string{"cases", "aux-output-first", "images.tar"}, "",
			Changes{Mean: zero, Std: unit, Resize: &imageproc.Size{}, Crop: &imageproc.Size{}}, 30, 30},
	} {
		t.Run(filepath.Base(golden.Path(t, c.model...)), func(t *testing.T) {
			m, err := OpenClassifier(ModelConfig{Model: golden.Path(t, c.model...), Changes: c.changes}, DefaultRunning())
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			d := DefaultDataConfig()
			d.Path, d.Split = golden.Path(t, c.data...), c.split
			im, err := m.Images(d)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			labels, err := m.Labels(context.Background(), im)
			if err != nil {
				t.Fatal(err)
			}
			e, err := m.Engine(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			right, of := 0, 0
			_, err = pipeline.Run(context.Background(), m.Pipeline(e, im, nil, nil), func(r pipeline.Result) error {
				of++
				best := 0
				for k, v := range r.Output(0) {
					if v > r.Output(0)[best] {
						best = k
					}
				}
				if best == labels.Output[im.Label(r.Index)] {
					right++
				}
				return r.Err
			})
			if err != nil || right != c.right || of != c.of {
				t.Errorf("%d of %d right, want %d of %d (%v)", right, of, c.right, c.of, err)
			}
		})
	}
}
