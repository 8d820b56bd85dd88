package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
	"cutmix-eval/pixels"
	"cutmix-eval/report"
	"cutmix-eval/runtime/ortest"

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

// A model that takes BGR of 0 to 255 is given RGB of 0 to 1. The doctor finds both out, and says the
// same as a program.
func TestModelsDoctor(t *testing.T) {
	ortest.Load(t)
	model, data := realFile(t, "models", "gtsrb_3_48_48_qconv.onnx"), realFile(t, "data", "gtsrb-test860.tar")
	const right = "--color rgb --range 0..255 --mean 0,0,0 --std 1,1,1"
	for name, flags := range map[string]string{
		"0..1": "--mean 0,0,0 --std 1,1,1", "BGR": "--color bgr --range 0..255 --mean 0,0,0 --std 1,1,1",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "BGR" {
				long.Skip(t, "a real model is tried in many ways")
			}
			args := append([]string{"models", "doctor", model, "--data", data, "--split", "test", "--choose", "100"}, strings.Fields(flags)...)
			code, out, errs := command(t, args...)
			if code != exitDone || !strings.Contains(out, right) || !strings.Contains(out, "as now") {
				t.Fatalf("%d %s %s", code, out, errs)
			}
			r := reportOf(t, args...)
			present := numberOf(t, r, "top1", report.KeySet.Is("confirmation"), report.KeyPixels.Is("as now"))
			gain := numberOf(t, r, "top1_difference", report.KeySet.Is("confirmation"))
			if present.N != 400 || present.Interval == nil || !(gain.Value > 0.1) || gain.Test == nil || !(gain.Test.P < 1e-10) {
				t.Errorf("%+v %+v", present, gain)
			}
		})
	}
	t.Run("right", func(t *testing.T) {
		args := append([]string{"models", "doctor", model, "--data", data, "--split", "test", "--choose", "40", "--format", "json"}, strings.Fields(right)...)
		_, out, _ := command(t, args...)
		var r struct {
			Tables []struct {
				Name string  `json:"name"`
				Rows [][]any `json:"rows"`
			} `json:"tables"`
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Tables) != 2 || r.Tables[1].Name != "verdict" || r.Tables[1].Rows[0][0] != "no" {
			t.Errorf("%v %+v", err, r)
		}
	})
	fails(t, exitUsage, "--choose", "models", "doctor", model, "--choose", "ten")
	fails(t, exitUsage, "at least 16", "models", "doctor", model, "--choose", "3")
	fails(t, exitUsage, "argument is missing", "models", "doctor")
}

// Of the networks of CIFAR-10, one takes BGR, which flags do not say.
func TestClassifyTellsOfPixels(t *testing.T) {
	ortest.Load(t)
	cifar := golden.Path(t, "data", "cifar10-jpeg-test.tar")
	for _, c := range []struct{ name, model, flags, want string }{
		{
			"BGR", "omz_samplenet_cifar10.onnx", "--range 0..255 --mean 125.307,122.961,113.8575 --std 51.5865,50.847,51.255",
			"--color bgr --range 0..255 --mean 113.8575,122.961,125.307 --std 51.255,50.847,51.5865",
		},
		{"0..255", "winml_cifar10_imageclassifier.onnx", "--range 0..255", "--color rgb --range 0..1"},
		{"right", "winml_cifar10_imageclassifier.onnx", "--mean 0.5,0.5,0.5 --std 0.5,0.5,0.5", ""},
		{"nearly right", "vit_cifar10_pgd_2_3_16.onnx", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"classify", "--model", realFile(t, "models", c.model), "--data", cifar, "--limit", "1000", "--bootstrap", "0"}, strings.Fields(c.flags)...)
			r := reportOf(t, args...)
			told := ""
			for _, w := range r.Warnings {
				if strings.Contains(w, "other pixels fit the model better") {
					told = w
				}
			}
			if (told != "") != (c.want != "") || !strings.Contains(told, c.want) {
				t.Errorf("%q does not say %q", told, c.want)
			}
			for _, w := range reportOf(t, append(args, "--doctor=false")...).Warnings {
				if strings.Contains(w, "other pixels") {
					t.Errorf("--doctor=false: %s", w)
				}
			}
		})
	}
}

// A file beside the model says wrong pixels. It is not doubted before the run, but by what comes out of it:
// in the report, or on stderr where a report is computed from records that are kept.
func TestDoctorAfterRun(t *testing.T) {
	ortest.Load(t)
	tmp := t.TempDir()
	data, err := os.ReadFile(realFile(t, "models", "gtsrb_3_48_48_qconv.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"net.onnx": data, "net.json": []byte(`{"range": "0..1", "mean": [0, 0, 0], "std": [1, 1, 1]}`)} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{
		"classify", "--model", filepath.Join(tmp, "net.onnx"), "--data", realFile(t, "data", "gtsrb-test860.tar"), "--split", "test", "--bootstrap", "0",
	}
	const told = "--range 0..255 --mean 0,0,0 --std 1,1,1"
	if code, out, errs := command(t, args...); code != exitDone || !strings.Contains(out, told) || strings.Contains(errs, told) {
		t.Errorf("%d %s %s", code, out, errs)
	}
	dir := filepath.Join(tmp, "run")
	code, out, errs := command(t, append(args, "--out", dir, "--format", "json")...)
	if code != exitDone || strings.Contains(out, told) || !strings.Contains(out, "models doctor") || !strings.Contains(errs, told) {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if got := reported(t, dir); got != out {
		t.Errorf("the run printed\n%s\nits report is\n%s", out, got)
	}
	// Nothing is run again.
	if code, _, errs := command(t, append(args, "--out", dir)...); code != exitDone || strings.Contains(errs, told) {
		t.Errorf("%d %s", code, errs)
	}
}

// What the doctor says is kept with a run: that of shards, in one folder or several, and one that goes on
// report what a run reports that was left alone.
func TestDoctorIsKept(t *testing.T) {
	ortest.Load(t)
	tmp := t.TempDir()
	args := []string{"classify", "--limit", "400", "--bootstrap", "0", "--quiet", "--color", "bgr", "--range", "0..255"}
	whole, one := filepath.Join(tmp, "whole"), filepath.Join(tmp, "one")
	if code, out, errs := command(t, append(args, "--out", whole)...); code != exitDone || !strings.Contains(out, "other pixels fit") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	want := reported(t, whole)
	if !strings.Contains(want, "other pixels fit") {
		t.Fatal(want)
	}
	var own []string
	for i := range 2 {
		own = append(own, filepath.Join(tmp, fmt.Sprint("own", i)))
		for _, dir := range []string{one, own[i]} {
			if code, _, errs := command(t, append(args, "--out", dir, "--shard", fmt.Sprintf("%d/2", i))...); code != exitDone {
				t.Fatalf("%d %s", code, errs)
			}
		}
	}
	if got := reported(t, one); got != want {
		t.Errorf("shards in one folder report\n%s\nthe whole run\n%s", got, want)
	}
	if got := reported(t, own...); got != want {
		t.Error("shards in folders of their own have another report")
	}
	// It goes on, with more images and without the doctor.
	if code, out, errs := command(t, append(args, "--out", whole, "--limit", "450", "--doctor=false")...); code != exitDone || !strings.Contains(out, "other pixels fit") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}
