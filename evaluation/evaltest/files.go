package evaltest

import (
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/runtime/ortest"
)

// Files opens a model's file and the images of a folder or archive, for tests of a task on real files with ONNX
// Runtime. Both are closed with the test.
func Files(tb testing.TB, m evaluation.ModelConfig, d evaluation.DataConfig, r evaluation.Running) (*evaluation.Classifier, *evaluation.Images) {
	tb.Helper()
	ortest.Load(tb)
	c, err := evaluation.OpenClassifier(m, r)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	im, err := c.Images(d)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { im.Close() })
	return c, im
}

// Shared are the configurations of a model and of data in the folder with reference values, for pixels that
// differ from the model's own by changes.
func Shared(tb testing.TB, model, data []string, changes evaluation.Changes) (evaluation.ModelConfig, evaluation.DataConfig) {
	tb.Helper()
	d := evaluation.DefaultDataConfig()
	d.Path = golden.Path(tb, data...)
	return evaluation.ModelConfig{Model: golden.Path(tb, model...), Changes: changes}, d
}

// Scaled are pixels of 0 to top less mean, divided by std (red, green, blue).
func Scaled(top int, mean, std [3]float32) evaluation.Changes {
	return evaluation.Changes{Range: &top, Mean: &mean, Std: &std}
}

// Raw are pixels of 0 to 1 of pictures that have the model's size.
func Raw() evaluation.Changes {
	c := Scaled(1, [3]float32{}, [3]float32{1, 1, 1})
	c.Resize, c.Crop = &imageproc.Size{}, &imageproc.Size{}
	return c
}
