package corruption

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
	"cutmix-eval/runtime/ortest"
)

// classifier is a model on ONNX Runtime.
func classifier(t *testing.T, c evaluation.ModelConfig) *evaluation.Classifier {
	t.Helper()
	ortest.Load(t)
	out, err := evaluation.OpenClassifier(c, evaluation.DefaultRunning())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Close)
	return out
}

// cifar makes CIFAR-10's test images, as their pixels were decoded for the reference, a
// CIFAR-C folder: five copies of them, called by the name of a corruption.
func cifar(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	images, err := os.ReadFile(golden.Path(t, "golden", "corruptions", "end-to-end-cifar-images.npy"))
	if err != nil {
		t.Fatal(err)
	}
	labels := golden.NPY(t, "golden", "corruptions", "end-to-end-cifar-labels.npy")
	pix := images[len(images)-1000*3072:]
	for i, l := range labels.Ints() {
		class := filepath.Join(dir, string(rune('0'+l)))
		savePNG(t, filepath.Join(class, fmt.Sprintf("%04d.png", i)), pix[i*3072:(i+1)*3072], 32, 32)
	}
	return dir
}

// TestEndToEndGolden: a ResNet-20 under all 95 variants of 1,000 CIFAR images, or under five,
// against PyTorch and the reference's functions.
func TestEndToEndGolden(t *testing.T) {
	var want struct {
		Clean       struct{ Wrong int }
		Corruptions map[string]map[string]map[string]json.RawMessage
		Mean15      float64 `json:"mean_error_15"`
		Mean19      float64 `json:"mean_error_19"`
	}
	golden.JSON(t, &want, "golden", "corruptions", "end-to-end-cifar.json")
	s := setting{data: evaluation.DataConfig{Path: cifar(t), Format: datasets.Auto}, config: DefaultConfig()}
	s.config.Frost = golden.Path(t, "data", "frost")
	variants := long.Or(95, 5) // 96,000 images take a minute
	if variants == 5 {
		s.config.Corruptions = []corrupt.Name{
			corrupt.GaussianNoise, corrupt.DefocusBlur, corrupt.Contrast, corrupt.Pixelate, corrupt.JPEGCompression,
		}
		s.config.Severities = []int{3}
	}
	r, g := s.run(t, classifier(t, evaluation.ModelConfig{Model: golden.Path(t, "models", "resnet20-cifar10.onnx")}))
	errors := func(k int) (n int) {
		for _, o := range g.outcomes[k] {
			if o.wrong {
				n++
			}
		}
		return n
	}
	if n := errors(0); n != want.Clean.Wrong {
		t.Errorf("%d clean images are wrong, want %d", n, want.Clean.Wrong)
	}
	type run struct {
		Wrong  int
		Wilson [2]float64 `json:"wilson95"`
	}
	inside, exact, compared := 0, 0, 0
	for k, v := range g.about.Variants[1:] {
		raw := want.Corruptions[v.Name][fmt.Sprint(v.Level)]
		var runs []run
		for _, key := range []string{"seed1", "seed2"} {
			var x run
			if json.Unmarshal(raw[key], &x) == nil && x.Wilson[1] > 0 {
				runs = append(runs, x)
			}
		}
		if len(runs) == 0 { // deterministic: one entry, under another key or none
			text, _ := json.Marshal(raw)
			var x run
			if err := json.Unmarshal(text, &x); err != nil || x.Wilson[1] == 0 {
				for _, one := range raw {
					if json.Unmarshal(one, &x) == nil && x.Wilson[1] > 0 {
						break
					}
				}
			}
			runs = append(runs, x)
		}
		n := errors(k + 1)
		compared++
		in := false
		for _, x := range runs {
			e := float64(n) / 1000
			in = in || e >= x.Wilson[0] && e <= x.Wilson[1]
		}
		if in {
			inside++
		} else {
			t.Logf("%v: %d wrong, want %+v", v, n, runs)
		}
		if len(runs) == 1 && n == runs[0].Wrong {
			exact++
		}
	}
	// What is random has other draws here; of 95 intervals five may miss.
	if compared != variants || inside < variants-variants/19 {
		t.Errorf("%d of %d variants lie inside the reference's interval, want %d", inside, compared, variants)
	}
	if n := r.Find("error"); variants == 95 && (n == nil || math.Abs(n.Value-want.Mean15) > 0.005) { // of other draws
		t.Errorf("mean error %+v, want %v", n, want.Mean15)
	}
	// Of those without random draws pixels are equal, but for the golden folder's ambiguous
	// elements; a prediction changes for one image in a thousand at most.
	if exact < long.Or(30, 3) {
		t.Errorf("%d deterministic variants have the reference's errors exactly", exact)
	}
	t.Logf("%d of %d inside, %d deterministic ones equal", inside, compared, exact)
}
