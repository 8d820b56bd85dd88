package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/augment"
	"cutmix-eval/cam"
	"cutmix-eval/corrupt"
	"cutmix-eval/corrupt/baseline"
	"cutmix-eval/datasets"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/bench"
	"cutmix-eval/tasks/binary"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/tasks/corruption"
	"cutmix-eval/tasks/demo"
	"cutmix-eval/tasks/doctor"
	"cutmix-eval/tasks/finetune"
	"cutmix-eval/tasks/localize"
	"cutmix-eval/tasks/multilabel"
	"cutmix-eval/tasks/ood"
	"cutmix-eval/variants"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maker is the constructor of a command, with the function that it runs.
type maker[O any] func(streams, func(context.Context, O) error) *cobra.Command

// says is what a command line says: what the command would run with.
func says[O any](t *testing.T, make maker[O], line string) (got O) {
	t.Helper()
	ran := false
	cmd := make(streams{io.Discard, io.Discard}, func(_ context.Context, o O) error {
		got, ran = o, true
		return nil
	})
	cmd.SetFlagErrorFunc(flagError)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(strings.Fields(line))
	if err := cmd.Execute(); err != nil || !ran {
		t.Fatalf("%s %s: it ran: %v, %v", cmd.Name(), line, ran, err)
	}
	return got
}

var everything = cmp.Exporter(func(reflect.Type) bool { return true })

// flagCase is a command line and what it changes in what is said without it.
type flagCase[O any] struct {
	line string
	want func(*O)
}

// testFlags checks what the command lines say, each put behind base, and that every flag of
// the command is in one of them, but for those that flags of all tasks are.
func testFlags[O any](t *testing.T, make maker[O], base string, defaults O, cases ...flagCase[O]) {
	t.Helper()
	cmd := make(streams{}, nil)
	if d := cmp.Diff(defaults, says(t, make, base), everything); d != "" {
		t.Errorf("%s %s: %s", cmd.Name(), base, d)
	}
	tried := map[string]bool{"help": true}
	for _, c := range cases {
		want := says(t, make, base)
		c.want(&want)
		if d := cmp.Diff(want, says(t, make, base+" "+c.line), everything); d != "" {
			t.Errorf("%s %s: %s", cmd.Name(), c.line, d)
		}
		for _, word := range strings.Fields(c.line) {
			name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
			tried[name] = true
		}
	}
	shared := &cobra.Command{Use: "x"}
	if o := newOptions(); cmd.Name() != "classify" {
		o.add(shared)
		o.addStore(shared)
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if same := shared.Flags().Lookup(f.Name); !tried[f.Name] && (same == nil || same.Usage != f.Usage) {
			t.Errorf("%s: nothing tries --%s", cmd.Name(), f.Name)
		}
	})
}

