package evaluation_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/pipeline"
	"cutmix-eval/results"
	"cutmix-eval/runtime/ortest"

	"github.com/google/go-cmp/cmp"
)

const (
	mixSide, mixClasses = 4, 5
	mixItem             = 3 * mixSide * mixSide
)

// mixModel writes a classifier whose logits are a matrix times what nodes make of "x", the pixels
// as vectors, in "y".
func mixModel(t *testing.T, batch int64, nodes []onnx.Node, constants ...onnx.Tensor) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 1))
	var w []byte
	for range mixItem * mixClasses {
		w = binary.LittleEndian.AppendUint32(w, math.Float32bits(float32(rng.NormFloat64())))
	}
	m := onnxtest.Model()
	g := &m.Graph
	g.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(batch, 3, mixSide, mixSide)...)}
	g.Nodes = append([]onnx.Node{onnx.NewNode("Flatten", "flat", []string{"image"}, []string{"x"})}, nodes...)
	g.Nodes = append(g.Nodes, onnx.NewNode("MatMul", "head", []string{"y", "w"}, []string{"logits"}))
	g.Initializers = append(constants, onnx.NewTensor("w", onnx.Float32, []int64{mixItem, mixClasses}, w))
	g.Outputs = []onnx.Value{onnx.NewValue("logits", onnx.Float32).WithDims(onnxtest.Axes(batch, mixClasses)...)}
	path := filepath.Join(t.TempDir(), "mix.onnx")
	if err := os.WriteFile(path, m.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dark are samples of which the first half is alike and dark, and the rest is bright: what a
// check on images alone could miss.
type dark struct{ *evaltest.Samples }

func (d dark) Filler() (pipeline.Filler, error) {
	return func(i int, dst []float32) (pipeline.Loaded, error) {
		if i == 0 {
			return pipeline.Loaded{}, errors.New("it is torn")
		}
		rng := rand.New(rand.NewPCG(uint64(i), 5))
		for k := range dst {
			dst[k] = 0.01 + 0.0001*rng.Float32()
			if 2*i > d.Len() {
				dst[k] += 1
			}
		}
		return pipeline.Loaded{Size: image.Pt(mixSide, mixSide)}, nil
	}, nil
}

// mixed opens and makes a pass of a model over 40 dark samples, of the given batch size and in one
// share, and returns the logits.
func mixed(t *testing.T, path string, batch int, selected []int, taps ...string) (*evaluation.Pass, map[int][]float32, error) {
	t.Helper()
	ortest.Load(t)
	running := evaluation.DefaultRunning()
	running.Batch = batch
	size := imageproc.Size{H: mixSide, W: mixSide}
	c, err := evaluation.OpenClassifier(evaluation.ModelConfig{Model: path, Changes: evaluation.Changes{Crop: &size}}, running)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(c.Close)
	tab := table(40)
	p, err := evaluation.Open(ctx, c, dark{tab.Samples()}, evaluation.Store{}, evaluation.Spec{Task: "test", Selected: selected, Taps: taps})
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { p.Close() })
	if err := p.Begin(ctx, nil); err != nil {
		return p, nil, err
	}
	out := map[int][]float32{}
	_, err = p.Each(ctx, nil, func(sc evaluation.Scored) error {
		if sc.Err == nil {
			out[sc.Index] = append([]float32(nil), sc.Logits...)
			for _, tap := range sc.Taps {
				out[sc.Index] = append(out[sc.Index], tap...)
			}
		}
		return nil
	})
	return p, out, err
}

// node is a node of one output.
func node(op, out string, in ...string) onnx.Node { return onnx.NewNode(op, out, in, []string{out}) }

// quantised gives the inputs as bytes of one scale per batch.
func quantised() []onnx.Node {
	return []onnx.Node{
		onnx.NewNode("DynamicQuantizeLinear", "quantise", []string{"x"}, []string{"q", "scale", "zero"}),
		node("DequantizeLinear", "y", "q", "scale", "zero"),
	}
}

// chosen gives y as an If does: what the nodes make as "then", or x as it is.
func chosen(condition string, nodes ...onnx.Node) []onnx.Node {
	one := func(name string) []onnx.Value { return []onnx.Value{onnx.NewValue(name, onnx.Float32)} }
	return []onnx.Node{onnx.NewNode("If", "if", []string{condition}, []string{"y"},
		onnxtest.Body("then_branch", nil, one("then"), nodes...),
		onnxtest.Body("else_branch", nil, one("else"), node("Identity", "else", "x")))}
}

// looped gives y as a Loop does that adds x to itself, at most twice: nodes make the condition "on"
// of the count "i" and the "state".
func looped(nodes ...onnx.Node) []onnx.Node {
	float, none := onnx.NewValue("state", onnx.Float32), onnxtest.Axes()
	body := onnxtest.Body("body",
		[]onnx.Value{onnx.NewValue("i", onnx.Int64).WithDims(none...), onnx.NewValue("was", onnx.Bool).WithDims(none...), float},
		[]onnx.Value{onnx.NewValue("on", onnx.Bool), onnx.NewValue("sum", onnx.Float32)}, append(nodes, node("Add", "sum", "state", "x"))...)
	return []onnx.Node{onnx.NewNode("Loop", "loop", []string{"twice", "yes", "x"}, []string{"y"}, body)}
}

