package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/datasets"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/filelock"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
	"cutmix-eval/report"
	"cutmix-eval/runtime/ortest"

	"github.com/google/go-cmp/cmp"
)

// tune runs finetune, which must succeed, and reads its report.
func tune(t *testing.T, args ...string) (r *report.Report, errs string) {
	t.Helper()
	code, out, errs := command(t, append([]string{"finetune", "--format", "json", "--bootstrap", "100"}, args...)...)
	if code != exitDone {
		t.Fatalf("%v: exit code %d: %s", args, code, errs)
	}
	return parsed(t, out), errs
}

// of is a number of a head on a set of images.
func of(t *testing.T, r *report.Report, set, head, name string) *report.Number {
	t.Helper()
	return numberOf(t, r, name, report.KeySet.Is(set), report.KeyHead.Is(head))
}

// TestFinetuneCommand: the file that is written is a classifier with the reported accuracy,
// recipe, class names and training; all is kept, and the same command does nothing twice.
func TestFinetuneCommand(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "tuned.onnx")
	val, test := exported(t, filepath.Join(dir, "val"), "new-val", 200), exported(t, filepath.Join(dir, "test"), "new-test", 300)
	args := []string{"--train", "scenes:new-train", "--val", val, "--test", test, "--epochs", "2", "--select", "last", "--out", out}
	r, errs := tune(t, args...)
	if strings.Count(errs, "epoch ") != 2 || !strings.Contains(errs, "epoch 2/2: loss ") || !strings.Contains(errs, "val top1") {
		t.Errorf("progress: %s", errs)
	}
	tuned := of(t, r, "test", "tuned", "top1")
	// Chance is 10 %; two epochs on 500 pictures of new classes give about half of them.
	checkNumber(t, tuned, 300, 0.45, 0.8)
	if r.Task != "finetune" {
		t.Errorf("the task is %s", r.Task)
	}
	for set, n := range map[string]int{"val": 200, "test": 300} {
		for _, head := range []string{"tuned", "linear_probe", "knn_k20"} {
			m := of(t, r, set, head, "top1")
			checkNumber(t, m, n, 0.4, 0.8)
			if head == "tuned" {
				continue
			}
			d := of(t, r, set, head, "top1_difference")
			less := m.Value - of(t, r, set, "tuned", "top1").Value
			if checkNumber(t, d, n, less-1e-12, less+1e-12); d.Test == nil {
				t.Errorf("%s has no test", d.Label())
			}
		}
	}
	// The old classes are others: there is nothing to compare with before.
	for _, n := range r.Numbers {
		if n.At.Get(report.KeyHead) == "before" {
			t.Errorf("a number of the old head on other classes: %+v", n)
		}
	}
	alone := classifyJSON(t, exitDone, "--model", out, "--data", test)
	if top1 := numberOf(t, alone, "top1"); top1.Value != tuned.Value {
		t.Errorf("classify gives %v, want %v", top1.Value, tuned.Value)
	}
	if !strings.HasPrefix(alone.Dataset.Labels, "by the class names in the model") {
		t.Errorf("labels %s", alone.Dataset.Labels)
	}
	if p := alone.Preprocessing; p.Source != "ONNX metadata" || p.Fingerprint != r.Preprocessing.Fingerprint {
		t.Errorf("%+v, want the pixels of %+v", p, r.Preprocessing)
	}
	if alone.Model.Training != "cutmix, beta 1, probability 0.5, 2 epochs, head only" {
		t.Errorf("training %s", alone.Model.Training)
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	again, errs := tune(t, args...)
	if second, err := os.ReadFile(out); err != nil || !bytes.Equal(first, second) || strings.Contains(errs, "epoch 1") {
		t.Errorf("the same command trains again, or writes another file: %v %s", err, errs)
	}
	if d := cmp.Diff(r.Numbers, again.Numbers); d != "" {
		t.Errorf("the same command: %s", d)
	}
	code, shown, errs := command(t, "report", filepath.Join(dir, "tuned.run"), "--format", "json")
	if code != exitDone {
		t.Fatalf("report: %d %s", code, errs)
	}
	if d := cmp.Diff(r.Numbers, parsed(t, shown).Numbers); d != "" {
		t.Errorf("report: %s", d)
	}
	var whole struct{ Metrics map[string]float64 }
	if err := json.Unmarshal([]byte(shown), &whole); err != nil || whole.Metrics["top1"] != tuned.Value {
		t.Errorf("metrics %v, want the tuned head's: %v", whole.Metrics, err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "tuned.run", "log.csv"))
	if err != nil || strings.Count(string(log), "\n") != 3 || !strings.HasPrefix(string(log), "epoch,lr,train_loss,val_loss,val_top1,") {
		t.Errorf("log: %v %s", err, log)
	}
	// Another seed is another training; the features are there.
	if code, _, errs := command(t, append([]string{"finetune", "--seed", "1"}, args...)...); code == exitDone || !strings.Contains(errs, "seed") {
		t.Errorf("another seed in the same folder: %d %s", code, errs)
	}
	// The tuned head is compared, on the test images; the heads are runs of their own.
	run := filepath.Join(dir, "tuned.run")
	for other, want := range map[string]string{
		"tuned-test": "(0.00 points, 95 % interval 0.00 to 0.00, n = 300", "linear_probe-test": "300 images that all runs share",
	} {
		code, out, errs := command(t, "compare", run, filepath.Join(run, other), "--bootstrap", "100")
		if code != exitDone {
			t.Errorf("compare with %s: %d %s", other, code, errs)
		}
		mentions(t, out, want)
	}
	fails(t, exitFailed, "tuned-test", "report", run, "--export", "csv")
	// Pinned under a name.
	t.Setenv("ONNXRUNTIME_SHARED_LIBRARY_PATH", ortest.Load(t).Path) // the cache is about to be empty
	t.Setenv(cache.EnvDir, t.TempDir())
	if code, _, errs := command(t, "models", "add", "mine", out); code != exitDone {
		t.Fatal(errs)
	}
	if code, shown, errs = command(t, "models", "show", "mine"); code != exitDone {
		t.Error(errs)
	}
	mentions(t, shown, "cutmix, beta 1, probability 0.5, 2 epochs, head only", "ONNX metadata")
	if named := classifyJSON(t, exitDone, "--model", "mine", "--data", test, "--bootstrap", "0"); numberOf(t, named, "top1").Value != tuned.Value {
		t.Error("the pinned model is another")
	}
}

