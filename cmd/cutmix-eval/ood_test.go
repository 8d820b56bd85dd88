package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/datasets/scenes"
	"cutmix-eval/detector"
	"cutmix-eval/report"
)

// TestOODCommand: numbers and conventions reach the report, a run that is there gives
// the same one, and what makes no sense is refused.
func TestOODCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	args := []string{"ood", "--limit", "100", "--ood-limit", "80", "--train-limit", "300", "--score", "msp,energy,react,mds", "--format", "json", "--out", dir}
	code, out, errs := command(t, args...)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	code, again, errs := command(t, args...)
	if code != exitDone || again != out || !strings.Contains(errs, "all 300 images are in") {
		t.Errorf("%d %s\n%s\n%s", code, errs, again, out)
	}
	r := parsed(t, out)
	for _, n := range r.Numbers {
		if !(n.Value >= 0 && n.Value <= 1) {
			t.Errorf("%+v", n)
		}
		if n.Name == "auroc" && n.At.Get(report.KeySet) != "" && (n.N != 180 || !surrounded(n)) {
			t.Errorf("%+v", n)
		}
	}
	for _, set := range []string{"unseen", "texture", "noise"} {
		for _, score := range []string{"msp", "energy", "react_p90", "mds"} {
			numberOf(t, r, "auroc", report.KeySet.Is(set), report.KeyScore.Is(score))
		}
	}
	numberOf(t, r, "auroc", report.KeyGroup.Is("far"), report.KeyScore.Is("energy"))
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"no OOD set is named; give --ood", exitUsage, []string{"--data", "x"}},
		{`score "mps" is not one of msp, `, exitUsage, []string{"--score", "mps"}},
		{`two sets are called "noise-blobs"`, exitUsage, []string{"--ood", "noise:blobs", "--ood", "far:noise:blobs"}},
		{`noise "pink" is not one of`, exitFailed, []string{"--ood", "noise:pink"}},
		{`set gone: opening data "no/such/gone"`, exitFailed, []string{"--ood", "far:no/such/gone"}},
	} {
		code, _, errs := command(t, append([]string{"ood", "--limit", "20"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
}

// TestOODRuns: shares of a run give what the whole gives, from records alone and bit for
// bit, in any order; a run that misses images says so; models are compared by image.
func TestOODRuns(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	exported(t, in("val"), "val", 60)
	base := []string{"ood", "--limit", "40", "--ood-limit", "30", "--val", in("val"), "--train-limit", "100", "--score", "msp,mds,react", "--quiet"}
	code, whole, errs := command(t, append(base, "--out", in("whole"), "--format", "json")...)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	for i, n := range []string{"0/2", "1/2"} {
		if code, _, errs := command(t, append(base, "--out", in(fmt.Sprint("share", i)), "--shard", n)...); code != exitDone {
			t.Fatalf("%d %s", code, errs)
		}
		if i == 0 {
			if code, _, errs := command(t, "report", in("share0")); code != exitFailed || !strings.Contains(errs, "not complete") {
				t.Errorf("half a run: %d %s", code, errs)
			}
			if code, out, _ := command(t, "report", "--partial", in("share0")); code != exitDone || !strings.Contains(out, "numbers of a part of it") {
				t.Errorf("half a run is not reported as one: %d", code)
			}
		}
	}
	if code, out, errs := command(t, "report", in("share1"), in("share0"), "--format", "json"); code != exitDone || out != whole {
		t.Errorf("shares give another report (%d): %s", code, errs)
	}
	if code, out, _ := command(t, "report", in("whole"), "--format", "json"); code != exitDone || out != whole {
		t.Errorf("the run's report is another one")
	}
	if code, out, _ := command(t, "report", in("whole"), "--export", "csv"); code != exitDone || strings.Count(out, "\n") != 1+40+3*30 || !strings.HasPrefix(out, "set,role,group,id,right,prediction,confidence,msp,mds,react_p90\n") {
		t.Errorf("export:\n%.300s", out)
	}
	if code, out, _ := command(t, "report", in("whole"), "--score", "react", "--grid", "--format", "csv"); code != exitDone || !strings.Contains(out, "react_p95") || strings.Contains(out, "mds") {
		t.Errorf("a grid from the records:\n%.300s", out)
	}
	code, out, errs := command(t, append(base, "--out", in("other"), "--model", "scenes-base")...)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	_ = out
	if code, out, errs := command(t, "compare", in("whole"), in("other"), "--bootstrap", "200"); code != exitDone || !strings.Contains(out, "auroc texture mds") || !strings.Contains(out, "n = 70") {
		t.Errorf("compare (%d): %s\n%s", code, errs, out)
	}
	if code, _, errs := command(t, "ood", "--limit", "40", "--ood", "noise:blobs", "--ood-limit", "30", "--train-limit", "60", "--score", "msp", "--quiet", "--out", in("blobs")); code != exitDone {
		t.Fatal(errs)
	}
	if code, _, errs := command(t, "compare", in("whole"), in("blobs")); code != exitFailed || !strings.Contains(errs, "runs of different images cannot be compared") {
		t.Errorf("compare of other sets (%d): %s", code, errs)
	}
}

// TestOODApply: a kept threshold accepts the share that it was told of, images need no
// labels, and what cannot be used is refused.
func TestOODApply(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "knn.detector")
	code, out, errs := command(t, "ood", "--limit", "100", "--ood-limit", "30", "--train-limit", "200", "--score", "knn_K5", "--threshold-at", "tpr=0.9", "--detector", file, "--format", "json")
	if code != exitDone || !strings.Contains(errs, "score and threshold are in "+file) {
		t.Fatalf("%d %s", code, errs)
	}
	accepted := numberOf(t, parsed(t, out), "accepted")
	checkNumber(t, accepted, 100, 0.9, 0.92)
	// The images that the threshold was found with: as many pass, one by one.
	code, out, errs = command(t, "ood", "apply", file, "--data", "scenes:test", "--limit", "100", "--format", "csv")
	if n := strings.Count(out, ",accept,"); code != exitDone || float64(n)/100 != accepted.Value {
		t.Errorf("%d accepted, %v were to be: %d %s", n, accepted.Value, code, errs)
	}
	pics := filepath.Join(dir, "pics")
	if code, _, errs := command(t, "datasets", "export", "scenes", "--split", "ood-noise", "--limit", "5", "--out", pics, "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	if err := os.WriteFile(filepath.Join(pics, "broken.jpg"), []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = command(t, "ood", "apply", file, "--data", pics, "--format", "json")
	var told struct {
		Detector struct{ Score string }
		Images   []struct {
			ID, Error, Class string
			Accept           bool
			Score            float64
		}
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || code != exitBadImages {
		t.Fatalf("%d %v %s\n%s", code, err, errs, out)
	}
	if len(told.Images) != 6 || told.Detector.Score != "knn_K5" {
		t.Errorf("%+v", told)
	}
	for _, im := range told.Images {
		if (im.ID == "broken.jpg") != (im.Error != "") || im.Error == "" && (im.Score >= 0 || im.Class == "") {
			t.Errorf("%+v", im)
		}
	}
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"is not the one that the detector was made with", exitFailed, []string{"apply", file, "--model", "scenes-base"}},
		{"the detector says how pixels are prepared", exitUsage, []string{"apply", file, "--crop", "32"}},
		{"it is not a detector", exitFailed, []string{"apply", filepath.Join(pics, "broken.jpg")}},
		{"no such file", exitFailed, []string{"apply", filepath.Join(pics, "none")}},
		{"go together", exitUsage, []string{"--threshold-at", "tpr=0.9"}},
		{"is not tpr=SHARE", exitUsage, []string{"--threshold-at", "95", "--detector", "x"}},
		{"name it by --score", exitUsage, []string{"--threshold-at", "tpr=0.9", "--detector", "x"}},
		{"writing detector", exitFailed, []string{"--limit", "20", "--ood-limit", "5", "--train-limit", "20", "--score", "msp", "--threshold-at", "tpr=0.9", "--detector", filepath.Join(dir, "no", "such", "x")}},
	} {
		code, _, errs := command(t, append([]string{"ood"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
}

// TestOpenOODFolder: a folder as OpenOOD has it gives all sets by one flag.
func TestOpenOODFolder(t *testing.T) {
	dir := t.TempDir()
	lists := filepath.Join(dir, "benchmark_imglist", "imagenet")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		t.Fatal(err)
	}
	for split, names := range map[string][]string{"test": {"test_imagenet"}, "val": {"val_imagenet"}, "train": {"train_imagenet"}, "ood-near": {"test_ssb_hard", "val_openimage_o"}, "ood-texture": {"test_textures"}} {
		images := filepath.Join(dir, "images_largescale", split)
		if code, _, errs := command(t, "datasets", "export", "scenes", "--split", split, "--limit", "60", "--out", images, "--quiet"); code != exitDone {
			t.Fatal(errs)
		}
		classes, err := os.ReadDir(images)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, c := range classes {
			if !c.IsDir() {
				continue // boxes
			}
			label := slices.Index(scenes.Classes(scenes.Test), c.Name()) // -1 for those of none
			pics, err := os.ReadDir(filepath.Join(images, c.Name()))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pics {
				fmt.Fprintf(&b, "%s/%s/%s %d\n", split, c.Name(), p.Name(), label)
			}
		}
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(lists, n+".txt"), []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	code, out, errs := command(t, "ood", "--openood", dir, "--benchmark", "imagenet", "--score", "msp,knn_K5,scale", "--grid")
	mentions(t, out, "near ssb_hard: 60 images against 60 ID ones", "far textures", "parameters chosen by AUROC on 60 images", "scale_p",
		"lists of v1.5", "test_ninco.txt is missing")
	if code != exitDone {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := command(t, "ood", "--openood", dir, "--benchmark", "imagenet", "--val", "x"); code != exitUsage || !strings.Contains(errs, "say the same") {
		t.Errorf("%d %s", code, errs)
	}
}

// TestOODRerun: the report of a folder is that of its last command, whatever sets and
// groups it had; folders of other runs are refused; runs fitted with other images are told
// apart, and runs without a number in common are not compared.
func TestOODRerun(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	exported(t, in("val"), "val", 60)
	run := func(name string, args ...string) string {
		t.Helper()
		code, out, errs := command(t, append([]string{"ood", "--limit", "40", "--ood-limit", "30", "--val", in("val"), "--quiet", "--format", "json", "--out", in(name)}, args...)...)
		if code != exitDone {
			t.Fatalf("%v: %d %s", args, code, errs)
		}
		return out
	}
	run("r", "--ood", "far:blobs=noise:blobs", "--train-limit", "60", "--score", "msp")
	second := run("r", "--ood", "near:blobs=noise:blobs", "--ood", "near:unseen=scenes:ood-near", "--train-limit", "60", "--score", "energy,knn_K5")
	code, out, errs := command(t, "report", in("r"), "--format", "json")
	if code != exitDone || out != second || !strings.Contains(out, `"group": "near"`) {
		t.Errorf("the report is not of the last command: %d %s", code, errs)
	}
	run("mls", "--ood", "near:blobs=noise:blobs", "--ood", "near:unseen=scenes:ood-near", "--train-limit", "60", "--score", "mls")
	if code, _, errs := command(t, "compare", in("r"), in("mls")); code != exitFailed || !strings.Contains(errs, "no number in common") {
		t.Errorf("%d %s", code, errs)
	}
	run("more", "--ood", "near:blobs=noise:blobs", "--ood", "near:unseen=scenes:ood-near", "--train-limit", "90", "--score", "knn_K5")
	if code, out, errs := command(t, "compare", in("r"), in("more"), "--bootstrap", "100"); code != exitDone || !strings.Contains(out, "id-train") || !strings.Contains(out, "auroc all knn_K5") {
		t.Errorf("%d %s\n%s", code, errs, out)
	}
	if code, _, errs := command(t, "classify", "--limit", "20", "--out", in("cl"), "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	if code, _, errs := command(t, "ood", "--limit", "20", "--out", in("cl")); code != exitFailed || !strings.Contains(errs, "holds a run of classify") {
		t.Errorf("%d %s", code, errs)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"--bins says nothing about a run of ood", []string{"report", in("r"), "--bins", "3"}},
		{`score "nosuch"`, []string{"report", in("r"), "--export", "csv", "--score", "nosuch"}},
		{"--by says nothing about a run of classify's records", []string{"report", in("cl"), "--export", "csv", "--by", "class"}},
		{"needs the whole run", []string{"ood", "--score", "msp", "--threshold-at", "tpr=0.9", "--detector", in("d"), "--shard", "0/2", "--out", in("x")}},
		{"it would be ash_b, ash_p", []string{"ood", "--score", "ash", "--threshold-at", "tpr=0.9", "--detector", in("d")}},
	} {
		if code, _, errs := command(t, c.args...); code != exitUsage || !strings.Contains(errs, c.want) {
			t.Errorf("%v: %d %s", c.args, code, errs)
		}
	}
	if code, out, _ := command(t, "report", in("r"), "--export", "csv", "--score", "msp"); code != exitDone || !strings.HasPrefix(out, "set,role,group,id,right,prediction,confidence,msp\n") {
		t.Errorf("%d %.200s", code, out)
	}
}

// TestOODApplyOther: a detector is of the score that was named, beside a reference, and of
// the pixels that it was made with.
func TestOODApplyOther(t *testing.T) {
	dir := t.TempDir()
	file, pics := filepath.Join(dir, "d"), filepath.Join(dir, "pics")
	code, _, errs := command(t, "ood", "--limit", "40", "--ood-limit", "10", "--train-limit", "60", "--score", "knn_K5", "--reference", "msp", "--threshold-at", "tpr=0.9", "--detector", file, "--resize", "80")
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	d, err := detector.Read(file)
	if err != nil || d.Score != "knn_K5" || d.Recipe.Resize.H != 80 {
		t.Fatalf("%+v %v", d, err)
	}
	if err := os.MkdirAll(pics, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pics, "a.jpg"), []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "ood", "apply", file, "--data", pics, "--format", "csv"); code != exitBadImages || !strings.Contains(out, "a.jpg,,,,,,") {
		t.Errorf("only bad images: %d %s\n%s", code, errs, out)
	}
	if code, out, errs := command(t, "ood", "apply", file, "--data", "noise:gaussian", "--limit", "5", "--format", "csv"); code != exitDone || strings.Count(out, "\n") != 6 {
		t.Errorf("noise: %d %s\n%s", code, errs, out)
	}
}