// yes is the constant true; half is a rate.
func yes() onnx.Tensor  { return onnx.NewTensor("yes", onnx.Bool, nil, []byte{1}) }
func half() onnx.Tensor { return number("half", 0.5) }

// low is less than any mean of pixels.
func low() onnx.Tensor { return number("low", -1) }

func number(name string, v float32) onnx.Tensor {
	return onnx.NewTensor(name, onnx.Float32, nil, binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
}

// Whatever the batch and whichever samples are there, an image gets the same bits: in batches
// where the model lets it, else image by image, which is said.
func TestIndependence(t *testing.T) {
	softmax := onnx.NewNode("Softmax", "soft", []string{"x"}, []string{"y"}, onnx.IntAttr("axis", 0))
	centred := []onnx.Node{
		onnx.NewNode("Softmax", "soft", []string{"x"}, []string{"s"}, onnx.IntAttr("axis", 0)),
		node("Add", "y", "x", "s"),
	}
	for name, c := range map[string]struct {
		nodes     []onnx.Node
		constants []onnx.Tensor
		note      string // empty: it runs in batches
		err       string
		batch     int64 // fixed in the file
		taps      []string
	}{
		"float":            {nodes: []onnx.Node{node("Relu", "y", "x")}},
		"batch of 3":       {nodes: []onnx.Node{node("Relu", "y", "x")}, batch: 3},
		"mean per image":   {nodes: []onnx.Node{onnx.NewNode("Softmax", "soft", []string{"x"}, []string{"y"}, onnx.IntAttr("axis", 1))}},
		"one scale":        {nodes: quantised(), note: `DynamicQuantizeLinear "quantise" quantises all images of a batch with one scale`},
		"softmax and more": {nodes: centred, note: `Softmax "soft" normalises over the images of a batch (axis 0)`},
		"a mean over all": {
			nodes: []onnx.Node{node("ReduceMean", "m", "x"), node("Sub", "y", "x", "m")},
			note:  `ReduceMean "m" reduces over the images of a batch`,
		},
		"a tap alone": {
			nodes: []onnx.Node{node("Relu", "y", "x"), node("ReduceMax", "m", "x"), node("Mul", "tap", "x", "m")},
			taps:  []string{"tap"}, note: `ReduceMax "m" reduces`,
		},
		"nobody reads it": {nodes: []onnx.Node{node("Relu", "y", "x"), node("ReduceMax", "m", "x"), node("Mul", "tap", "x", "m")}},
		"no cause is found": {
			nodes: []onnx.Node{
				onnx.NewNode("CumSum", "sum", []string{"x", "axis"}, []string{"y"}),
			},
			constants: []onnx.Tensor{onnx.NewInt64s("axis", []int64{0})},
			note:      "depends on the others of its batch; tensor",
		},
		"softmax over the batch": {nodes: []onnx.Node{softmax}, err: "for one image alone the scores say nothing"},
		"dropout":                {nodes: []onnx.Node{node("Dropout", "y", "x", "half", "yes")}, constants: []onnx.Tensor{half(), yes()}, note: "is in training mode and drops values at random"},
		"noise": {
			nodes: []onnx.Node{node("RandomNormalLike", "r", "x"), node("Add", "y", "x", "r")},
			err:   `something else for the same image at every run (RandomNormalLike "r" draws random numbers)`,
		},
		"noise that does nothing": {
			nodes: []onnx.Node{node("RandomUniformLike", "r", "x"), node("Floor", "f", "r"), node("Add", "y", "x", "f")},
			note:  `RandomUniformLike "r" draws random numbers in model`,
		},
		"values looked up": { // of which there are none for made-up images
			nodes:     []onnx.Node{node("Floor", "f", "x"), onnx.NewNode("Cast", "cast", []string{"f"}, []string{"i"}, onnx.IntAttr("to", int64(onnx.Int64))), node("Gather", "y", "two", "i")},
			constants: []onnx.Tensor{onnx.NewTensor("two", onnx.Float32, []int64{2}, []byte{0, 0, 0, 0, 0, 0, 128, 63})},
		},
		"chance in a body": {
			nodes: chosen("yes", node("RandomNormalLike", "r", "x"), node("Add", "then", "x", "r")), constants: []onnx.Tensor{yes()},
			err: `something else for the same image at every run (RandomNormalLike "r" in If "if" draws random numbers)`,
		},
		"chance in a body that does nothing": {
			nodes:     chosen("yes", node("RandomUniformLike", "r", "x"), node("Floor", "f", "r"), node("Add", "then", "x", "f")),
			constants: []onnx.Tensor{yes()}, note: `RandomUniformLike "r" in If "if" draws random numbers in model`,
		},
		"one scale in a body": {
			nodes: chosen("yes", onnx.NewNode("DynamicQuantizeLinear", "quantise", []string{"x"}, []string{"q", "scale", "zero"}), node("DequantizeLinear", "then", "q", "scale", "zero")), constants: []onnx.Tensor{yes()},
			note: `DynamicQuantizeLinear "quantise" in If "if" quantises all images of a batch with one scale`,
		},
		// No few images show that the whole batch decides: all their means are above -1.
		"one branch for all": {
			nodes: append([]onnx.Node{
				onnx.NewNode("ReduceMean", "m", []string{"x"}, []string{"mean"}, onnx.IntAttr("keepdims", 0)), node("Greater", "bright", "mean", "low"),
			}, chosen("bright", node("Neg", "then", "x"))...), constants: []onnx.Tensor{low()},
			note: `runs image by image, because If "if" chooses one branch for all images of a batch, by what`,
		},
		"a branch by the size": {
			nodes:     append([]onnx.Node{node("Shape", "s", "x"), node("Gather", "n", "s", "one"), node("Greater", "many", "n", "one")}, chosen("many", node("Relu", "then", "x"))...),
			constants: []onnx.Tensor{onnx.NewTensor("one", onnx.Int64, nil, []byte{1, 0, 0, 0, 0, 0, 0, 0})},
		},
		"a loop that goes on while the batch is bright": {
			nodes:     looped(onnx.NewNode("ReduceMean", "m", []string{"state"}, []string{"mean"}, onnx.IntAttr("keepdims", 0)), node("Less", "on", "mean", "low")),
			constants: []onnx.Tensor{low(), yes(), onnx.NewInt64s("twice", []int64{2})}, note: `Loop "loop" runs equally often for all images of a batch`,
		},
		"a loop that counts": {
			nodes:     looped(node("Less", "on", "i", "twice")),
			constants: []onnx.Tensor{yes(), onnx.NewInt64s("twice", []int64{2})},
		},
		"one branch for 3": {
			nodes: append([]onnx.Node{
				onnx.NewNode("ReduceMin", "m", []string{"x"}, []string{"least"}, onnx.IntAttr("keepdims", 0)), node("Greater", "bright", "least", "low"),
			}, chosen("bright", node("Neg", "then", "x"))...), constants: []onnx.Tensor{low()}, batch: 3, note: `If "if" chooses one branch for all images of a batch`,
		},
		"one scale for 3": {nodes: quantised(), batch: 3, err: "its batches are fixed at 3"},
		"one scale for 1": {nodes: quantised(), batch: 1},
		"noise of 1":      {nodes: []onnx.Node{node("RandomNormalLike", "r", "x"), node("Add", "y", "x", "r")}, batch: 1, err: "something else for the same image"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.batch == 0 {
				c.batch = -1
			}
			path := mixModel(t, c.batch, c.nodes, c.constants...)
			var first map[int][]float32
			for _, batch := range []int{0, 1, 7} {
				p, got, err := mixed(t, path, batch, nil, c.taps...)
				if c.err != "" {
					if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "mix.onnx") {
						t.Fatalf("%v, want %q", err, c.err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = got
				}
				if len(got) != 39 {
					t.Fatalf("%d results", len(got))
				}
				if d := cmp.Diff(first, got); d != "" {
					t.Errorf("batch %d (-automatic +):\n%s", batch, d)
				}
				if notes := fmt.Sprint(p.Notes()); !strings.Contains(notes, c.note) || (c.note == "") != (len(p.Notes()) == 0) {
					t.Errorf("notes %s, want %q", notes, c.note)
				}
				r := p.Classifier.Ran()
				alone := strings.Contains(fmt.Sprint(p.Notes()), "runs image by image")
				if r.Alone != alone || alone && r.Batch != 1 || p.Manifest.Key.Device.Alone != alone {
					t.Errorf("runtime %+v, device %+v", r, p.Manifest.Key.Device)
				}
				_, few, err := mixed(t, path, batch, []int{3, 30, 31}, c.taps...)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range few {
					if d := cmp.Diff(first[i], v); d != "" {
						t.Errorf("sample %d of few (-of all +):\n%s", i, d)
					}
				}
			}
		})
	}
}

// What a run was told about its model is in the reports of the run that takes scores from it, and
// after it was gone on with.
func TestNotesStay(t *testing.T) {
	run := &results.Run{Manifest: results.Manifest{
		Notes: []string{"it runs image by image"},
		Key:   results.Key{Device: results.Device{ORT: "1", Name: "cpu", Kernels: "avx2", Alone: true}},
	}}
	r := evaluation.Reported(evaluation.NewClassifier(table(2).Classifier(t).Model, nil, evaluation.Running{}, nil).
		Head("test", table(2).Samples(), nil), run, nil)
	if d := cmp.Diff([]string{"it runs image by image"}, r.Warnings); d != "" {
		t.Error(d)
	}
	if got, want := r.Runtime.String(), "ONNX Runtime 1 on cpu, integer kernels avx2, image by image"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
