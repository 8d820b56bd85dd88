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

// TestClassNumbers: files of class numbers give the accuracies that were published for
// CIFAR-10.1, and nothing that needs scores; models are compared.
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
		for _, name := range []string{"vgg16_keras", "wrn_28_10"} {
			file := golden.Path(t, "golden", "shift", "cifar10.1_predictions", set+"_predictions", name+"_predictions.json")
			r := reportOf(t, "classify", "--predictions", file, "--labels", golden.Path(t, "golden", "shift", "cifar10.1_predictions", labels),
				"--bootstrap", "100", "--out", filepath.Join(dir, set+name))
			w, ok := want.Accuracy[set][name]
			if !ok {
				t.Fatalf("no accuracy of %s on %s", name, set)
			}
			if top1 := numberOf(t, r, "top1"); top1.N != w.N || int(math.Round(top1.Value*float64(w.N))) != w.Correct {
				t.Errorf("%s on %s: %v of %d, want %d of %d", name, set, top1.Value, top1.N, w.Correct, w.N)
			}
			for _, none := range []string{"top5", "nll", "ece", "aurc", "temperature"} {
				if n := r.Find(none); n != nil {
					t.Errorf("%s of class numbers: %v", none, n.Value)
				}
			}
		}
	}
	_, out, _ := command(t, "compare", filepath.Join(dir, "v4vgg16_keras"), filepath.Join(dir, "v4wrn_28_10"), "--bootstrap", "100")
	mentions(t, out, "v4wrn_28_10 is better than v4vgg16_keras", "McNemar")
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
	if notes := strings.Join(r.Dataset.Notes, " "); !strings.Contains(notes, "5 of 20 images have no predictions") {
		t.Errorf("notes: %s", notes)
	}
	fails(t, exitFailed, "has 20 images; give one row per image", "classify", "--predictions", file("few.csv", "1,2\n3,4\n"), "--data", data)
	fails(t, exitFailed, "none of its rows", "classify", "--predictions", file("other.csv", "x.png,1,2\ny.png,3,4\n"), "--data", data)
	fails(t, exitFailed, "has no labels", "classify", "--predictions", file("bare.csv", "1,2\n3,4\n"))
	fails(t, exitFailed, "no such file", "classify", "--predictions", filepath.Join(dir, "none.npy"))
	fails(t, exitUsage, "--model says nothing about --predictions", "classify", "--predictions", "s.npy", "--model", "scenes-base")
	fails(t, exitUsage, "--reuse says nothing about --predictions", "classify", "--predictions", "s.npy", "--reuse", "run")
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
