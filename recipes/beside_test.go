package recipes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// files are written below a new folder, whose path is returned.
func files(t *testing.T, of map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range of {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const (
	vit     = `{"size":{"height":32,"width":32},"resample":3,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}`
	timm    = `{"architecture":"r","num_classes":2,"pretrained_cfg":{"input_size":[3,32,32],"crop_pct":1,"num_classes":1000}}`
	dogs    = `{"id2label":{"0":"dog","1":"cat"},"model_type":"vit"}`
	threeOf = `{"id2label":{"0":"a","1":"b","2":"c"},"model_type":"vit"}`
)

func TestFolder(t *testing.T) {
	asViT, asTimm := "resize squash 32 bicubic, RGB 0..1, "+halves, "resize 32 bicubic, crop 32, RGB 0..1, "+imageNet
	for name, c := range map[string]struct {
		files      map[string]string
		model      string
		want, file string // of the recipe; an error that has these words after "!"
		names      []string
	}{
		"transformers":           {map[string]string{"preprocessor_config.json": vit, "config.json": dogs}, "m.onnx", asViT, "preprocessor_config.json", []string{"dog", "cat"}},
		"in onnx/":               {map[string]string{"preprocessor_config.json": vit, "config.json": dogs}, "onnx/m.onnx", asViT, "../preprocessor_config.json", []string{"dog", "cat"}},
		"in another folder":      {map[string]string{"preprocessor_config.json": vit, "config.json": dogs}, "weights/m.onnx", "", "", nil},
		"its own in onnx/":       {map[string]string{"preprocessor_config.json": vit, "onnx/config.json": timm}, "onnx/m.onnx", asTimm, "config.json", nil},
		"timm":                   {map[string]string{"config.json": timm}, "m.onnx", asTimm, "config.json", nil},
		"both":                   {map[string]string{"config.json": timm, "preprocessor_config.json": vit}, "m.onnx", asViT, "preprocessor_config.json", nil},
		"the type by the config": {map[string]string{"config.json": `{"model_type":"levit"}`, "preprocessor_config.json": `{"size":28,"crop_size":32,"resample":3,"do_normalize":false}`}, "m.onnx", "resize 32 bicubic, crop 32, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW", "preprocessor_config.json", nil},
		"names only":             {map[string]string{"config.json": dogs}, "m.onnx", "", "", []string{"dog", "cat"}},
		"of another model":       {map[string]string{"config.json": strings.Replace(timm, `"num_classes":2`, `"num_classes":10`, 1)}, "m.onnx", `!"config.json" says it is about 10 classes, and the model has 2; give --preprocessing FILE or --recipe NAME`, "", nil},
		"of another model, both": {map[string]string{"preprocessor_config.json": vit, "config.json": threeOf}, "m.onnx", `!"config.json" says it is about 3 classes`, "", nil},
		"broken":                 {map[string]string{"preprocessor_config.json": "{"}, "m.onnx", `!preprocessor_config.json": it is not JSON`, "", nil},
		"something else":         {map[string]string{"config.json": `{"means":3,"listen":"0.0.0.0"}`}, "m.onnx", "", "", nil},
		"none":                   {nil, "m.onnx", "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := of(32)
			in.Classes = 2
			b, err := Folder(filepath.Join(files(t, c.files), filepath.FromSlash(c.model)), in)
			if words, refused := strings.CutPrefix(c.want, "!"); refused {
				if err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("%+v, %v; want an error with %q", b, err, words)
				}
				return
			}
			got := ""
			if b.Recipe != nil {
				got = b.Recipe.String()
			}
			if err != nil || got != c.want || b.File != c.file || !cmp.Equal(b.Classes, c.names) {
				t.Errorf("%q of %q, classes %q, %v\nwant %q of %q, classes %q", got, b.File, b.Classes, err, c.want, c.file, c.names)
			}
		})
	}
}

func TestDoubt(t *testing.T) {
	in := of(32)
	in.Classes = 2
	const want = "config.json beside it is of another model: it is about 3 classes, and the model has 2"
	b, err := Folder(filepath.Join(files(t, map[string]string{"config.json": threeOf}), "m.onnx"), in)
	if err != nil || b.Doubt != want || b.Classes != nil || b.Recipe != nil {
		t.Errorf("%+v, %v; want %q", b, err, want)
	}
}

// One output for two classes is a binary classifier.
func TestBinary(t *testing.T) {
	in := of(32)
	in.Classes = 1
	b, err := Folder(filepath.Join(files(t, map[string]string{"preprocessor_config.json": vit, "config.json": dogs}), "m.onnx"), in)
	if err != nil || b.Recipe == nil {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestOwnFile(t *testing.T) {
	root := files(t, map[string]string{"a.json": `["x","y"]`, "a.onnx.json": vit, "b.json": `{"meen":[0,0,0]}`, "c.json": dogs})
	b, err := OwnFile(filepath.Join(root, "a.onnx"), of(32))
	if err != nil || b.File != "a.onnx.json" || b.Recipe == nil {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := OwnFile(filepath.Join(root, "b.onnx"), of(32)); err == nil || !strings.Contains(err.Error(), `b.json": key "meen"`) {
		t.Errorf("%v", err)
	}
	if b, err := OwnFile(filepath.Join(root, "c.onnx"), of(32)); err != nil || b.File != "" || !cmp.Equal(b.Classes, []string{"dog", "cat"}) {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestFile(t *testing.T) {
	root := files(t, map[string]string{"p.json": vit, "config.json": dogs, "words.json": `{"a":1}`, "broken": "x"})
	if f, err := File(filepath.Join(root, "p.json"), of(32)); err != nil || f.Recipe == nil {
		t.Errorf("%+v, %v", f, err)
	}
	for name, words := range map[string]string{
		"words.json": "it says nothing of pixels", "config.json": "it says nothing of pixels", "broken": "it is not JSON",
		"none.json": "no such file", ".": "it is a folder",
	} {
		if _, err := File(filepath.Join(root, name), of(32)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", name, err, words)
		}
	}
}