// TestFinetuneWays: every way of mixing, head and optimiser, by the command line, on few
// pictures; the numbers are of the right kind and far above chance.
func TestFinetuneWays(t *testing.T) {
	dir := t.TempDir()
	val := exported(t, filepath.Join(dir, "val"), "new-val", 200)
	for i, c := range []struct {
		args   string
		least  float64 // top-1 on validation images; chance is 0.1
		about  string  // in the report's options
		trials int     // of --search
	}{
		{"--mix none", 0.4, "no mixing", 0},
		{"--mix mixup --alpha 0.2 --mix-prob 1", 0.35, "mixup, alpha 0.2, probability 1", 0},
		{"--mix cutout --cutout-length 0.3", 0.35, "cutout of 0.3 of the side", 0},
		{"--mix cutmix --cutmix-box gaussian --mix-labels complete --mix-scheduled --mix-per-image", 0.35, "rising from 0, gaussian boxes, complete labels, a box for each image", 0},
		{"--mix cutmix --cutmix-box fixed --mix-uncorrected --mix-labels one-hot --augment none --batch-size 7", 0.35, "fixed boxes, one-hot labels, labels by the drawn lambda", 0},
		{"--mix feature-cutmix --optimizer adamw --schedule step --warmup 0.1", 0.35, "feature-cutmix", 0},
		{"--mix none --augment none --optimizer lbfgs --weight-decay 0.01", 0.4, "optimum by L-BFGS", 0},
		{"--mix none --augment none --optimizer lbfgs --search", 0.4, "optimum by L-BFGS", 5},
		{"--mix feature-cutmix --search --epochs 3", 0.35, "feature-cutmix", 20},
		{"--mix cutmix --hidden 24 --dropout 0.2 --label-smoothing 0.1 --class-weights balanced", 0.3, "new head with 24 hidden units, dropout 0.2", 0},
		{"--mix none --augment flip --standardize=false --schedule constant --momentum 0", 0.2, "flips 0.5", 0},
		{"--mix none --augment crop --crop-scale 0.7,0.9 --crop-ratio 1,1 --select last", 0.35, "random crops of 0.7 to 0.9", 0},
		{"--patience 1 --epochs 30 --mix none", 0.35, "of ", 0},
	} {
		t.Run(c.args, func(t *testing.T) {
			if i != 8 { // with a search
				long.Skip(t, "all ways take half a minute")
			}
			args := append([]string{"--train", "scenes:new-train", "--val", val, "--limit", "150", "--quiet", "--out", filepath.Join(dir, fmt.Sprintf("%d.onnx", i))}, strings.Fields(c.args)...)
			if !strings.Contains(c.args, "--epochs") && !strings.Contains(c.args, "lbfgs") {
				args = append(args, "--epochs", "5")
			}
			r, _ := tune(t, args...)
			checkNumber(t, of(t, r, "val", "tuned", "top1"), 200, c.least, 0.85)
			mentions(t, r.Options, c.about)
			if c.trials > 0 {
				if rows := len(tableOf(t, r, "search").Rows); rows != c.trials {
					t.Errorf("%d trials", rows)
				}
			}
			if epochs := len(tableOf(t, r, "epochs").Rows); strings.Contains(c.args, "--patience") && epochs >= 30 {
				t.Errorf("it trained for %d epochs", epochs)
			}
		})
	}
}

