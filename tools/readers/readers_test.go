// Package readers tests that other programs read what this one writes: DuckDB the
// tables of run directories, numpy their arrays, onnxruntime-node a tuned model.
package readers

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime/ortest"
	"cutmix-eval/tasks/classify"
)

// need is where npm has installed package.json; .ci/run sets it.
const need = "CUTMIX_EVAL_READERS"

// modules is where node finds them.
func modules(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(need)
	if dir == "" {
		t.Skipf("npm install in a copy of this folder, then set %s to it", need)
	}
	ortest.Load(t)
	return filepath.Join(dir, "node_modules")
}

// run reads a program's JSON into v.
func run(t *testing.T, v any, modules, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%s: %v: %s", name, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, v); err != nil {
		t.Fatal(err)
	}
}

func TestOtherPrograms(t *testing.T) {
	modules := modules(t)
	dir := filepath.Join(t.TempDir(), "run")
	out, err := exec.Command("go", "run", "../../cmd/cutmix-eval", "classify", "--limit", "500", "--bootstrap", "0", "--out", dir, "--format", "json", "--quiet").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want report.Report
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	value := func(name string) float64 {
		n := want.Find(name)
		if n == nil {
			t.Fatalf("no number %s", name)
		}
		return n.Value
	}
	var got struct {
		Columns              map[string]string
		N, Shortest, Classes int
		Top1, NLL            float64
		Shape                []int
		DType                string
		SumOfLogits          float64 `json:"sum"`
	}
	run(t, &got, modules, "node", "read.js", dir)
	// docs/runs.md has these columns.
	for column, kind := range map[string]string{
		"index": "BIGINT", "id": "VARCHAR", "class": "VARCHAR", "status": "VARCHAR", "error": "VARCHAR", "width": "INTEGER", "height": "INTEGER", "crc32c": "UINTEGER",
		"label": "INTEGER", "prediction": "INTEGER", "predicted": "VARCHAR", "correct": "BOOLEAN", "rank": "INTEGER", "confidence": "DOUBLE",
		"loss": "DOUBLE", "brier": "DOUBLE", "top5": "INTEGER[]", "top5_probability": "FLOAT[]",
	} {
		if got.Columns[column] != kind {
			t.Errorf("column %s is %q, want %s", column, got.Columns[column], kind)
		}
	}
	if len(got.Columns) != 18 || got.N != 500 || got.Classes != 10 || got.Shortest != 5 {
		t.Errorf("%+v", got)
	}
	// Sums in another order.
	if math.Abs(got.Top1-value("top1")) > 1e-12 || math.Abs(got.NLL-value("nll")) > 1e-12 {
		t.Errorf("top1 %v, NLL %v; the report has %v, %v", got.Top1, got.NLL, value("top1"), value("nll"))
	}
	run(t, &got, modules, "/usr/bin/python3", "arrays.py", dir)
	if len(got.Shape) != 2 || got.Shape[0] != 500 || got.Shape[1] != 10 || got.DType != "float32" || got.SumOfLogits == 0 {
		t.Errorf("%+v", got)
	}
}

// TestTunedModel: a file that finetune wrote gives onnxruntime-node, an independent client,
// the logits that the run of its head has: one layer, and two.
func TestTunedModel(t *testing.T) {
	modules := modules(t)
	for _, hidden := range []string{"0", "16"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "tuned.onnx")
		cmd := exec.Command("go", "run", "../../cmd/cutmix-eval", "finetune", "--mix", "feature-cutmix", "--epochs", "2", "--limit", "50", "--hidden", hidden, "--bootstrap", "100", "--out", file, "--quiet")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		const n = 32
		c, err := evaluation.OpenClassifier(evaluation.ModelConfig{Model: file}, evaluation.DefaultRunning())
		if err != nil {
			t.Fatal(err)
		}
		images, err := c.Images(evaluation.DataConfig{Path: "scenes:new-test"})
		if err != nil {
			t.Fatal(err)
		}
		defer images.Close()
		fill, err := images.Filler()
		if err != nil {
			t.Fatal(err)
		}
		var tensors bytes.Buffer
		one := make([]float32, 3*64*64)
		for i := range n {
			_, err := fill(i, one)
			if err == nil {
				err = binary.Write(&tensors, binary.LittleEndian, one)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		input := filepath.Join(dir, "images.f32")
		if err := os.WriteFile(input, tensors.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Inputs, Outputs []string
			Logits          []float32
		}
		run(t, &got, modules, "node", "logits.js", file, input, "32", "3", "64", "64")
		records, err := results.Open(filepath.Join(dir, "tuned.run", "tuned-test"))
		if err != nil {
			t.Fatal(err)
		}
		var want []float32
		err = results.Each[classify.Record](context.Background(), records, []string{evaluation.Logits}, func(_ *classify.Record, arrays [][]float32) error {
			want = append(want, arrays[0]...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Logits) != n*10 || len(want) != 2000*10 || len(got.Inputs) != 1 || len(got.Outputs) != 1 {
			t.Fatalf("%d logits of %v and %v, %d in the run", len(got.Logits), got.Inputs, got.Outputs, len(want))
		}
		for i, g := range got.Logits {
			if math.Abs(float64(g-want[i])) > 1e-4 { // float32 sums in another order: logits are about 10
				t.Errorf("hidden %s: logit %d of image %d is %v, and %v in the run", hidden, i%10, i/10, g, want[i])
			}
		}
	}
}
