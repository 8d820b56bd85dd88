package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/internal/pin"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/demo"

	"github.com/google/go-cmp/cmp"
)

// The network of testdata is made, and what PyTorch makes of pictures with it is computed,
// with Debian 12's python3-torch, python3-torchvision and python3-pil.
//go:generate sh -c "cd testdata && python3 make.py ../../../../shared/data/imagenet-samples-100.tar"

// command runs one command line in this process.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	ortest.Load(t)
	var o, e bytes.Buffer
	code = run(context.Background(), args, streams{out: &o, err: &e})
	return code, o.String(), e.String()
}

// parsed is a report in JSON, which is all of what a command printed.
func parsed(t *testing.T, out string) *report.Report {
	t.Helper()
	var r report.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	// No two numbers have one name and the same keys: whoever looks one up gets that one.
	for _, n := range r.Numbers {
		if other := r.Find(n.Name, n.At...); other != n {
			t.Errorf("two numbers are %s %v: %v and %v", n.Name, n.At, other.Value, n.Value)
		}
	}
	return &r
}

// reportOf runs a command, which must succeed, and reads its report.
func reportOf(t *testing.T, args ...string) *report.Report {
	t.Helper()
	code, out, errs := command(t, append(args, "--format", "json")...)
	if code != exitDone {
		t.Fatalf("%v: exit code %d: %s", args, code, errs)
	}
	return parsed(t, out)
}

// classifyJSON runs classify, which must end with that exit code, and reads its report.
func classifyJSON(t *testing.T, wantCode int, args ...string) *report.Report {
	t.Helper()
	code, out, errs := command(t, append([]string{"classify", "--format", "json"}, args...)...)
	if code != wantCode {
		t.Fatalf("exit code %d, want %d: %s", code, wantCode, errs)
	}
	return parsed(t, out)
}

// numberOf is a number of a report, which must have it.
func numberOf(t *testing.T, r *report.Report, name string, at ...report.Key) *report.Number {
	t.Helper()
	n := r.Find(name, at...)
	if n == nil {
		t.Fatalf("the report has no %s %v", name, at)
	}
	return n
}

// tableOf is a table of a report, which must have it.
func tableOf(t *testing.T, r *report.Report, name string) report.Table {
	t.Helper()
	for _, s := range r.Sections {
		if table, ok := s.(report.Table); ok && table.Name == name {
			return table
		}
	}
	t.Fatalf("the report has no table %s", name)
	return report.Table{}
}

// checkNumber checks that a number is of this many images, lies from low to high, and in its
// interval.
func checkNumber(t *testing.T, n *report.Number, images int, low, high float64) {
	t.Helper()
	if n.N != images {
		t.Errorf("%s is of %d images, want %d", n.Label(), n.N, images)
	}
	if !(low <= n.Value && n.Value <= high) {
		t.Errorf("%s is %v, want %v to %v", n.Label(), n.Value, low, high)
	}
	if !surrounded(n) {
		t.Errorf("%s is %v, its interval %+v", n.Label(), n.Value, n.Interval)
	}
}

