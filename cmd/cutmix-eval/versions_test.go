package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cutmix-eval/internal/long"

	"github.com/google/go-cmp/cmp"
)

// TestClockGoesBack: what was written at a time that is yet to come, or long ago, is gone on with, and
// the result is that of a run whose clock went on. Durations come from a clock that cannot be set.
func TestClockGoesBack(t *testing.T) {
	tmp := t.TempDir()
	data, train := exported(t, filepath.Join(tmp, "data"), "test", 40), exported(t, filepath.Join(tmp, "train"), "train", 40)
	early, later := time.Unix(0, 0), time.Now().Add(20*365*24*time.Hour)
	for _, c := range []struct{ name, line, part, tree string }{
		{"classify", "classify --data DATA --save logits --out OUT/run --bootstrap 100", "run/parts/000001.parquet", ""},
		{"ood", "ood --data DATA --train TRAIN --ood noise:uniform --ood-limit 20 --score msp,energy --out OUT/run", "run/id-test/parts/000000.parquet", ""},
		{"finetune", "finetune --train TRAIN --val DATA --epochs 1 --bootstrap 100 --out OUT/tuned.onnx --run OUT/run", "run/tuned-val/parts/000000.parquet", ""},
		{"datasets corrupt", "datasets corrupt DATA --corruption fog --severity 1 --recipe raw --limit 10 --out OUT/c", "c/fog/1/*/*", "c/fog"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := t.TempDir()
			run := func() {
				t.Helper()
				line := strings.NewReplacer("OUT", out, "DATA", data, "TRAIN", train).Replace(c.line)
				if code, _, errs := command(t, append(strings.Fields(line), "--quiet")...); code != exitDone {
					t.Fatalf("%d: %s", code, errs)
				}
			}
			result := func() any {
				t.Helper()
				if c.tree != "" {
					return contentsOf(t, filepath.Join(out, c.tree))
				}
				return reported(t, filepath.Join(out, "run"))
			}
			run()
			want := result()
			for _, when := range []struct {
				name              string
				written, pictures time.Time
			}{{"records from the future", later, early}, {"pictures from the future", early, later}, {"all from the future", later, later}} {
				lost, err := filepath.Glob(filepath.Join(out, c.part))
				if err != nil || len(lost) == 0 {
					t.Fatalf("there is no %s: %v", c.part, err)
				}
				if err := errors.Join(os.Remove(lost[0]), dated(out, when.written), dated(data, when.pictures), dated(train, when.pictures)); err != nil {
					t.Fatal(err)
				}
				run()
				if d := cmp.Diff(want, result()); d != "" {
					t.Errorf("%s: %s", when.name, d)
				}
			}
		})
	}
}

// dated gives all below a folder a time.
func dated(dir string, when time.Time) error {
	return filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(p, when, when)
	})
}

// TestTwoPrograms: programs of two versions work on one run at once. On one share the second is told
// so; two shares make the report of the whole, whichever version makes it; it names the version that worked
// on the run last.
func TestTwoPrograms(t *testing.T) {
	long.Skip(t, "building another program takes half a minute")
	tmp := t.TempDir()
	other := filepath.Join(tmp, "other")
	if out, err := exec.Command("go", "build", "-o", other, "-ldflags", "-X main.version=9.9.9", ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	later := func(args ...string) *exec.Cmd { return exec.Command(other, args...) }
	args := []string{"classify", "--data", "scenes:train", "--limit", "1500", "--bootstrap", "100", "--threads", "1"}
	whole, shared := filepath.Join(tmp, "whole"), filepath.Join(tmp, "shared")
	if code, _, errs := command(t, append(args, "--out", whole)...); code != exitDone {
		t.Fatal(errs)
	}
	first := later(append(args, "--out", shared, "--shard", "0/2")...)
	var stderr bytes.Buffer
	first.Stderr = &stderr
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	waitForPart(t, shared, 0, &stderr)
	fails(t, exitFailed, "another process is at work there", append(args, "--quiet", "--out", shared, "--shard", "0/2")...)
	if code, _, errs := command(t, append(args, "--out", shared, "--shard", "1/2")...); code != exitDone {
		t.Error(errs)
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	want := reported(t, whole)
	if got := reported(t, shared); got != want {
		t.Errorf("two versions report\n%s\none\n%s", got, want)
	}
	out, err := later("report", "--format", "json", "--quiet", shared).Output()
	if d := cmp.Diff(want, string(out)); d != "" || err != nil {
		t.Errorf("the other version reports otherwise: %v %s", err, d)
	}
}
