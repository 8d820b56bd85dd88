// Package convert holds the converter of PyTorch checkpoints; this test runs it.
package convert

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/model"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// checkpoint makes one as the CutMix authors' training script saves it, with
// random weights: DataParallel's keys, and other things beside the weights. It
// also writes what the network answers to a ramp of pixels.
const checkpoint = `
import json, sys, torch, torchvision
torch.manual_seed(1)
net = torchvision.models.resnet18(num_classes=12)
for m in net.modules():
    if isinstance(m, torch.nn.BatchNorm2d):
        m.running_mean.normal_(std=0.1); m.running_var.uniform_(0.5, 2); m.weight.data.uniform_(0.5, 1.5)
net.eval()
torch.save({"epoch": 300, "arch": "resnet", "best_err1": 21.4, "state_dict": {"module." + k: v for k, v in net.state_dict().items()}}, sys.argv[1])
n = 3 * 64 * 64
x = (torch.arange(2 * n).reshape(2, 3, 64, 64) % 97 - 48) / 24.0
with torch.no_grad():
    json.dump(net(x).tolist(), open(sys.argv[2], "w"))
`

func python(t *testing.T) string {
	t.Helper()
	const debian = "/usr/bin/python3" // has python3-torch, python3-torchvision and python3-onnx as packages
	if err := exec.Command(debian, "-c", "import torch, torchvision, onnx").Run(); err == nil {
		return debian
	}
	if os.Getenv("CUTMIX_EVAL_NEED_TORCH") != "" {
		t.Fatal("the converter must be tested here, but torch, torchvision and onnx are missing")
	}
	t.Skip("the converter needs Python with torch, torchvision and onnx")
	return ""
}

func TestConvert(t *testing.T) {
	py := python(t)
	ortest.Load(t)
	dir := t.TempDir()
	ckpt, answers, out := filepath.Join(dir, "model_best.pth.tar"), filepath.Join(dir, "answers.json"), filepath.Join(dir, "net.onnx")
	if msg, err := exec.Command(py, "-W", "ignore", "-c", checkpoint, ckpt, answers).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	msg, err := exec.Command(py, "-W", "ignore", "convert.py", "--arch", "resnet18", "--checkpoint", ckpt, "--out", out, "--size", "64").CombinedOutput()
	if err != nil || !strings.Contains(string(msg), "12 classes") {
		t.Fatalf("%v: %s", err, msg)
	}
	m, err := model.Open(out, "")
	if err != nil {
		t.Fatal(err)
	}
	r, source, err := m.Recipe(nil)
	if err != nil || source != "ONNX metadata" || r.Crop.H != 64 || r.Resize.H != 73 {
		t.Errorf("%v from %s: %v", r, source, err)
	}
	if h, err := m.Head(); err != nil || h.Features != 512 || h.Classes != 12 || !h.Direct {
		t.Errorf("%+v %v", h, err)
	}
	s, err := runtime.Open(context.Background(), runtime.Source{Name: out, Model: m.File()}, runtime.Options{
		Device: runtime.CPU, Inputs: []runtime.Input{{Shape: []int64{3, 64, 64}}}, Outputs: []string{m.Logits},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := s.NewBatch(2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	at := 0
	for i := range 2 {
		for j := range b.Input(0, i) {
			b.Input(0, i)[j] = float32(at%97-48) / 24
			at++
		}
	}
	if err := b.Run(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	var want [][]float64
	data, err := os.ReadFile(answers)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		for k, w := range want[i] {
			// Folding batch norm and other orders of summation: some 1e-5 of the largest logit.
			if got := float64(b.Output(0, i)[k]); math.Abs(got-w) > 1e-4*max(1, math.Abs(w)) {
				t.Errorf("image %d class %d: %v, PyTorch %v", i, k, got, w)
			}
		}
	}
	// A checkpoint of another network is refused, not half loaded.
	msg, err = exec.Command(py, "-W", "ignore", "convert.py", "--arch", "resnet34", "--checkpoint", ckpt, "--out", out).CombinedOutput()
	if err == nil || !strings.Contains(string(msg), "does not fit resnet34") {
		t.Errorf("%v: %s", err, msg)
	}
}