// mentions checks that all of these are in a text.
func mentions(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

// fails runs a command that must end with an exit code and one sentence, which has want in it.
func fails(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	got, out, errs := command(t, args...)
	sentence, rest, _ := strings.Cut(errs, "\n")
	if got != code {
		t.Errorf("%v: exit code %d, want %d: %s", args, got, code, errs)
	}
	if !strings.Contains(sentence, want) || strings.Count(rest, "\n") > 1 {
		t.Errorf("%v: %s, want %q", args, errs, want)
	}
	if out != "" {
		t.Errorf("%v printed %s", args, out)
	}
}

// surrounded says whether a number has an interval that it lies in.
func surrounded(n *report.Number) bool {
	return n.Interval != nil && n.Interval.Low <= n.Value && n.Value <= n.Interval.High
}

// The command without flags: the embedded model on the embedded scenes.
func TestDefault(t *testing.T) {
	r := classifyJSON(t, exitDone)
	// 2000 scenes, ten classes; how good the embedded model is, models/README.md
	// says and TestEmbeddedPair checks. Far from chance is enough here.
	checkNumber(t, numberOf(t, r, "top1"), 2000, 0.7, 0.99)
	if m := numberOf(t, r, "top1").Interval.Method; m != "Wilson" {
		t.Errorf("the interval is %s's", m)
	}
	if r.Dataset.N != 2000 || r.Model.Name != evaluation.DefaultModel || r.Runtime.Device != "cpu" {
		t.Errorf("%+v %+v %+v", r.Dataset, r.Model, r.Runtime)
	}
	if r.Timing == nil || r.Timing.ImagesPerSecond <= 0 {
		t.Errorf("timing %+v", r.Timing)
	}
	classes := 0
	for _, n := range r.Numbers {
		if n.Interval == nil || n.Interval.Level != 0.95 || n.Interval.Low > n.Interval.High {
			t.Errorf("%s: interval %+v", n.Label(), n.Interval)
		}
		if n.At.Get(report.KeyClass) != "" {
			classes++
		}
	}
	if classes != 10 {
		t.Errorf("numbers of %d classes", classes)
	}
	// The same command gives the same numbers, whatever batch, workers, threads.
	// Batches of another size may sum in another order, so logits agree to
	// rounding, not to the bit: counts must be equal, NLL to 1e-6.
	first := classifyJSON(t, exitDone, "--limit", "500", "--bootstrap", "100")
	again := classifyJSON(t, exitDone, "--limit", "500", "--bootstrap", "100")
	if d := cmp.Diff(first.Numbers, again.Numbers); d != "" {
		t.Error(d)
	}
	other := classifyJSON(t, exitDone, "--limit", "500", "--bootstrap", "0", "--batch", "7", "--workers", "3", "--threads", "1")
	if d := cmp.Diff(numberOf(t, first, "top1"), numberOf(t, other, "top1")); d != "" {
		t.Error(d)
	}
	if a, b := numberOf(t, first, "nll"), numberOf(t, other, "nll"); math.Abs(a.Value-b.Value) > 1e-6 {
		t.Errorf("nll %v, with other batches, workers and threads %v", a.Value, b.Value)
	}
}

// classified evaluates a model without a run directory and returns the whole records, too.
func classified(t *testing.T, m evaluation.ModelConfig, d evaluation.DataConfig) (*report.Report, []classify.Record) {
	t.Helper()
	ortest.Load(t)
	ctx := context.Background()
	c, err := evaluation.OpenClassifier(m, evaluation.DefaultRunning())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	im, err := c.Images(d)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	config := classify.DefaultConfig()
	config.Doctor = false
	job, err := classify.Open(ctx, c, im, config, evaluation.Store{})
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	res, err := tasks.Do(ctx, job, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := res.Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var records []classify.Record
	if err := results.Each(ctx, job.Pass.Run, nil, func(rec *classify.Record, _ [][]float32) error {
		records = append(records, *rec)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return r, records
}

// TestImageNetShape runs a 224 model of 1000 outputs over the 100 ImageNet
// samples, by synset and by label file, against PyTorch's predictions.
func TestImageNetShape(t *testing.T) {
	data, err := os.ReadFile("testdata/tiny224.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][3]float64
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	m, d := evaluation.DefaultModelConfig(), evaluation.DefaultDataConfig()
	m.Model, d.Path = "testdata/tiny224.onnx", golden.Path(t, "data", "imagenet-samples-100.tar")
	r, records := classified(t, m, d)
	if len(records) != 100 || r.Dataset.Labels != "by ImageNet synset" || records[99].Label != 990 {
		t.Fatalf("%d records, labels %s, last output %d", len(records), r.Dataset.Labels, records[99].Label)
	}
	for _, rec := range records {
		if w := want[strings.TrimPrefix(rec.ID, "imagenet-samples-100/")]; rec.Status != results.OK || int(rec.Prediction) != int(w[0]) {
			t.Errorf("%s: %d %v, want %v", rec.ID, rec.Prediction, rec.Error, w[0])
		}
	}
	byFile := classifyJSON(t, exitDone, "--model", m.Model, "--doctor=false", "--bootstrap", "0", "--data", d.Path, "--labels", golden.Path(t, "data", "imagenet-samples-100.csv"))
	soft := classifyJSON(t, exitDone, "--model", "testdata/tiny224-softmax.onnx", "--doctor=false", "--bootstrap", "0", "--data", d.Path)
	a, b, s := numberOf(t, r, "nll"), numberOf(t, byFile, "nll"), numberOf(t, soft, "nll")
	if a.Value != b.Value {
		t.Errorf("NLL %v by synset, %v by label file", a.Value, b.Value)
	}
	if soft.Model.Activation != "Softmax" || s.Value != a.Value {
		t.Errorf("NLL %v before the Softmax, %v without one (%q)", s.Value, a.Value, soft.Model.Activation)
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "near chance") {
		t.Errorf("random weights, but no warning: %q", r.Warnings)
	}
}

// TestBadImages: damaged files end in exit code 3, each named, and the numbers
// are those of the rest.
func TestBadImages(t *testing.T) {
	dir := golden.Path(t, "golden", "preprocess", "images")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var labels strings.Builder
	for i, e := range entries {
		labels.WriteString(e.Name() + "," + strconv.Itoa(i%10) + "\n")
	}
	list := filepath.Join(t.TempDir(), "labels.csv")
	if err := os.WriteFile(list, []byte(labels.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--data", dir, "--labels", list}
	r := classifyJSON(t, exitBadImages, args...)
	if r.Dataset.Bad != 11 || r.Dataset.N != 50 || len(r.BadImages) != 11 {
		t.Errorf("%+v, bad images %v", r.Dataset, r.BadImages)
	}
	if n := numberOf(t, r, "top1").N; n != 50 {
		t.Errorf("top1 is of %d images", n)
	}
	for _, b := range r.BadImages {
		if !strings.HasPrefix(b.ID, "bad-") || b.Reason == "" {
			t.Errorf("%+v", b)
		}
	}
	classifyJSON(t, exitDone, append(args, "--allow-bad", "11")...)
	classifyJSON(t, exitBadImages, append(args, "--allow-bad", "10")...)
	code, out, errs := command(t, append([]string{"classify"}, args...)...)
	if code != exitBadImages || !strings.Contains(out, "bad-truncated-half.JPEG: JPEG: file is truncated") || !strings.Contains(errs, "11 of 61") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	code, out, _ = command(t, "datasets", "check", dir)
	if code != exitBadImages || !strings.Contains(out, "bad-png-huge.png") {
		t.Errorf("check: %d %s", code, out)
	}
}

// TestFailures: what cannot be opened ends in one sentence. (Wrong flags: TestRefused.)
func TestFailures(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"classify --model no-such", "models list"},
		{"classify --model main.go", "not an ONNX model"},
		{"classify --data /no/such", "no such file"},
		{"classify --crop 32", "takes 64 x 64"},
		{"classify --data scenes:ood-near", "has no labels"},
		{"classify --output q", `no output "q"`},
		{"classify --device openvino", "openvino did not start"},
		{"classify --ort-lib /no/such", "--ort-lib"},
		{"classify --data-format folders", "--data-format folders says nothing about the embedded scenes"},
	} {
		code, out, errs := command(t, strings.Fields(c.args)...)
		if code != exitFailed || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%s: exit code %d\nstdout %q\nstderr %q, want %q", c.args, code, out, errs, c.want)
		}
		if lines := strings.Count(strings.TrimSpace(errs), "\n"); lines > 1 {
			t.Errorf("%s: %d lines of error: %q", c.args, lines+1, errs)
		}
	}
}

func TestExitCodes(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	for err, want := range map[error]int{
		errors.New("x"): exitFailed, usageError{errors.New("x")}: exitUsage, badImagesError{}: exitBadImages,
		&pin.MismatchError{}: exitNotPinned, checkFailed{}: exitBadImages,
	} {
		if got := exitCode(ctx, err); got != want {
			t.Errorf("%T: %d, want %d", err, got, want)
		}
	}
	cancel()
	if got := exitCode(ctx, context.Canceled); got != exitInterrupted {
		t.Errorf("cancelled: %d", got)
	}
	if got := exitCode(ctx, errors.New("another reason")); got != exitFailed {
		t.Errorf("an error that has nothing to do with it: %d", got)
	}
}

func TestFormats(t *testing.T) {
	for format, want := range map[string][]string{
		"text": {"model     scenes-cutmix", "top1", "%", "most confused", "by class"},
		"md":   {"### classify: scenes-cutmix on scenes:test", "| top1 "},
		"csv":  {"task,model,dataset,class,metric,value,unit,n,low,high", "classify,scenes-cutmix,scenes:test,,top1,"},
	} {
		code, out, errs := command(t, "classify", "--limit", "100", "--format", format)
		if code != exitDone {
			t.Fatal(errs)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s lacks %q:\n%s", format, w, out)
			}
		}
	}
}

// The demo's numbers are those of models/README.md. Other processors may flip a
// prediction or two of 2,000 and change the last digits of the rest.
func TestDemo(t *testing.T) {
	long.Skip(t, "the whole demo takes half a minute")
	r := reportOf(t, "demo")
	if r.Task != "demo" || r.Dataset.N != 2000 {
		t.Fatalf("%s %+v", r.Task, r.Dataset)
	}
	base, cutmix := report.KeyModel.Is(demo.Baseline), report.KeyModel.Is(demo.CutMix)
	for _, c := range []struct {
		name string
		at   report.Keys
		want float64
	}{
		{"top1", report.Keys{base}, 0.9175}, {"nll", report.Keys{base}, 0.276}, {"ece", report.Keys{base}, 0.0250},
		{"top1", report.Keys{cutmix}, 0.9160}, {"nll", report.Keys{cutmix}, 0.405}, {"ece", report.Keys{cutmix}, 0.1501},
	} {
		if n := numberOf(t, r, c.name, c.at...); math.Abs(n.Value-c.want) > 0.002 {
			t.Errorf("%s: %v, want %v", n.Label(), n.Value, c.want)
		}
	}
	pair := report.KeyPair.Is(demo.CutMix + " - " + demo.Baseline)
	differences, floors := 0, 0
	for _, n := range r.Numbers {
		switch {
		case n.At.Get(report.KeyPair) != "":
			if differences++; !strings.HasSuffix(n.Name, "_difference") || n.Interval == nil || n.Note == "" {
				t.Errorf("%+v", n)
			}
		case n.At.Get(report.KeyFloor) != "":
			floors++
		}
	}
	if differences != 16 || floors == 0 {
		t.Errorf("%d differences, %d numbers without a model", differences, floors)
	}
	// On these small models the baseline looks at the object more closely; that is said.
	if n := numberOf(t, r, "top1_difference", pair); !strings.Contains(n.Note, "no difference shown") {
		t.Errorf("%+v", n)
	}
	if n := numberOf(t, r, "nll_difference", pair); n.Note != "the baseline is better" || n.Interval.Low <= 0 {
		t.Errorf("%+v", n)
	}
	if n := numberOf(t, r, "max_box_acc_v2_difference", pair); n.Note != "the baseline is better" || n.Interval.High >= 0 {
		t.Errorf("%+v", n)
	}
	// Heads of ten new classes, far above chance.
	heads := report.Keys{report.KeySet.Is("test"), report.KeyHead.Is("tuned")}
	for _, model := range []report.Key{base, cutmix} {
		if n := numberOf(t, r, "top1", heads.And(model)...); n.N != 2000 || n.Value < 0.55 || n.Value > 0.75 {
			t.Errorf("%+v", n)
		}
	}
}

// demoText checks what a demo prints.
func demoText(t *testing.T, out string, more ...string) {
	t.Helper()
	mentions(t, out, "baseline", "points", "max_box_acc_v2 without a model: centre", "error with the middle hidden", "top1 of new heads")
	mentions(t, out, more...)
}

// TestDemoLimit: the demo on few scenes, as text.
func TestDemoLimit(t *testing.T) {
	if code, _, _ := command(t, "demo", "--bootstrap", "0"); code != exitUsage {
		t.Errorf("no bootstrap: %d", code)
	}
	long.Skip(t, "a demo of few scenes still makes many variants of them")
	code, out, errs := command(t, "demo", "--limit", "60", "--bootstrap", "100")
	if code != exitDone {
		t.Errorf("%d %s", code, errs)
	}
	demoText(t, out, "error under 15 corruptions")
}

// A local model: added, listed, shown, used by name, verified, refused once it
// is another file.
func TestModels(t *testing.T) {
	t.Setenv("ONNXRUNTIME_SHARED_LIBRARY_PATH", ortest.Load(t).Path) // the cache is about to be empty
	t.Setenv(cache.EnvDir, t.TempDir())
	data, err := os.ReadFile("testdata/tiny224.onnx")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "net.onnx")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		args string
		code int
		want string
	}{
		{"models list", exitDone, "convert it yourself"},
		{"models show cutmix-resnet50", exitDone, "78.60 % on ImageNet val"},
		{"models verify scenes-base scenes-cutmix", exitDone, "embedded, as pinned"},
		{"models verify zoo-resnet50", exitFailed, "run: cutmix-eval models fetch zoo-resnet50"},
		{"models verify cutmix-resnet50", exitFailed, "convert it with tools/convert/convert.py"},
		{"models verify nobody", exitFailed, "not in models.lock"},
		{"models verify cutmix-resnet50 zoo-resnet50", exitFailed, "; model"}, // one line
		{"models fetch cutmix-resnet50", exitFailed, "tools/convert/convert.py"},
		{"models fetch nobody", exitFailed, "not in models.lock"},
		{"models add scenes-base " + file, exitFailed, "take another name"},
		{"models add ../x " + file, exitFailed, "the name must be"},
		{"models add mine /no/such.onnx", exitFailed, "no such file"},
		{"models add cutmix-resnet50 " + file, exitDone, "is pinned"},
		{"models show cutmix-resnet50", exitDone, "weight 1000 x 24"},
		{"models show " + file, exitDone, "cutmix, beta 1"}, // by checksum
		{"models list", exitDone, "there"},
		{"models verify", exitDone, "as pinned"},
		{"classify --model cutmix-resnet50 --data ../../imageproc/testdata --labels ../../docs/example-labels.csv --bootstrap 0", exitDone, "models.lock, recipe imagenet"},
		{"models show scenes-cutmix", exitDone, "all methods: cam, gradcam"},
		{"models show " + noOperator(t), exitDone, "none of them works: opening model"},
		{"models show " + noOperator(t), exitDone, "its operator Relu2 is not in opset 13"},
		{"models show ../../model/testdata/heads/no-head.onnx", exitDone, "no classifier head"},
		{"models show ../../model/testdata/heads/squeezenet.onnx", exitDone, "at every place of the map"},
		{"models show ../../model/testdata/heads/mobilenetv3.onnx", exitDone, "Gemm before the head"},
		{"models show ../../model/testdata/heads/mobilenetv3.onnx", exitDone, "eigencam, scorecam, fem\n"},
		{"models show ../../model/testdata/heads/vgg-flatten.onnx", exitDone, "weight for every place of it (Flatten)"},
		{"models show ../../model/testdata/quantized/qop-gemm.onnx", exitDone, "quantised in the file"},
		{"models show ../../model/testdata/quantized/qdq-output.onnx", exitDone, "--output z0"},
	}
	for _, s := range steps {
		code, out, errs := command(t, strings.Fields(s.args)...)
		if code != s.code || !strings.Contains(out+errs, s.want) {
			t.Errorf("%s: %d, want %d and %q\n%s%s", s.args, code, s.code, s.want, out, errs)
		}
	}
	where, err := evaluation.LockFile()
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := os.ReadFile(where)
	if err != nil {
		t.Fatal(err)
	}
	size := fmt.Sprintf(`"size": %d`, len(data))
	if err := os.WriteFile(where, bytes.Replace(pinned, []byte(size), []byte(`"size": 7`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "models", "verify", "cutmix-resnet50"); code != exitNotPinned || !strings.Contains(out, "NOT the pinned file") || !strings.Contains(errs, "pinned is of 7 bytes") {
		t.Errorf("with a wrong size in the lock: %d %s%s", code, out, errs)
	}
	if err := os.WriteFile(where, pinned, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, 0x72, 0x02, 0x0a, 0x00), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"models verify cutmix-resnet50", "classify --model cutmix-resnet50", "models show cutmix-resnet50"} {
		if code, out, errs := command(t, strings.Fields(args)...); code != exitNotPinned {
			t.Errorf("%s with another file: %d %s%s", args, code, out, errs)
		}
	}
}

// Scenes that are written and read back are the scenes: the same numbers.
func TestExport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scenes")
	masks := filepath.Join(t.TempDir(), "masks")
	code, out, errs := command(t, "datasets", "export", "scenes", "--split", "val", "--out", dir, "--masks", masks, "--limit", "200")
	if code != exitDone || !strings.Contains(out, "200 scenes") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	a := classifyJSON(t, exitDone, "--data", dir, "--bootstrap", "0")
	if a.Dataset.N != 200 || !strings.Contains(a.Dataset.Labels, "class names in the model") {
		t.Errorf("%+v", a.Dataset)
	}
	boxes, err := os.ReadFile(filepath.Join(dir, "boxes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if rows := strings.Count(string(boxes), "\n"); rows != 201 {
		t.Errorf("%d rows in boxes.csv", rows)
	}
	if written, err := filepath.Glob(filepath.Join(masks, "*", "*.png")); err != nil || len(written) != 200 {
		t.Errorf("%d masks", len(written))
	}
	if top1 := numberOf(t, a, "top1").Value; top1 < 0.8 {
		t.Errorf("top-1 %v on exported scenes", top1)
	}
	for args, want := range map[string]int{
		"datasets export scenes --out " + dir: exitFailed, // not empty
		"datasets export scenes":              exitUsage,
	} {
		if code, _, errs := command(t, strings.Fields(args)...); code != want {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
}

// A disk that is full is told, not taken for success.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	defer full.Close()
	ortest.Load(t)
	for _, args := range []string{"datasets check scenes:val", "classify --limit 20", "version", "runtime status"} {
		var errs bytes.Buffer
		if code := run(context.Background(), strings.Fields(args), streams{out: full, err: &errs}); code != exitFailed || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%s: exit code %d, %s", args, code, errs.String())
		}
	}
}

func TestSmallCommands(t *testing.T) {
	for args, want := range map[string]string{
		"version": "cutmix-eval ", "runtime status": "in use: ONNX Runtime", "--help": "Exit codes", "classify --help": "--allow-bad",
		"completion bash": "cutmix-eval", "datasets check scenes:val": "1000, 1000 good", "__complete classify --device c": "coreml",
	} {
		if code, out, errs := command(t, strings.Fields(args)...); code != exitDone || !strings.Contains(out, want) {
			t.Errorf("%s: %d %q %q", args, code, out, errs)
		}
	}
}

func TestBench(t *testing.T) {
	ortest.Load(t)
	r := reportOf(t, "bench", "--rounds", "2", "--images", "256")
	positive := func(name string, at ...report.Key) {
		t.Helper()
		if n := numberOf(t, r, name, at...); !(n.Value > 0) || n.Interval == nil || n.N != 256 {
			t.Errorf("%+v", n)
		}
	}
	for _, stage := range []string{"decode", "resize", "model", "end_to_end"} {
		positive("images_per_s", report.KeyStage.Is(stage))
		positive("cpu_ms", report.KeyStage.Is(stage))
	}
	positive("end_to_end_ratio")
	positive("allocations")
	code, out, _ := command(t, "bench", "--rounds", "1", "--images", "128")
	if code != exitDone || !strings.Contains(out, "end to end / model alone") || !strings.Contains(out, "peak memory") {
		t.Errorf("%d %s", code, out)
	}
	if code, _, _ := command(t, "bench", "--rounds", "0"); code != exitUsage {
		t.Errorf("no rounds: exit %d", code)
	}
}

func TestDoctor(t *testing.T) {
	code, out, errs := command(t, "doctor")
	if code != exitDone || !strings.Contains(out, "cpu       starts") || !strings.Contains(out, runtime.Loaded().Path) {
		t.Errorf("%d %s %s", code, out, errs)
	}
	for _, d := range runtime.DeviceNames() {
		if !strings.Contains(out, "\n  "+d) {
			t.Errorf("nothing about %s in %s", d, out)
		}
	}
}

// TestInterrupt sends Ctrl-C to a real process when it has the first records: it must end
// soon, with exit code 130, a line that says so, and nothing left behind.
func TestInterrupt(t *testing.T) {
	tmp := t.TempDir()
	cmd := program(t, "classify", "--data", "scenes:train", "--bootstrap", "5000")
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForPart(t, filepath.Join(tmp, "cutmix-eval-*"), 0, &stderr)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if stdout.Len() > 0 || !strings.Contains(stderr.String(), "interrupted") || strings.Contains(stderr.String(), "goroutine") {
		t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "cutmix-eval-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
	t.Logf("ended %v after the signal", time.Since(start))
}

// noOperator is a file of a model with a head, and with an operator that does not exist.
func noOperator(t *testing.T) string {
	t.Helper()
	m := onnxtest.Model()
	m.Graph.Inputs = []onnx.Value{onnx.NewValue("image", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, 8, 8)...)}
	m.Graph.Outputs = []onnx.Value{onnx.NewValue("scores", onnx.Float32).WithDims(onnxtest.Axes(-1, 10)...)}
	m.Graph.Nodes = []onnx.Node{
		onnx.NewNode("Relu2", "", []string{"image"}, []string{"r"}), onnx.NewNode("GlobalAveragePool", "", []string{"r"}, []string{"p"}),
		onnx.NewNode("Flatten", "", []string{"p"}, []string{"f"}), onnx.NewNode("Gemm", "", []string{"f", "w"}, []string{"scores"}, onnx.IntAttr("transB", 1)),
	}
	m.Graph.Initializers = []onnx.Tensor{onnx.NewTensor("w", onnx.Float32, []int64{10, 3}, make([]byte, 120))}
	path := filepath.Join(t.TempDir(), "net.onnx")
	if err := os.WriteFile(path, m.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
