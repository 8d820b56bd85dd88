package ood

import (
	"archive/tar"
	"errors"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/golden"
	"cutmix-eval/metrics"
	"cutmix-eval/runtime/ortest"
)

// extract writes members of a tar to dir, by the names they are known by.
func extract(t *testing.T, archive, dir string, names []string, key func(member string) string) (missing map[string]bool) {
	t.Helper()
	want := map[string]bool{}
	for _, n := range names {
		want[n] = true
	}
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		k := key(h.Name)
		if !want[k] {
			continue
		}
		delete(want, k)
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		p := filepath.Join(dir, filepath.FromSlash(k))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return want
}

// TestPixelsGolden: from JPEG files to numbers, against PyTorch and scikit-learn on the
// same files. (Its training images are not among the files; scores that need them are
// compared from stored features, in TestScoresGolden.)
func TestPixelsGolden(t *testing.T) {
	var sources struct {
		CIFAR map[string][]string `json:"cifar10_jpeg"`
		Tiny  map[string][]string `json:"tiny_imagenet_val"`
	}
	golden.JSON(t, &sources, "golden", "ood", "sources.json")
	var top1 struct {
		Top1 float64 `json:"id_top1_accuracy"`
	}
	golden.JSON(t, &top1, "golden", "ood", "metrics.json")
	dir := t.TempDir()
	whole := func(m string) string { return m }
	for _, name := range []string{"id_test", "id_val"} {
		archive := golden.Path(t, "data", "cifar10-jpeg-test.tar")
		if m := extract(t, archive, filepath.Join(dir, name), sources.CIFAR[name], whole); len(m) > 0 {
			t.Fatalf("%d images are missing", len(m))
		}
	}
	tiny := golden.Path(t, "data", "tiny-imagenet-val.tar")
	missing := extract(t, tiny, filepath.Join(dir, "tiny"), sources.Tiny["ood_near_tiny"], path.Base)
	if len(missing) != 8 { // the archive ends before them
		t.Fatalf("%d images are missing", len(missing))
	}
	var methods struct{ Methods []string }
	golden.JSON(t, &methods, "golden", "ood", "scores.json")
	// The reference's scores, without those of the images that are not in the archive.
	wanted := func(k int, set string) metrics.Separation {
		var v [2][]float64
		for i, name := range []string{"id_test", set} {
			a := golden.NPY(t, "golden", "ood", "scores_"+name+".npy")
			n := a.Shape[1]
			for j, x := range a.F64[k*n : (k+1)*n] {
				if set != "ood_near_tiny" || i == 0 || !missing[sources.Tiny[set][j]] {
					v[i] = append(v[i], x)
				}
			}
		}
		d, err := metrics.Separate(v[0], v[1])
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	m, d := evaluation.DefaultModelConfig(), evaluation.DefaultDataConfig()
	m.Model, d.Path = golden.Path(t, "models", "resnet20-cifar10.onnx"), filepath.Join(dir, "id_test", "test")
	ortest.Load(t)
	model, err := evaluation.OpenClassifier(m, evaluation.DefaultRunning())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(model.Close)
	im, err := model.Images(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	j, err := Open(ctx, model, im, Config{Sources: []Source{
		{Name: "val", Role: Val, Path: filepath.Join(dir, "id_val", "test")},
		{Name: "ood_near_tiny", Group: "near", Role: Out, Path: filepath.Join(dir, "tiny")},
		{Name: "ood_far_uniform", Group: "far", Role: Out, Path: "noise:uniform"},
		{Name: "ood_far_gaussian", Group: "far", Role: Out, Path: "noise:gaussian"},
	}}, evaluation.Store{})
	if err != nil {
		t.Fatal(err)
	}
	res := done(t, j)
	r := reported(t, res)
	if got := r.Find("top1").Value; math.Abs(got-top1.Top1) > 1e-12 || r.Dataset.Bad != 0 {
		t.Errorf("top1 %v, want %v; %d bad", got, top1.Top1, r.Dataset.Bad)
	}
	names := map[string]string{"energy": "energy_T1", "odin_T1000": "odin_eps0_T1000"}
	compared := 0
	for _, f := range res.result.found {
		name := f.name
		if n, ok := names[name]; ok {
			name = n
		}
		k := slices.Index(methods.Methods, name)
		if k < 0 {
			continue
		}
		w := wanted(k, f.out.Name)
		compared++
		// The same files: pixels are equal, logits agree to 1e-5, so a few neighbours in the
		// ranking change places. Noise is drawn anew; 500 images of it have an AUROC with a
		// standard error of up to 0.02, and a range of normal errors over all scores.
		tol := 0.002
		if f.out.Name != "ood_near_tiny" {
			tol = 0.04
		}
		if math.Abs(f.AUROC-w.AUROC) > tol {
			t.Errorf("%s on %s: AUROC %.4f, want %.4f", f.name, f.out.Name, f.AUROC, w.AUROC)
		}
		if f.out.Name == "ood_near_tiny" {
			for _, v := range [][2]float64{
				{f.AUPRIn, w.AUPRIn}, {f.FPRIDPositive.FPR, w.FPRIDPositive.FPR},
				{f.FPROODPositive.FPR, w.FPROODPositive.FPR}, {f.Accuracy, w.Accuracy},
			} {
				if math.Abs(v[0]-v[1]) > 0.005 {
					t.Errorf("%s: %+v, want %+v", f.name, f.Separation, w)
				}
			}
		}
		t.Logf("%s on %s: AUROC %.4f, reference %.4f", f.name, f.out.Name, f.AUROC, w.AUROC)
	}
	if compared != 3*16 {
		t.Errorf("%d were compared", compared)
	}
}