// TestFinetuneKeep: the old head goes on. With a rate of next to nothing it stays what it
// was, bit for bit in its predictions, and is compared with itself before.
func TestFinetuneKeep(t *testing.T) {
	out := filepath.Join(t.TempDir(), "kept.onnx")
	r, _ := tune(t, "--train", "scenes:val", "--split", "0.5", "--head", "keep", "--lr", "1e-12", "--weight-decay", "0", "--epochs", "1", "--mix", "feature-cutmix", "--quiet", "--out", out)
	before, after := of(t, r, "val", "before", "top1"), of(t, r, "val", "tuned", "top1")
	if before.Value != after.Value || before.N != 500 || before.Value < 0.85 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if d := of(t, r, "val", "before", "top1_difference"); d.Value != 0 || d.Test.P != 1 {
		t.Errorf("%+v", d)
	}
	// A class that is missing stays in the head.
	alone := classifyJSON(t, exitDone, "--model", out, "--data", "scenes:test", "--limit", "300", "--bootstrap", "0")
	if m := numberOf(t, alone, "top1"); m.Value < 0.9 {
		t.Errorf("the kept head: %+v", m)
	}
	if code, _, errs := command(t, "finetune", "--train", "scenes:new-train", "--head", "keep", "--out", out+".2.onnx"); code != exitFailed || !strings.Contains(errs, "model's classes") {
		t.Errorf("other classes: %d %s", code, errs)
	}
}

