package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/report"
)

// TestOneOutput: real and made models with one output against testdata/binary.py, which runs them in
// torch: a logit, and a Keras classifier that ends in a Sigmoid, NHWC, of insects that it has not seen.
// A thousandth of a logit is more than ONNX Runtime's and torch's sums differ by.
func TestOneOutput(t *testing.T) {
	plain := []string{"--mean", "0,0,0", "--std", "1,1,1", "--crop", "none", "--bootstrap", "0"}
	for _, c := range []struct {
		name        string
		model, data []string
		flags       []string
		positive    string
		want        map[string]float64
	}{
		{
			"logit", []string{"cases", "one-logit", "one_logit.onnx"}, []string{"cases", "one-logit", "two.tar"}, []string{"--resize", "none"}, `"pos"`,
			map[string]float64{"accuracy": 1, "auroc": 1, "nll": 0.0065972971813852595, "brier": 4.3307223759256455e-05},
		},
		{
			"sigmoid", []string{"models", "real", "ptf04_dogs_vs_cats.onnx"}, []string{"data", "real", "ants-and-bees-200.tar"},
			[]string{"--resize", "32x32", "--fit", "squash"}, `"bees"`,
			map[string]float64{"accuracy": 0.5285714285714286, "auroc": 0.5151020408163265, "nll": 0.8447084109616004, "brier": 0.29726904014651173},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"--model", golden.Path(t, c.model...), "--data", golden.Path(t, c.data...)}, plain...)
			r := classifyJSON(t, exitDone, append(args, c.flags...)...)
			for name, want := range c.want {
				if n := numberOf(t, r, name); math.Abs(n.Value-want) > 1e-5 || n.N != r.Dataset.N {
					t.Errorf("%s is %v of %d, want %v", name, n.Value, n.N, want)
				}
			}
			numberOf(t, r, "tpr", report.KeyPoint.Is("fpr at most 5 %"))
			tableOf(t, r, "confusion")
			if !strings.Contains(r.Dataset.Labels, "with "+c.positive+" as the positive class") {
				t.Errorf("labels matched %s", r.Dataset.Labels)
			}
		})
	}
}

// TestOneOutputShards: shards, a resumed run and an undivided one are the same.
func TestOneOutputShards(t *testing.T) {
	dir := t.TempDir()
	args := []string{
		"classify", "--model", golden.Path(t, "cases", "one-logit", "one_logit.onnx"), "--data", golden.Path(t, "cases", "one-logit", "two.tar"),
		"--mean", "0,0,0", "--std", "1,1,1", "--resize", "none", "--crop", "none", "--bootstrap", "100", "--quiet",
	}
	run := func(more ...string) {
		t.Helper()
		if code, _, errs := command(t, append(args, more...)...); code != exitDone {
			t.Fatalf("%v: %s", more, errs)
		}
	}
	whole, shards, resumed := filepath.Join(dir, "whole"), filepath.Join(dir, "shards"), filepath.Join(dir, "resumed")
	run("--out", whole)
	run("--out", shards, "--shard", "0/2")
	run("--out", shards, "--shard", "1/2")
	run("--out", resumed, "--limit", "6")
	run("--out", resumed, "--batch", "1")
	want := reported(t, whole)
	for _, dir := range []string{shards, resumed} {
		if got := reported(t, dir); got != want {
			t.Errorf("%s reports\n%s\nand not\n%s", dir, got, want)
		}
	}
	if code, out, errs := command(t, "compare", whole, shards, "--bootstrap", "100"); code != exitDone || !strings.Contains(out, "accuracy: only whole right: 0 images") {
		t.Errorf("compare: %s%s", out, errs)
	}
}

// TestOneOutputRefused: flags and data of other models, by name.
func TestOneOutputRefused(t *testing.T) {
	one := golden.Path(t, "cases", "one-logit", "one_logit.onnx")
	two := golden.Path(t, "cases", "one-logit", "two.tar")
	table := filepath.Join(t.TempDir(), "labels.csv")
	if err := os.WriteFile(table, []byte("image,a,b\nneg/0.png,1,0\npos/0.png,0,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"has 10 classes; give data of two classes", exitFailed, []string{"--model", one, "--resize", "16", "--crop", "16"}},
		{"--positive fox is no class of the data; it has neg, pos", exitFailed, []string{"--model", one, "--data", two, "--positive", "fox"}},
		{"--restrict says nothing about a model with one output", exitUsage, []string{"--model", one, "--data", two, "--restrict"}},
		{"--positive says nothing about a model with 10 outputs", exitUsage, []string{"--positive", "ram"}},
		{"--threshold says nothing about a model with 10 outputs", exitUsage, []string{"--threshold", "0.4"}},
		{"--pairs says nothing about images with several labels", exitUsage, []string{"--multi-label", table, "--pairs", "3"}},
		{"--multi-split says nothing without --multi-label", exitUsage, []string{"--multi-split", "val"}},
		{"the model has 10 outputs (", exitFailed, []string{"--data", two, "--multi-label", table}},
		{"1 is not above 0 and below 1", exitUsage, []string{"--threshold", "1"}},
	} {
		code, _, errs := command(t, append([]string{"classify"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit %d, %s; want %q", c.args, code, errs, c.want)
		}
	}
}

// TestSeveralLabels: annotations of the scenes' own classes in another order than the model's are matched by
// name, and shards give the numbers of the whole.
func TestSeveralLabels(t *testing.T) {
	dir := t.TempDir()
	data, table := filepath.Join(dir, "scenes"), filepath.Join(dir, "labels.csv")
	if code, _, errs := command(t, "datasets", "export", "scenes", "--split", "test", "--limit", "40", "--out", data); code != exitDone {
		t.Fatal(errs)
	}
	files := glob(t, filepath.Join(data, "*", "*.png"))
	r := classifyJSON(t, exitDone, "--data", data, "--bootstrap", "0")
	var classes []string
	for _, f := range files {
		if c := filepath.Base(filepath.Dir(f)); !slices.Contains(classes, c) {
			classes = append(classes, c)
		}
	}
	slices.Reverse(classes)
	text := "image," + strings.Join(classes, ",") + "\n"
	for _, f := range files {
		text += filepath.Base(filepath.Dir(f)) + "/" + filepath.Base(f)
		for _, c := range classes {
			text += map[bool]string{true: ",1", false: ",0"}[c == filepath.Base(filepath.Dir(f))]
		}
		text += "\n"
	}
	if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--data", data, "--multi-label", table, "--bootstrap", "100"}
	whole := filepath.Join(dir, "whole")
	m := classifyJSON(t, exitDone, append(args, "--out", whole)...)
	// With one label for each image the image is right where its highest score is.
	if one, top := numberOf(t, m, "one_error"), numberOf(t, r, "top1"); math.Abs(one.Value+top.Value-1) > 1e-12 || one.N != 40 {
		t.Errorf("one-error %v of %d, top-1 %v", one.Value, one.N, top.Value)
	}
	if m.Dataset.Labels != "by the class names in the model" || m.Task != "multi-label" {
		t.Errorf("%s, labels matched %s", m.Task, m.Dataset.Labels)
	}
	shards := filepath.Join(dir, "shards")
	for _, s := range []string{"0/2", "1/2"} {
		if code, _, errs := command(t, append([]string{"classify", "--quiet", "--out", shards, "--shard", s}, args...)...); code != exitDone {
			t.Fatal(errs)
		}
	}
	if a, b := reported(t, whole), reported(t, shards); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}
