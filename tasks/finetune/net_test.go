package finetune

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"cutmix-eval/augment"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks"
)

// side is that of the feature maps of a net.
const side = 4

// net is an engine without ONNX Runtime, for the embedded models: a channel of the feature map is
// the sum of some of the pixels at a place, a feature its mean, and scores are those of the model's
// own head. It computes every image for itself, so that batches do not matter.
type net struct {
	model   *model.Model
	head    *model.Head
	outputs []runtime.Tensor
}

func startNet(_ context.Context, c *evaluation.Classifier, taps []string) (evaluation.Engine, error) {
	h, err := c.Model.Head()
	if err != nil {
		return nil, err
	}
	shapes := map[string][]int64{
		c.Model.Logits: {-1, int64(h.Classes)}, h.Penultimate: {-1, int64(h.Features)}, h.FeatureMap: {-1, int64(h.Features), side, side},
	}
	n := &net{model: c.Model, head: h}
	for _, name := range append([]string{c.Model.Logits}, taps...) {
		if shapes[name] == nil {
			return nil, fmt.Errorf("there is no tensor %q", name)
		}
		n.outputs = append(n.outputs, runtime.Tensor{Name: name, Shape: shapes[name]})
	}
	return n, nil
}

func (n *net) Outputs() []runtime.Tensor { return n.outputs }
func (n *net) Fixed() int                { return 0 }
func (n *net) Device() results.Device    { return results.Device{ORT: "none", Name: "net"} }
func (n *net) Runtime() report.Runtime   { return report.Runtime{ORT: "none", Device: "net"} }
func (n *net) Close() error              { return nil }

func (n *net) NewBatch(size int) (pipeline.Batch, error) {
	return &netBatch{net: n, in: make([][]float32, size), out: make([][][]float32, size)}, nil
}

type netBatch struct {
	*net
	in  [][]float32
	out [][][]float32 // by slot, then output
}

func (b *netBatch) Size() int { return len(b.in) }

func (b *netBatch) Input(_, i int) []float32 {
	if b.in[i] == nil {
		b.in[i] = make([]float32, 3*64*64)
	}
	return b.in[i]
}

func (b *netBatch) Output(k, i int) []float32 { return b.out[i][k] }

func (b *netBatch) Run(ctx context.Context, n int) error {
	d := b.head.Features
	for i := range n {
		maps, features, scores := make([]float32, d*side*side), make([]float32, d), slices.Clone(b.head.Bias)
		for p, v := range b.Input(0, i) {
			y, x := p/64%64, p%64
			maps[p*7%d*side*side+y*side/64*side+x*side/64] += v / 16
		}
		for k := range d {
			sum := 0.0
			for _, v := range maps[k*side*side : (k+1)*side*side] {
				sum += float64(v)
			}
			features[k] = float32(sum / (side * side))
			for c := range scores {
				scores[c] += b.head.Weight[c*d+k] * features[k]
			}
		}
		b.out[i] = nil
		for _, t := range b.outputs {
			b.out[i] = append(b.out[i], map[string][]float32{b.model.Logits: scores, b.head.Penultimate: features, b.head.FeatureMap: maps}[t.Name])
		}
	}
	return ctx.Err()
}

// netOf is an embedded model that runs as a net.
func netOf(t *testing.T, name string) *evaluation.Classifier {
	t.Helper()
	of := evaluation.DefaultModelConfig()
	of.Model = name
	named, err := evaluation.OpenClassifier(of, evaluation.DefaultRunning())
	if err != nil {
		t.Fatal(err)
	}
	c := evaluation.NewClassifier(named.Model, []int64{3, 64, 64}, evaluation.Running{Workers: 2, Batch: 16}, startNet)
	c.Entry, c.Recipe, c.RecipeSource = named.Entry, named.Recipe, named.RecipeSource
	t.Cleanup(c.Close)
	return c
}

// scenes writes some pictures of new classes, of each split.
func scenes(t *testing.T) (train, val, test string) {
	t.Helper()
	dir := t.TempDir()
	var out []string
	for split, n := range map[string]int{"new-train": 60, "new-val": 40, "new-test": 50} {
		if _, err := datasets.ExportScenes(context.Background(), filepath.Join(dir, split), "", split, n, nil); err != nil {
			t.Fatal(err)
		}
		out = append(out, filepath.Join(dir, split))
	}
	slices.Sort(out)
	return out[1], out[2], out[0]
}

// few is a training of a moment.
func few(m augment.Method) Config {
	c := DefaultConfig()
	c.Mix.Method, c.Epochs, c.Batch, c.Replicates = m, 3, 16, 100 // 60 images: the last batch is of 12
	return c
}

// open opens a fine-tuning of a net; the test closes it.
func open(t *testing.T, model, train string, c Config, o Options) (*Job, error) {
	t.Helper()
	return openWith(t, model, evaluation.DataConfig{Path: train, Format: datasets.Auto}, c, o)
}

func openWith(t *testing.T, model string, d evaluation.DataConfig, c Config, o Options) (*Job, error) {
	t.Helper()
	base := netOf(t, model)
	im, err := base.Images(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	return Open(context.Background(), base, im, c, o)
}

// tune does all of a fine-tuning of a net.
func tune(t *testing.T, model, train string, c Config, o Options) (tasks.Result, error) {
	t.Helper()
	j, err := open(t, model, train, c, o)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	return tasks.Do(context.Background(), j, nil)
}

// reported is the report of a result.
func reported(t *testing.T, res tasks.Result, err error) *report.Report {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, err := res.Report(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}