// exported writes the first n scenes of a split as class folders and returns dir.
func exported(t *testing.T, dir, split string, n int) string {
	t.Helper()
	if _, err := datasets.ExportScenes(context.Background(), dir, "", split, n, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// pictures writes scenes of a split as class folders and removes what is more than count,
// which goes by the classes' alphabetical order. It returns their names.
func pictures(t *testing.T, dir, split string, count ...int) (classes []string) {
	t.Helper()
	exported(t, dir, split, 300)
	if err := os.Remove(filepath.Join(dir, "boxes.csv")); err != nil {
		t.Fatal(err)
	}
	for _, one := range entries(t, dir) {
		n := 0
		if len(classes) < len(count) {
			n = count[len(classes)]
			classes = append(classes, one)
		}
		for i, name := range entries(t, filepath.Join(dir, one)) {
			if i >= n {
				if err := os.Remove(filepath.Join(dir, one, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n == 0 {
			if err := os.Remove(filepath.Join(dir, one)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return classes
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestFinetuneData: what is odd about the images is said, and what cannot be used is refused
// in a sentence; images that cannot be read are listed, and the rest is used.
func TestFinetuneData(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	classes := pictures(t, in("train"), "new-train", 20, 18, 1, 2, 20)
	pictures(t, in("val"), "new-val", 10, 10, 0, 10)
	pictures(t, in("more"), "new-val", 10, 10, 10, 10, 10, 10)
	// A picture that both have, one that is broken, one that is empty.
	copyFile := func(from, to string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	first := entries(t, in("train/"+classes[0]))[0]
	copyFile(in("train/"+classes[0]+"/"+first), in("val/"+classes[0]+"/copy.png"))
	for name, text := range map[string]string{"train/" + classes[0] + "/broken.png": "\x89PNG\r\n\x1a\nbroken", "val/" + classes[1] + "/empty.png": ""} {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base := []string{"finetune", "--mix", "feature-cutmix", "--epochs", "2", "--bootstrap", "100", "--train", in("train")}
	code, out, _ := command(t, append(base, "--val", in("val"), "--out", in("a.onnx"))...)
	if code != exitBadImages {
		t.Errorf("exit code %d", code)
	}
	mentions(t, out,
		"2 images could not be read and are left out", "train/"+classes[0]+"/broken.png: ", "val/"+classes[1]+"/empty.png: ",
		"1 of the 31 val images are training images too (the same tensor)",
		"1 classes have a single training image ("+classes[2]+")",
		"classes have between 1 and 20 training images",
		"2 of 5 classes have no val image ("+classes[2]+", "+classes[4]+")",
	)
	if code, _, errs := command(t, append(base, "--val", in("val"), "--out", in("a.onnx"), "--allow-bad", "2", "--quiet")...); code != exitDone {
		t.Errorf("--allow-bad: %d %s", code, errs)
	}
	// A part of the training images validates: the single image of a class does not.
	code, out, errs := command(t, append(base, "--split", "0.5", "--out", in("b.onnx"), "--allow-bad", "1", "--class-weights", "balanced")...)
	if code != exitDone || strings.Contains(out, "between 1 and") {
		t.Errorf("--split: %d %s %s", code, out, errs)
	}
	mentions(t, out, "31 of the images train and 30 validate", "1 of 5 classes have no val image ("+classes[2]+")")
	if err := os.Mkdir(in("folder.onnx"), 0o755); err != nil {
		t.Fatal(err)
	}
	tiny := []string{"--resize", "16x16", "--crop", "16", "--limit", "20", "--bootstrap", "100", "--epochs", "1", "--train", in("train")}
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"val images are of classes that no training image has: ", exitFailed, []string{"--train", in("train"), "--val", in("more")}},
		{"no such file", exitFailed, []string{"--train", in("train"), "--val", in("gone")}},
		{"no such file", exitFailed, []string{"--train", in("gone")}},
		{"have no labels", exitFailed, []string{"--train", in("train/" + classes[0])}},
		{"val images: those of ", exitFailed, []string{"--train", in("train"), "--val", in("val/" + classes[0])}},
		{"one image alone is not mixed", exitUsage, []string{"--batch-size", "1"}},
		{"--out FILE.onnx is missing", exitUsage, []string{"--train", in("train"), "--out", ""}},
		{"does not end in .onnx", exitUsage, []string{"--out", in("x")}},
		{"--train is missing", exitUsage, []string{"--val", in("val")}},
		{"give one", exitUsage, []string{"--train", in("train"), "--val", in("val"), "--split", "0.5"}},
		{"is not one of", exitUsage, []string{"--mix", "cutmux"}},
		{"--augment \"all\" is not one of", exitUsage, []string{"--augment", "all"}},
		{"give --augment none", exitUsage, []string{"--mix", "feature-cutmix", "--augment", "flip"}},
		{"is not two numbers", exitUsage, []string{"--crop-scale", "0.5"}},
		{"--lr 0 is not above 0", exitUsage, []string{"--lr", "0"}},
		{"give --mix none", exitUsage, []string{"--optimizer", "lbfgs"}},
		{"give a lower one with --lr or --weight-decay\n", exitFailed, []string{"--lr", "1e5", "--weight-decay", "1e5", "--mix", "feature-cutmix", "--train", in("train"), "--split", "0.5"}},
		{"--alpha says nothing about --mix none", exitUsage, []string{"--mix", "none", "--alpha", "0.3"}},
		{"--cutmix-box says nothing about --mix mixup", exitUsage, []string{"--mix", "mixup", "--cutmix-box", "fixed"}},
		{"--epochs says nothing about --optimizer lbfgs", exitUsage, []string{"--mix", "none", "--optimizer", "lbfgs", "--epochs", "3"}},
		{"--multi-label are named", exitUsage, []string{"--multi-split", "train"}},
		{"is a folder: give another --out", exitFailed, []string{"--out", in("folder.onnx")}},
		{"lies among the images of", exitFailed, []string{"--train", in("train"), "--out", in("train/x.onnx")}},
		{"lies among the images of", exitFailed, []string{"--train", in("train"), "--val", in("val"), "--run", in("val/run")}},
		{"export it with an open batch axis, or give --mix none", exitFailed, append([]string{"--model", "../../model/testdata/heads/fixed-stuck.onnx", "--mix", "cutout"}, tiny...)},
		{"no classifier head", exitFailed, append([]string{"--model", "../../model/testdata/heads/no-head.onnx"}, tiny...)},
		{"there is no head to tune", exitFailed, append([]string{"--model", "../../model/testdata/heads/squeezenet.onnx"}, tiny...)},
		{"needs --out FOLDER", exitUsage, []string{"--suite", in("s.json"), "--out", ""}},
		{"says what the suite says", exitUsage, []string{"--suite", in("s.json"), "--model", "scenes-base"}},
		{"s.json", exitFailed, []string{"--suite", in("s.json"), "--out", in("suite")}},
	} {
		args := append([]string{"finetune", "--out", in("c.onnx"), "--restart", "--quiet"}, c.args...)
		code, _, errs := command(t, args...)
		if code != c.code || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") > 2 {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
	for _, name := range []string{"train/x.run", "val/run", "c.onnx"} {
		if _, err := os.Stat(in(name)); err == nil {
			t.Errorf("%s was left", name)
		}
	}
	// Weights in an external file come along.
	ext, _ := tune(t, append([]string{"--model", "../../model/testdata/heads/external.onnx", "--out", in("external.onnx"), "--quiet", "--train", "scenes:new-train", "--val", "scenes:new-val"}, tiny[:6]...)...)
	alone := classifyJSON(t, exitDone, "--model", in("external.onnx"), "--data", "scenes:new-val", "--bootstrap", "0")
	if got, want := numberOf(t, alone, "top1"), of(t, ext, "val", "tuned", "top1"); got.Value != want.Value {
		t.Errorf("external weights: classify gives %v, want %v", got.Value, want.Value)
	}
	// What was computed before the error is kept; no half file is.
	if _, err := os.Stat(in("c.onnx")); err == nil {
		t.Error("a file was written by commands that failed")
	}
}

// TestFinetuneMultiLabel: several labels an image, from a table: a sigmoid head and mAP, with
// intervals, for the file that was written.
func TestFinetuneMultiLabel(t *testing.T) {
	dir := t.TempDir()
	classes := pictures(t, filepath.Join(dir, "images"), "new-train", 30, 30, 30, 30)
	var table strings.Builder
	fmt.Fprintf(&table, "image,%s,late\n", strings.Join(classes, ","))
	for k, class := range classes {
		for i, name := range entries(t, filepath.Join(dir, "images", class)) {
			fmt.Fprintf(&table, "%s/%s", class, name)
			for c := range classes {
				fmt.Fprintf(&table, ",%d", map[bool]int{true: 1}[c == k])
			}
			fmt.Fprintf(&table, ",%d\n", map[bool]int{true: 1}[i >= 15]) // nothing to see in the picture
		}
	}
	labels := filepath.Join(dir, "labels.csv")
	if err := os.WriteFile(labels, []byte(table.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mix := range []string{"cutmix", "feature-cutmix", "none --augment none --optimizer lbfgs"} {
		out := filepath.Join(dir, strings.Fields(mix)[0]+".onnx")
		r, _ := tune(t, append([]string{"--train", filepath.Join(dir, "images"), "--multi-label", labels, "--split", "0.5", "--out", out, "--quiet", "--mix"}, strings.Fields(mix)...)...)
		m := of(t, r, "val", "tuned", "map")
		if checkNumber(t, m, 60, 0.5, 1); r.Model.Classes != 5 {
			t.Errorf("%s: %d classes", mix, r.Model.Classes)
		}
		if of(t, r, "val", "linear_probe", "map").Interval == nil {
			t.Errorf("%s: no interval of the probe", mix)
		}
		precision := func(class string) float64 {
			return numberOf(t, r, "average_precision", report.KeySet.Is("val"), report.KeyClass.Is(class)).Value
		}
		late := precision("late")
		if late > 0.8 {
			t.Errorf("%s: chance is learnt: %v", mix, late)
		}
		sum := late
		for _, c := range classes {
			sum += precision(c)
		}
		if math.Abs(sum/5-m.Value) > 1e-9 {
			t.Errorf("%s: mAP %v is not the mean of %v", mix, m.Value, sum)
		}
	}
}

// TestFinetuneSuite: one table of backbones and data sets, with paired tests that are
// corrected for their number.
func TestFinetuneSuite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "suite.json")
	text := `{"models": [{"name": "base", "model": "scenes-base"}, {"name": "cutmix", "model": "scenes-cutmix"}],
		"data": [{"name": "few", "train": "scenes:new-train", "val": %q, "test": %q, "limit": 60}, {"name": "split", "train": "scenes:new-val", "limit": 200}]}`
	text = fmt.Sprintf(text, exported(t, filepath.Join(dir, "val"), "new-val", 50), exported(t, filepath.Join(dir, "test"), "new-test", 100))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--suite", file, "--mix", "feature-cutmix", "--epochs", "3", "--out", filepath.Join(dir, "out"), "--quiet"}
	r, _ := tune(t, args...)
	again, _ := tune(t, args...)
	if d := cmp.Diff(r.Numbers, again.Numbers); d != "" {
		t.Errorf("the same command: %s", d)
	}
	if kept := reportOf(t, "report", filepath.Join(dir, "out")); cmp.Diff(r.Numbers, kept.Numbers) != "" {
		t.Errorf("report: %s", cmp.Diff(r.Numbers, kept.Numbers))
	}
	other := reportOf(t, "report", filepath.Join(dir, "out"), "--bins", "3").Config.Task.(map[string]any)
	if other["bins"] != 3.0 {
		t.Errorf("a report with 3 bins says %v", other["bins"])
	}
	if rows := len(tableOf(t, r, "models").Rows); rows != 2 {
		t.Errorf("%d backbones", rows)
	}
	for data, n := range map[string]int{"few": 100, "split": 40} {
		number := func(model, name string) *report.Number {
			return numberOf(t, r, name, report.KeyDataset.Is(data), report.KeyModel.Is(model))
		}
		a, b, d := number("base", "top1"), number("cutmix", "top1"), number("cutmix", "top1_difference")
		checkNumber(t, a, n, 0.2, 1)
		checkNumber(t, b, n, 0.2, 1)
		checkNumber(t, d, n, b.Value-a.Value-1e-12, b.Value-a.Value+1e-12)
		if d.Test == nil || d.Test.PAdjusted < d.Test.P {
			t.Errorf("%s: %+v", data, d.Test)
		}
	}
	for _, name := range []string{"few/base.onnx", "few/cutmix.onnx", "split/base.onnx", "split/cutmix.onnx"} {
		if _, err := os.Stat(filepath.Join(dir, "out", name)); err != nil {
			t.Error(err)
		}
	}
}

// TestFinetuneCIFAR: the same training as bench/finetune.py's gives what PyTorch 1.13 gave
// there, on the 10,000 test images of CIFAR-10. Random crops differ more from seed to seed
// than the tolerance allows; bench/README.md has these.
func TestFinetuneCIFAR(t *testing.T) {
	long.Skip(t, "forty epochs take two minutes")
	model, train, test := golden.Path(t, "models", "resnet20-cifar10.onnx"), golden.Path(t, "data", "cifar10-jpeg-train5k.tar"), golden.Path(t, "data", "cifar10-jpeg-test.tar")
	for _, c := range []struct {
		args string
		want float64
	}{{"--mix none --augment none", 0.8329}, {"--mix cutmix --augment none", 0.8314}, {"--mix feature-cutmix", 0.8343}, {"--mix feature-cutmix --optimizer adamw --lr 0.01", 0.8339}} {
		t.Run(c.args, func(t *testing.T) {
			r, _ := tune(t, append([]string{"--model", model, "--train", train, "--val", test, "--standardize=false", "--lr", "0.1", "--select", "last", "--epochs", "10", "--quiet", "--out", filepath.Join(t.TempDir(), "tuned.onnx")}, strings.Fields(c.args)...)...)
			m := of(t, r, "val", "tuned", "top1")
			if m.N != 10000 || math.Abs(m.Value-c.want) > 0.005 {
				t.Errorf("top1 %v of %d, PyTorch's is %v", m.Value, m.N, c.want)
			}
			t.Logf("top1 %v, PyTorch %v", m.Value, c.want)
		})
	}
}

// TestFinetuneTinyImageNet: a transfer table of two real backbones, trained on CIFAR-10 with and
// without CutMix, to Tiny-ImageNet's 200 classes: far above chance, a half of a percent.
func TestFinetuneTinyImageNet(t *testing.T) {
	long.Skip(t, "two backbones and 4,000 pictures take twenty seconds")
	dir := t.TempDir()
	model := func(name, file string) map[string]string {
		return map[string]string{"name": name, "model": golden.Path(t, "models", file), "recipe": "cifar10"}
	}
	text, err := json.Marshal(map[string]any{
		"models": []any{model("baseline", "resnet20-cifar10jpeg-base.onnx"), model("CutMix", "resnet20-cifar10jpeg-cutmix.onnx")},
		"data":   []any{map[string]any{"name": "Tiny-ImageNet", "train": golden.Path(t, "data", "tiny-imagenet-val.tar"), "limit": 4000}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "suite.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ := tune(t, "--suite", file, "--mix", "feature-cutmix", "--epochs", "10", "--out", filepath.Join(dir, "out"), "--quiet")
	tiny := report.KeyDataset.Is("Tiny-ImageNet")
	for _, name := range []string{"baseline", "CutMix"} {
		m := numberOf(t, r, "top1", tiny, report.KeyModel.Is(name))
		checkNumber(t, m, 800, 0.04, 0.25)
		t.Logf("%s: top1 %v of %d", name, m.Value, m.N)
	}
	d := numberOf(t, r, "top1_difference", tiny, report.KeyModel.Is("CutMix"))
	if d.Test == nil || !surrounded(d) || d.Interval.Low == d.Interval.High {
		t.Errorf("%+v", d)
	}
}

// TestFinetuneAgain: what lies in OUT.run from before is used, refused or begun anew, and never
// passed over.
func TestFinetuneAgain(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	val, test := exported(t, in("val-images"), "new-val", 50), exported(t, in("test-images"), "new-test", 70)
	args := func(more ...string) []string {
		return append([]string{"finetune", "--train", "scenes:new-train", "--val", val, "--limit", "80", "--mix", "feature-cutmix", "--epochs", "2", "--bootstrap", "100", "--out", in("a.onnx"), "--quiet"}, more...)
	}
	run := func(want int, text string, more ...string) {
		t.Helper()
		code, out, errs := command(t, args(more...)...)
		if code != want || !strings.Contains(out+errs, text) {
			t.Errorf("%v: exit code %d, want %d and %q: %s %s", more, code, want, text, out, errs)
		}
	}
	run(exitDone, "top1")
	first, err := os.ReadFile(in("a.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	run(exitFailed, "--restart", "--seed", "3")
	run(exitFailed, "--restart", "--limit", "40")
	run(exitDone, "top1", "--seed", "3", "--restart")
	run(exitDone, "n = 50", "--limit", "40", "--restart")
	run(exitDone, "top1", "--restart")
	if again, err := os.ReadFile(in("a.onnx")); err != nil || !bytes.Equal(first, again) {
		t.Errorf("begun anew, it ends otherwise: %v", err)
	}
	// Test images can come later, and the other epoch can be chosen.
	run(exitDone, "70 images of test-images", "--test", test)
	run(exitDone, "epoch 2 of 2 kept", "--select", "last")
	run(exitDone, "50 test images are validation images too", "--test", val, "--restart")
	// Damage.
	for _, name := range []string{"val/manifest.json", "train-maps/manifest.json"} {
		if err := os.WriteFile(in("a.run/"+name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		run(exitFailed, "--restart")
		run(exitDone, "top1", "--restart")
	}
	if err := os.WriteFile(in("a.run/tuned-val/manifest.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(exitDone, "top1")
	values, err := filepath.Glob(in("a.run/train-maps/parts/*.features.*.npy"))
	if err != nil || len(values) == 0 {
		t.Fatal(values, err)
	}
	data, err := os.ReadFile(values[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-2] ^= 0xff
	if err := os.WriteFile(values[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	run(exitFailed, "damaged")
	run(exitDone, "top1", "--restart")
	if again, err := os.ReadFile(in("a.onnx")); err != nil || !bytes.Equal(first, again) {
		t.Errorf("after damage, it ends otherwise: %v", err)
	}
	// Files of the user's stay what they are: as the folder, in it, and beside the file.
	for name, text := range map[string]string{"own/train/manifest.json": `{"mine": 1}`, "own/train/parts/000001.png": "x", "own/report.json": "mine", "run/.lock": "", "run/train/manifest.json": `{"mine": 1}`, "run/train/parts/000001.features.2.npy": "x"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(in(name)), 0o755), os.WriteFile(in(name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	run(exitFailed, "holds something else than a training", "--run", in("own"), "--restart")
	if code, _, errs := command(t, "finetune", "--limit", "40", "--epochs", "1", "--out", in("z.onnx"), "--run", in("run"), "--restart", "--quiet"); code != exitFailed || !strings.Contains(errs, "no run's") {
		t.Errorf("a manifest of something else: %d %s", code, errs)
	}
	for name, size := range map[string]int64{"own/train/manifest.json": 11, "own/train/parts/000001.png": 1, "own/report.json": 4, "run/train/manifest.json": 11, "run/train/parts/000001.features.2.npy": 1} {
		if info, err := os.Stat(in(name)); err != nil || info.Size() != size {
			t.Errorf("%s: %v", name, err)
		}
	}
	beside := []string{"finetune", "--train", "scenes:new-train", "--val", val, "--limit", "40", "--epochs", "1", "--bootstrap", "100", "--mix", "feature-cutmix", "--out", in("new/n.onnx"), "--run", in("new"), "--quiet"}
	if code, _, errs := command(t, beside...); code != exitDone {
		t.Errorf("the folder of the file as --run: %d %s", code, errs)
	}
	if _, err := os.Stat(in("new/n.onnx")); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(in("own"), in("link")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "finetune", "--train", in("own"), "--out", in("link/a.onnx")); code != exitFailed || !strings.Contains(errs, "lies among the images") && !strings.Contains(errs, "no images") {
		t.Errorf("a link: %d %s", code, errs)
	}
	// One process at a time.
	release, err := filelock.Acquire(context.Background(), in("a.run/.lock"), 0)
	if err != nil {
		t.Fatal(err)
	}
	run(exitFailed, "another process is at work there")
	release()
	run(exitDone, "top1")
	// The old head with a class map: the new file's outputs are the old ones.
	s, err := scenes.ParseSplit("val")
	if err != nil {
		t.Fatal(err)
	}
	names := scenes.Classes(s)
	sorted := slices.Sorted(slices.Values(names))
	var lines strings.Builder
	for _, n := range sorted {
		fmt.Fprintf(&lines, "%s %d\n", n, slices.Index(names, n))
	}
	if err := os.WriteFile(in("map.txt"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	pictures(t, in("old"), "val", 12, 12, 12, 12, 12, 12, 12, 12, 12, 12)
	r, _ := tune(t, "--train", in("old"), "--labels", in("map.txt"), "--split", "0.5", "--head", "keep", "--lr", "1e-12", "--mix", "none", "--augment", "none", "--epochs", "1", "--out", in("kept.onnx"), "--quiet")
	if a, b := of(t, r, "val", "tuned", "top1"), of(t, r, "val", "before", "top1"); a.Value != b.Value || a.Value < 0.8 {
		t.Errorf("class map: tuned %+v, before %+v", a, b)
	}
	// Labels that are other ones are another training.
	table := func(flip bool) {
		var b strings.Builder
		fmt.Fprintln(&b, "image,a,b")
		for k, class := range entries(t, in("old")) {
			for _, name := range entries(t, in("old/"+class)) {
				fmt.Fprintf(&b, "%s/%s,%d,%d\n", class, name, map[bool]int{true: 1}[(k%2 == 0) != flip], map[bool]int{true: 1}[k%3 == 0])
			}
		}
		if err := os.WriteFile(in("labels.csv"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	multi := []string{"finetune", "--train", in("old"), "--multi-label", in("labels.csv"), "--split", "0.5", "--mix", "none", "--augment", "none", "--epochs", "1", "--bootstrap", "100", "--out", in("multi.onnx"), "--quiet"}
	table(false)
	if code, _, errs := command(t, multi...); code != exitDone {
		t.Fatal(errs)
	}
	table(true)
	if code, _, errs := command(t, multi...); code != exitFailed || !strings.Contains(errs, "is another one") {
		t.Errorf("other labels: %d %s", code, errs)
	}
}

// TestFinetuneVOC: lists of VOC's form, whose pictures lie in one folder: each role its own.
func TestFinetuneVOC(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	classes := pictures(t, in("JPEGImages"), "new-train", 30, 30)
	if err := os.MkdirAll(in("ImageSets/Main"), 0o755); err != nil {
		t.Fatal(err)
	}
	for split, from := range map[string]int{"train": 0, "val": 12, "test": 20} {
		to := map[string]int{"train": 12, "val": 20, "test": 30}[split]
		for k, name := range []string{"one", "two"} {
			var lines strings.Builder
			for c, class := range classes {
				for i, file := range entries(t, in("JPEGImages/"+class))[from:to] {
					v := map[bool]int{true: 1, false: -1}[c == k]
					if i == 0 && k == 1 {
						v = 0 // difficult
					}
					fmt.Fprintf(&lines, "%s %2d\n", strings.TrimSuffix(class+"/"+file, ".png"), v)
				}
			}
			if err := os.WriteFile(in("ImageSets/Main/"+name+"_"+split+".txt"), []byte(lines.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, _ := tune(t, "--train", in("JPEGImages"), "--multi-label", dir, "--multi-split", "train", "--multi-val-split", "val", "--multi-test-split", "test", "--mix", "feature-cutmix", "--mix-per-image", "--epochs", "5", "--out", in("voc.onnx"), "--quiet")
	for kind, n := range map[string]int{"val": 16, "test": 20} {
		if m := of(t, r, kind, "tuned", "map"); m.N != n || m.Value < 0.6 {
			t.Errorf("%s: %+v, want %d images", kind, m, n)
		}
		if m := numberOf(t, r, "average_precision", report.KeySet.Is(kind), report.KeyClass.Is("two")); m.N != n-2 {
			t.Errorf("%s: %d images are known to be of class two, or not", kind, m.N)
		}
	}
	for _, w := range r.Warnings {
		if strings.Contains(w, "too (the same tensor)") {
			t.Error(w)
		}
	}
}
