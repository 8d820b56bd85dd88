package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

// pixelLine is the line about pixels of a short run, or the error.
func pixelLine(t *testing.T, args ...string) string {
	t.Helper()
	_, out, errs := command(t, append([]string{"classify", "--bootstrap", "0", "--quiet"}, args...)...)
	for line := range strings.Lines(out + errs) {
		if strings.HasPrefix(line, "pixels") || strings.HasPrefix(line, "cutmix-eval:") {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "; fingerprint")
			return line
		}
	}
	return out + errs
}

// copied copies a file of the shared folder to path.
func copied(t *testing.T, path string, elem ...string) {
	t.Helper()
	data, err := os.ReadFile(golden.Path(t, elem...))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestResizeCase: HEIGHTxWIDTH is torchvision's Resize((height, width)), equal sides too.
func TestResizeCase(t *testing.T) {
	at := func(name string) string { return golden.Path(t, "cases", "resize-hw", name) }
	data := []string{"--model", at("reader32.onnx"), "--data", at("im"), "--labels", at("l.csv"), "--mean", "0", "--std", "1"}
	for flags, want := range map[string]string{
		"--resize 32x32 --crop none":                "pixels   resize squash 32 bilinear, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW (flags resize, crop, mean, std over default",
		"--resize 32x32":                            "pixels   resize squash 32 bilinear, crop 32, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW (flags resize, mean, std over default",
		"--resize 32":                               "pixels   resize 32 bilinear, crop 32, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW (flags resize, mean, std over default",
		"--resize 32x32 --fit shorter":              "pixels   resize 32 bilinear, crop 32, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW (flags resize, fit, mean, std over default",
		"--resize 32x32 --fit contain --fill 9,8,7": "pixels   resize contain 32 bilinear, crop 32 filled with 9,8,7, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW (flags resize, fit, fill, mean, std over default",
	} {
		if got := pixelLine(t, append(data, strings.Fields(flags)...)...); got != want {
			t.Errorf("%s: %s\nwant %s", flags, got, want)
		}
	}
}

// TestPreprocessingCases: the files of the case beside a model, and named.
func TestPreprocessingCases(t *testing.T) {
	at := func(name string) string { return golden.Path(t, "cases", "preprocessing-json", name) }
	const (
		stats = `"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]`
		half  = "RGB 0..1, mean 0.5,0.5,0.5, std 0.5,0.5,0.5, NCHW"
	)
	for _, c := range []struct{ name, model, json, want string }{
		{"timm's config.json", "reader32.onnx", `{"architecture":"resnet50","num_classes":1000,"pretrained_cfg":{"input_size":[3,32,32],"crop_pct":0.9,"interpolation":"bicubic",` + stats + `}}`,
			"resize 35 bicubic, crop 32, " + half},
		{"an image processor", "reader32.onnx", `{"do_normalize":true,"do_resize":true,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"size":{"height":32,"width":32},"resample":3}`,
			"resize squash 32 bicubic, " + half},
		{"not square", "reader32x48.onnx", `{"input_size":[3,32,48],"crop_pct":0.9,"interpolation":"bicubic",` + stats + `}`, "resize cover 35x53 bilinear, crop 32x48, " + half},
		{"the size of tests", "symbolic.onnx", `{"input_size":[3,24,24],"test_input_size":[3,32,32],"crop_pct":0.95,"test_crop_pct":1.0,"interpolation":"bicubic",` + stats + `}`,
			"resize 32 bicubic, crop 32, " + half},
		{"a misspelt key", "reader32.onnx", `{"means":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}`, `did you mean "mean"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			net, beside, named := filepath.Join(dir, "net.onnx"), filepath.Join(dir, "net.json"), filepath.Join(t.TempDir(), "p.json")
			copied(t, net, "cases", "preprocessing-json", c.model)
			for _, path := range []string{beside, named} {
				if err := os.WriteFile(path, []byte(c.json), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			data := []string{"--model", net, "--data", at("images"), "--labels", at("labels.csv")}
			if got := pixelLine(t, data...); !strings.Contains(got, c.want) || !strings.Contains(got, "net.json") {
				t.Errorf("beside the model: %s\nwant %s", got, c.want)
			}
			if got := pixelLine(t, append(data, "--preprocessing", named)...); !strings.Contains(got, c.want) || !strings.Contains(got, "p.json") {
				t.Errorf("named: %s\nwant %s", got, c.want)
			}
			// What is beside the model does not matter where something else is asked for.
			if got := pixelLine(t, append(data, "--recipe", "cifar10", "--resize", "none", "--crop", "32")...); !strings.Contains(got, "over recipe cifar10") && c.model == "reader32.onnx" {
				t.Errorf("with --recipe: %s", got)
			}
			if got := pixelLine(t, append(data, "--preprocessing", named, "--recipe", "cifar10")...); !strings.Contains(got, "give one of them") {
				t.Errorf("with both: %s", got)
			}
		})
	}
}

// TestHuggingFaceFolder: configs beside the model, above it, and of another model.
func TestHuggingFaceFolder(t *testing.T) {
	const want = "pixels   resize squash 8 bicubic, RGB 0..1, mean 0.5,0.5,0.5, std 0.5,0.5,0.5, NCHW (file "
	images := golden.Path(t, "cases", "hf-folder", "images.tar")
	for name, c := range map[string]struct{ model, file string }{
		"beside": {"model.onnx", "preprocessor_config.json"},
		"above":  {"onnx/model.onnx", "../preprocessor_config.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			model := filepath.Join(dir, filepath.FromSlash(c.model))
			copied(t, model, "cases", "hf-folder", "model.onnx")
			for _, f := range []string{"config.json", "preprocessor_config.json"} {
				copied(t, filepath.Join(dir, f), "cases", "hf-folder", f)
			}
			_, out, errs := command(t, "classify", "--model", model, "--data", images, "--bootstrap", "0", "--quiet")
			if !strings.Contains(out, want+c.file) || !strings.Contains(out, "labels matched by the class names in the model") {
				t.Errorf("%s%s", out, errs)
			}
			config := filepath.Join(dir, "config.json")
			if err := os.WriteFile(config, []byte(`{"id2label":{"0":"a","1":"b","2":"c"},"model_type":"vit"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := pixelLine(t, "--model", model, "--data", images); !strings.Contains(got, "about 3 classes, and the model has 2; give --preprocessing FILE") {
				t.Errorf("of another model: %s", got)
			}
		})
	}
}

// TestReportGivenBack: what a report says of pixels is read again, as it is and as a whole report.
func TestReportGivenBack(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := command(t, "classify", "--limit", "10", "--bootstrap", "0", "--quiet", "--format", "json", "--resize", "70x66", "--fit", "contain",
		"--fill", "3,2,1", "--interpolation", "bicubic", "--mean", "0.25", "--color", "bgr", "--range", "0..255", "--exif")
	if code != 0 {
		t.Fatal(errs)
	}
	file := filepath.Join(dir, "report.json")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	_, again, errs := command(t, "classify", "--limit", "10", "--bootstrap", "0", "--quiet", "--format", "json", "--preprocessing", file)
	if a, b := parsed(t, out).Preprocessing, parsed(t, again).Preprocessing; a.Recipe != b.Recipe || a.Fingerprint != b.Fingerprint || b.Source != "file report.json" {
		t.Errorf("%+v\nis read as %+v\n%s", a, b, errs)
	}
}
