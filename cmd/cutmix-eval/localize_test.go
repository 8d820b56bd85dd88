package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/report"
)

// TestLocalizeCommand: a run, its resumption, its shards and its report agree, and the
// pictures are there.
func TestLocalizeCommand(t *testing.T) {
	tmp := t.TempDir()
	dir := filepath.Join(tmp, "run")
	args := []string{"localize", "--limit", "200", "--bootstrap", "100", "--format", "json"}
	code, out, errs := command(t, append(slices.Clone(args), "--out", dir, "--overlays", "3", "--worst", "4", "--by", "class,object")...)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	if got := reported(t, dir); got != out {
		t.Errorf("report prints\n%s\nthe run printed\n%s", got, out)
	}
	r := parsed(t, out)
	for _, name := range []string{"top1", "top1_loc", "top5_loc", "gt_known_loc", "max_box_acc", "max_box_acc_v2", "px_ap", "top1_loc_at_max_box_acc"} {
		checkNumber(t, numberOf(t, r, name), 200, 0, 1)
	}
	kinds := map[report.KeyName]map[string]bool{}
	for _, n := range r.Numbers {
		for _, k := range n.At {
			if kinds[k.Name] == nil {
				kinds[k.Name] = map[string]bool{}
			}
			kinds[k.Name][k.Value] = true
		}
	}
	if len(kinds[report.KeyFloor]) != 3 || len(kinds[report.KeyClass]) != 10 || len(kinds[report.KeyObject]) < 2 {
		t.Errorf("%v", kinds)
	}
	// A trained model looks at the object: it must beat what needs no model.
	for name := range kinds[report.KeyFloor] {
		floor, trained := numberOf(t, r, "max_box_acc_v2", report.KeyFloor.Is(name)), numberOf(t, r, "max_box_acc_v2")
		if floor.Value > trained.Value-0.1 {
			t.Errorf("the floor %s reaches %v, the model %v", name, floor.Value, trained.Value)
		}
	}
	pictures, err := filepath.Glob(filepath.Join(dir, "overlays", "*.png"))
	if err != nil || len(pictures) < 7 || !slices.Contains(pictures, filepath.Join(dir, "overlays", "sheet.png")) {
		t.Errorf("%v %v", pictures, err)
	}
	one := filepath.Join(tmp, "one")
	for _, shard := range []string{"1/2", "0/2"} {
		if code, _, errs := command(t, append(slices.Clone(args), "--worst", "4", "--by", "class,object", "--out", one, "--shard", shard)...); code != exitDone {
			t.Fatalf("%d %s", code, errs)
		}
	}
	if reported(t, one) != out {
		t.Error("shards have another report")
	}
	names, _ := filepath.Glob(filepath.Join(dir, "parts", "*.parquet"))
	if err := os.Remove(names[2]); err != nil {
		t.Fatal(err)
	}
	code, again, errs := command(t, append(slices.Clone(args), "--out", dir, "--worst", "4", "--by", "class,object")...)
	if code != exitDone || again != out || !strings.Contains(errs, "of 200 images are in") {
		t.Errorf("resumed: %d %s", code, errs)
	}
	code, _, errs = command(t, "localize", "--limit", "100", "--bootstrap", "0", "--quiet", "--threshold-from", dir)
	if code != exitDone {
		t.Errorf("%d %s", code, errs)
	}
	code, text, _ := command(t, "localize", "--limit", "100", "--bootstrap", "0", "--enlarge", "1", "--at", "0.3")
	if code != exitDone || !strings.Contains(text, "what the larger feature map (16 x 16) changes") || !strings.Contains(text, "box_acc ") {
		t.Errorf("%d %s", code, text)
	}
	code, _, errs = command(t, "compare", dir, one, "--bootstrap", "100")
	if code != exitDone {
		t.Errorf("compare: %d %s", code, errs)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "method", []string{"--method", "smoothgrad"}},
		{exitUsage, "target", []string{"--target", "top5"}},
		{exitUsage, "threshold", []string{"--threshold", "1.5"}},
		{exitUsage, "overlays", []string{"--overlays", "3"}},
		{exitUsage, "enlarged", []string{"--enlarge", "5"}},
		{exitFailed, "--method cam, not --method fem", []string{"--limit", "200", "--out", dir, "--method", "fem"}},
		{exitFailed, "no such file or folder", []string{"--boxes", filepath.Join(tmp, "none")}},
		{exitFailed, "has no boxes with it", []string{"--data", "../../imageproc/testdata", "--labels", "../../docs/example-labels.csv", "--model", "testdata/tiny224.onnx"}},
	} {
		code, out, errs := command(t, append([]string{"localize", "--quiet"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%v: exit %d, want %d and %q: %s", c.args, code, c.code, c.want, errs)
		}
	}
	if code, _, errs := command(t, "classify", "--quiet", "--out", filepath.Join(tmp, "maps"), "--save", "maps"); code != exitFailed || !strings.Contains(errs, "makes no maps") {
		t.Errorf("%d %s", code, errs)
	}
}
