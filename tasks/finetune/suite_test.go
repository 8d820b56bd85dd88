package finetune

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/augment"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"

	"github.com/google/go-cmp/cmp"
)

// TestSuiteFile: what a suite must have.
func TestSuiteFile(t *testing.T) {
	good := `{"models": [{"name": "a", "model": "a.onnx"}, {"name": "b b", "model": "b.onnx", "output": "y", "recipe": "imagenet"}], ` +
		`"data": [{"name": "x", "train": "x"}, {"name": "y", "train": "y", "val": "v", "test": "t", "labels": "l.csv", "limit": 100}]}`
	s, err := parseSuite([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := &Suite{
		Models: []backbone{{Name: "a", Model: "a.onnx"}, {"b b", "b.onnx", "y", "imagenet"}},
		Data:   []transfer{{Name: "x", Train: "x"}, {"y", "y", "v", "t", "l.csv", 100}},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Fatal(d)
	}
	for bad, want := range map[string]string{
		``:                                       "not JSON",
		`{}`:                                     "no models or no data",
		good + "{}":                              "behind the end",
		strings.Replace(good, `"b b"`, `"a"`, 1): "twice",
		strings.Replace(good, `"b b"`, `"A"`, 1): "twice",
		strings.Replace(good, `"x", "train"`, `"study.json", "train"`, 1): "study.json",
		strings.Replace(good, `"b b"`, `"../b"`, 1):                       "letters",
		strings.Replace(good, `"b.onnx"`, `""`, 1):                        "no file",
		strings.Replace(good, `"train": "y"`, `"train": ""`, 1):           "no training images",
		strings.Replace(good, `100`, `-1`, 1):                             "limit",
		strings.Replace(good, `"test"`, `"tset"`, 1):                      "tset",
	} {
		if _, err := parseSuite([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", bad, err, want)
		}
	}
	if _, err := ReadSuite(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a file that is not there is read")
	}
}

func FuzzSuite(f *testing.F) {
	f.Add([]byte(`{"models": [{"name": "a", "model": "a.onnx"}], "data": [{"name": "x", "train": "x", "limit": 3}]}`))
	f.Add([]byte(`{"models": [{"name": "..", "model": "a"}], "data": [{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSuite(data)
		if err != nil {
			return
		}
		for _, m := range s.Models {
			if name := "d-" + m.Name + ".onnx"; filepath.Base(name) != name {
				t.Errorf("the name %q leaves the folder", m.Name)
			}
		}
	})
}

// TestSuiteReport: the table of a suite is computed from its fine-tunings, with the options of the
// report.
func TestSuiteReport(t *testing.T) {
	train, val, test := scenes(t)
	dir := t.TempDir()
	a := suiteAbout{Config: few(augment.FeatureCutMix), Suite: Suite{
		Models: []backbone{{Name: "base", Model: "scenes-base"}, {Name: "cutmix", Model: "scenes-cutmix"}},
		Data:   []transfer{{Name: "one", Train: train, Val: val, Test: test}, {Name: "two", Train: val}},
	}}
	save := func() {
		t.Helper()
		if err := a.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	load := func(o tasks.Options) (tasks.Result, error) {
		s, err := results.OpenStudy(false, dir)
		if err != nil {
			t.Fatal(err)
		}
		return SuiteTask{}.Load(context.Background(), s, o)
	}
	save()
	if _, err := load(tasks.Options{}); err == nil || !strings.Contains(err.Error(), "has not ended; run the same command again") {
		t.Errorf("begun: %v", err)
	}
	parts := map[string]*report.Report{}
	for _, d := range a.Suite.Data {
		for _, m := range a.Suite.Models {
			o := Options{Val: d.Val, Test: d.Test, Out: filepath.Join(dir, d.Name, m.Name+".onnx")}
			res, err := tune(t, m.Model, d.Train, a.Config, o)
			parts[d.Name+" "+m.Name] = reported(t, res, err)
		}
	}
	a.Ended = true
	save()
	res, err := load(tasks.Options{})
	r := reported(t, res, err)
	at := func(d, m string) report.Keys { return report.Keys{report.KeyDataset.Is(d), report.KeyModel.Is(m)} }
	for _, d := range a.Suite.Data {
		t.Run(d.Name, func(t *testing.T) {
			for _, m := range a.Suite.Models {
				for _, want := range parts[d.Name+" "+m.Name].Main {
					got := r.Find(want.Name, at(d.Name, m.Name)...)
					if got == nil || got.Value != want.Value || got.N != want.N {
						t.Errorf("%s of %s: %+v, want %+v", want.Name, m.Name, got, want)
					}
				}
			}
			less := r.Find("top1_difference", at(d.Name, "cutmix")...)
			want := r.Find("top1", at(d.Name, "cutmix")...).Value - r.Find("top1", at(d.Name, "base")...).Value
			if diff := less.Value - want; diff > 1e-12 || diff < -1e-12 {
				t.Errorf("difference %v, want %v", less.Value, want)
			}
			if less.Test.PAdjusted < less.Test.P || less.Note != "less base's" {
				t.Errorf("%+v, %s", less.Test, less.Note)
			}
		})
	}
	t.Run("options", func(t *testing.T) {
		bins, replicates, seed := 3, 200, uint64(5)
		res, err := load(tasks.Options{Bins: &bins, Bootstrap: &replicates, Seed: &seed})
		r := reported(t, res, err)
		got := r.Config.Task.(Config)
		if d := cmp.Diff([]any{3, 200, uint64(5)}, []any{got.Bins, got.Replicates, r.Config.Seed}); d != "" {
			t.Error(d)
		}
		if a, b := r.Find("ece", at("two", "base")...), parts["two base"].Find("ece", keysOf("val", "tuned")...); a.Value == b.Value {
			t.Error("3 bins change nothing")
		}
		if _, err := load(tasks.Options{Worst: &bins}); err == nil || !strings.Contains(err.Error(), "a run of finetune-suite") {
			t.Errorf("%v", err)
		}
	})
	t.Run("runs", func(t *testing.T) {
		s, err := results.OpenStudy(false, dir)
		if err != nil {
			t.Fatal(err)
		}
		if runs, err := s.Runs(); err != nil || len(runs) != 2*6+2*3 {
			t.Errorf("%d runs: %v", len(runs), err)
		}
	})
}
