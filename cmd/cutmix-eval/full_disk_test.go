package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/long"
	"cutmix-eval/models"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// smallDisk mounts a file system of some megabytes, and skips the test where that is not allowed.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=16m", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("a small file system cannot be mounted here, which takes a superuser's rights: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

// fillUp leaves so many KiB of a disk free; what fills it is removed by the function that is returned.
func fillUp(t *testing.T, disk string, free int) (empty func()) {
	t.Helper()
	path := filepath.Join(disk, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const block = 4096 // tmpfs counts pages
	size := int64(0)
	for err == nil {
		var n int
		n, err = f.Write(make([]byte, block))
		size += int64(n)
	}
	if err := f.Truncate(max(0, size-int64(free)<<10)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// contentsOf are the files below a folder, by path, without locks and what fills the disk.
func contentsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		out[strings.TrimPrefix(p, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFullDiskEverywhere: every command that writes says that the disk is full, leaves nothing half
// done, and gives the result of a run that was left alone when there is room again.
func TestFullDiskEverywhere(t *testing.T) {
	disk := smallDisk(t)
	t.Setenv(runtime.EnvLibrary, ortest.Load(t).Path) // the cache is on the disk
	inputs := t.TempDir()
	data, val, train := exported(t, filepath.Join(inputs, "data"), "test", 40), exported(t, filepath.Join(inputs, "val"), "val", 40), exported(t, filepath.Join(inputs, "train"), "train", 40)
	model := filepath.Join(inputs, "model.onnx")
	if b, ok := models.Bytes("scenes-base"); !ok || os.WriteFile(model, b, 0o600) != nil {
		t.Fatal("there is no model")
	}
	for _, c := range []struct {
		name, line string // OUT is the folder to write to
		free       []int  // KiB
		tree       string // what of it must be equal to that of an undisturbed run; empty: nothing
		report     bool   // what report gives of OUT/run must be
	}{
		{"classify", "classify --limit 200 --save logits,features --out OUT/run", []int{0, 40, 120}, "", true},
		{"classify into a temporary folder", "classify --limit 200", []int{0, 20}, "", false},
		{"localize with overlays", "localize --limit 40 --overlays 8 --out OUT/run", []int{0, 40, 100}, "run/overlays", true},
		{"ood", "ood --data DATA --val VAL --train TRAIN --ood noise:uniform --ood-limit 20 --score msp,energy --out OUT/run", []int{0, 24, 60}, "", true},
		{"ood with a detector", "ood --data DATA --val VAL --train TRAIN --ood noise:uniform --ood-limit 20 --score energy --threshold-at tpr=0.95 --detector OUT/a.detector", []int{0}, "", false},
		{"corruption", "corruption --data DATA --corruption fog,snow --severity 1,3 --out OUT/run", []int{0, 20, 40}, "", true},
		{"finetune", "finetune --train TRAIN --val VAL --epochs 2 --bootstrap 100 --out OUT/tuned.onnx --run OUT/run", []int{0, 60, 400}, "", true},
		{"datasets corrupt", "datasets corrupt DATA --corruption fog --recipe raw --out OUT/c", []int{0, 40, 300}, "c", false},
		{"datasets export", "datasets export scenes --limit 60 --out OUT/scenes --masks OUT/masks", []int{0, 40, 400}, "", false},
		{"models add", "models add mine MODEL", []int{0}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			folders := func(out string) {
				if err := errors.Join(os.MkdirAll(filepath.Join(out, "tmp"), 0o755), os.MkdirAll(filepath.Join(out, "cache"), 0o755)); err != nil {
					t.Fatal(err)
				}
			}
			run := func(out string) (code int, errs string) {
				t.Helper()
				folders(out)
				t.Setenv(cache.EnvDir, filepath.Join(out, "cache"))
				t.Setenv("TMPDIR", filepath.Join(out, "tmp"))
				line := strings.NewReplacer("OUT", out, "DATA", data, "VAL", val, "TRAIN", train, "MODEL", model).Replace(c.line)
				code, _, errs = command(t, append(strings.Fields(line), quietly(c.line)...)...)
				return code, errs
			}
			whole := t.TempDir()
			if code, errs := run(whole); code != exitDone {
				t.Fatalf("%d: %s", code, errs)
			}
			wantFiles := contentsOf(t, filepath.Join(whole, c.tree))
			for _, free := range long.Or(c.free, c.free[len(c.free)-1:]) {
				out := filepath.Join(disk, "out")
				folders(out)
				empty := fillUp(t, disk, free)
				code, errs := run(out)
				if sentence, _, _ := strings.Cut(errs, "\n"); code != exitFailed || !strings.Contains(sentence, "no space left on device") || strings.Count(errs, "\n") != 1 {
					t.Errorf("with %d KiB: exit %d: %s", free, code, errs)
				}
				for name := range contentsOf(t, out) {
					if strings.Contains(name, "/"+atomicfile.Temporary) || strings.HasPrefix(name, "/tmp/cutmix-eval") {
						t.Errorf("with %d KiB: %s is left behind", free, name)
					}
				}
				empty()
				if code, errs := run(out); code != exitDone {
					t.Errorf("with %d KiB, then with room: exit %d: %s", free, code, errs)
				}
				if c.report && !t.Failed() {
					if got, want := reported(t, filepath.Join(out, "run")), reported(t, filepath.Join(whole, "run")); strings.ReplaceAll(got, out, whole) != want {
						t.Errorf("with %d KiB, then with room: another report:\n%s\nand not\n%s", free, got, want)
					}
				}
				got := contentsOf(t, filepath.Join(out, c.tree))
				for name, text := range wantFiles {
					if have, ok := got[name]; !ok || c.tree != "" && have != text {
						t.Errorf("with %d KiB, then with room: %s is missing or another file", free, name)
					}
				}
				if len(got) != len(wantFiles) {
					t.Errorf("with %d KiB, then with room: %d files, and not %d", free, len(got), len(wantFiles))
				}
				if err := os.RemoveAll(out); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// quietly are the flags that keep a command from saying more than its error.
func quietly(line string) []string {
	if strings.HasPrefix(line, "models") {
		return nil
	}
	return []string{"--quiet"}
}
