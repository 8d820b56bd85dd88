package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/npy"
)

// TestPredictions: scores that were computed elsewhere give the numbers that NumPy and SciPy
// gave for them in float64, within what sums in another order may differ by.
func TestPredictions(t *testing.T) {
	type values struct {
		NLL   float64 `json:"nll"`
		Brier float64 `json:"brier_sum_over_classes"`
		Top1  float64 `json:"accuracy"`
		ECE   float64 `json:"ece15_equal_width_right_closed"`
		AURC  float64 `json:"aurc"`
	}
	var want map[string]struct {
		All         values  `json:"all_rows"`
		Temperature float64 `json:"temperature_fitted_on_all_rows"`
	}
	golden.JSON(t, &want, "golden", "calibration", "expected.json")
	for _, set := range []string{"resnet20", "overconfident100", "underconfident10", "ties20"} {
		t.Run(set, func(t *testing.T) {
			logits, labels := golden.Path(t, "golden", "calibration", set+"_logits.npy"), golden.Path(t, "golden", "calibration", set+"_labels.npy")
			dir := filepath.Join(t.TempDir(), "run")
			args := []string{"classify", "--predictions", logits, "--labels", labels, "--bootstrap", "0"}
			r := reportOf(t, append(args, "--out", dir)...)
			w := want[set]
			for name, v := range map[string]float64{"top1": w.All.Top1, "nll": w.All.NLL, "brier": w.All.Brier, "ece": w.All.ECE, "aurc": w.All.AURC, "temperature": w.Temperature} {
				if got := numberOf(t, r, name).Value; math.Abs(got-v) > 1e-9*math.Abs(v) {
					t.Errorf("%s is %v, want %v", name, got, v)
				}
			}
			if kept := reportOf(t, "report", dir); numberOf(t, kept, "nll").Value != numberOf(t, r, "nll").Value {
				t.Error("the run reports another NLL")
			}
			// A table with names, in another order, of the same scores.
			info, v, err := npy.Read(logits)
			if err != nil {
				t.Fatal(err)
			}
			_, truth, err := npy.Read(labels)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			for i := info.Shape[0] - 1; i >= 0; i-- {
				fmt.Fprintf(&text, "im%05d,%v", i, truth[i])
				for _, x := range v[i*info.Shape[1] : (i+1)*info.Shape[1]] {
					fmt.Fprintf(&text, ",%v", x)
				}
				text.WriteString("\n")
			}
			table := filepath.Join(t.TempDir(), "scores.csv")
			header := "path,label"
			for k := range info.Shape[1] {
				header += fmt.Sprintf(",%d", k)
			}
			if err := os.WriteFile(table, []byte(header+"\n"+text.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			again := reportOf(t, "classify", "--predictions", table, "--bootstrap", "0")
			if got := numberOf(t, again, "nll").Value; math.Abs(got-w.All.NLL) > 1e-9*w.All.NLL {
				t.Errorf("as a table: NLL %v, want %v", got, w.All.NLL)
			}
		})
	}
}

// TestClassNumbers: files of class numbers give the accuracies that were published for all models
// on CIFAR-10 and CIFAR-10.1, and nothing that needs scores; models are compared.
func TestClassNumbers(t *testing.T) {
	var want struct {
		Accuracy map[string]map[string]struct {
			N       int `json:"n"`
			Correct int `json:"correct"`
		} `json:"accuracy"`
	}
	golden.JSON(t, &want, "golden", "shift", "cifar10.1_predictions", "expected.json")
	dir := t.TempDir()
	for _, set := range []string{"original", "v4", "v6"} {
		labels := map[string]string{"original": "original_labels.npy", "v4": "cifar10.1_v4_labels.npy", "v6": "cifar10.1_v6_labels.npy"}[set]
		if len(want.Accuracy[set]) < 30 {
			t.Fatalf("accuracies of %d models on %s", len(want.Accuracy[set]), set)
		}
		for name, w := range want.Accuracy[set] {
			file := golden.Path(t, "golden", "shift", "cifar10.1_predictions", set+"_predictions", name+"_predictions.json")
			args := []string{"classify", "--predictions", file, "--labels", golden.Path(t, "golden", "shift", "cifar10.1_predictions", labels), "--bootstrap", "0"}
			if set == "v4" && (name == "vgg16_keras" || name == "wrn_28_10") {
				args = append(args, "--out", filepath.Join(dir, name))
			}
			r := reportOf(t, args...)
			if top1 := numberOf(t, r, "top1"); top1.N != w.N || int(math.Round(top1.Value*float64(w.N))) != w.Correct {
				t.Errorf("%s on %s: %v of %d, want %d of %d", name, set, top1.Value, top1.N, w.Correct, w.N)
			}
			for _, none := range []string{"top5", "nll", "ece", "aurc", "temperature", "mean_confidence"} {
				if n := r.Find(none); n != nil {
					t.Errorf("%s of class numbers: %v", none, n.Value)
				}
			}
			if len(r.Warnings) > 0 {
				t.Errorf("%s on %s: warnings %q", name, set, r.Warnings)
			}
		}
	}
	_, out, _ := command(t, "compare", filepath.Join(dir, "vgg16_keras"), filepath.Join(dir, "wrn_28_10"), "--bootstrap", "100")
	mentions(t, out, "wrn_28_10 is better than vgg16_keras", "McNemar")
	if strings.Contains(out, "nll") {
		t.Errorf("it compares the NLL of class numbers:\n%s", out)
	}
}

// TestPredictionsOfImages: predictions are matched to images by name, and what cannot be
// matched is refused.
func TestPredictionsOfImages(t *testing.T) {
	dir := t.TempDir()
	data := exported(t, filepath.Join(dir, "data"), "test", 20)
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	classes := entries(t, data)
	var table strings.Builder
	n := 0
	fmt.Fprintf(&table, "image,%s\n", strings.Join(reversed(classes[:0:0], classes), ","))
	for _, class := range classes {
		if strings.HasSuffix(class, ".csv") {
			continue
		}
		for _, name := range entries(t, filepath.Join(data, class)) {
			if n++; n > 15 {
				break
			}
			fmt.Fprintf(&table, "%s", name)
			for _, other := range reversed(classes[:0:0], classes) {
				fmt.Fprintf(&table, ",%d", map[bool]int{true: 5}[other == class])
			}
			table.WriteString("\n")
		}
	}
	r := reportOf(t, "classify", "--predictions", file("s.csv", table.String()), "--data", data, "--bootstrap", "0")
	if top1 := numberOf(t, r, "top1"); top1.N != 15 || top1.Value != 1 {
		t.Errorf("%+v", top1)
	}
	mentions(t, strings.Join(r.Warnings, "\n"), "5 of 20 images have no predictions and are left out: ")
	fails(t, exitFailed, "has 20 images; give one row per image", "classify", "--predictions", file("few.csv", "1,2\n3,4\n"), "--data", data)
	fails(t, exitFailed, "none of its rows", "classify", "--predictions", file("other.csv", "x.png,1,2\ny.png,3,4\n"), "--data", data)
	fails(t, exitFailed, "has no labels", "classify", "--predictions", file("bare.csv", "1,2\n3,4\n"))
	fails(t, exitFailed, "no such file", "classify", "--predictions", filepath.Join(dir, "none.npy"))
	fails(t, exitUsage, "--model says nothing about --predictions", "classify", "--predictions", "s.npy", "--model", "scenes-base")
	fails(t, exitUsage, "--reuse says nothing about --predictions", "classify", "--predictions", "s.npy", "--reuse", "run")
	for _, flag := range [][]string{{"--batch", "4"}, {"--device", "cpu"}, {"--resize", "32"}, {"--recipe", "raw"}, {"--doctor=false"}, {"--output", "x"}, {"--threads", "2"}} {
		name, _, _ := strings.Cut(flag[0], "=")
		fails(t, exitUsage, name+" says nothing about --predictions, for no model runs", append([]string{"classify", "--predictions", "s.npy"}, flag...)...)
	}
	fails(t, exitUsage, "which are of one class per image", "classify", "--predictions", "s.npy", "--multi-label", "x.csv")
	fails(t, exitUsage, "--split says nothing about --predictions without --data", "classify", "--predictions", "s.npy", "--split", "val")
	fails(t, exitUsage, "--threshold says nothing about predictions of 2 classes", "classify", "--predictions", file("two.csv", "image,label,a,b\nx,a,1,2\ny,b,3,4\n"), "--threshold", "0.4")
}

// TestRunsOfPredictions: a run of predictions is reported and compared like any other, or it is said
// why not. The order of its rows does not matter.
func TestRunsOfPredictions(t *testing.T) {
	dir := t.TempDir()
	run := func(name, text string, more ...string) string {
		file, out := filepath.Join(dir, name+".csv"), filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		reportOf(t, append([]string{"classify", "--predictions", file, "--bootstrap", "0", "--out", out}, more...)...)
		return out
	}
	const rows = 40
	scores, back, hard := "image,label,prob_cat,prob_dog\n", "", "image,label,prediction\n"
	for i := range rows {
		label, best, p := []string{"cat", "dog"}[i%2], []string{"cat", "dog"}[i/2%2], []float64{0.75, 0.25}[i/2%2]
		row := fmt.Sprintf("im%02d.png,%s,%v,%v\n", i, label, p, 1-p)
		scores, back = scores+row, row+back
		hard += fmt.Sprintf("im%02d.png,%s,%s\n", i, label, best)
	}
	first := run("first", scores)
	second := run("second", "image,label,prob_cat,prob_dog\n"+back)
	alone := run("alone", hard)
	code, out, errs := command(t, "compare", first, second, alone, "--bootstrap", "100")
	if code != 0 {
		t.Fatal(errs)
	}
	mentions(t, out, "40 images that all runs share", "only first right: 0 images; only second right: 0", "only first right: 0 images; only alone right: 0")
	if strings.Contains(out, "device differs") {
		t.Errorf("it warns of devices:\n%s", out)
	}
	less := run("less", strings.TrimSuffix(scores, "im39.png,dog,0.25,0.75\n"))
	fails(t, exitFailed, "the set of rows differ: make both runs with the same --data", "compare", first, less)

	_, out, _ = command(t, "report", first, "--by", "confidence,predicted,class", "--worst", "2", "--bootstrap", "0")
	mentions(t, out, "70 to 80 %", "wrong with most confidence", "probabilities: each row sums to 1")
	_, out, _ = command(t, "report", alone, "--export", "csv")
	mentions(t, out, ",cat,true,0,,,,0,\n", "im00.png,cat,ok,")
	_, out, _ = command(t, "report", alone)
	mentions(t, out, "predicted classes alone, without scores: they give accuracy and what is mixed up, no top-5, calibration or temperature")
	fails(t, exitUsage, "--by size says nothing about predictions", "report", first, "--by", "size")
	fails(t, exitUsage, "--by confidence says nothing about predicted classes alone", "report", alone, "--by", "confidence")
	fails(t, exitUsage, "--worst says nothing about predicted classes alone", "report", alone, "--worst", "3")
	fails(t, exitUsage, "--bins says nothing about predicted classes alone", "report", alone, "--bins", "3")
	fails(t, exitUsage, "--restrict says nothing about predicted classes alone", "classify", "--predictions", alone+".csv", "--restrict")

	// A run's records are predictions, too: of its predicted classes.
	export := filepath.Join(dir, "export.csv")
	_, out, _ = command(t, "report", first, "--export", "csv")
	if err := os.WriteFile(export, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if top1, want := numberOf(t, reportOf(t, "classify", "--predictions", export, "--bootstrap", "0"), "top1"), numberOf(t, reportOf(t, "report", first), "top1"); top1.Value != want.Value || top1.N != rows {
		t.Errorf("%+v, want %+v", top1, want)
	}
}

// TestPredictionsOfOneScore: one score per image is that of a binary classifier.
func TestPredictionsOfOneScore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.csv")
	text := "image,label,probability\n"
	for i := range 20 {
		text += fmt.Sprintf("%02d.png,%s,%v\n", i, []string{"no", "yes"}[i%2], []float64{0.2, 0.9}[i%2])
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "run")
	r := reportOf(t, "classify", "--predictions", file, "--bootstrap", "0", "--out", out)
	if auroc := numberOf(t, r, "auroc"); auroc.Value != 1 || auroc.N != 20 {
		t.Errorf("%+v", auroc)
	}
	mentions(t, strings.Join(r.Warnings, "\n"), "all 20 scores lie between 0 and 1, so they were taken for probabilities")
	fails(t, exitUsage, "--by size says nothing about predictions", "report", out, "--by", "size")
	fails(t, exitUsage, "--pairs says nothing about predictions of one score per image", "classify", "--predictions", file, "--pairs", "3")
}

// reversed appends names that are no files in reverse order.
func reversed(to, names []string) []string {
	for i := len(names) - 1; i >= 0; i-- {
		if filepath.Ext(names[i]) == "" {
			to = append(to, names[i])
		}
	}
	return to
}
