package evaluation

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/onnx/onnxtest"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/pipeline"
	"cutmix-eval/runtime/ortest"
)

// open opens a classifier and five images of the embedded scenes.
func open(t *testing.T, edit func(*ModelConfig)) (*Classifier, *Images, error) {
	t.Helper()
	ortest.Load(t)
	c := DefaultModelConfig()
	edit(&c)
	m, err := OpenClassifier(c, DefaultRunning())
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(m.Close)
	d := DefaultDataConfig()
	d.Limit = 5
	im, err := m.Images(d)
	if err == nil {
		t.Cleanup(func() { im.Close() })
	}
	return m, im, err
}

// A fixed batch is opened where that is sound, and every image gets the result
// it gets one by one.
func TestFixedBatch(t *testing.T) {
	for name, want := range map[string]struct {
		fixed int
		say   string
	}{
		"resnet":        {0, ""},
		"resnet-fixed":  {0, "fixed at 2 by the file, opened"},
		"fixed-reshape": {0, "fixed at 1 by the file, opened"},
		"fixed-stuck":   {1, "it cannot be opened"},
		"open-stuck":    {1, "fixed at 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c, im, err := open(t, func(c *ModelConfig) { c.Model = "../model/testdata/heads/" + name + ".onnx" })
			if err != nil {
				t.Fatal(err)
			}
			e, err := c.Engine(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			said := e.Runtime().FixedBatch
			if e.Fixed() != want.fixed {
				t.Errorf("fixed at %d, not %d", e.Fixed(), want.fixed)
			}
			if !strings.Contains(said, want.say) || (want.say == "") != (said == "") {
				t.Errorf("it says %q, not %q", said, want.say)
			}
			n := 0
			_, err = pipeline.Run(context.Background(), c.Pipeline(e, im, im.Selected(), nil), func(r pipeline.Result) error {
				n++
				return r.Err
			})
			if err != nil || n != 5 {
				t.Errorf("%d results, %v", n, err)
			}
		})
	}
}

// A batch that is fixed in the file is opened of an edited model too, and what the edit
// changed enters the key of runs; that of the model as it is holds no edits.
func TestFixedBatchOfEditedModel(t *testing.T) {
	ortest.Load(t)
	c, err := OpenClassifier(ModelConfig{Model: "../model/testdata/heads/resnet-fixed.onnx"}, DefaultRunning())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	key := func(m *model.Model) string {
		text, err := json.Marshal(ModelKey(m))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(text), m.SHA256, "SUM")
	}
	if got, want := key(c.Model), `{"sha256":"SUM","output":"`+c.Model.Logits+`"}`; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	m, err := c.Model.Enlarge(1)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := key(m), `{"sha256":"SUM","edits":"enlarge 1","output":"`+m.Logits+`"}`; got != want {
		t.Errorf("key of the enlarged model %s, want %s", got, want)
	}
	edited := c.Edited(m)
	defer edited.Close()
	e, err := edited.Engine(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if said := e.Runtime().FixedBatch; e.Fixed() != 0 || !strings.HasPrefix(said, "fixed at 2 by the file, opened") {
		t.Errorf("fixed at %d, %q", e.Fixed(), said)
	}
}

