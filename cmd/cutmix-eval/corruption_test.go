package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/internal/cache"
	"cutmix-eval/report"
	"cutmix-eval/runtime/ortest"
	"cutmix-eval/variants"
)

// TestCorruptionCommand: numbers reach the report, a run is resumed, reported, exported and
// compared, and what makes no sense is refused.
func TestCorruptionCommand(t *testing.T) {
	dir := t.TempDir()
	in := func(n string) string { return filepath.Join(dir, n) }
	base := []string{"corruption", "--limit", "20", "--corruption", "benchmark", "--format", "json", "--quiet"}
	code, out, errs := command(t, append(base, "--out", in("cut"))...)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	r := parsed(t, out)
	for _, name := range []string{"clean_error", "error", "mce", "relative_mce"} {
		if n := numberOf(t, r, name); n.N != 20 || n.Interval == nil || n.Better != report.Lower {
			t.Errorf("%s is %+v", name, n)
		}
	}
	if clean, corrupted := numberOf(t, r, "clean_error"), numberOf(t, r, "error"); corrupted.Value <= clean.Value {
		t.Errorf("the error of clean images is %v, of corrupted ones %v", clean.Value, corrupted.Value)
	}
	for _, name := range corrupt.Benchmark() {
		numberOf(t, r, "ce", report.KeyCorruption.Is(string(name)))
	}
	if code, again, errs := command(t, append(base, "--out", in("cut"))...); code != exitDone || again != out {
		t.Errorf("answered from the run: %d %s", code, errs)
	}
	if code, again, _ := command(t, "report", in("cut"), "--format", "json"); code != exitDone || again != out {
		t.Errorf("report: %d", code)
	}
	if code, csv, _ := command(t, "report", in("cut"), "--export", "csv"); code != exitDone || strings.Count(csv, "\n") != 1+20*76 {
		t.Errorf("export: %d, %d lines", code, strings.Count(csv, "\n"))
	}
	if code, _, errs := command(t, append(base, "--out", in("base"), "--model", "scenes-base")...); code != exitDone {
		t.Fatal(errs)
	}
	if code, out, errs := command(t, "compare", in("base"), in("cut"), "--bootstrap", "200"); code != exitDone ||
		!strings.Contains(out, "mce") || !strings.Contains(out, "error fog") {
		t.Errorf("compare: %d %s\n%s", code, errs, out)
	}
	t.Setenv("ONNXRUNTIME_SHARED_LIBRARY_PATH", ortest.Load(t).Path)
	t.Setenv(cache.EnvDir, dir) // where nothing was fetched
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{`corruption "rain" is not one of gaussian_noise`, exitUsage, []string{"--corruption", "rain"}},
		{"taken as they are", exitUsage, []string{"--corrupted", dir, "--jpeg", "85"}},
		{"holds neither folders", exitFailed, []string{"--corrupted", dir}},
		{"has no frost1.png", exitFailed, []string{"--frost", dir}},
		{"no such file", exitUsage, []string{"--baseline", in("none.json")}},
		{"datasets fetch frost", exitFailed, []string{"--frost", "fetched"}},
	} {
		code, _, errs := command(t, append([]string{"corruption", "--limit", "5"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
}

// TestCorruptFolder: a folder is corrupted, interrupted or not, and evaluated; a subset by
// name, and the clean error, are used.
func TestCorruptFolder(t *testing.T) {
	dir := t.TempDir()
	in := func(n string) string { return filepath.Join(dir, n) }
	code, out, errs := command(t, "datasets", "corrupt", "scenes", "--out", in("c"), "--recipe", "none", "--limit", "10",
		"--corruption", "benchmark", "--quiet")
	if code != exitDone || !strings.Contains(out, "750 images") || !strings.Contains(out, "size 64") {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if code, out, _ := command(t, "datasets", "corrupt", "scenes", "--out", in("c"), "--recipe", "none", "--limit", "10",
		"--corruption", "benchmark", "--quiet"); code != exitDone || !strings.Contains(out, "(0 written now)") {
		t.Errorf("again: %d %s", code, out)
	}
	code, out, errs = command(t, "corruption", "--corrupted", in("c"), "--clean-error", "0.1")
	if code != exitDone || !strings.Contains(out, "relative_mce") || !strings.Contains(out, "are not resized again") {
		t.Errorf("%d %s\n%s", code, errs, out)
	}
	fog, err := filepath.Glob(filepath.Join(in("c"), "fog", "3", "*", "*.JPEG"))
	if err != nil || len(fog) != 10 {
		t.Fatalf("%v %v", fog, err)
	}
	if err := os.WriteFile(in("ids"), []byte(filepath.Base(fog[2])+"\n"+filepath.Base(fog[7])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "corruption", "--corrupted", in("c"), "--subset", in("ids")); code != exitDone ||
		!strings.Contains(out, "n = 2, ") {
		t.Errorf("%d %s\n%s", code, errs, out)
	}
	// A severity that is not whole is named.
	if err := os.RemoveAll(filepath.Join(in("c"), "snow", "4")); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "corruption", "--corrupted", in("c")); code != exitDone ||
		!strings.Contains(out, "missing: snow/4") || !strings.Contains(out, "mce_subset") {
		t.Errorf("%d %s\n%s", code, errs, out)
	}
	for _, args := range [][]string{
		{"scenes"}, {"scenes", "--out", in("d"), "--format", "bmp"}, {"scenes", "--out", in("d"), "--recipe", "x"},
		{"scenes", "--out", in("d"), "--quality", "0"},
	} {
		if code, _, errs := command(t, append([]string{"datasets", "corrupt"}, args...)...); code != exitUsage {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	if code, _, errs := command(t, "datasets", "corrupt", "scenes:ood-near", "--out", in("e")); code != exitFailed ||
		!strings.Contains(errs, "has no labels") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := command(t, "datasets", "fetch", "snow"); code != exitUsage || !strings.Contains(errs, "frost can") {
		t.Errorf("%d %s", code, errs)
	}
}

// TestExperimentCommand: curves of the CutMix paper's experiments, level by level.
func TestExperimentCommand(t *testing.T) {
	for _, c := range []struct {
		experiment variants.Experiment
		mean       string
		names      []string
	}{
		{variants.Centre, "mean_error", []string{"error", "top5_error"}},
		{variants.Boundary, "mean_error", []string{"error", "top5_error"}},
		{variants.Mixup, "mean_neither", []string{"error", "top5_error", "neither", "second"}},
		{variants.CutMix, "mean_neither", []string{"error", "top5_error", "neither", "second"}},
	} {
		t.Run(string(c.experiment), func(t *testing.T) {
			r := reportOf(t, "corruption", "--experiment", string(c.experiment), "--steps", "3", "--limit", "12", "--quiet")
			numberOf(t, r, c.mean)
			for _, level := range []string{"0", "0.3333", "0.6667", "1"} {
				for _, name := range c.names {
					numberOf(t, r, name, report.KeyExperiment.Is(string(c.experiment)), report.KeyLevel.Is(level))
				}
			}
			if want := 1 + 4*len(c.names); len(r.Numbers) != want {
				t.Errorf("%d numbers, want %d", len(r.Numbers), want)
			}
		})
	}
}

// TestCorruptionTogether: other tasks under corruption: detection of other images, whose
// number for clean images is that of ood itself, and localization.
func TestCorruptionTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ood")
	o := reportOf(t, "ood", "--limit", "60", "--ood-limit", "50", "--train-limit", "60", "--score", "msp", "--out", dir, "--quiet")
	texture := report.KeySet.Is("texture")
	want := numberOf(t, o, "auroc", texture, report.KeyScore.Is("msp")).Value
	r := reportOf(t, "corruption", "--limit", "60", "--corruption", "fog", "--severity", "3", "--ood-run", dir, "--quiet")
	if n := numberOf(t, r, "auroc", texture); math.Abs(n.Value-want) > 1e-6 { // confidences are kept as float32 here
		t.Errorf("AUROC of clean images %v, want %v", n.Value, want)
	}
	if code, _, errs := command(t, "corruption", "--limit", "5", "--model", "scenes-base", "--corruption", "fog",
		"--ood-run", dir); code != exitFailed || !strings.Contains(errs, "is of another model") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := command(t, "corruption", "--ood-run", filepath.Dir(dir)); code != exitUsage ||
		!strings.Contains(errs, "is not a run of ood") {
		t.Errorf("%d %s", code, errs)
	}
	var value [2]float64
	for i, severity := range []string{"1", "5"} {
		r := reportOf(t, "localize", "--limit", "60", "--corruption", "gaussian_noise", "--severity", severity, "--bootstrap", "0", "--quiet")
		value[i] = numberOf(t, r, "top1_loc").Value
		if !strings.Contains(r.Options, "gaussian_noise at severity "+severity) {
			t.Errorf("the report does not say what was done to the images: %s", r.Options)
		}
	}
	if value[0] <= value[1] {
		t.Errorf("localization is %v under little noise, %v under much", value[0], value[1])
	}
	for _, args := range [][]string{{"--corruption", "rain"}, {"--corruption", "fog", "--severity", "0"}} {
		if code, _, errs := command(t, append([]string{"localize"}, args...)...); code != exitUsage {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}

// TestCorruptionRefuses: a run is not mixed with one of other severities, an unreadable
// image counts once, and what says nothing is refused.
func TestCorruptionRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(n string) string { return filepath.Join(dir, n) }
	if code, _, errs := command(t, "datasets", "corrupt", "scenes", "--out", in("c"), "--recipe", "none",
		"--limit", "20", "--corruption", "fog,contrast", "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	if code, _, errs := command(t, "corruption", "--corrupted", in("c"), "--severity", "5", "--out", in("r"), "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	if code, _, errs := command(t, "corruption", "--corrupted", in("c"), "--severity", "1,5", "--out", in("r"), "--quiet"); code != exitFailed {
		t.Errorf("severities are mixed: %d %s", code, errs)
	}
	// A class map counts for corrupted images, too.
	var wrong, right strings.Builder
	for i, c := range scenes.Classes(scenes.Test) {
		fmt.Fprintf(&wrong, "%s %d\n", c, (i+1)%10)
		fmt.Fprintf(&right, "%s %d\n", c, i)
	}
	var value [2]float64
	for i, text := range []string{right.String(), wrong.String()} {
		if err := os.WriteFile(in("map.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := reportOf(t, "corruption", "--corrupted", in("c"), "--severity", "1", "--labels", in("map.txt"), "--quiet")
		value[i] = numberOf(t, r, "error_subset").Value
		if r.Dataset.Path != in("c") {
			t.Errorf("the data are %q", r.Dataset.Path)
		}
	}
	if value[0] > 0.3 || value[1] < 0.8 {
		t.Errorf("errors by a right and a wrong class map: %v", value)
	}
	pics := in("pics")
	if code, _, errs := command(t, "datasets", "export", "scenes", "--limit", "10", "--out", pics, "--quiet"); code != exitDone {
		t.Fatal(errs)
	}
	first, err := filepath.Glob(filepath.Join(pics, "*", "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first[0], []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"corruption", "--data", pics, "--corruption", "fog,contrast"}
	if code, out, errs := command(t, append(args, "--allow-bad", "1")...); code != exitDone ||
		strings.Count(out, "no picture")+strings.Count(out, filepath.Base(first[0])) > 2 {
		t.Errorf("one bad image: %d %s\n%s", code, errs, out)
	}
	if code, _, errs := command(t, args...); code != exitBadImages || !strings.Contains(errs, "1 of 10 images") {
		t.Errorf("one bad image: %d %s", code, errs)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"--jpeg says nothing about center-occlusion", []string{"corruption", "--experiment", "center-occlusion", "--jpeg", "10"}},
		{"--steps is of the other experiments", []string{"corruption", "--steps", "3"}},
		{"--split says nothing about --corrupted", []string{"corruption", "--corrupted", in("c"), "--split", "val"}},
		{"are of --corruption", []string{"localize", "--severity", "2"}},
	} {
		if code, _, errs := command(t, c.args...); code != exitUsage || !strings.Contains(errs, c.want) {
			t.Errorf("%v: %d %s", c.args, code, errs)
		}
	}
}
