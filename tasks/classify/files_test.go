package classify

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/internal/golden"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// evaluated is the report of a model's file on images, without replicates, and what the doctor advises beside it. Of
// a shard there is no report.
func evaluated(t *testing.T, m evaluation.ModelConfig, d evaluation.DataConfig, r evaluation.Running, c Config, s evaluation.Store) (*report.Report, string) {
	t.Helper()
	c.Replicates = 0
	classifier, im := evaltest.Files(t, m, d, r)
	j, err := Open(t.Context(), classifier, im, c, s)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if !s.Shard.Whole() {
		if err := j.Collect(t.Context(), j.Pass, nil); err != nil {
			t.Fatal(err)
		}
		return nil, ""
	}
	res, err := tasks.Do(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := res.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out, j.Advice
}

// kept is the report of run directories.
func kept(t *testing.T, dirs ...string) *report.Report {
	t.Helper()
	study, err := results.OpenStudy(false, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Task{}.Load(context.Background(), study, tasks.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := res.Report(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func inJSON(t *testing.T, r *report.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b, report.JSON); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Models whose file was made for a batch, of which there is a right answer for one image: shared
// cases, each with the number that it has image by image (100 %, and NLL as ONNX Runtime gives it
// for the same integer weights with exact arithmetic).
func TestWhateverTheBatch(t *testing.T) {
	for _, c := range []struct {
		folder, model string
		nll           float64
		warning       string
	}{
		{"dynamic-quant-batch", "model", 0.2321, "runs image by image, because what it gives for an image depends on the others of its batch (DynamicQuantizeLinear"},
		{"batchnorm-training", "model", math.NaN(), "was exported in training mode"},
		{"int8-saturation", "u8s8", 0.0858, ""},
		{"int8-saturation", "u8u8", 0.0858, ""},
	} {
		t.Run(c.folder+" "+c.model, func(t *testing.T) {
			m, d := evaltest.Shared(t, []string{"cases", c.folder, c.model + ".onnx"}, []string{"cases", c.folder, "images.tar"}, evaltest.Raw())
			in := func(batch int) evaluation.Running { r := evaluation.DefaultRunning(); r.Batch = batch; return r }
			check := func(batch int, r *report.Report) {
				t.Helper()
				if top1 := r.Find("top1").Value; top1 != 1 {
					t.Errorf("batch %d: top-1 %v, want 1", batch, top1)
				}
				// Four digits are given.
				if nll := r.Find("nll").Value; !math.IsNaN(c.nll) && math.Abs(nll-c.nll) > 5e-5 {
					t.Errorf("batch %d: NLL %v, want %v", batch, nll, c.nll)
				}
				warned := slices.ContainsFunc(r.Warnings, func(w string) bool { return c.warning != "" && strings.Contains(w, c.warning) })
				if warned != (c.warning != "") {
					t.Errorf("batch %d: warnings %q, want %q", batch, r.Warnings, c.warning)
				}
				if quantised := c.folder != "batchnorm-training"; quantised != (r.Runtime.Kernels != "") {
					t.Errorf("integer kernels %q", r.Runtime.Kernels)
				}
			}
			for _, batch := range []int{0, 1, 7} {
				r, _ := evaluated(t, m, d, in(batch), DefaultConfig(), evaluation.Store{})
				check(batch, r)
			}
			tmp := t.TempDir()
			whole, shards := filepath.Join(tmp, "whole"), []string{filepath.Join(tmp, "0"), filepath.Join(tmp, "1")}
			r, _ := evaluated(t, m, d, in(5), DefaultConfig(), evaluation.Store{Dir: whole})
			check(5, r)
			for i, dir := range shards {
				evaluated(t, m, d, in(0), DefaultConfig(), evaluation.Store{Dir: dir, Shard: results.Shard{I: i, N: 2}})
			}
			slices.Reverse(shards)
			if a, b := inJSON(t, kept(t, whole)), inJSON(t, kept(t, shards...)); a != b {
				t.Errorf("the report of two shards differs:\n%s\n%s", a, b)
			}
		})
	}
}

// Softmax with QuantizeLinear behind it: NLL is told to be too high, or the logits before it are
// read (4.8772, as of the same model without the quantisation).
func TestQuantisedSoftmax(t *testing.T) {
	m, d := evaltest.Shared(t, []string{"cases", "quantised-softmax", "qsm1000.onnx"}, []string{"cases", "quantised-softmax", "images"}, evaltest.Raw())
	d.Labels = golden.Path(t, "cases", "quantised-softmax", "labels.csv")
	r, _ := evaluated(t, m, d, evaluation.DefaultRunning(), DefaultConfig(), evaluation.Store{})
	nll := r.Find("nll").Value
	warned := slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "so NLL is too high") })
	if right := math.Abs(nll-4.8772) < 5e-5; right == warned {
		t.Errorf("NLL %v, warnings %q", nll, r.Warnings)
	}
}
