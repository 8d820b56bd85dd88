package evaltest

import (
	"context"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Pixels is a classifier of pictures whose scores for that many classes are a function of
// the tensor that the recipe makes, for tests that need pictures. score may be called by
// one goroutine at a time; what it returns is copied.
func Pixels(tb testing.TB, recipe imageproc.Recipe, classes int, score func(tensor []float32) []float32) *evaluation.Classifier {
	tb.Helper()
	size, ok := recipe.Fixed()
	if !ok {
		tb.Fatalf("recipe %s does not fix the size", recipe)
	}
	table := &Table{Scores: [][]float32{make([]float32, classes)}}
	start := func(context.Context, *evaluation.Classifier, []string) (evaluation.Engine, error) {
		return &pixels{classes: classes, size: 3 * size.H * size.W, score: score}, nil
	}
	running := evaluation.Running{Workers: 2, Batch: 4, Tool: report.Tool{Name: "evaltest"}}
	c := evaluation.NewClassifier(table.Classifier(tb).Model, []int64{3, int64(size.H), int64(size.W)}, running, start)
	c.Recipe, c.RecipeSource = recipe, "evaltest"
	tb.Cleanup(c.Close)
	return c
}

// pixels is an engine that computes scores from tensors.
type pixels struct {
	classes, size int // of outputs, of a tensor
	score         func([]float32) []float32
}

func (e *pixels) Outputs() []runtime.Tensor {
	return []runtime.Tensor{{Name: logits, Type: onnx.Float32, Shape: []int64{-1, int64(e.classes)}}}
}
func (e *pixels) Fixed() int              { return 0 }
func (e *pixels) Device() results.Device  { return results.Device{ORT: "none", Name: "pixels"} }
func (e *pixels) Runtime() report.Runtime { return report.Runtime{ORT: "none", Device: "pixels"} }
func (e *pixels) Close() error            { return nil }

func (e *pixels) NewBatch(n int) (pipeline.Batch, error) {
	return &pixelBatch{e, make([]float32, n*e.size), make([][]float32, n)}, nil
}

type pixelBatch struct {
	*pixels
	in  []float32
	out [][]float32
}

func (b *pixelBatch) Size() int                 { return len(b.out) }
func (b *pixelBatch) Input(_, i int) []float32  { return b.in[i*b.size : (i+1)*b.size] }
func (b *pixelBatch) Output(_, i int) []float32 { return b.out[i] }

func (b *pixelBatch) Run(ctx context.Context, n int) error {
	for i := range n {
		b.out[i] = append(b.out[i][:0], b.score(b.Input(0, i))...)
	}
	return ctx.Err()
}
