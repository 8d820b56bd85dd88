// Package readers tests that other programs read run directories: DuckDB the
// tables, numpy the arrays.
package readers

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cutmix-eval/report"
	"cutmix-eval/runtime/ortest"
)

// need is where npm has installed package.json; .ci/run sets it.
const need = "CUTMIX_EVAL_DUCKDB"

func TestOtherPrograms(t *testing.T) {
	modules := os.Getenv(need)
	if modules == "" {
		t.Skipf("npm install in a copy of this folder, then set %s to it", need)
	}
	ortest.Load(t)
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
		for _, m := range want.Metrics {
			if m.Name == name {
				return m.Value
			}
		}
		t.Fatalf("no metric %s", name)
		return 0
	}
	var got struct {
		Columns              map[string]string
		N, Shortest, Classes int
		Top1, NLL            float64
		Shape                []int
		DType                string
		SumOfLogits          float64 `json:"sum"`
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(modules, "node_modules"))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, err.(*exec.ExitError).Stderr)
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
	}
	run("node", "read.js", dir)
	// docs/runs.md has these columns.
	for column, kind := range map[string]string{
		"index": "BIGINT", "id": "VARCHAR", "class": "VARCHAR", "status": "VARCHAR", "error": "VARCHAR", "width": "INTEGER", "height": "INTEGER",
		"label": "INTEGER", "prediction": "INTEGER", "predicted": "VARCHAR", "correct": "BOOLEAN", "rank": "INTEGER", "confidence": "DOUBLE",
		"loss": "DOUBLE", "brier": "DOUBLE", "top5": "INTEGER[]", "top5_probability": "FLOAT[]",
	} {
		if got.Columns[column] != kind {
			t.Errorf("column %s is %q, want %s", column, got.Columns[column], kind)
		}
	}
	if len(got.Columns) != 17 || got.N != 500 || got.Classes != 10 || got.Shortest != 5 {
		t.Errorf("%+v", got)
	}
	// Sums in another order.
	if math.Abs(got.Top1-value("top1")) > 1e-12 || math.Abs(got.NLL-value("nll")) > 1e-12 {
		t.Errorf("top1 %v, NLL %v; the report has %v, %v", got.Top1, got.NLL, value("top1"), value("nll"))
	}
	run("/usr/bin/python3", "arrays.py", dir)
	if len(got.Shape) != 2 || got.Shape[0] != 500 || got.Shape[1] != 10 || got.DType != "float32" || got.SumOfLogits == 0 {
		t.Errorf("%+v", got)
	}
}
