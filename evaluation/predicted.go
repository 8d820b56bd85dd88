package evaluation

import (
	"context"
	"errors"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/predictions"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// A sample of a table of predictions fills in its row, in two halves that float32 holds
// exactly, and a mark that tells it from noise.
const (
	rowTensor = 3
	rowHalf   = 1 << 16
	rowMark   = 4321.5
)

// Predicted is a classifier whose scores another program has computed, and the images that they
// are of. Rows with names are matched to the images by them, others by their order, and images
// without a row are left out. Without data (an empty path) the table's own labels count, or
// those of the label file. scale says what the scores of several classes are, Automatic that
// it is to be found out. Close both.
func Predicted(t *predictions.Table, d DataConfig, scale Scale, r Running) (*Classifier, *PredictedImages, error) {
	images, err := predictedImages(t, d)
	if err != nil {
		return nil, nil, err
	}
	if err := images.settle(scale); err != nil {
		_ = images.Close()
		return nil, nil, predictionsError(t, err)
	}
	t = images.table
	m := model.OfScores(t.Name, t.Path, t.SHA256, t.Size, t.Classes, t.Names)
	start := func(_ context.Context, _ *Classifier, taps []string) (Engine, error) {
		if len(taps) > 0 {
			return nil, errors.New("predictions have no tensor but the scores; give the model itself by --model")
		}
		return &tableEngine{t, images.scale.Probabilities}, nil
	}
	c := NewClassifier(m, []int64{rowTensor, 1, 1}, r, start)
	c.Recipe = imageproc.Recipe{Layout: imageproc.NCHW}
	return c, images, nil
}

// Filler writes the image's row.
func (p *PredictedImages) Filler() (pipeline.Filler, error) {
	return func(i int, dst []float32) (pipeline.Loaded, error) {
		dst[0], dst[1], dst[2] = float32(p.row[i]/rowHalf), float32(p.row[i]%rowHalf), rowMark
		return pipeline.Loaded{}, nil
	}, nil
}

// tableEngine looks scores up.
type tableEngine struct {
	table         *predictions.Table
	probabilities bool
}

// Probabilities says what the scores are, which all of them tell better than two samples of noise.
func (e *tableEngine) Probabilities() bool { return e.probabilities }

func (e *tableEngine) Outputs() []runtime.Tensor {
	return []runtime.Tensor{{Name: "scores", Type: onnx.Float32, Shape: []int64{-1, int64(e.table.Classes)}}}
}
func (e *tableEngine) Fixed() int              { return 0 }
func (e *tableEngine) Device() results.Device  { return results.Device{Name: report.Predictions} }
func (e *tableEngine) Runtime() report.Runtime { return report.Runtime{Device: report.Predictions} }
func (e *tableEngine) Close() error            { return nil }
func (e *tableEngine) NewBatch(n int) (pipeline.Batch, error) {
	return &tableBatch{e.table, make([]float32, n*rowTensor)}, nil
}

type tableBatch struct {
	table *predictions.Table
	in    []float32
}

func (b *tableBatch) Size() int                            { return len(b.in) / rowTensor }
func (b *tableBatch) Input(_, i int) []float32             { return b.in[i*rowTensor : (i+1)*rowTensor] }
func (b *tableBatch) Close() error                         { return nil }
func (b *tableBatch) Run(ctx context.Context, _ int) error { return ctx.Err() }

// Output is the row in slot i; noise, which only asks what scores look like, gets one by its
// slot.
func (b *tableBatch) Output(_, i int) []float32 {
	if in := b.Input(0, i); in[2] == rowMark {
		return b.table.Row(int(in[0])*rowHalf + int(in[1]))
	}
	return b.table.Row(i % b.table.N)
}
