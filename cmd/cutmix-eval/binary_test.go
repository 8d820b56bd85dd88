package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

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