// Flags go over models.lock, that over a JSON file, that over metadata.
func TestRecipeOrder(t *testing.T) {
	t.Setenv(cache.EnvDir, t.TempDir())
	t.Chdir(t.TempDir())
	data, err := os.ReadFile(repo(t, "models/scenes-base.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, 0x72, 0x06, 0x0a, 0x01, 'x', 0x12, 0x01, 'y') // one more metadata property: another checksum
	path := filepath.Join(t.TempDir(), "net.onnx")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	source := func(name string, edit func(*ModelConfig)) (string, float32) {
		c := DefaultModelConfig()
		edit(&c)
		m, e, err := OpenModel(name, "")
		if err != nil {
			t.Fatal(err)
		}
		r, source, err := c.recipe(m, e)
		if err != nil {
			t.Fatal(err)
		}
		return source, r.Mean[0]
	}
	plain := func(*ModelConfig) {}
	if s, mean := source(path, plain); s != "ONNX metadata" || mean != 0.5 {
		t.Errorf("%s %v", s, mean)
	}
	if err := os.WriteFile(strings.TrimSuffix(path, ".onnx")+".json", []byte(`{"mean":[0.1,0.1,0.1]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, mean := source(path, plain); s != "file net.json" || mean != 0.1 {
		t.Errorf("%s %v", s, mean)
	}
	m, _, err := OpenModel(path, "")
	if err != nil {
		t.Fatal(err)
	}
	users := &lock.Lock{}
	if err := users.Put(lock.Entry{Name: "mine", Kind: lock.Local, File: path, SHA256: m.SHA256, Size: m.Size, Recipe: []byte(`{"mean":[0.2,0.2,0.2]}`)}); err != nil {
		t.Fatal(err)
	}
	file, err := LockFile()
	if err != nil {
		t.Fatal(err)
	}
	if err := users.Write(file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mine", path} { // by name, and by checksum
		if s, mean := source(name, plain); s != "models.lock" || mean != 0.2 {
			t.Errorf("%s: %s %v", name, s, mean)
		}
	}
	if s, mean := source("mine", func(c *ModelConfig) { c.Recipe = "cifar10" }); s != "recipe cifar10" || mean != 0.4914 {
		t.Errorf("%s %v", s, mean)
	}
	mean := [3]float32{0.3, 0.3, 0.3}
	if s, m := source("mine", func(c *ModelConfig) { c.Changes.Mean = &mean }); s != "flags mean over models.lock" || m != 0.3 {
		t.Errorf("%s %v", s, m)
	}
	// A file that is not what was pinned is refused.
	if err := os.WriteFile(path, append(data, 0x72, 0x02, 0x0a, 0x00), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenModel("mine", ""); err == nil || !strings.Contains(err.Error(), "not the pinned file") {
		t.Errorf("%v", err)
	}
}

// repo is a path in the repository, absolute.
func repo(t *testing.T, rel string) string {
	t.Helper()
	// t.Chdir sets PWD; the test's own folder is what it was started in.
	return filepath.Join(start, "..", rel)
}

var start = func() string {
	d, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return d
}()

func TestOpenModelErrors(t *testing.T) {
	t.Setenv(cache.EnvDir, t.TempDir())
	for name, want := range map[string]string{
		"cutmix-resnet50": "tools/convert/convert.py --arch resnet50",
		"zoo-resnet18":    "models fetch zoo-resnet18",
		"nothing":         "models list",
	} {
		if _, _, err := OpenModel(name, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without a crop the size of images is the model's; where that leaves it open too, it has to
// be given.
func TestSizeIsNeeded(t *testing.T) {
	t.Setenv(cache.EnvDir, t.TempDir())
	m := onnxtest.Model()
	g := &m.Graph
	g.Inputs = []onnx.Value{onnx.NewValue("x", onnx.Float32).WithDims(onnxtest.Axes(-1, 3, -1, -1)...)}
	g.Nodes = []onnx.Node{onnx.NewNode("GlobalAveragePool", "pool", []string{"x"}, []string{"p"}), onnx.NewNode("Flatten", "flat", []string{"p"}, []string{"y"})}
	g.Outputs = []onnx.Value{onnx.NewValue("y", onnx.Float32).WithDims(onnxtest.Axes(-1, 3)...)}
	any := filepath.Join(t.TempDir(), "any-size.onnx")
	if err := os.WriteFile(any, m.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	none, eight := imageproc.Size{}, imageproc.Size{H: 8, W: 9}
	for name, c := range map[string]struct {
		model ModelConfig
		size  imageproc.Size
		want  string
	}{
		"the model's":  {ModelConfig{Model: "scenes-cutmix", Changes: Changes{Crop: &none, Resize: &none}}, imageproc.Size{H: 64, W: 64}, ""},
		"a crop":       {ModelConfig{Model: any, Changes: Changes{Crop: &eight, Resize: &none}}, eight, ""},
		"nothing says": {ModelConfig{Model: any, Changes: Changes{Crop: &none, Resize: &none}}, none, "fixes the image size; give --crop"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := OpenClassifier(c.model, DefaultRunning())
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Size(); got != c.size {
				t.Errorf("the size is %v, not %v", got, c.size)
			}
		})
	}
}
