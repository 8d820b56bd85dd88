package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/models"
)

// The models of testdata are made with Debian 12's python3-torch, python3-torchvision and
// python3-onnx.
//go:generate sh -c "cd testdata && python3 make.py && python3 make_heads.py && python3 make_inputs.py"

func TestEmbeddedModels(t *testing.T) {
	for _, name := range models.Names() {
		data, ok := models.Bytes(name)
		if !ok {
			t.Fatal(name)
		}
		m, err := FromBytes(name, data, "")
		if err != nil {
			t.Fatal(err)
		}
		if m.Input != "input" || m.H != 64 || m.W != 64 || m.Layout != imageproc.NCHW || m.Logits != "logits" || m.Classes != 10 || len(m.ClassNames) != 10 {
			t.Errorf("%+v", m)
		}
		r, source, err := m.Recipe(nil)
		if err != nil || !strings.Contains(source, "ONNX metadata") || r.Mean[0] != 0.5 || r.Std[2] != 0.25 || r.Crop.H != 64 {
			t.Errorf("%v from %s: %v", r, source, err)
		}
	}
}

func TestSoftmaxIsFound(t *testing.T) {
	m, err := Open("testdata/softmax.onnx", "")
	if err != nil {
		t.Fatal(err)
	}
	if m.Activation != "Softmax" || m.Logits != "z" || m.Output != "p" || m.Classes != 4 {
		t.Errorf("%+v", m)
	}
	m, err = Open("testdata/nhwc.onnx", "")
	if err != nil {
		t.Fatal(err)
	}
	if m.Layout != imageproc.NHWC || m.H != 8 || m.W != 8 || m.Activation != "" {
		t.Errorf("%+v", m)
	}
	if _, err := Open("testdata/nhwc.onnx", "nope"); err == nil || !strings.Contains(err.Error(), `no output "nope"`) {
		t.Errorf("%v", err)
	}
}

func TestRecipeResolution(t *testing.T) {
	src := golden.Path(t, "models", "resnet20-cifar10.onnx")
	data, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.onnx")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	r, source, err := m.Recipe(nil)
	if err != nil || source != "default" || r.Crop.H != 32 || r.Resize.H != 32 || r.Mean != imageproc.ImageNetMean {
		t.Errorf("%v from %s: %v", r, source, err)
	}
	if r, source, err := m.Recipe([]byte(`"cifar100"`)); err != nil || source != "models.lock, recipe cifar100" || r.Mean[0] != 0.5071 {
		t.Errorf("%v from %s: %v", r, source, err)
	}
	if r, source, err := m.Recipe([]byte(`{"mean": [1,2,3]}`)); err != nil || source != "models.lock" || r.Mean[2] != 3 {
		t.Errorf("%v from %s: %v", r, source, err)
	}
	if _, _, err := m.Recipe([]byte(`"best"`)); err == nil || !strings.Contains(err.Error(), "models.lock") {
		t.Errorf("%v", err)
	}
	beside := strings.TrimSuffix(path, ".onnx") + ".json"
	for _, c := range []struct {
		json, want string
	}{
		{`{"resize":40,"crop":32,"interpolation":"bicubic","mean":[0.1,0.2,0.3],"std":[1,1,1]}`, "resize 40 bicubic, crop 32, RGB 0..1, mean 0.1,0.2,0.3, std 1,1,1, NCHW"},
		{`{"input_size":[3,224,224],"crop_pct":0.95,"interpolation":"bicubic"}`, "resize 235 bicubic, crop 224, RGB 0..1, mean 0.485,0.456,0.406, std 0.229,0.224,0.225, NCHW"},
		{`{"resize":"none","crop":"none","range":"0..255","color":"bgr"}`, "no resize, BGR 0..255, mean 0.485,0.456,0.406, std 0.229,0.224,0.225, NCHW"},
		{ // as a report has it
			`{"resize":[36,36],"fit":"shorter","interpolation":"bilinear","crop":"none","range":"0..1","mean":[0,0,0],"std":[1,1,1],"color":"rgb","layout":"NCHW"}`,
			"resize 36 bilinear, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW",
		},
		{`{"resize":[20,30]}`, "resize squash 20x30 bilinear, crop 32, RGB 0..1, mean 0.485,0.456,0.406, std 0.229,0.224,0.225, NCHW"},
	} {
		if err := os.WriteFile(beside, []byte(c.json), 0o600); err != nil {
			t.Fatal(err)
		}
		r, source, err := m.Recipe(nil)
		if err != nil || source != "file net.json" || r.String() != c.want {
			t.Errorf("%s: %v from %s: %v", c.json, r, source, err)
		}
	}
	for _, bad := range []string{`{"resize":"big"}`, `{"mean":[1,2]}`, `{"std":[0,1,1]}`, `{"range":"1"}`, `{"color":"cmyk"}`, `{"interpolation":"best"}`, `[`, `{"crop":-3}`, `{"resize":8,"layout":"NHWC"}`} {
		if err := os.WriteFile(beside, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Recipe(nil); err == nil || !strings.Contains(err.Error(), "net.json") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := os.WriteFile(beside, []byte(`{"unrelated": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, source, err := m.Recipe(nil); err != nil || source != "default" {
		t.Errorf("a file about something else: %s %v", source, err)
	}
}
