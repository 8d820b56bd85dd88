package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/pixels"
	"cutmix-eval/report"

	"github.com/google/go-cmp/cmp"
)

// changed is what flags make of a recipe.
func changed(t *testing.T, r imageproc.Recipe, flags string) imageproc.Recipe {
	t.Helper()
	ch := says(t, newClassify, flags).Model.Changes
	c, err := evaluation.OpenClassifier(evaluation.ModelConfig{Model: evaluation.DefaultModel, Changes: ch}, evaluation.DefaultRunning())
	if err != nil {
		t.Fatalf("%s: %v", flags, err)
	}
	defer c.Close()
	return c.Recipe
}

// The flags that the doctor tells say all of a recipe: typed over another one, they give it.
func TestPixelFlags(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var all []imageproc.Recipe
	for _, named := range imageproc.RecipeNames() {
		r, err := imageproc.NamedRecipe(named[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, fixed := r.Fixed(); fixed { // as all that the doctor tries
			all = append(all, r)
		}
	}
	for range 40 {
		r := imageproc.Standard()
		r.BGR, r.Range = rng.IntN(2) == 0, []int{1, 255}[rng.IntN(2)]
		for c := range 3 {
			r.Mean[c], r.Std[c] = float32(rng.NormFloat64()), rng.Float32()*100+1e-3
		}
		filters := r.Resizer.Filters()
		r.Interpolation = filters[rng.IntN(len(filters))]
		r.Crop = imageproc.Size{H: 1 + rng.IntN(500), W: 1 + rng.IntN(500)}
		r.Fit = []imageproc.Fit{imageproc.Shorter, imageproc.Squash}[rng.IntN(2)]
		side := 1 + rng.IntN(500)
		r.Resize = imageproc.Size{H: side, W: side}
		if r.Fit == imageproc.Squash && rng.IntN(2) == 0 {
			r.Resize.W, r.Crop = 1+rng.IntN(500), imageproc.Size{}
		}
		all = append(all, r)
	}
	for _, r := range all {
		flags := pixels.Flags(r)
		got := changed(t, imageproc.Standard(), flags)
		if r.Resize == (imageproc.Size{}) { // nothing is said of how nothing is resized
			r.Fit, r.Interpolation = got.Fit, got.Interpolation
		}
		if d := cmp.Diff(r, got); d != "" {
			t.Errorf("%s: %s", flags, d)
		}
	}
}

// realFile is a file that others made, which is not part of the project.
func realFile(t *testing.T, kind, name string) string {
	t.Helper()
	return golden.Path(t, kind, "real", name)
}

// A model that takes RGB of 0 to 255 is given 0 to 1. The doctor finds it out, in text and for programs.
func TestModelsDoctor(t *testing.T) {
	model, data := realFile(t, "models", "gtsrb_3_48_48_qconv.onnx"), realFile(t, "data", "gtsrb-test860.tar")
	const right = "--color rgb --range 0..255 --mean 0,0,0 --std 1,1,1"
	args := []string{"models", "doctor", model, "--data", data, "--split", "test", "--choose", "40", "--confirm", "40", "--mean", "0,0,0", "--std", "1,1,1"}
	code, out, errs := command(t, args...)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	mentions(t, out, "as now", "Verdict: 0..255 fits the model better", right, "images are right with the first alone", "p = ", "The model ran on ")
	r := reportOf(t, args...)
	present := numberOf(t, r, "top1", report.KeySet.Is("confirmation"), report.KeyPixels.Is("as now"))
	gain := numberOf(t, r, "top1_difference", report.KeySet.Is("confirmation"))
	if present.N > 40 || present.Interval == nil || !(gain.Value > 0.5) || gain.Test == nil || !(gain.Test.P < 1e-4) {
		t.Errorf("%+v %+v", present, gain)
	}
	t.Run("right", func(t *testing.T) {
		args := append([]string{"models", "doctor", model, "--data", data, "--split", "test", "--choose", "40"}, strings.Fields(right)...)
		if row := tableOf(t, reportOf(t, args...), "verdict").Rows[0]; fmt.Sprint(row[0]) != "no" {
			t.Errorf("%v", row)
		}
	})
	fails(t, exitUsage, "--choose", "models", "doctor", model, "--choose", "ten")
	fails(t, exitUsage, "at least 16", "models", "doctor", model, "--choose", "3")
	fails(t, exitUsage, "argument is missing", "models", "doctor")
}

// A file beside the model says wrong pixels. What comes out of the run says so: in the report, or on stderr where a
// report is computed from records that are kept.
func TestDoctorAfterRun(t *testing.T) {
	tmp := t.TempDir()
	copied(t, filepath.Join(tmp, "net.onnx"), "models", "real", "gtsrb_3_48_48_qconv.onnx")
	if err := os.WriteFile(filepath.Join(tmp, "net.json"), []byte(`{"range": "0..1", "mean": [0, 0, 0], "std": [1, 1, 1]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(tmp, "run")
	args := []string{
		"classify", "--model", filepath.Join(tmp, "net.onnx"), "--data", realFile(t, "data", "gtsrb-test860.tar"), "--split", "test", "--limit", "200",
		"--bootstrap", "0", "--format", "json",
	}
	const told = "--range 0..255 --mean 0,0,0 --std 1,1,1"
	if code, out, errs := command(t, args...); code != exitDone || !strings.Contains(out, told) || !strings.Contains(errs, "warning: other pixels") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	code, out, errs := command(t, append(args, "--out", dir)...)
	if code != exitDone || strings.Contains(out, told) || !strings.Contains(out, "models doctor") || !strings.Contains(errs, told) {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if got := reported(t, dir); got != out {
		t.Errorf("the run printed\n%s\nits report is\n%s", out, got)
	}
}
