package finetune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/augment"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/internal/filelock"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/multilabel"

	"github.com/google/go-cmp/cmp"
)

// keysOf are the keys of a head's numbers on a set.
func keysOf(set, head string) report.Keys {
	return report.Keys{report.KeySet.Is(set), report.KeyHead.Is(head)}
}

// asJSON is a report for programs.
func asJSON(t *testing.T, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, report.JSON); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestJob: the head is trained, its file written, and every head's run is there, of which the
// report is made.
func TestJob(t *testing.T) {
	train, val, test := scenes(t)
	o := Options{Val: val, Test: test, Out: filepath.Join(t.TempDir(), "tuned.onnx")}
	res, err := tune(t, "scenes-cutmix", train, few(augment.CutMix), o)
	r := reported(t, res, err)

	t.Run("members", func(t *testing.T) {
		s, err := results.OpenStudy(false, o.Folder())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"tuned-val", "linear_probe-val", "knn_k20-val", "tuned-test", "linear_probe-test", "knn_k20-test"}
		if d := cmp.Diff(want, s.Members); d != "" {
			t.Fatal(d)
		}
		for _, name := range want {
			run, err := s.Member(name)
			if err != nil {
				t.Fatal(err)
			}
			own, err := classify.Task{}.Load(context.Background(), results.StudyOf(run), tasks.Options{})
			alone := reported(t, own, err)
			head, set, _ := strings.Cut(name, "-")
			got, want := alone.Find("top1"), r.Find("top1", keysOf(set, head)...)
			if got.Value != want.Value || got.N != want.N {
				t.Errorf("%s: top-1 is %v of %d by itself, %v of %d in the report", name, got.Value, got.N, want.Value, want.N)
			}
		}
	})
	t.Run("file", func(t *testing.T) {
		m, _, err := evaluation.OpenModel(o.Out, "")
		if err != nil {
			t.Fatal(err)
		}
		if m.Classes != 10 || !slices.Contains(m.ClassNames, "walrus") {
			t.Errorf("%d classes: %v", m.Classes, m.ClassNames)
		}
		if left, err := os.ReadDir(filepath.Join(o.Folder(), trialName)); err == nil {
			t.Errorf("left in the folder: %v", left)
		}
	})
	t.Run("main numbers", func(t *testing.T) {
		if d := cmp.Diff(keysOf("test", "tuned"), r.MainAt); d != "" {
			t.Error(d)
		}
		var names []string
		for _, n := range r.Main {
			names = append(names, n.Name)
		}
		if d := cmp.Diff([]string{"top1", "top5", "balanced_accuracy", "nll", "ece"}, names); d != "" {
			t.Error(d)
		}
	})
	t.Run("differences", func(t *testing.T) {
		for _, set := range []string{"val", "test"} {
			for _, head := range []string{"linear_probe", "knn_k20"} {
				want := r.Find("top1", keysOf(set, head)...).Value - r.Find("top1", keysOf(set, "tuned")...).Value
				d := r.Find("top1_difference", keysOf(set, head)...)
				if math.Abs(d.Value-want) > 1e-12 || d.Interval == nil || d.Test == nil || d.Test.PAdjusted < d.Test.P {
					t.Errorf("%s, %s: %+v, want a difference of %v", set, head, d, want)
				}
			}
		}
	})
	t.Run("votes", func(t *testing.T) {
		if n := r.Find("nll", keysOf("val", "knn_k20")...); n != nil {
			t.Errorf("shares of votes have the log-likelihood %v", n.Value)
		}
	})
	t.Run("again", func(t *testing.T) {
		told := o
		told.Told = func(heads.Epoch, int, string) { t.Error("an epoch is trained again") }
		again, err := tune(t, "scenes-cutmix", train, few(augment.CutMix), told)
		if d := cmp.Diff(asJSON(t, r), asJSON(t, reported(t, again, err))); d != "" {
			t.Error(d)
		}
	})
}