func TestClassifyFlags(t *testing.T) {
	type o = classifyOptions
	testFlags(t, newClassify, "", o{options: newOptions(), Task: classify.DefaultConfig(), Binary: binary.DefaultConfig(), Multi: multilabel.DefaultConfig()},
		flagCase[o]{"--predictions scores.npy --labels l.npy", func(w *o) { w.Predictions, w.Data.Path, w.Data.Labels = "scores.npy", "", "l.npy" }},
		flagCase[o]{"--label-column 3", func(w *o) { w.Data.LabelColumn = "3" }},
		flagCase[o]{"--model net.onnx --output scores", func(w *o) { w.Model.Model, w.Model.Output = "net.onnx", "scores" }},
		flagCase[o]{"--data val --data-format folders --labels l.csv --data-root r --split train --subset ids", func(w *o) {
			d := &w.Data
			d.Path, d.Format, d.Labels, d.Root, d.Split, d.Subset = "val", datasets.ClassFolders, "l.csv", "r", "train", "ids"
		}},
		flagCase[o]{"--class-order natural", func(w *o) { w.Data.Order = datasets.NaturalOrder }},
		flagCase[o]{"--limit 10", func(w *o) { w.Data.Limit = 10 }},
		flagCase[o]{"--limit 10 --limit 0", func(*o) {}},
		flagCase[o]{"--recipe cifar10", func(w *o) { w.Model.Recipe = "cifar10" }},
		flagCase[o]{"--resize 256 --crop 224x192", func(w *o) {
			w.Model.Changes.Resize, w.Model.Changes.Crop = &imageproc.Size{H: 256, W: 256}, &imageproc.Size{H: 224, W: 192}
		}},
		flagCase[o]{"--resize none --fit squash --interpolation bicubic", func(w *o) {
			ch := &w.Model.Changes
			ch.Resize, ch.Fit, ch.Interpolation = &imageproc.Size{}, new(imageproc.Squash), new(imageproc.Bicubic)
		}},
		flagCase[o]{"--mean 0.5,0.25,0 --std 1,2,0.1 --color bgr --range 0..255", func(w *o) {
			ch := &w.Model.Changes
			ch.Mean, ch.Std, ch.Color, ch.Range = &[3]float32{0.5, 0.25, 0}, &[3]float32{1, 2, 0.1}, new(evaluation.BGR), new(255)
		}},
		flagCase[o]{"--color rgb --range 0..1", func(w *o) { w.Model.Changes.Color, w.Model.Changes.Range = new(evaluation.RGB), new(1) }},
		flagCase[o]{"--color grey --mean 0.1307 --std 0.3081", func(w *o) {
			ch := &w.Model.Changes
			ch.Color, ch.Mean, ch.Std = new(evaluation.Grey), &[3]float32{0.1307, 0.1307, 0.1307}, &[3]float32{0.3081, 0.3081, 0.3081}
		}},
		flagCase[o]{"--resize 32x32", func(w *o) {
			w.Model.Changes.Resize, w.Model.Changes.BothSides = &imageproc.Size{H: 32, W: 32}, true
		}},
		flagCase[o]{"--resize 32x32 --resize 32", func(w *o) { w.Model.Changes.Resize = &imageproc.Size{H: 32, W: 32} }},
		flagCase[o]{"--preprocessing config.json --fit contain --resizer opencv --fill 124,116,104 --exif", func(w *o) {
			ch := &w.Model.Changes
			w.Model.File, ch.Fit, ch.Resizer, ch.Fill = "config.json", new(imageproc.Contain), new(imageproc.OpenCV), &[3]uint8{124, 116, 104}
			ch.Exif = new(true)
		}},
		flagCase[o]{"--fit cover --fill 7 --exif=false", func(w *o) {
			ch := &w.Model.Changes
			ch.Fit, ch.Fill, ch.Exif = new(imageproc.Cover), &[3]uint8{7, 7, 7}, new(false)
		}},
		flagCase[o]{"--device cuda:1 --threads 2 --workers 3 --batch 4 --ort-lib lib", func(w *o) {
			r := &w.Running
			r.Device, r.Threads, r.Workers, r.Batch, r.Library = runtime.Device{Name: "cuda", Index: 1}, 2, 3, 4, "lib"
		}},
		flagCase[o]{"--layout NHWC", func(w *o) { w.Model.Layout = new(imageproc.NHWC) }},
		flagCase[o]{"--seed 18446744073709551615", func(w *o) { w.Data.Seed = math.MaxUint64 }},
		flagCase[o]{"--format md --quiet", func(w *o) { w.Format, w.Quiet = report.Markdown, true }},
		flagCase[o]{"--out runs/a --shard 1/3 --save features,logits --save maps --reuse runs/b --allow-bad 5", func(w *o) {
			w.Store = evaluation.Store{
				Dir: "runs/a", Shard: results.Shard{I: 1, N: 3}, Save: []string{"features", "logits", "maps"}, Reuse: "runs/b",
			}
			w.AllowBad = 5
		}},
		flagCase[o]{"--restrict --bins 20 --bootstrap 0 --pairs 3", func(w *o) {
			w.Task.Restrict, w.Task.Bins, w.Task.Replicates, w.Task.Pairs = true, 20, 0, 3
			w.Binary.Bins, w.Binary.Replicates, w.Multi.Replicates = 20, 0, 0
			w.Given = []string{"restrict", "bins", "pairs"}
		}},
		flagCase[o]{"--doctor=false", func(w *o) { w.Task.Doctor = false }},
		flagCase[o]{"--positive dog --threshold 0.25 --scores logit", func(w *o) {
			w.Binary.Positive, w.Binary.Threshold, w.Binary.Scale = "dog", 0.25, evaluation.Logit
			w.Multi.Threshold, w.Multi.Scale = 0.25, evaluation.Logit
			w.Given = []string{"positive", "threshold", "scores"}
		}},
		flagCase[o]{"--multi-label VOC2007 --multi-split test", func(w *o) { w.Multi.Path, w.Multi.Split = "VOC2007", "test" }},
	)
}

func TestLocalizeFlags(t *testing.T) {
	type o = localizeOptions
	testFlags(t, newLocalize, "", o{options: newOptions(), Task: localize.DefaultConfig(), Severity: 3},
		flagCase[o]{"--boxes b.csv --method gradcam++ --post gradcam --target pred", func(w *o) {
			w.Boxes, w.Task.Method, w.Task.Post, w.Task.Target = "b.csv", cam.GradCAMPP, cam.GradCAMLib, localize.Prediction
		}},
		flagCase[o]{"--enlarge 1 --threshold 0.2 --interval 0.05 --at 0", func(w *o) {
			w.Task.Enlarge, w.Task.Threshold, w.Task.Interval, w.Task.At = 1, 0.2, 0.05, new(0.0)
		}},
		flagCase[o]{"--threshold-from runs/val --bootstrap 100 --maps m --worst 4", func(w *o) {
			w.ThresholdFrom, w.Task.Replicates, w.Task.Maps, w.Task.Worst = "runs/val", 100, "m", 4
		}},
		flagCase[o]{"--by class,object", func(w *o) { w.Task.By = []string{"class", "object"} }},
		flagCase[o]{"--by=", func(w *o) { w.Task.By = []string{} }},
		flagCase[o]{"--overlays 3 --out run", func(w *o) { w.Overlays, w.Store.Dir = 3, "run" }},
		flagCase[o]{"--corruption frost --severity 5 --frost fetched", func(w *o) {
			w.Corruption, w.Severity, w.Frost = corrupt.Frost, 5, "fetched"
		}},
	)
}

