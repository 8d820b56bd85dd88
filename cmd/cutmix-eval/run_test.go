package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cutmix-eval/internal/long"
	"cutmix-eval/report"
	"cutmix-eval/runtime/ortest"

	"github.com/google/go-cmp/cmp"
)

// envProgram makes the test binary the program, for tests that need a process to kill.
const envProgram = "CUTMIX_EVAL_TEST_IS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(envProgram) == "1" {
		main()
	}
	// The tests make much that lives for a moment; collecting it less often takes a tenth of
	// their time away.
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// program is a process that will run the program with these arguments.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ortest.Load(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), envProgram+"=1")
	return cmd
}

// reported is the JSON report of run directories, computed in this process.
func reported(t *testing.T, dirs ...string) string {
	t.Helper()
	code, out, errs := command(t, append([]string{"report", "--format", "json", "--quiet"}, dirs...)...)
	if code != exitDone {
		t.Fatalf("report %v: exit %d: %s", dirs, code, errs)
	}
	return out
}

// parts counts the tables of records in a run directory, or in those of a pattern.
func parts(dir string) int {
	names, _ := filepath.Glob(filepath.Join(dir, "parts", "*.parquet"))
	return len(names)
}

// waitForPart waits until a process, whose errors are in stderr, has made more than so many
// parts.
func waitForPart(t *testing.T, dir string, before int, stderr *bytes.Buffer) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); parts(dir) <= before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no part in a minute: %s", stderr.String())
		}
	}
}

