package classify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/golden"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// layout is what golden/shift/layouts/expected.json says of a set.
type layout struct {
	Images []struct {
		Row       int
		Target    json.RawMessage // a number, or several
		Argmax    int             `json:"argmax_1000"`
		Masked    *int            `json:"argmax_masked"`
		RealRight *bool           `json:"real_correct"`
	}
	N          int
	Files      int `json:"n_files"`
	Top1       int `json:"top1_1000_correct"`
	Top5       int `json:"top5_1000_correct"`
	MaskedTop1 int `json:"top1_masked_correct"`
	MaskedTop5 int `json:"top5_masked_correct"`
	RealN      int `json:"real_n"`
	Real       int `json:"real_correct"`
}

// TestShiftNumbers: sets of shifted ImageNet pictures, laid out as they are published, give the numbers
// that golden/shift/README.md says. The colour of a picture's centre is a row of the logits that
// the model there gives for it.
func TestShiftNumbers(t *testing.T) {
	logits := golden.NPY(t, "golden", "shift", "layouts", "logits_int16_times256.npy").Rows()
	for _, row := range logits {
		for i := range row {
			row[i] /= 256
		}
	}
	var raw map[string]json.RawMessage
	golden.JSON(t, &raw, "golden", "shift", "layouts", "expected.json")
	var lists map[string][]int
	if err := json.Unmarshal(raw["index_lists"], &lists); err != nil {
		t.Fatal(err)
	}
	root := golden.Path(t, "golden", "shift", "layouts")
	// The published sets have folders of all their classes, of which the golden ones have eight.
	whole := func(name, list string) string {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
		for _, class := range lists[list] {
			if err := os.MkdirAll(filepath.Join(dir, datasets.ImageNet()[class].Synset), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	a, r := whole("imagenet-a", "imagenet_a"), whole("imagenet-r", "imagenet_r")
	objectNet, real := filepath.Join(root, "objectnet-1.0"), filepath.Join(root, "real")
	outputs := filepath.Join(objectNet, "objectnet_folder_to_ids.json")
	for _, c := range []struct {
		layout, path, labels string
		restrict, real       bool
		competing            int
	}{
		{"imagenetv2-matched-frequency", filepath.Join(root, "imagenetv2-matched-frequency"), "", false, false, 1000},
		{"imagenetv2-threshold0.7", filepath.Join(root, "imagenetv2-threshold0.7"), "", false, false, 1000},
		{"imagenetv2-top-images", filepath.Join(root, "imagenetv2-top-images"), "", false, false, 1000},
		{"imagenetv2-matched-frequency-format-val", filepath.Join(root, "imagenetv2-matched-frequency-format-val"), "", false, false, 1000},
		{"imagenet-sketch", filepath.Join(root, "imagenet-sketch"), "", false, false, 1000},
		{"imagenet-a", filepath.Join(root, "imagenet-a"), "", false, false, 1000},
		{"imagenet-r", filepath.Join(root, "imagenet-r"), "", false, false, 1000},
		{"imagenet-a", a, "", true, false, 200},
		{"imagenet-r", r, "", true, false, 200},
		{"objectnet-1.0", objectNet, "", false, false, 1000},
		{"objectnet-1.0", objectNet, "", true, false, 125},
		{"objectnet-1.0", filepath.Join(objectNet, "images"), outputs, true, false, 125},
		{"real", real, filepath.Join(real, "real.json"), false, true, 1000},
	} {
		t.Run(fmt.Sprintf("%s,restrict=%v", c.layout, c.restrict), func(t *testing.T) {
			d, err := datasets.Open(c.path, datasets.Options{Labels: c.labels})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			labels, err := evaluation.LabelsOf(&evaluation.Images{Dataset: d}, len(logits[0]), nil)
			if err != nil {
				t.Fatal(err)
			}
			rec := NewRecorder(About{Described: tasks.Described[Config]{Config: Config{Restrict: c.restrict}}, Names: labels.Names, Output: labels.Output, More: labels.More, Outputs: len(logits[0])})
			if n := len(rec.contest.Outputs); n != c.competing {
				t.Errorf("%d outputs compete, want %d", n, c.competing)
			}
			right, right5 := 0, 0
			of := map[int]Record{} // by row
			loader := d.Loader()
			for i, s := range d.Samples {
				im, err := loader.Load(i)
				if err != nil {
					t.Fatal(err)
				}
				if im.Pix[0] != im.Pix[3*(im.H/2*im.W+im.W/2)] {
					t.Errorf("%s is not of one colour: %v", s.ID, im.Pix[:3])
				}
				at := 3 * (im.H/2*im.W + im.W/2)
				row := int(im.Pix[at]/8) + 32*int(im.Pix[at+1]/8)
				out, err := rec.Record(results.Row{Status: results.OK}, s.Label, logits[row], nil, labels.Right(i)[1:]...)
				if err != nil {
					t.Fatal(err)
				}
				if of[row] = out; out.Correct {
					right++
				}
				if out.Rank < 5 {
					right5++
				}
			}
			var want layout
			if err := json.Unmarshal(raw[c.layout], &want); err != nil {
				t.Fatal(err)
			}
			n, top1, top5 := want.N, want.Top1, want.Top5
			switch {
			case c.real:
				n, top1, top5 = want.RealN, want.Real, -1
			case c.restrict:
				top1, top5 = want.MaskedTop1, want.MaskedTop5
			}
			if len(of) != n || right != top1 || top5 >= 0 && right5 != top5 || n == 0 {
				t.Errorf("%d of %d right, %d of the first five; want %d of %d, %d", right, len(of), right5, top1, n, top5)
			}
			for _, w := range want.Images {
				got, ok := of[w.Row]
				argmax := w.Argmax
				if ok && c.restrict {
					argmax = *w.Masked
				}
				if ok && int(got.Prediction) != argmax {
					t.Errorf("row %d: prediction %d, want %d", w.Row, got.Prediction, argmax)
				}
				if ok && c.real && got.Correct != *w.RealRight {
					t.Errorf("row %d: %v, want %v", w.Row, got.Correct, *w.RealRight)
				}
				var target int
				if err := json.Unmarshal(bytes.TrimSpace(w.Target), &target); err == nil && ok && !c.real && int(got.Label) != target {
					t.Errorf("row %d: label %d, want %d", w.Row, got.Label, target)
				}
			}
		})
	}
	if !slices.Equal(lists["objectnet_ids"], objectNetOutputs(t, objectNet)) {
		t.Error("ObjectNet's outputs are others")
	}
}

// objectNetOutputs are those that the classes of ObjectNet are.
func objectNetOutputs(t *testing.T, path string) []int {
	d, err := datasets.Open(path, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l, err := evaluation.LabelsOf(&evaluation.Images{Dataset: d}, 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(slices.Values(l.Competing()))
}