func TestCorruptionFlags(t *testing.T) {
	type o = corruptionOptions
	file := filepath.Join(t.TempDir(), "base.json")
	const own = `{"name": "mine", "clean_error": 0.1, "errors": {"fog": [0.1, 0.2, 0.3, 0.4, 0.5]}}`
	if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	run := t.TempDir()
	study, err := results.NewStudy(ood.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := study.Save(run); err != nil {
		t.Fatal(err)
	}
	testFlags(t, newCorruption, "", o{newOptions(), corruption.DefaultConfig()},
		flagCase[o]{"--corruption benchmark", func(w *o) { w.Task.Corruptions = corrupt.Benchmark() }},
		flagCase[o]{"--corruption all", func(*o) {}},
		flagCase[o]{"--corruption fog,snow --corruption spatter", func(w *o) {
			w.Task.Corruptions = []corrupt.Name{corrupt.Fog, corrupt.Snow, corrupt.Spatter}
		}},
		flagCase[o]{"--severity 3,1 --set 32 --frost f --jpeg 85 --bins 5", func(w *o) {
			c := &w.Task
			c.Severities, c.Set, c.Frost, c.JPEG, c.Bins = []int{3, 1}, 32, "f", 85, 5
		}},
		flagCase[o]{"--experiment in-between-mixup --steps 4", func(w *o) { w.Task.Experiment, w.Task.Steps = variants.Mixup, 4 }},
		flagCase[o]{"--corrupted c --clean-error 0.25 --labels map --subset ids", func(w *o) { // of the corrupted images
			c := &w.Task
			c.Corrupted, c.CleanError, c.Labels, c.Subset = "c", 0.25, "map", "ids"
		}},
		flagCase[o]{"--baseline none", func(w *o) { w.Task.Baseline = nil }},
		flagCase[o]{"--baseline none --baseline alexnet", func(*o) {}},
		flagCase[o]{"--baseline " + file, func(w *o) {
			errors := map[corrupt.Name][5]float64{corrupt.Fog: {0.1, 0.2, 0.3, 0.4, 0.5}}
			w.Task.Baseline = &baseline.Errors{Name: "mine", Clean: 0.1, By: errors}
		}},
		flagCase[o]{"--ood-run " + run, func(w *o) { w.Task.OOD = run }},
	)
}

func TestOODFlags(t *testing.T) {
	type o = oodOptions
	make := func(s streams, run func(context.Context, o) error) *cobra.Command { return newOOD(s, run, nil) }
	plan := func(w *o, wanted ood.Wanted) {
		sets, err := ood.Plan(wanted, evaluation.DefaultData)
		if err != nil {
			t.Fatal(err)
		}
		w.Data.Path, w.Task.Sources, w.Task.Notes = sets.Data, sets.Sources, sets.Notes
	}
	dir := t.TempDir()
	lists := filepath.Join(dir, "benchmark_imglist", "imagenet")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"test_imagenet", "test_ssb_hard"} {
		if err := os.WriteFile(filepath.Join(lists, name+".txt"), []byte("a.jpg 0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	defaults := o{options: newOptions()}
	plan(&defaults, ood.Wanted{})
	far := ood.Source{Name: "blobs", Role: ood.Out, Group: "far", Path: "noise:blobs"}
	near := ood.Source{Name: "tin", Role: ood.Out, Group: "near", Path: "x/tin.tar"}
	shifted := ood.Source{Name: "v2", Role: ood.Shifted, Path: "v2"}
	testFlags(t, make, "", defaults,
		flagCase[o]{"--ood far:blobs=noise:blobs --ood near:x/tin.tar --csid v2 --ood-limit 9", func(w *o) {
			plan(w, ood.Wanted{Out: []ood.Source{far, near}, Shifted: []ood.Source{shifted}, OutLimit: 9})
		}},
		flagCase[o]{"--data d --ood noise:blobs --val v --train t --train-limit 8", func(w *o) {
			blobs := ood.Source{Name: "noise-blobs", Role: ood.Out, Path: "noise:blobs"}
			plan(w, ood.Wanted{Data: "d", Out: []ood.Source{blobs}, Val: "v", Train: "t", TrainLimit: 8})
		}},
		flagCase[o]{"--ood-val x --grid", func(w *o) {
			w.Task.Grid = true
			plan(w, ood.Wanted{OutVal: "x", Grid: true})
		}},
		flagCase[o]{"--score msp,knn_K10 --score energy --reference msp", func(w *o) {
			w.Task.Scores, w.Task.Reference = []string{"msp", "knn_K10", "energy"}, "msp"
		}},
		flagCase[o]{"--score msp --threshold-at tpr=0.95 --detector d", func(w *o) {
			w.Task.Scores, w.Task.Threshold, w.Task.Detector = []string{"msp"}, 0.95, "d"
		}},
		flagCase[o]{"--openood " + dir + " --benchmark imagenet", func(w *o) { plan(w, ood.Wanted{OpenOOD: dir, Benchmark: "imagenet"}) }},
	)
}

func TestApplyFlags(t *testing.T) {
	defaults := applyOptions{options: newOptions(), Detector: "d"}
	defaults.Model.Model, defaults.Data.Unlabelled = "", true
	testFlags(t, newOODApply, "d", defaults,
		flagCase[applyOptions]{"--model m --output o --out run", func(w *applyOptions) {
			w.Model.Model, w.Model.Output, w.Store.Dir = "m", "o", "run"
		}},
	)
}

func TestFinetuneFlags(t *testing.T) {
	type o = finetuneOptions
	defaults := o{options: newOptions(), Task: finetune.DefaultConfig()}
	defaults.Files = finetune.Options{Val: "scenes:new-val", Test: "scenes:new-test", Out: "o.onnx"}
	defaults.Data.Path = "scenes:new-train"
	testFlags(t, newFinetune, "--out o.onnx", defaults,
		flagCase[o]{"--out p.onnx --run r --restart", func(w *o) { w.Files.Out, w.Files.Dir, w.Files.Restart = "p.onnx", "r", true }},
		flagCase[o]{"--train t --test e --limit 9", func(w *o) {
			w.Data.Path, w.Files.Val, w.Files.Test, w.Data.Limit = "t", "", "e", 9
		}},
		flagCase[o]{"--train t --val v", func(w *o) { w.Data.Path, w.Files.Val, w.Files.Test = "t", "v", "" }},
		flagCase[o]{"--split 0.5", func(w *o) { w.Task.Split, w.Files.Val = 0.5, "" }}, // not another default set
		flagCase[o]{"--suite s.json --out folder", func(w *o) {
			w.Suite, w.Files = "s.json", finetune.Options{Out: "folder"}
			w.Data.Path = ""
		}},
		flagCase[o]{"--multi-label m --multi-split a --multi-val-split b --multi-test-split c", func(w *o) {
			w.Task.Multi, w.Task.MultiSplit, w.Task.MultiVal, w.Task.MultiTest = "m", "a", "b", "c"
		}},
		flagCase[o]{"--mix feature-cutmix --alpha 0.3 --mix-prob 1 --cutmix-box gaussian --mix-labels complete", func(w *o) {
			m := &w.Task.Mix
			m.Method, m.Alpha, m.Prob, m.Box, m.Labels = augment.FeatureCutMix, 0.3, 1, "gaussian", "complete"
		}},
		flagCase[o]{"--mix-scheduled --mix-per-image --mix-uncorrected", func(w *o) {
			w.Task.Mix.Scheduled, w.Task.Mix.PerImage, w.Task.Mix.Uncorrected = true, true, true
		}},
		flagCase[o]{"--mix cutout --cutout-length 0.25", func(w *o) { w.Task.Mix.Method, w.Task.Mix.Length = augment.Cutout, 0.25 }},
		flagCase[o]{"--crop-scale 0.7,0.9 --crop-ratio 1,2", func(w *o) {
			w.Task.Augment.Scale, w.Task.Augment.Ratio = [2]float64{0.7, 0.9}, [2]float64{1, 2}
		}},
		flagCase[o]{"--augment crop", func(w *o) { w.Task.Augment.Flip = 0 }},
		flagCase[o]{"--augment flip", func(w *o) { w.Task.Augment.Crop = false }},
		flagCase[o]{"--augment none", func(w *o) { w.Task.Augment.Crop, w.Task.Augment.Flip = false, 0 }},
		flagCase[o]{"--augment none --augment crop-flip", func(*o) {}},
		flagCase[o]{"--head keep --dropout 0.1 --class-weights balanced", func(w *o) {
			w.Task.Keep, w.Task.Dropout, w.Task.Balanced = true, 0.1, true
		}},
		flagCase[o]{"--head keep --head new --hidden 24 --standardize=false", func(w *o) { w.Task.Hidden, w.Task.Standardize = 24, false }},
		flagCase[o]{"--epochs 7 --batch-size 8 --optimizer adamw --lr 0.01 --weight-decay 0", func(w *o) {
			c := &w.Task
			c.Epochs, c.Batch, c.Optimizer, c.Rate, c.Decay = 7, 8, heads.AdamWName, 0.01, 0
		}},
		flagCase[o]{"--schedule step --warmup 0.1 --label-smoothing 0.2", func(w *o) {
			w.Task.Schedule.Kind, w.Task.Schedule.Warmup, w.Task.Smoothing = "step", 0.1, 0.2
		}},
		flagCase[o]{"--momentum 0 --search --patience 3", func(w *o) { w.Task.Momentum, w.Task.Search, w.Task.Patience = 0, true, 3 }},
		flagCase[o]{"--select last --knn 5 --probe-decay 0.5 --bins 4 --bootstrap 100", func(w *o) {
			c := &w.Task
			c.Last, c.Neighbours, c.Probe, c.Bins, c.Replicates = true, 5, 0.5, 4, 100
		}},
	)
}

func TestReportFlags(t *testing.T) {
	type o = reportArgs
	testFlags(t, newReport, "a b", o{Dirs: []string{"a", "b"}, Format: report.Text},
		flagCase[o]{"--by class,object --worst 0 --bins 3 --bootstrap 0 --seed 0", func(w *o) { // 0 is not: as in the run
			w.Options = tasks.Options{By: &[]string{"class", "object"}, Worst: new(0), Bins: new(3), Bootstrap: new(0), Seed: new(uint64(0))}
		}},
		flagCase[o]{"--threshold 0.3", func(w *o) { w.Options.Threshold = new(0.3) }},
		flagCase[o]{"--score msp,mds --reference msp --grid", func(w *o) {
			w.Options = tasks.Options{Score: &[]string{"msp", "mds"}, Reference: new("msp"), Grid: new(true)}
		}},
		flagCase[o]{"--export jsonl --partial --allow-bad 3 --format csv --quiet", func(w *o) {
			w.Export, w.Partial, w.AllowBad, w.Format, w.Quiet = "jsonl", true, 3, report.CSV, true
		}},
	)
}

func TestSmallCommandsFlags(t *testing.T) {
	t.Run("bench", func(t *testing.T) {
		testFlags(t, newBench, "", benchOptions{newOptions(), bench.DefaultConfig()},
			flagCase[benchOptions]{"--rounds 2 --images 64", func(w *benchOptions) { w.Task.Rounds, w.Task.Images = 2, 64 }})
	})
	t.Run("compare", func(t *testing.T) {
		testFlags(t, newCompare, "a b", compareOptions{Dirs: []string{"a", "b"}, Task: compare.DefaultConfig(), Format: report.Text},
			flagCase[compareOptions]{"c --all-pairs --bootstrap 100 --seed 4 --format json --quiet", func(w *compareOptions) {
				w.Dirs, w.Task, w.Format, w.Quiet = []string{"a", "b", "c"}, compare.Config{AllPairs: true, Replicates: 100, Seed: 4}, report.JSON, true
			}})
	})
	t.Run("demo", func(t *testing.T) {
		testFlags(t, newDemo, "", demoOptions{Running: evaluation.DefaultRunning(), Task: demo.DefaultConfig(), Format: report.Text},
			flagCase[demoOptions]{"--bootstrap 100 --limit 5", func(w *demoOptions) {
				w.Task.Classify.Replicates, w.Task.Localize.Replicates, w.Task.Finetune.Replicates, w.Limit = 100, 100, 100, 5
			}},
			flagCase[demoOptions]{"--device cuda --ort-lib l --seed 2 --format md --quiet", func(w *demoOptions) {
				w.Running.Device.Name, w.Running.Library, w.Seed, w.Format, w.Quiet = "cuda", "l", 2, report.Markdown, true
			}})
	})
	t.Run("check", func(t *testing.T) {
		testFlags(t, newDatasetsCheck, "p", checkOptions{Path: "p", Data: datasets.Options{Format: datasets.Auto}, Format: report.Text},
			flagCase[checkOptions]{"--data-format list --labels l --data-root r --split s --workers 2 --format json --quiet", func(w *checkOptions) {
				w.Data = datasets.Options{Format: datasets.List, Labels: "l", Root: "r", Split: "s"}
				w.Workers, w.Format, w.Quiet = 2, report.JSON, true
			}})
	})
	t.Run("export", func(t *testing.T) {
		testFlags(t, newDatasetsExport, "scenes --out o", exportOptions{Split: scenes.Test, Out: "o"},
			flagCase[exportOptions]{"--split ood-near --out p --masks m --limit 3 --quiet", func(w *exportOptions) {
				*w = exportOptions{scenes.OODNear, "p", "m", 3, true}
			}})
	})
	t.Run("corrupt", func(t *testing.T) {
		defaults := corruptOptions{
			Path: "p", Out: "o", Data: datasets.Options{Format: datasets.Auto},
			Export: variants.Export{Benchmark: variants.DefaultBenchmark(), Recipe: imageproc.Standard(), Quality: 85},
		}
		testFlags(t, newDatasetsCorrupt, "p --out o", defaults,
			flagCase[corruptOptions]{"--out q --corruption fog --severity 2 --set 64 --frost f --recipe none --format png", func(w *corruptOptions) {
				w.Out = "q"
				e := &w.Export
				e.Corruptions, e.Severities, e.Set, e.Frost = []corrupt.Name{corrupt.Fog}, []int{2}, 64, "f"
				e.Recipe.Resize, e.Recipe.Crop, e.PNG = imageproc.Size{}, imageproc.Size{}, true
			}},
			flagCase[corruptOptions]{"--recipe cifar10 --quality 1 --limit 4 --seed 5 --workers 6", func(w *corruptOptions) {
				e := &w.Export
				e.Recipe, _ = imageproc.NamedRecipe("cifar10")
				e.Quality, e.Limit, e.Seed, e.Workers = 1, 4, 5, 6
			}},
			flagCase[corruptOptions]{"--data-format flat --labels l --data-root r --split s --quiet", func(w *corruptOptions) {
				w.Data, w.Quiet = datasets.Options{Format: datasets.Flat, Labels: "l", Root: "r", Split: "s"}, true
			}})
	})
	t.Run("fetch", func(t *testing.T) {
		testFlags(t, newDatasetsFetch, "frost", fetchFrostOptions{},
			flagCase[fetchFrostOptions]{"--quiet", func(w *fetchFrostOptions) { w.Quiet = true }})
	})
	t.Run("doctor", func(t *testing.T) {
		testFlags(t, newDoctor, "", "", flagCase[string]{"--ort-lib l", func(w *string) { *w = "l" }})
	})
	t.Run("runtime", func(t *testing.T) {
		testFlags(t, newRuntimeStatus, "", "", flagCase[string]{"--ort-lib l", func(w *string) { *w = "l" }})
		testFlags(t, newRuntimeInstall, "", false, flagCase[bool]{"--quiet", func(w *bool) { *w = true }})
	})
	t.Run("models", func(t *testing.T) {
		type three [3]string
		show := func(s streams, run func(context.Context, three) error) *cobra.Command {
			return newModelsShow(s, func(ctx context.Context, name, output string) error { return run(ctx, three{name, output}) })
		}
		testFlags(t, show, "m", three{"m"}, flagCase[three]{"--output o", func(w *three) { w[1] = "o" }})
		add := func(s streams, run func(context.Context, three) error) *cobra.Command {
			return newModelsAdd(s, func(ctx context.Context, name, file, about string) error { return run(ctx, three{name, file, about}) })
		}
		testFlags(t, add, "m f", three{"m", "f"}, flagCase[three]{"--about a", func(w *three) { w[2] = "a" }})
		pixels := newOptions()
		pixels.Model.Model = "m"
		testFlags(t, newModelsDoctor, "m", pixelsOptions{pixels, doctor.DefaultConfig()},
			flagCase[pixelsOptions]{"--choose 50 --confirm 60 --output o", func(w *pixelsOptions) {
				w.Task, w.Model.Output = doctor.Config{Choose: 50, Confirm: 60}, "o"
			}})
		type fetched struct {
			names []string
			quiet bool
		}
		fetch := func(s streams, run func(context.Context, fetched) error) *cobra.Command {
			return newModelsFetch(s, func(ctx context.Context, names []string, quiet bool) error { return run(ctx, fetched{names, quiet}) })
		}
		testFlags(t, fetch, "a", fetched{names: []string{"a"}},
			flagCase[fetched]{"b --quiet", func(w *fetched) { *w = fetched{[]string{"a", "b"}, true} }})
	})
}

// refused runs a command line that must be refused before anything is opened, and returns the
// sentence that says why.
func refused(t *testing.T, line string) string {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(context.Background(), strings.Fields(line), streams{&out, &errs})
	text, hint, _ := strings.Cut(errs.String(), "\n")
	if code != exitUsage || out.Len() > 0 || hint != "Run the command with --help to see how it is used.\n" {
		t.Errorf("%s: exit code %d, %q, %q", line, code, out.String(), errs.String())
	}
	return strings.TrimPrefix(text, "cutmix-eval: ")
}

// TestRefused: what makes no sense is refused in one sentence of our own.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		// Names, with what was probably meant.
		{"frobnicate", `unknown command "frobnicate" for "cutmix-eval"`},
		{"clasify", `unknown command "clasify" for "cutmix-eval"; did you mean classify?`},
		{"models shwo", `unknown command "shwo" for "cutmix-eval models"; did you mean show?`},
		{"runtime instal", `unknown command "instal" for "cutmix-eval runtime"; did you mean install?`},
		{"ood aply d", `unknown command "aply" for "cutmix-eval ood"; did you mean apply?`},
		{"classify --nope", "unknown flag --nope"},
		{"classify --modle x", "unknown flag --modle; did you mean --model?"},
		{"classify -limit 3", "unknown flag -limit; did you mean --limit?"},
		{"classify --resize", "--resize needs a value"},
		{"classify extra", `"extra" is one argument too many: cutmix-eval classify takes flags only`},
		{"datasets check", "an argument is missing: cutmix-eval datasets check PATH"},
		{"models show a b", `"b" is one argument too many: cutmix-eval models show NAME|FILE`},
		{"compare a", "an argument is missing: cutmix-eval compare RUN RUN [RUN ...]"},
		// Values.
		{"classify --limit 10%", `--limit "10%" is not a whole number`},
		{"classify --limit -1", "--limit -1 is below 0"},
		{"classify --limit 99999999999999999999", "--limit 99999999999999999999 is out of range"},
		{"ood --ood-limit -1", "--ood-limit -1 is below 0"},
		{"classify --pairs -1", "--pairs -1 is below 0"},
		{"classify --seed -1", `--seed "-1" is not a whole number from 0 to 18446744073709551615`},
		{"classify --restrict=maybe", `--restrict takes true or false, not "maybe"`},
		{"classify --device gpu", `--device "gpu" is not one of cpu, cuda, tensorrt, webgpu, coreml, directml, openvino`},
		{"classify --device cpu:1", `--device "cpu:1": a number may follow cuda, tensorrt and directml, as in cuda:1`},
		{"classify --format xml", `--format "xml" is not one of text, json, csv, md`},
		{"datasets check --format csv scenes", `--format "csv" is not one of text, json`},
		{"classify --resize big", `--resize: size "big" is not a number of pixels (1 to 16384), HEIGHTxWIDTH, or none`},
		{"classify --mean 1,2", `--mean "1,2" is not three numbers separated by commas, or one`},
		{"classify --mean nan,1,1", `--mean "nan" is not a finite number`},
		{"classify --mean 1,x,1", `--mean "x" is not a number`},
		{"classify --std 0,1,1", "--std 0 is not above 0"},
		{"classify --recipe imagnet",
			`--recipe "imagnet" is not one of imagenet, imagenet-v2, timm-0.875, timm-0.95, imagenet-224, cifar10, cifar100, ` +
				"mlperf-resnet50, paddleclas, keras-caffe, keras-tf, keras-torch, raw; " +
				"did you mean imagenet?"},
		{"classify --fill 1,2,256", `--fill "256" is not a whole number from 0 to 255`},
		{"classify --fill 1,2", `--fill "1,2" is not red, green and blue, separated by commas`},
		{"classify --exif=maybe", `--exif "maybe" is not true or false`},
		{"classify --color cmyk", `--color "cmyk" is not one of rgb, bgr, grey`},
		{"classify --interpolation cubic",
			`--interpolation "cubic" is not one of nearest, box, bilinear, hamming, bicubic, lanczos, area; did you mean bicubic?`},
		{"classify --data-format zip", `--data-format "zip" is not one of auto, folders, flat, list, cifar, tiny-imagenet, parquet, webdataset, arrays, scenes`},
		{"classify --save logits,x", `--save "x" is not one of logits, features, maps`},
		{"classify --shard 2/2", `--shard "2/2" is not i/n with i from 0 to n-1, as in 0/4, nor auto`},
		{"classify --bins 1", "1 bins: at least 2 are needed"},
		{"classify --bootstrap 5", "5 bootstrap replicates: at least 100, or 0 for none"},
		{"localize --method gradcm",
			`--method "gradcm" is not one of cam, gradcam, gradcam++, xgradcam, hirescam, layercam, eigencam, eigengradcam, ` +
				"ablationcam, scorecam, fem; did you mean gradcam?"},
		{"localize --target top5", `--target "top5" is not one of gt, pred`},
		{"localize --by colour", `--by "colour" is not one of class, object`},
		{"localize --threshold 1.5", "threshold 1.5 is not from 0 to below 1"},
		{"localize --severity 0", "--severity 0 is not one of 1 to 5"},
		{"corruption --severity 1-3", `--severity "1-3" is not a whole number`},
		{"corruption --severity 6", "--severity 6 is not one of 1 to 5"},
		{"corruption --severity 1,1", "severity 1 is not one of 1 to 5, or named twice"},
		{"corruption --set 100", `--set "100" is not one of 224, 299, 64, 32`},
		{"corruption --experiment hole",
			`--experiment "hole" is not one of corruptions, center-occlusion, boundary-occlusion, in-between-mixup, in-between-cutmix`},
		{"corruption --baseline /no/such.json", "--baseline: open /no/such.json: no such file or directory"},
		{"corruption --ood-run /no/such", `--ood-run "/no/such" is not a run of ood`},
		{"ood --ood x=", `--ood: "x=" names no images; give [near:|far:][NAME=]PATH`},
		{"ood --threshold-at 95", `--threshold-at "95" is not tpr=SHARE with a share between 0 and 1`},
		{"ood --benchmark mnist", `--benchmark "mnist" is not one of cifar10, cifar100, imagenet200, imagenet`},
		{"finetune --lr 0", "--lr 0 is not above 0"},
		{"finetune --alpha inf", `--alpha "inf" is not a finite number`},
		{"finetune --crop-scale 0.5", `--crop-scale "0.5" is not two numbers LOW,HIGH`},
		{"finetune --mix cutmux", `--mix "cutmux" is not one of cutmix, feature-cutmix, mixup, cutout, none; did you mean cutmix?`},
		{"report x --export xml", `--export "xml" is not one of csv, jsonl`},
		{"report x --by colour", `--by "colour" is not one of class, predicted, size, confidence, object`},
		{"demo --bootstrap 0", "--bootstrap 0: the demo shows paired differences, which need at least 100 replicates"},
		{"datasets export photos --out x", `"photos" is not embedded data; scenes is`},
		{"datasets export scenes --split dev",
			`--split "dev" is not one of train, val, test, new-train, new-val, new-test, ood-near, ood-texture, ood-noise`},
		{"datasets corrupt x --quality 0 --out y", "--quality 0 is not one of 1 to 100"},
		{"datasets fetch snow", `"snow" cannot be fetched; frost can`},
		// Flags that do not go together.
		{"classify --shard 0/2", "--shard needs a run directory: give --out"},
		{"classify --save logits", "--save needs a run directory: give --out"},
		{"localize --severity 2", "--severity and --frost are of --corruption"},
		{"localize --at 0.5 --threshold-from x", "--at and --threshold-from both say the threshold; give one"},
		{"localize --overlays 3", "--overlays needs a whole run directory: give --out"},
		{"corruption --steps 3", "--steps is of the other experiments"},
		{"corruption --corrupted c --data d", "--data and --corrupted are two sources; give one (--clean-error for relative mCE)"},
		{"corruption --corrupted c --split val", "--split says nothing about --corrupted"},
		{"corruption --experiment center-occlusion --jpeg 10", "--jpeg says nothing about center-occlusion"},
		{"ood --threshold-at tpr=0.9", "--threshold-at and --detector go together: the share to accept, and the file to write"},
		{"ood --openood x", "--openood and --benchmark (cifar10, cifar100, imagenet200, imagenet) go together"},
		{"ood --data x", "no OOD set is named; give --ood"},
		{"ood apply d --labels l", "--labels: verdicts need no labels"},
		{"ood apply d --crop 32", "--crop: the detector says how pixels are prepared"},
		{"finetune", "--out FILE.onnx is missing: the file to write"},
		{"finetune --out x", `--out "x" does not end in .onnx`},
		{"finetune --suite s", "--suite needs --out FOLDER, where its files go"},
		{"finetune --suite s --out o --model m", "--model says what the suite says; give one"},
		{"finetune --out x.onnx --val v", "--train is missing: the images to train on"},
		{"finetune --out x.onnx --train t --val v --split 0.5",
			"--split divides the training images, and --val says which validate: give one"},
		{"finetune --out x.onnx --mix cutout --alpha 2", "--alpha says nothing about --mix cutout"},
		{"finetune --out x.onnx --optimizer adamw --momentum 0.5", "--momentum says nothing about --optimizer adamw"},
		{"finetune --out x.onnx --optimizer lbfgs --mix none --epochs 3",
			"--epochs says nothing about --optimizer lbfgs, which goes to the optimum of all images at once"},
		{"finetune --out x.onnx --mix feature-cutmix --augment flip",
			"--augment flip makes new images in every epoch, and --mix feature-cutmix uses features that are computed once: give --augment none"},
		{"datasets corrupt x", "--out FOLDER is missing: the folder to write"},
	} {
		if got := refused(t, c.line); got != c.want {
			t.Errorf("%s:\n %s, want\n %s", c.line, got, c.want)
		}
	}
}

// TestFirstWrongFlag: of several wrong flags the first that was typed is named; of flags that
// do not go together always the same.
func TestFirstWrongFlag(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"classify --resize x --mean y --crop z", "--resize"},
		{"classify --mean y --crop z --resize x", "--mean"},
		{"classify --crop z --resize x --mean y", "--crop"},
		{"classify --threads -1 --workers -1 --batch -1 --limit -1", "--threads"},
		{"finetune --crop-ratio x --crop-scale y --augment z", "--crop-ratio"},
		{"finetune --out x.onnx --mix none --cutout-length 0.1 --mix-prob 0.1 --alpha 1", "--alpha"},
		{"corruption --experiment center-occlusion --bins 3 --jpeg 3 --severity 3", "--severity"},
		{"ood apply d --mean 1,1,1 --crop 3 --resize 3", "--resize"},
	} {
		for range 50 {
			if got := refused(t, c.line); !strings.HasPrefix(got, c.want+" ") && !strings.HasPrefix(got, c.want+":") {
				t.Fatalf("%s: %s, want one about %s", c.line, got, c.want)
			}
		}
	}
}

