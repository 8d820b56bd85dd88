package finetune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/runtime/ortest"
)

// small is a training of a few seconds on embedded scenes.
func small(t *testing.T, method Method, out string) (evaluation.Config, Config, Options) {
	t.Helper()
	on, c := evaluation.DefaultConfig(), DefaultConfig()
	on.Library = ortest.Load(t).Path
	on.Data, on.Limit = "scenes:new-train", 100
	c.Mix.Method, c.Epochs, c.Batch, c.Replicates = method, 5, 32, 100 // 100 images: the last batch is of 4
	return on, c, Options{Val: "scenes:new-val", Out: out}
}

// written reads what a training left: the model, and the log without its times.
func written(t *testing.T, o Options) (model []byte, log []Epoch) {
	t.Helper()
	model, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.Folder(), logName+".json"))
	if err == nil {
		err = json.Unmarshal(text, &log)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range log {
		log[i].Seconds, log[i].Head = 0, 0
	}
	return model, log
}

// TestRunGoesOn: a training that is stopped anywhere, time and again, ends with the bits of
// one that was not; other threads, decoders and batches of the first pass change nothing.
func TestRunGoesOn(t *testing.T) {
	for _, method := range []Method{CutMix, FeatureCutMix} {
		dir := t.TempDir()
		on, c, o := small(t, method, filepath.Join(dir, "whole.onnx"))
		if _, err := Run(context.Background(), on, c, o); err != nil {
			t.Fatal(err)
		}
		want, wantLog := written(t, o)
		if len(wantLog) != 5 {
			t.Fatalf("%d epochs", len(wantLog))
		}
		on.Threads, on.Workers, on.Batch = 1, 3, 13
		o.Out = filepath.Join(dir, "stopped.onnx")
		stops := 0
		for try := 0; ; try++ {
			// Stop after some images of this stage, which is further on every time.
			ctx, cancel := context.WithCancel(context.Background())
			left := 40 + 150*try
			o.Stage = func(string, int) (func(int), func()) {
				before := 0
				return func(done int) {
					if left -= done - before; left < 0 {
						cancel()
					}
					before = done
				}, func() {}
			}
			epochs := 0
			o.Told = func(Epoch, int, string) {
				if epochs++; method == FeatureCutMix && try%3 == 2 {
					cancel()
				}
			}
			_, err := Run(ctx, on, c, o)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if stops++; stops > 50 {
				t.Fatal("it does not end")
			}
		}
		got, log := written(t, o)
		if stops < 3 || !bytes.Equal(got, want) {
			t.Errorf("%s: stopped %d times, the file is another", method, stops)
		}
		for i := range wantLog {
			if i >= len(log) || log[i] != wantLog[i] {
				t.Errorf("%s: epoch %d: %+v, want %+v", method, i+1, log, wantLog[i])
				break
			}
		}
		// Nothing is trained again, and the file can be written again.
		if err := os.Remove(o.Out); err != nil {
			t.Fatal(err)
		}
		o.Stage, o.Told = nil, func(Epoch, int, string) { t.Error("an epoch is trained again") }
		if _, err := Run(context.Background(), on, c, o); err != nil {
			t.Fatal(err)
		}
		if again, _ := written(t, o); !bytes.Equal(again, want) {
			t.Error("written again, the file is another")
		}
		// Another training in this folder is refused, and --restart begins anew.
		c.Epochs = 2
		if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), o.Folder()) || !strings.Contains(err.Error(), "--restart") {
			t.Errorf("other options: %v", err)
		}
		on.Model = "scenes-base"
		if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), "--restart") {
			t.Errorf("another model: %v", err)
		}
		o.Restart, o.Told = true, nil
		if _, err := Run(context.Background(), on, c, o); err != nil {
			t.Fatal(err)
		}
		if _, log := written(t, o); len(log) != 2 {
			t.Errorf("%d epochs after --restart", len(log))
		}
	}
}

// TestRunRefuses: models whose head cannot be tuned, before anything is computed.
func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	on, c, o := small(t, CutMix, filepath.Join(dir, "x.txt"))
	if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), ".onnx") {
		t.Errorf("%v", err)
	}
	c.Epochs = 0
	if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), "epochs") {
		t.Errorf("%v", err)
	}
	on, c, o = small(t, CutMix, filepath.Join(dir, "no", "such", "folder", "x.onnx"))
	c.Epochs = 1
	if _, err := Run(context.Background(), on, c, o); err != nil { // folders are made
		t.Error(err)
	}
	on.Model = filepath.Join(dir, "gone.onnx")
	if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), "gone.onnx") {
		t.Errorf("%v", err)
	}
	on.Model, o.Dir = o.Out, filepath.Join(dir, "other.run")
	if _, err := Run(context.Background(), on, c, o); err == nil || !strings.Contains(err.Error(), "is the model itself") {
		t.Errorf("the model as the file to write: %v", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("an empty folder has a report")
	}
}