// random is a generator whose seed a failing test tells.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("random seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestKilled kills a real process time and again in an evaluation, three times in five
// at any moment since its start, else just after a part has appeared, when the next
// is being made. The report is that of a run that was left alone, bit for bit,
// though that used other threads, workers and batches. On a fast machine fifty kills
// need more than one evaluation.
func TestKilled(t *testing.T) {
	tmp := t.TempDir()
	whole, killed := filepath.Join(tmp, "whole"), filepath.Join(tmp, "killed")
	kills := long.Or(50, 5)
	args := []string{"classify", "--data", "scenes:train", "--limit", fmt.Sprint(long.Or(8000, 2000)), "--bootstrap", "100", "--quiet"}
	if code, _, errs := command(t, append(args, "--out", whole)...); code != exitDone {
		t.Fatalf("%d: %s", code, errs)
	}
	rng := random(t)
	began := 0 // kills of a process that had made a part
	complete := func() {
		t.Helper()
		if code, _, errs := command(t, append(args, "--out", killed)...); code != exitDone {
			t.Fatalf("%d: %s", code, errs)
		}
		if a, b := reported(t, whole), reported(t, killed); a != b {
			t.Errorf("reports differ:\n%s\n%s", a, b)
		}
		left, err := filepath.Glob(filepath.Join(killed, "parts", ".tmp-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
	for i := range kills {
		if parts(killed) > parts(whole)-4 { // a process could end before it is killed
			complete()
			killed = filepath.Join(tmp, fmt.Sprint("killed", i))
		}
		cmd := program(t, append(args, "--out", killed, "--threads", "1", "--workers", "1", "--batch", "16")...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		before := parts(killed)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%5%2 == 0 {
			time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
		} else {
			waitForPart(t, killed, before, &stderr)
			time.Sleep(time.Duration(rng.IntN(20000)) * time.Microsecond)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("kill %d came too late: %v: %s", i, err, stderr.String())
		}
		if parts(killed) > before {
			began++
		}
	}
	if began < 2*kills/5 {
		t.Errorf("%d of %d kills came after a new part", began, kills)
	}
	complete()
}

// TestShards runs three shares, or seven, in random order, two at once, into one folder
// and into one each.
func TestShards(t *testing.T) {
	tmp := t.TempDir()
	whole, one := filepath.Join(tmp, "whole"), filepath.Join(tmp, "one")
	args := []string{"classify", "--limit", "600", "--bootstrap", "100", "--quiet"}
	if code, _, errs := command(t, append(args, "--out", whole)...); code != exitDone {
		t.Fatalf("%d: %s", code, errs)
	}
	want := reported(t, whole)
	n := long.Or(7, 3)
	order := random(t).Perm(n)
	slots := make(chan struct{}, 2)
	var wg sync.WaitGroup
	var several []string
	for _, i := range order {
		own := filepath.Join(tmp, fmt.Sprint("own", i))
		several = append(several, own)
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			for _, dir := range []string{one, own} {
				out, err := program(t, append(args, "--out", dir, "--shard", fmt.Sprintf("%d/%d", i, n))...).CombinedOutput()
				if err != nil || !strings.Contains(string(out), fmt.Sprintf("shard %d/%d of run", i, n)) {
					t.Errorf("shard %d: %v: %s", i, err, out)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if got := reported(t, one); got != want {
		t.Errorf("shards in one folder report\n%s\nthe whole run\n%s", got, want)
	}
	if got := reported(t, several...); got != want {
		t.Error("shards in folders of their own have another report")
	}
	slices.Reverse(several)
	if got := reported(t, several...); got != want {
		t.Error("the order of folders changes the report")
	}
	code, _, errs := command(t, append([]string{"report"}, several[1:]...)...)
	if missing := fmt.Sprintf("shard %d/%d", order[n-1], n); code != exitFailed || !strings.Contains(errs, missing+" (") || !strings.Contains(errs, "is missing") {
		t.Errorf("without %s: exit %d: %s", missing, code, errs)
	}
	code, out, _ := command(t, append([]string{"report", "--partial"}, several[1:]...)...)
	if code != exitDone || !strings.Contains(out, "images of the run are missing") {
		t.Errorf("--partial: %d %s", code, out)
	}
}

// TestRunFaults: what can go wrong with a run directory ends in one sentence, and
// nothing that is complete is lost.
func TestRunFaults(t *testing.T) {
	tmp := t.TempDir()
	dir := filepath.Join(tmp, "run")
	args := []string{"classify", "--limit", "200", "--bootstrap", "100", "--quiet", "--out", dir}
	if code, _, errs := command(t, args...); code != exitDone {
		t.Fatalf("%d: %s", code, errs)
	}
	want := reported(t, dir)
	base := []string{"classify", "--quiet", "--out", dir}
	fails(t, exitFailed, "a model with the SHA-256 350205a2ea9", append(base, "--model", "scenes-base")...)
	fails(t, exitFailed, "pixels with the fingerprint", append(base, "--mean", "0.4,0.5,0.5")...)
	fails(t, exitFailed, "data with the fingerprint", append(base, "--data", "scenes:val")...)
	fails(t, exitFailed, "it has no --restrict, not --restrict", append(base, "--restrict")...)
	fails(t, exitFailed, "--save features", append(base, "--save", "features")...)
	fails(t, exitUsage, "--shard needs", "classify", "--shard", "0/2")
	fails(t, exitUsage, "is not i/n", append(base, "--shard", "2/2")...)
	fails(t, exitFailed, "no such folder", "report", filepath.Join(tmp, "none"))
	fails(t, exitFailed, "it holds no run", "report", tmp)
	fails(t, exitFailed, "it holds no run", "classify", "--quiet", "--out", tmp)
	fails(t, exitUsage, `--by "colour" is not one of`, "report", dir, "--by", "colour")
	fails(t, exitUsage, "--export", "report", dir, "--export", "xml")
	file := filepath.Join(tmp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, exitFailed, "not a directory", "classify", "--quiet", "--out", filepath.Join(file, "run"))
	if _, err := os.Stat("/sys/kernel"); err == nil { // a folder that not even a superuser can write to
		fails(t, exitFailed, "/sys/kernel/cutmix-eval-run", "classify", "--quiet", "--limit", "5", "--out", "/sys/kernel/cutmix-eval-run")
	}

	// Clocks that jump: what is there counts, not when it was made.
	for _, when := range []time.Time{time.Unix(0, 0), time.Now().Add(10000 * time.Hour)} {
		names, _ := filepath.Glob(filepath.Join(dir, "parts", "*"))
		for _, n := range append(names, filepath.Join(dir, "manifest.json")) {
			if err := os.Chtimes(n, when, when); err != nil {
				t.Fatal(err)
			}
		}
		code, _, errs := command(t, slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "--quiet" })...)
		if code != exitDone || !strings.Contains(errs, "all 200 images are in") {
			t.Errorf("%d %s", code, errs)
		}
	}
	// A part that was cut off is made again, and said so.
	names, _ := filepath.Glob(filepath.Join(dir, "parts", "*.parquet"))
	if err := os.Truncate(names[3], 99); err != nil {
		t.Fatal(err)
	}
	fails(t, exitFailed, filepath.Base(names[3]), "report", dir)
	code, _, errs := command(t, slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "--quiet" })...)
	if code != exitDone || !strings.Contains(errs, "damaged, its images are evaluated again") {
		t.Errorf("%d %s", code, errs)
	}
	if got := reported(t, dir); got != want {
		t.Error("the report has changed")
	}
	// A limit that grows keeps what is there.
	code, _, errs = command(t, "classify", "--limit", "300", "--bootstrap", "100", "--out", dir)
	if code != exitDone || !strings.Contains(errs, "200 of 300 images are in") {
		t.Errorf("%d %s", code, errs)
	}
}

// TestNoSpace fills a small file system: the run ends with the reason, and goes on
// when there is room.
func TestNoSpace(t *testing.T) {
	tmp := t.TempDir()
	disk := filepath.Join(tmp, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(disk, "run")
	args := []string{"classify", "--limit", "400", "--bootstrap", "100"}
	if code, _, errs := command(t, append(args, "--out", filepath.Join(tmp, "whole"))...); code != exitDone {
		t.Fatalf("%d: %s", code, errs)
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	script := `exec "$@"`
	small := exec.Command("mount", "-t", "tmpfs", "-o", "size=192k", "none", disk).Run() == nil
	if small {
		defer func() { _ = exec.Command("umount", "-l", disk).Run() }()
	} else {
		script = `ulimit -f 2; exec "$@"` // without the right to mount: files that must not grow
	}
	cmd := program(t, append(args, "--out", dir)...)
	cmd.Args = append([]string{"sh", "-c", script, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = shell
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Fatalf("%v: %s", err, out)
	}
	if mentions(t, string(out), "writing "+dir); small {
		mentions(t, string(out), "no space left on device")
	} else {
		mentions(t, string(out), "file too large")
	}
	if small {
		had := parts(dir)
		if had == 0 || !strings.Contains(string(out), "run the same command again to go on") {
			t.Errorf("%d parts: %s", had, out)
		}
		if out, err := exec.Command("mount", "-o", "remount,size=8m", disk).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		code, _, errs := command(t, append(args, "--out", dir)...)
		if code != exitDone || !strings.Contains(errs, "of 400 images are in") {
			t.Errorf("%d: %s", code, errs)
		}
	} else if code, _, errs := command(t, append(args, "--out", dir)...); code != exitDone {
		t.Errorf("%d: %s", code, errs)
	}
	if reported(t, dir) != reported(t, filepath.Join(tmp, "whole")) {
		t.Error("another report")
	}
}

// TestTwoProcesses: the second process on the same share is told so; the run is not
// harmed.
func TestTwoProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	args := []string{"classify", "--data", "scenes:train", "--limit", "1500", "--bootstrap", "100", "--out", dir, "--threads", "1", "--batch", "8"}
	first := program(t, args...)
	var stderr bytes.Buffer
	first.Stderr = &stderr
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	waitForPart(t, dir, 0, &stderr)
	code, _, errs := command(t, args...)
	if code != exitFailed || !strings.Contains(errs, "another process is at work there") {
		t.Errorf("%d %s", code, errs)
	}
	// An interrupt keeps what was made, the part that was not whole included.
	if err := first.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := first.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("%v", err)
	}
	if code, _, errs := command(t, args...); code != exitDone || !strings.Contains(errs, "of 1500 images are in") {
		t.Errorf("%d %s", code, errs)
	}
}

// TestReuse: another task's options on the stored scores need no model run, give the
// numbers of one, and say where they come from.
func TestReuse(t *testing.T) {
	tmp := t.TempDir()
	first, second, direct := filepath.Join(tmp, "first"), filepath.Join(tmp, "second"), filepath.Join(tmp, "direct")
	args := []string{"classify", "--limit", "300", "--bootstrap", "100", "--quiet"}
	for _, a := range [][]string{
		{"--out", first, "--save", "features"},
		{"--out", second, "--restrict", "--reuse", first},
		{"--out", direct, "--restrict"},
	} {
		if code, _, errs := command(t, append(slices.Clone(args), a...)...); code != exitDone {
			t.Fatalf("%v: %d %s", a, code, errs)
		}
	}
	a, b := reported(t, second), reported(t, direct)
	if !strings.Contains(a, `"reused": "`+first) || strings.Replace(a, ",\n    \"reused\": \""+first+"\"", "", 1) != b {
		t.Errorf("%s\n%s", a, b)
	}
	if n, _ := filepath.Glob(filepath.Join(first, "parts", "*.features.*.npy")); len(n) == 0 {
		t.Error("features are not kept")
	}
	for _, c := range [][]string{
		{"model", "--model", "scenes-base"}, {"pixels", "--mean", "0.4,0.5,0.5"}, {"data", "--data", "scenes:val"}, {"no record", "--limit", "301"},
	} {
		code, _, errs := command(t, append(append(slices.Clone(args), "--out", filepath.Join(tmp, c[0]), "--reuse", first), c[1:]...)...)
		if code != exitFailed || !strings.Contains(errs, c[0]) {
			t.Errorf("%v: %d %s", c, code, errs)
		}
	}
}

// TestReportCommand: groups, worst images and exports hold the run's records.
func TestReportCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, printed, errs := command(t, "classify", "--limit", "500", "--bootstrap", "100", "--format", "json", "--out", dir)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	if reported(t, dir) != printed {
		t.Error("report prints something else than the run did")
	}
	r := reportOf(t, "report", dir, "--by", "size,confidence,predicted", "--worst", "3", "--seed", "5")
	n := map[report.KeyName]int{}
	for _, one := range r.Numbers {
		if one.Name == "top1" && len(one.At) == 1 {
			n[one.At[0].Name] += one.N
		}
	}
	if d := cmp.Diff(map[report.KeyName]int{report.KeySize: 500, report.KeyConfidence: 500, report.KeyPredicted: 500}, n); d != "" {
		t.Errorf("images by kind of group: %s", d)
	}
	if worst := tableOf(t, r, "worst"); len(worst.Rows) != 3 {
		t.Errorf("%+v", worst)
	}
	_, out, _ := command(t, "report", dir, "--export", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 501 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	correct := slices.Index(rows[0], "correct")
	hits := 0
	for _, row := range rows[1:] {
		if row[correct] == "true" {
			hits++
		}
	}
	if top1 := numberOf(t, r, "top1"); float64(hits)/500 != top1.Value {
		t.Errorf("%d hits in the export, top1 %v", hits, top1.Value)
	}
	_, out, _ = command(t, "report", dir, "--export", "jsonl")
	lines := bufio.NewScanner(strings.NewReader(out))
	for i := 1; lines.Scan(); i++ {
		var v map[string]any
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil || v["id"] != rows[i][1] || len(v) != len(rows[0]) {
			t.Fatalf("line %d: %v %v", i, v, err)
		}
	}
	for _, format := range []string{"text", "csv", "md"} {
		if code, out, _ := command(t, "report", dir, "--format", format); code != exitDone || len(out) < 500 {
			t.Errorf("%s: %d %s", format, code, out)
		}
	}
}

// TestReportOptions: a report that is made with other options says so, and is what a run with
// them would have printed. What a run does not have, and what makes no sense, is refused.
func TestReportOptions(t *testing.T) {
	tmp := t.TempDir()
	in := func(name string) string { return filepath.Join(tmp, name) }
	runs := map[string][]string{
		"classify":   {"classify", "--limit", "40", "--bootstrap", "100", "--out", in("classify")},
		"localize":   {"localize", "--limit", "20", "--bootstrap", "100", "--out", in("localize")},
		"corruption": {"corruption", "--limit", "10", "--corruption", "fog", "--severity", "3", "--out", in("corruption")},
		"occlusion":  {"corruption", "--limit", "10", "--experiment", "center-occlusion", "--steps", "2", "--out", in("occlusion")},
		"ood": {
			"ood", "--limit", "30", "--ood", "noise:gaussian", "--ood-limit", "20", "--train-limit", "30", "--score", "msp",
			"--threshold-at", "tpr=0.9", "--detector", in("detector"), "--out", in("ood"),
		},
		"tuned.run": {
			"finetune", "--train", "scenes:new-train", "--val", exported(t, in("val"), "new-val", 30), "--limit", "40",
			"--mix", "feature-cutmix", "--epochs", "1", "--bootstrap", "100", "--out", in("tuned.onnx"),
		},
	}
	printed := map[string]string{}
	for name, args := range runs {
		code, out, errs := command(t, append(args, "--quiet", "--format", "json")...)
		if code != exitDone {
			t.Fatalf("%v: %d %s", args, code, errs)
		}
		if got := reported(t, in(name)); got != out {
			t.Errorf("%s: report prints\n%s\nthe run printed\n%s", name, got, out)
		}
		printed[name] = out
	}
	for _, c := range []struct {
		run, options string
		task         map[string]any // of the configuration: what differs from the run's
	}{
		{"classify", "--bins 3", map[string]any{"bins": 3.0}},
		{"classify", "--bootstrap 0 --by size --worst 2", map[string]any{"bootstrap": 0.0, "by": []any{"size"}, "worst": 2.0}},
		{"localize", "--bootstrap 0 --by object --worst 2", map[string]any{"bootstrap": 0.0, "by": []any{"object"}, "worst": 2.0}},
		{"corruption", "--bins 3", map[string]any{"bins": 3.0}},
		{"tuned.run", "--bins 3 --bootstrap 200", map[string]any{"bins": 3.0, "bootstrap": 200.0}},
		{"ood", "--reference energy", map[string]any{"reference": "energy"}},
		{"ood", "--score energy --reference msp", map[string]any{
			"scores": []any{"energy"}, "reference": "msp", "threshold_at": nil, // the threshold is msp's
		}},
		{"ood", "--score msp,energy --grid", map[string]any{"scores": []any{"msp", "energy"}, "grid": true, "threshold_at": nil}},
	} {
		t.Run(c.run+" "+c.options, func(t *testing.T) {
			want := parsed(t, printed[c.run]).Config
			task := want.Task.(map[string]any)
			for k, v := range c.task {
				if task[k] = v; v == nil {
					delete(task, k)
				}
			}
			args := append([]string{"report", in(c.run)}, strings.Fields(c.options)...)
			if d := cmp.Diff(want, reportOf(t, args...).Config); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	for _, name := range []string{"classify", "corruption"} {
		t.Run("numbers of "+name, func(t *testing.T) {
			args := slices.Concat(runs[name], []string{"--out", in(name + "-again"), "--quiet", "--bins", "3"})
			if d := cmp.Diff(reportOf(t, args...), reportOf(t, "report", in(name), "--bins", "3")); d != "" {
				t.Errorf("-a run with --bins 3 +the report: %s", d)
			}
		})
	}
	for _, c := range []struct{ run, options, want string }{
		{"classify", "--score msp --grid", "--score says nothing about a run of classify"},
		{"classify", "--bins 1", "1 bins: at least 2 are needed"},
		{"classify", "--bootstrap 5", "5 bootstrap replicates: at least 100, or 0 for none"},
		{"classify", "--by object", `grouping "object" is not one of class, predicted, size, confidence`},
		{"localize", "--reference msp --bins 3", "--bins says nothing about a run of localize"},
		{"localize", "--by size", `grouping "size" is not one of class, object`},
		{"corruption", "--worst 3 --by class", "--by says nothing about a run of corruption"},
		{"occlusion", "--bins 3", "--bins says nothing about a run of center-occlusion"},
		{"tuned.run", "--grid --worst 3", "--worst says nothing about a run of finetune"},
		{"tuned.run", "--bootstrap 5", "5 bootstrap replicates: at least 100"},
		{"ood", "--seed 1 --bins 3", "--bins says nothing about a run of ood"},
		{"ood", "--reference ash", `the reference "ash" is not one score`},
	} {
		t.Run(c.run+" "+c.options, func(t *testing.T) {
			if got := refused(t, "report "+in(c.run)+" "+c.options); got != c.want {
				t.Errorf("%s, want\n%s", got, c.want)
			}
		})
	}
}

// TestOldRuns: runs from before reports of keyed numbers are read, and evaluations of several
// runs from before studies are refused in one sentence.
func TestOldRuns(t *testing.T) {
	tmp := t.TempDir()
	dir := filepath.Join(tmp, "run")
	code, out, errs := command(t, "classify", "--limit", "30", "--bootstrap", "100", "--quiet", "--format", "json", "--out", dir)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	path := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var manifest map[string]any
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	head := manifest["about"].(map[string]any)["report"].(map[string]any)
	head["schema_version"], head["task"], head["config"], head["metrics"], head["warnings"] = 0, "", nil, nil, nil
	delete(head, "published")
	head["tables"] = []any{map[string]any{
		"name": "published", "title": "published numbers of this model", "columns": []string{"metric", "value", "data", "source"},
		"rows": [][]string{{"top1", "91.60 %", "scenes:test", "models/README.md"}},
	}}
	size := map[string]int{"H": 64, "W": 64}
	head["preprocessing"].(map[string]any)["recipe"] = map[string]any{
		"resize": size, "fit": "shorter", "interpolation": "bilinear", "crop": size, "range": 1,
		"mean": []float64{0.5, 0.5, 0.5}, "std": []float64{0.25, 0.25, 0.25}, "bgr": false, "layout": "NCHW",
	}
	if text, err = json.Marshal(manifest); err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	want, got := parsed(t, out), parsed(t, reported(t, dir))
	want.Published = nil // they were a table
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("an old manifest: -want +got:\n%s", d)
	}
	for task, file := range map[string]string{"ood": "ood.json", "finetune": "report.json"} {
		old := filepath.Join(tmp, task)
		if err := errors.Join(os.Mkdir(old, 0o755), os.WriteFile(filepath.Join(old, file), []byte("{}"), 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"report", old}, {"compare", dir, old}} {
			fails(t, exitFailed, "was written by an earlier version", args...)
		}
	}
	if got := refused(t, "corruption --ood-run "+filepath.Join(tmp, "ood")); !strings.HasPrefix(got, "--ood-run: folder ") || !strings.Contains(got, "earlier version") {
		t.Error(got)
	}
}

func TestCompareCommand(t *testing.T) {
	tmp := t.TempDir()
	dir := func(name string) string { return filepath.Join(tmp, name) }
	for name, args := range map[string][]string{
		"base": {"--model", "scenes-base"}, "cutmix": {"--model", "scenes-cutmix"}, "other": {"--model", "scenes-base", "--mean", "0.3,0.5,0.5"},
		"few": {"--limit", "100"}, "val": {"--data", "scenes:val", "--limit", "100"},
	} {
		if code, _, errs := command(t, append([]string{"classify", "--quiet", "--doctor=false", "--limit", "500", "--bootstrap", "0", "--out", dir(name)}, args...)...); code != exitDone {
			t.Fatalf("%s: %d %s", name, code, errs)
		}
	}
	code, out, errs := command(t, "compare", dir("base"), dir("cutmix"), "--bootstrap", "500")
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	mentions(t, out, "nll: cutmix is worse than base (+0.", "top1: no difference shown between cutmix and base", "n = 500")
	r := reportOf(t, "compare", dir("base"), dir("cutmix"), dir("other"), "--all-pairs", "--bootstrap", "200", "--quiet")
	if len(r.Warnings) == 0 || !strings.Contains(r.Warnings[0], "preprocessing differs") {
		t.Errorf("%q", r.Warnings)
	}
	runs, pairs := map[string]bool{}, map[string]bool{}
	for _, n := range r.Numbers {
		runs[n.At.Get(report.KeyRun)] = true
		pair := n.At.Get(report.KeyPair)
		if pairs[pair] = true; pair == "" {
			continue
		}
		if n.Interval == nil || (n.Name == "ece_difference") != (n.Test == nil) {
			t.Errorf("%+v", n)
		} else if n.Test != nil && n.Test.PAdjusted < n.Test.P {
			t.Errorf("%s: %+v", n.Label(), n.Test)
		}
	}
	wantRuns := map[string]bool{"": true, "base": true, "cutmix": true, "other": true}
	wantPairs := map[string]bool{"": true, "cutmix - base": true, "other - base": true, "other - cutmix": true}
	if d := cmp.Diff(wantRuns, runs) + cmp.Diff(wantPairs, pairs); d != "" {
		t.Error(d)
	}
	code, out, _ = command(t, "compare", dir("base"), dir("few"), "--bootstrap", "100")
	if code != exitDone || !strings.Contains(out, "only the 100 images") {
		t.Errorf("%d %s", code, out)
	}
	code, _, errs = command(t, "compare", dir("base"), dir("val"))
	if code != exitFailed || !strings.Contains(errs, "different images cannot be compared") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, _ := command(t, "compare", dir("base")); code != exitUsage {
		t.Errorf("one run: exit %d", code)
	}
}