// TestReportRefuses: an option that a run does not have is refused before anything is read,
// and always the same of several.
func TestReportRefuses(t *testing.T) {
	given := tasks.Options{Worst: new(3), Score: &[]string{"msp"}, Grid: new(true)}
	for name, want := range map[string]string{
		classify.Name: "--score", binary.Name: "--score", multilabel.Name: "--worst", localize.Name: "--score", ood.Name: "--worst", finetune.Name: "--worst", finetune.SuiteName: "--worst",
	} {
		t.Run(name, func(t *testing.T) {
			k := slices.IndexFunc(all, func(task tasks.Task) bool { return task.Name() == name })
			for range 50 {
				_, err := loaded(context.Background(), all[k], nil, given)
				if got, ok := err.(usageError); !ok || got.Error() != want+" says nothing about a run of "+name {
					t.Fatalf("%v, want one about %s", err, want)
				}
			}
		})
	}
}

// TestChoicesAreTaken: every word that a flag offers to the shell is one that it takes.
func TestChoicesAreTaken(t *testing.T) {
	free := []string{"shard"} // auto needs an environment
	var visit func(cmd *cobra.Command)
	tried := 0
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			complete, ok := cmd.GetFlagCompletionFunc(f.Name)
			if !ok || slices.Contains(free, f.Name) {
				return
			}
			words, _ := complete(cmd, nil, "")
			for _, w := range words {
				word, _, _ := strings.Cut(w, "\t")
				if err := f.Value.Set(word); err != nil || !strings.Contains(f.Usage, word) && f.Name != "corruption" {
					t.Errorf("%s --%s %s: %v; %s", cmd.CommandPath(), f.Name, word, err, f.Usage)
				}
				tried++
			}
		})
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(newRoot(streams{}, new(bool)))
	if tried < 200 {
		t.Errorf("%d words were tried", tried)
	}
}

