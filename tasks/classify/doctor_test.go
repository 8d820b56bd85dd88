package classify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/internal/golden"
	"cutmix-eval/results"
)

const better = "other pixels fit the model better"

// advised evaluates, and says what is told of other pixels (by the report, and beside it) and how often the model ran
// to find out.
func advised(t *testing.T, m evaluation.ModelConfig, d evaluation.DataConfig, s evaluation.Store) (told, beside string, images int) {
	t.Helper()
	c := DefaultConfig()
	c.Trying = func(n int) { images = n }
	r, beside := evaluated(t, m, d, evaluation.DefaultRunning(), c, s)
	if r != nil {
		for _, w := range r.Warnings {
			if strings.Contains(w, better) {
				told = w
			}
		}
	}
	return told, beside, images
}

// What is told says what was tried, on how many images, how the test came out, and the flags.
func TestTellsOfPixels(t *testing.T) {
	cifar := []string{"data", "cifar10-jpeg-test.tar"}
	none, one := [3]float32{}, [3]float32{1, 1, 1}
	half, top := [3]float32{.5, .5, .5}, 255
	for _, c := range []struct {
		name, model string
		changes     evaluation.Changes
		want        []string // nil: nothing is told
	}{
		{"BGR", "omz_samplenet_cifar10", evaltest.Scaled(255, [3]float32{125.307, 122.961, 113.8575}, [3]float32{51.5865, 50.847, 51.255}),
			[]string{"BGR, the best of ", " ways that were tried on up to 100 images, gets ", " images that had no part in the choice (", "McNemar's exact test: p = ",
				"--color bgr --range 0..255 --mean 113.8575,122.961,125.307 --std 51.255,50.847,51.5865"}},
		{"0..255", "winml_cifar10_imageclassifier", evaluation.Changes{Range: &top}, []string{"--color rgb --range 0..1"}},
		{"right", "winml_cifar10_imageclassifier", evaltest.Scaled(1, half, half), nil},
		{"nearly right", "vit_cifar10_pgd_2_3_16", evaluation.Changes{}, nil},
		{"raw", "tinycnn_fp32", evaltest.Scaled(255, none, one), []string{"--color rgb --range 0..1 --mean 0.485,0.456,0.406"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, d := evaltest.Shared(t, []string{"models", "real", c.model + ".onnx"}, cifar, c.changes)
			d.Limit = 1000
			told, beside, images := advised(t, m, d, evaluation.Store{})
			if (told != "") != (c.want != nil) || beside != "" || images == 0 {
				t.Errorf("%d image runs, told: %q, beside the report: %q", images, told, beside)
			}
			for _, w := range c.want {
				if !strings.Contains(told, w) {
					t.Errorf("%q does not say %q", told, w)
				}
			}
		})
	}
	// It may be left out.
	c := DefaultConfig()
	c.Doctor, c.Trying = false, func(int) { t.Error("the doctor was asked") }
	m, d := evaluation.DefaultModelConfig(), evaluation.DefaultDataConfig()
	m.Changes, d.Limit = evaluation.Changes{Range: &top}, 100
	evaluated(t, m, d, evaluation.DefaultRunning(), c, evaluation.Store{})
}