// TestReport: a report is made anew with other options, and says so.
func TestReport(t *testing.T) {
	train, val, _ := scenes(t)
	c := few(augment.None)
	c.Augment.Crop, c.Augment.Flip, c.Search = false, 0, true
	o := Options{Val: val, Out: filepath.Join(t.TempDir(), "tuned.onnx")}
	if _, err := tune(t, "scenes-cutmix", train, c, o); err != nil {
		t.Fatal(err)
	}
	load := func(o2 tasks.Options) (tasks.Result, error) {
		s, err := results.OpenStudy(false, o.Folder())
		if err != nil {
			t.Fatal(err)
		}
		return Task{}.Load(context.Background(), s, o2)
	}
	res, err := load(tasks.Options{})
	was := reported(t, res, err)
	bins, replicates, seed := 3, 200, uint64(5)
	res, err = load(tasks.Options{Bins: &bins, Bootstrap: &replicates, Seed: &seed})
	r := reported(t, res, err)
	t.Run("config", func(t *testing.T) {
		got := r.Config.Task.(Config)
		if d := cmp.Diff([]any{3, 200, uint64(5)}, []any{got.Bins, got.Replicates, r.Config.Seed}); d != "" {
			t.Error(d)
		}
		if !strings.Contains(r.Options, "trained with seed 0") {
			t.Error(r.Options)
		}
	})
	t.Run("numbers", func(t *testing.T) {
		at := keysOf("val", "linear_probe")
		if a, b := was.Find("top1", at...), r.Find("top1", at...); a.Value != b.Value {
			t.Errorf("top-1 was %v and is %v", a.Value, b.Value)
		}
		if a, b := was.Find("ece", at...), r.Find("ece", at...); a.Value == b.Value || *a.Interval == *b.Interval {
			t.Errorf("3 bins change nothing: %+v, %+v", a, b)
		}
	})
	t.Run("trials", func(t *testing.T) {
		for _, s := range r.Sections {
			if table, ok := s.(report.Table); ok && table.Name == "search" {
				if len(table.Rows) != 20 || !strings.HasPrefix(table.Title, "search, on 10 held-out") {
					t.Errorf("%s: %d trials", table.Title, len(table.Rows))
				}
				return
			}
		}
		t.Error("there is no table of the search")
	})
	few := 2
	for name, c := range map[string]struct {
		o    tasks.Options
		want string
	}{
		"worst":     {tasks.Options{Worst: &few}, "--worst says nothing about a run of finetune"},
		"bins":      {tasks.Options{Bins: new(int)}, "0 bins"},
		"bootstrap": {tasks.Options{Bootstrap: &few}, "2 bootstrap replicates"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("shares", func(t *testing.T) {
		s, err := results.OpenStudy(false, o.Folder(), o.Folder())
		if err == nil {
			_, err = Task{}.Load(context.Background(), s, tasks.Options{})
		}
		if err == nil || !strings.Contains(err.Error(), "has no shares") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a part", func(t *testing.T) {
		s, err := results.OpenStudy(false, filepath.Join(o.Folder(), "val"))
		if err == nil {
			_, err = Task{}.Load(context.Background(), s, tasks.Options{})
		}
		if err == nil || !strings.Contains(err.Error(), "is a part of a fine-tuning") {
			t.Errorf("%v", err)
		}
	})
}

// TestResumes: a training that is stopped anywhere, time and again, ends with the bits of one
// that was not, and with its report.
func TestResumes(t *testing.T) {
	train, val, test := scenes(t)
	lbfgs := few(augment.None)
	lbfgs.Optimizer, lbfgs.Search = heads.LBFGSName, true
	adamw := few(augment.Mixup)
	adamw.Dropout, adamw.Optimizer, adamw.Balanced = 0.2, heads.AdamWName, true
	for name, c := range map[string]Config{
		"cutmix": few(augment.CutMix), "feature-cutmix": few(augment.FeatureCutMix), "lbfgs": lbfgs, "adamw": adamw,
	} {
		t.Run(name, func(t *testing.T) {
			whole := Options{Val: val, Test: test, Out: filepath.Join(t.TempDir(), "a.onnx")}
			res, err := tune(t, "scenes-base", train, c, whole)
			want := reported(t, res, err)
			file, log := written(t, whole)

			parts := Options{Val: val, Test: test, Out: filepath.Join(t.TempDir(), "a.onnx")}
			stops := 0
			for res = nil; res == nil; stops++ {
				if stops > 60 {
					t.Fatal("it does not end")
				}
				ctx, cancel := context.WithCancel(context.Background())
				left := 1 + 2*stops // stages and epochs until it stops
				step := func() {
					if left--; left < 0 {
						cancel()
					}
				}
				parts.Stage = func(string, int) (func(int), func()) { step(); return func(int) {}, func() {} }
				parts.Told = func(heads.Epoch, int, string) { step() }
				j, err := open(t, "scenes-base", train, c, parts)
				if err != nil {
					t.Fatal(err)
				}
				res, err = tasks.Do(ctx, j, func(done, n int) {
					if stops < 3 && done > n/3 { // of the passes that are left
						cancel()
					}
				})
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				cancel()
			}
			again, againLog := written(t, parts)
			if stops < 4 {
				t.Errorf("stopped %d times", stops-1)
			}
			if !bytes.Equal(file, again) {
				t.Error("the file is another")
			}
			if d := cmp.Diff(log, againLog); d != "" {
				t.Errorf("the log is another: %s", d)
			}
			if d := cmp.Diff(asJSON(t, want), asJSON(t, reported(t, res, nil))); d != "" {
				t.Errorf("the report is another: %s", d)
			}
		})
	}
}

// written reads what a training left: the model, and the log without its times.
func written(t *testing.T, o Options) (file []byte, log heads.Log) {
	t.Helper()
	file, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	if log, err = readLog(o.Folder()); err != nil {
		t.Fatal(err)
	}
	for i := range log {
		log[i].Seconds, log[i].Head = 0, 0
	}
	return file, log
}

// TestFolder: what lies in the folder from before is used, refused or begun anew.
func TestFolder(t *testing.T) {
	train, val, _ := scenes(t)
	dir := t.TempDir()
	o := Options{Val: val, Out: filepath.Join(dir, "a.onnx")}
	c := few(augment.FeatureCutMix)
	load := func() error {
		s, err := results.OpenStudy(false, o.Folder())
		if err == nil {
			_, err = Task{}.Load(context.Background(), s, tasks.Options{})
		}
		return err
	}
	refused := func(t *testing.T, err error, want ...string) {
		t.Helper()
		if err == nil {
			t.Fatalf("it is not refused: %q", want)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v; want %q", err, w)
			}
		}
	}
	t.Run("not ended", func(t *testing.T) {
		j, err := open(t, "scenes-cutmix", train, c, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		refused(t, load(), "has not ended; run the same command again")
	})
	if _, err := tune(t, "scenes-cutmix", train, c, o); err != nil {
		t.Fatal(err)
	}
	t.Run("other options", func(t *testing.T) {
		other := c
		other.Epochs = 2
		_, err := tune(t, "scenes-cutmix", train, other, o)
		refused(t, err, o.Folder(), "it has --epochs 3, not --epochs 2", "begin anew with --restart")
		if err := load(); err != nil {
			t.Errorf("what is there has no report any more: %v", err)
		}
	})
	t.Run("another model", func(t *testing.T) {
		_, err := tune(t, "scenes-base", train, c, o)
		refused(t, err, "a model with the SHA-256", "begin anew with --restart")
	})
	t.Run("restart", func(t *testing.T) {
		other, again := c, o
		other.Epochs, again.Restart = 2, true
		if _, err := tune(t, "scenes-base", train, other, again); err != nil {
			t.Fatal(err)
		}
		if _, log := written(t, o); len(log) != 2 {
			t.Errorf("%d epochs", len(log))
		}
		if _, err := tune(t, "scenes-cutmix", train, c, again); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("damage", func(t *testing.T) {
		values, err := filepath.Glob(filepath.Join(o.Folder(), "train-maps", "parts", "*.features.*.npy"))
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
		_, err = tune(t, "scenes-cutmix", train, c, o)
		refused(t, err, "train images: its records cannot be used", "damaged")
		again := o
		again.Restart = true
		if _, err := tune(t, "scenes-cutmix", train, c, again); err != nil {
			t.Error(err)
		}
	})
	t.Run("an earlier version", func(t *testing.T) {
		if err := os.Remove(filepath.Join(o.Folder(), "study.json")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.Folder(), "report.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := load(); !errors.Is(err, results.ErrOldStudy) {
			t.Errorf("report: %v", err)
		}
		_, err := tune(t, "scenes-cutmix", train, c, o)
		refused(t, err, o.Folder(), "an earlier version", "--restart")
		again := o
		again.Restart = true
		if _, err := tune(t, "scenes-cutmix", train, c, again); err != nil {
			t.Error(err)
		}
	})
	t.Run("another process", func(t *testing.T) {
		release, err := filelock.Acquire(context.Background(), filepath.Join(o.Folder(), lockName), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		_, err = tune(t, "scenes-cutmix", train, c, o)
		refused(t, err, "another process is at work there")
	})
	t.Run("something else", func(t *testing.T) {
		other := o
		other.Dir = filepath.Join(dir, "own")
		if err := errors.Join(os.Mkdir(other.Dir, 0o755), os.WriteFile(filepath.Join(other.Dir, "mine"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		_, err := tune(t, "scenes-cutmix", train, c, other)
		refused(t, err, "holds something else than a training")
	})
	for name, edit := range map[string]func(o *Options){
		"must end in .onnx":       func(o *Options) { o.Out = filepath.Join(dir, "x.txt") },
		"is a folder":             func(o *Options) { o.Out = dir + "/folder.onnx"; _ = os.Mkdir(o.Out, 0o755) },
		"the file to write and":   func(o *Options) { o.Dir = o.Out },
		"lies among the images":   func(o *Options) { o.Out = filepath.Join(train, "x.onnx") },
		"no such file":            func(o *Options) { o.Val = filepath.Join(dir, "gone") },
		"val images: those of":    func(o *Options) { o.Val = filepath.Join(val, "walrus") },
		"that no training image ": func(o *Options) { o.Test = "scenes:test" },
	} {
		t.Run(name, func(t *testing.T) {
			bad := o
			edit(&bad)
			_, err := tune(t, "scenes-cutmix", train, c, bad)
			refused(t, err, name)
		})
	}
}

// TestKeep: the old head goes on, and is compared with itself before.
func TestKeep(t *testing.T) {
	c := few(augment.None)
	c.Keep, c.Rate, c.Decay, c.Epochs, c.Split = true, 1e-12, 0, 1, 0.5
	d := evaluation.DataConfig{Path: "scenes:test", Limit: 40}
	o := Options{Out: filepath.Join(t.TempDir(), "kept.onnx")}
	j, err := openWith(t, "scenes-cutmix", d, c, o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	res, err := tasks.Do(context.Background(), j, nil)
	r := reported(t, res, err)
	before, after := r.Find("top1", keysOf("val", "before")...), r.Find("top1", keysOf("val", "tuned")...)
	if before.Value != after.Value || before.N != 20 {
		t.Errorf("before %v of %d, after %v", before.Value, before.N, after.Value)
	}
	if n := r.Find("top1_difference", keysOf("val", "before")...); n.Value != 0 || n.Test.P != 1 {
		t.Errorf("difference: %+v", n)
	}
	train, _, _ := scenes(t)
	_, err = open(t, "scenes-cutmix", train, c, o)
	if err == nil || !strings.Contains(err.Error(), "the data must have the model's classes") {
		t.Errorf("other classes: %v", err)
	}
}

// TestSeveralLabels: scores and truth are kept, and the report is made of them.
func TestSeveralLabels(t *testing.T) {
	train, _, _ := scenes(t)
	var table strings.Builder
	table.WriteString("image,first,even,late\n")
	files, err := filepath.Glob(filepath.Join(train, "*", "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		rel, err := filepath.Rel(train, f)
		if err != nil {
			t.Fatal(err)
		}
		// The second label of every fifth picture is not known.
		even := map[bool]string{true: "1", false: "0"}[i%2 == 0]
		if i%5 == 0 {
			even = ""
		}
		table.WriteString(filepath.ToSlash(rel) + "," + map[bool]string{true: "1", false: "0"}[i < 30] + "," + even + ",0\n")
	}
	c := few(augment.FeatureCutMix)
	c.Multi, c.Split = filepath.Join(t.TempDir(), "labels.csv"), 0.5
	if err := os.WriteFile(c.Multi, []byte(table.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Out: filepath.Join(t.TempDir(), "several.onnx")}
	res, err := tune(t, "scenes-cutmix", train, c, o)
	r := reported(t, res, err)

	s, err := results.OpenStudy(false, o.Folder())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"tuned-val", "linear_probe-val"}, s.Members); d != "" {
		t.Fatal(d)
	}
	for _, head := range []string{"tuned", "linear_probe"} {
		t.Run(head, func(t *testing.T) {
			run, err := s.Member(head + "-val")
			if err != nil {
				t.Fatal(err)
			}
			var scores []float32
			var y []float64
			unknown := 0
			names := []string{evaluation.Logits, multilabel.TruthArray}
			err = results.Each[multilabel.Record](context.Background(), run, names, func(_ *multilabel.Record, arrays [][]float32) error {
				scores = append(scores, arrays[0]...)
				for k, v := range arrays[1] {
					if y = append(y, float64(v)); k == 1 && math.IsNaN(float64(v)) {
						unknown++
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			n := len(y) / 3
			want := metrics.NewMultiLabel(scores, y, 3).Evaluate(once(n))[0]
			if got := r.Find("map", keysOf("val", head)...); got.Value != want || got.N != n {
				t.Errorf("%v of %d, want %v of %d", got.Value, got.N, want, n)
			}
			if unknown == 0 || unknown == n {
				t.Errorf("%d of %d labels are not known", unknown, n)
			}
		})
	}
	t.Run("classes", func(t *testing.T) {
		at := func(class string) report.Keys { return report.Keys{report.KeySet.Is("val"), report.KeyClass.Is(class)} }
		if first, even := r.Find("average_precision", at("first")...), r.Find("average_precision", at("even")...); first.N <= even.N {
			t.Errorf("%d and %d images are known", first.N, even.N)
		}
		if n := r.Find("average_precision", at("late")...); n != nil {
			t.Errorf("a class without an image has the average precision %v", n.Value)
		}
	})
	t.Run("classify", func(t *testing.T) { // the written file, and the annotations
		run, err := s.Member("tuned-val")
		if err != nil {
			t.Fatal(err)
		}
		own, err := multilabel.Task{}.Load(context.Background(), results.StudyOf(run), tasks.Options{})
		if err != nil {
			t.Fatal(err)
		}
		of, err := own.Report(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want, got := r.Find("map", keysOf("val", "tuned")...), of.Find("map")
		if got.Value != want.Value || got.N != want.N || *got.Interval != *want.Interval {
			t.Errorf("its run reports %+v, the fine-tuning %+v", got, want)
		}
		if _, err := res.Source(context.Background()); err != nil {
			t.Errorf("it cannot be compared: %v", err)
		}
	})
	t.Run("other labels", func(t *testing.T) {
		if err := os.WriteFile(c.Multi, []byte(strings.Replace(table.String(), ",1,", ",0,", 3)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tune(t, "scenes-cutmix", train, c, o); err == nil || !strings.Contains(err.Error(), "is another one") {
			t.Errorf("%v", err)
		}
	})
}

// TestValidate: what makes no sense is said.
func TestValidate(t *testing.T) {
	for want, edit := range map[string]func(*Config){
		"":               func(*Config) {},
		"one image":      func(c *Config) { c.Batch = 1 },
		"--mix none":     func(c *Config) { c.Optimizer = heads.LBFGSName },
		"training share": func(c *Config) { c.Split = 1 },
		"neighbours":     func(c *Config) { c.Neighbours = 0 },
		"weight decay":   func(c *Config) { c.Probe = -1 },
		"bins":           func(c *Config) { c.Bins = 1 },
		"replicates":     func(c *Config) { c.Replicates = 10 },
		"several labels": func(c *Config) { c.Multi, c.Keep = "x", true },
		"no one-hot":     func(c *Config) { c.Multi, c.Mix.Labels = "x", "one-hot" },
		"not given":      func(c *Config) { c.MultiVal = "x" },
		"dropout":        func(c *Config) { c.Dropout = 1 }, // of the head
		"alpha":          func(c *Config) { c.Mix.Alpha = 0 },
		"flip":           func(c *Config) { c.Augment.Flip = 2 },
	} {
		t.Run(want, func(t *testing.T) {
			c := DefaultConfig()
			edit(&c)
			err := c.Validate()
			if (err == nil) != (want == "") {
				t.Fatalf("%v", err)
			}
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestKeys: keys of the configuration are spelt as the flags are.
func TestKeys(t *testing.T) {
	text, err := json.Marshal(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"optimizer", "standardize", "lr", "batch_size", "knn", "multi_val_split", "weight_decay"} {
		if !bytes.Contains(text, []byte(`"`+key+`":`)) {
			t.Errorf("no %s in %s", key, text)
		}
	}
}