// TestHelpText: help fits 100 columns and has no slips that were in it before.
func TestHelpText(t *testing.T) {
	slips := []string{" a run of the model", "one a core", "images a step", "one a line", " a image", "begin anew", "was told", "were told"}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		text := cmd.Long + "\n" + cmd.Example + "\n" + cmd.UsageString()
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), n, line)
			}
		}
		for _, slip := range slips {
			if strings.Contains(text, slip) {
				t.Errorf("%s says %q", cmd.CommandPath(), slip)
			}
		}
		if cmd.Name() == "completion" {
			return
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(newRoot(streams{}, new(bool)))
}

// TestExamples: the flags and arguments of every example in help, README and docs are taken.
func TestExamples(t *testing.T) {
	var text strings.Builder
	for _, name := range append(glob(t, "../../docs/*.md"), "../../README.md") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(data)
	}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		text.WriteString("\n" + strings.ReplaceAll(cmd.Example, "\\\n", ""))
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(newRoot(streams{}, new(bool)))
	tried := 0
	for line := range strings.Lines(text.String()) {
		line, comment, _ := strings.Cut(strings.TrimSpace(line), " #")
		rest, ok := strings.CutPrefix(strings.TrimPrefix(line, "$ "), "cutmix-eval ")
		if !ok || strings.Contains(rest, "…") || strings.Contains(comment, "exit 2") {
			continue
		}
		cmd, args, err := newRoot(streams{}, new(bool)).Find(strings.Fields(rest))
		if err == nil {
			err = cmd.ParseFlags(args)
		}
		if err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err != nil {
			t.Errorf("%s: %v", line, flagError(cmd, err))
		}
		tried++
	}
	if tried < 120 {
		t.Errorf("%d examples were found", tried)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	return names
}

