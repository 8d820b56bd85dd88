package evaluation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cutmix-eval/datasets"
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
// those of the label file. Close both.
func Predicted(t *predictions.Table, d DataConfig, r Running) (*Classifier, *PredictedImages, error) {
	images, err := predictedImages(t, d)
	if err != nil {
		return nil, nil, err
	}
	t = t.Widen(len(images.Classes()))
	images.table = t
	m := model.OfScores(t.Name, t.Path, t.SHA256, t.Size, t.Classes, t.Names)
	start := func(_ context.Context, _ *Classifier, taps []string) (Engine, error) {
		if len(taps) > 0 {
			return nil, errors.New("predictions have no tensor but the scores; give the model itself by --model")
		}
		return &tableEngine{t}, nil
	}
	c := NewClassifier(m, []int64{rowTensor, 1, 1}, r, start)
	c.Recipe = imageproc.Recipe{Layout: imageproc.NCHW}
	return c, images, nil
}

// PredictedImages are images whose pictures are not looked at.
type PredictedImages struct {
	*Images
	table *predictions.Table
	row   []int // of the table, by image; -1 for none
}

func predictedImages(t *predictions.Table, d DataConfig) (*PredictedImages, error) {
	options := datasets.Options{Format: d.Format, Labels: d.Labels, LabelColumn: d.LabelColumn, Root: d.Root, Split: d.Split, Prefer: d.Prefer, Order: d.Order}
	var data *datasets.Dataset
	var err error
	if d.Path == "" {
		ids := slices.Clone(t.IDs)
		for i := len(ids); i < t.N; i++ {
			ids = append(ids, fmt.Sprintf("%06d", i))
		}
		if data, err = datasets.Rows(t.Name, ids, t.Labels, options); err != nil {
			return nil, fmt.Errorf("predictions %q: %w", t.Path, err)
		}
		named := *t
		named.IDs = ids
		t, d.Path = &named, t.Path
	} else if data, err = datasets.Open(d.Path, options); err != nil {
		return nil, err
	}
	p := &PredictedImages{Images: &Images{Dataset: data, Config: d, source: "of the program that computed the scores"}, table: t}
	if err := p.match(); err != nil {
		_ = data.Close()
		return nil, fmt.Errorf("predictions %q: %w", t.Path, err)
	}
	named, err := data.Named(d.Subset)
	if err != nil {
		_ = data.Close()
		return nil, err
	}
	p.selected = Both(p.selected, data.PickOf(Both(named, p.selected), d.Limit, d.Seed))
	return p, nil
}

// match finds the row of every image.
func (p *PredictedImages) match() error {
	n := len(p.Samples)
	p.row = make([]int, n)
	if p.table.IDs == nil {
		if n != p.table.N {
			return fmt.Errorf("it has %d rows without names, and %s has %d images; give one row per image, in their order, or a column with the images' names", p.table.N, p.Name, n)
		}
		for i := range p.row {
			p.row[i] = i
		}
		return nil
	}
	for i := range p.row {
		p.row[i] = -1
	}
	names, lost := p.Names(), 0
	for r, id := range p.table.IDs {
		i, err := names.Find(id)
		if err != nil {
			return fmt.Errorf("row %d: %w", r+1, err)
		}
		if i < 0 {
			lost++
			continue
		}
		if other := p.row[i]; other >= 0 {
			return fmt.Errorf("rows %d (%s) and %d (%s) are both of image %s", other+1, p.table.IDs[other], r+1, id, p.ID(i))
		}
		p.row[i] = r
	}
	for i, r := range p.row {
		if r >= 0 {
			p.selected = append(p.selected, i)
		}
	}
	switch without := n - len(p.selected); {
	case len(p.selected) == 0:
		return fmt.Errorf("none of its rows (%s, …) is of an image of %s (%s, …)", p.table.IDs[0], p.Name, p.ID(0))
	case without > 0:
		p.Notes = append(p.Notes, fmt.Sprintf("%d of %d images have no predictions and are left out", without, n))
	}
	if lost > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d of %d predictions are of no image of the data and are left out", lost, p.table.N))
	}
	if len(p.selected) == n {
		p.selected = nil
	}
	return nil
}

// Identity takes the table in place of the preprocessing.
func (p *PredictedImages) Identity() Identity {
	return Identity{Data: p.Fingerprint(), Preprocessing: p.table.SHA256[:16], Limit: p.Config.Limit, Seed: p.Config.Seed}
}

// Hard says that the table has class numbers alone.
func (p *PredictedImages) Hard() bool { return p.table.Hard }

// Filler writes the image's row.
func (p *PredictedImages) Filler() (pipeline.Filler, error) {
	return func(i int, dst []float32) (pipeline.Loaded, error) {
		dst[0], dst[1], dst[2] = float32(p.row[i]/rowHalf), float32(p.row[i]%rowHalf), rowMark
		return pipeline.Loaded{}, nil
	}, nil
}

// Describe writes the images' part of a report.
func (p *PredictedImages) Describe(h *report.Head) {
	p.Images.Describe(h)
	h.Preprocessing = report.Preprocessing{Summary: "scores computed elsewhere", Source: p.table.Kind, Decoder: "none", Fingerprint: p.table.SHA256[:16]}
	if p.table.Hard {
		h.Option("class numbers alone: accuracy is all that they give")
	}
}

// tableEngine looks scores up.
type tableEngine struct{ table *predictions.Table }

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