// beside is a folder with a real model and a file beside it that says how its pixels are made.
func beside(t *testing.T, says string) evaluation.ModelConfig {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile(golden.Path(t, "models", "real", "gtsrb_3_48_48_qconv.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"net.onnx": data, "net.json": []byte(says)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return evaluation.ModelConfig{Model: filepath.Join(dir, "net.onnx")}
}

// Where the model's file, a file beside it or models.lock says how its pixels are made and the accuracy is
// plausible, no image is tried with others. Where it is not, that is doubted after the run; what is only
// assumed is doubted before.
func TestWhenTheDoctorIsAsked(t *testing.T) {
	signs, scenes := evaluation.DefaultDataConfig(), evaluation.DefaultDataConfig()
	signs.Path, signs.Split = golden.Path(t, "data", "real", "gtsrb-test860.tar"), "test"
	scenes.Limit = 200
	right, wrong := `{"range": "0..255", "mean": [0, 0, 0], "std": [1, 1, 1]}`, `{"range": "0..1", "mean": [0, 0, 0], "std": [1, 1, 1]}`
	rgb := evaluation.RGB
	// Hugging Face's files beside the model; of few images of two classes half are right, which is no accuracy to
	// doubt by.
	folder, faces := evaltest.Shared(t, []string{"cases", "hf-folder", "model.onnx"}, []string{"cases", "hf-folder", "images.tar"}, evaluation.Changes{})
	for _, c := range []struct {
		name  string
		model evaluation.ModelConfig
		data  evaluation.DataConfig
		asked bool
	}{
		{"models.lock", evaluation.DefaultModelConfig(), scenes, false},
		{"models.lock, flags over it", evaluation.ModelConfig{Model: evaluation.DefaultModel, Changes: evaluation.Changes{Color: &rgb}}, scenes, true},
		{"a file beside it", beside(t, right), signs, false},
		{"a wrong file beside it", beside(t, wrong), signs, true},
		{"Hugging Face's files", folder, faces, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, images := advised(t, c.model, c.data, evaluation.Store{}); (images > 0) != c.asked {
				t.Errorf("%d image runs", images)
			}
		})
	}
}

// A file beside the model says wrong pixels. What comes out of the run doubts it: in the report, or beside a report
// that is computed from records that are kept.
func TestDoctorAfterRun(t *testing.T) {
	m, d := beside(t, `{"range": "0..1", "mean": [0, 0, 0], "std": [1, 1, 1]}`), evaluation.DefaultDataConfig()
	d.Path, d.Split = golden.Path(t, "data", "real", "gtsrb-test860.tar"), "test"
	const flags = "--range 0..255 --mean 0,0,0 --std 1,1,1"
	if told, beside, _ := advised(t, m, d, evaluation.Store{}); !strings.Contains(told, flags) || beside != "" {
		t.Errorf("%q, beside the report %q", told, beside)
	}
	s := evaluation.Store{Dir: filepath.Join(t.TempDir(), "run")}
	if told, beside, _ := advised(t, m, d, s); told != "" || !strings.Contains(beside, flags) {
		t.Errorf("kept: %q, beside the report %q", told, beside)
	}
	// Nothing is run again.
	if told, beside, images := advised(t, m, d, s); told != "" || beside != "" || images != 0 {
		t.Errorf("again: %d image runs: %q, beside the report %q", images, told, beside)
	}
}

// What the doctor says is kept with a run: that of shards, in one folder or several, and one that goes on
// report what a run reports that was left alone.
func TestDoctorIsKept(t *testing.T) {
	bgr, top := evaluation.BGR, 255
	m, d := evaluation.DefaultModelConfig(), evaluation.DefaultDataConfig()
	m.Changes, d.Limit = evaluation.Changes{Color: &bgr, Range: &top}, 400
	tmp := t.TempDir()
	in := func(name string) evaluation.Store { return evaluation.Store{Dir: filepath.Join(tmp, name)} }
	told, _, first := advised(t, m, d, in("whole"))
	if told == "" {
		t.Fatal("nothing is told")
	}
	want := inJSON(t, kept(t, in("whole").Dir))
	if !strings.Contains(want, better) {
		t.Fatal(want)
	}
	for i := range 2 {
		for name, runs := range map[string]int{"one": first * (1 - i), []string{"0", "1"}[i]: first} {
			s := in(name)
			s.Shard = results.Shard{I: i, N: 2}
			if _, _, images := advised(t, m, d, s); images != runs {
				t.Errorf("shard %d in %s: %d image runs, want %d", i, name, images, runs)
			}
		}
	}
	if got := inJSON(t, kept(t, in("one").Dir)); got != want {
		t.Errorf("shards in one folder report\n%s\nthe whole run\n%s", got, want)
	}
	if got := inJSON(t, kept(t, in("0").Dir, in("1").Dir)); got != want {
		t.Error("shards in folders of their own have another report")
	}
	// It goes on with more images.
	d.Limit = 450
	if again, _, images := advised(t, m, d, in("whole")); again != told || images != 0 {
		t.Errorf("%d image runs, %q", images, again)
	}
}