// TestFlagBounds: numbers that would fill the memory are wrong usage, told before any work.
func TestFlagBounds(t *testing.T) {
	for _, n := range []string{"1099511627776", "4611686018427387904", "9223372036854775807", "99999999999999999999"} {
		for _, args := range [][]string{
			{"classify", "--threads"}, {"classify", "--workers"}, {"classify", "--bins"}, {"classify", "--bootstrap"},
			{"bench", "--rounds"}, {"bench", "--images"}, {"bench", "--workers"},
			{"corruption", "--bins"}, {"corruption", "--steps", n, "--experiment"}, {"localize", "--bootstrap"},
			{"datasets", "corrupt", "--data", "scenes", "--out", "never", "--workers"}, {"datasets", "check", "scenes", "--workers"},
			{"finetune", "--out", "never.onnx", "--epochs"}, {"finetune", "--out", "never.onnx", "--batch-size"}, {"finetune", "--out", "never.onnx", "--hidden"},
		} {
			last := n
			if args[len(args)-1] == "--experiment" {
				last = "occlusion"
			}
			if code, _, errs := command(t, append(args, last)...); code != exitUsage || strings.Count(errs, "\n") != 2 {
				t.Errorf("%v %s: exit %d: %s", args, last, code, errs)
			}
		}
	}
	if code, _, errs := command(t, "bench", "--limit", "20", "--batch", "1099511627776"); code != exitFailed || !strings.Contains(errs, "give --batch ") {
		t.Errorf("a batch of 2^40: exit %d: %s", code, errs)
	}
}
