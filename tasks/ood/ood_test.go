package ood

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/golden"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
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

func evaluate(t *testing.T, e evaluation.Config, c Config, dir string) (*report.Report, []Found) {
	t.Helper()
	ortest.Load(t)
	ctx := context.Background()
	s, err := evaluation.Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	j, err := Open(ctx, s, c, evaluation.Store{Dir: dir}, report.Tool{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, p := range j.Passes {
		if _, err := p.Collect(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	res, err := j.Runs().Evaluate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return j.Runs().Present(res), res.Found
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
		if m := extract(t, golden.Path(t, "data", "cifar10-jpeg-test.tar"), filepath.Join(dir, name), sources.CIFAR[name], whole); len(m) > 0 {
			t.Fatalf("%d images are missing", len(m))
		}
	}
	missing := extract(t, golden.Path(t, "data", "tiny-imagenet-val.tar"), filepath.Join(dir, "tiny"), sources.Tiny["ood_near_tiny"], path.Base)
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
	e := evaluation.DefaultConfig()
	e.Model = golden.Path(t, "models", "resnet20-cifar10.onnx")
	e.Data = filepath.Join(dir, "id_test", "test")
	r, found := evaluate(t, e, Config{Sources: []Source{
		{Name: "val", Role: Val, Path: filepath.Join(dir, "id_val", "test")},
		{Name: "ood_near_tiny", Group: "near", Role: Out, Path: filepath.Join(dir, "tiny")},
		{Name: "ood_far_uniform", Group: "far", Role: Out, Path: "noise:uniform"},
		{Name: "ood_far_gaussian", Group: "far", Role: Out, Path: "noise:gaussian"},
	}}, "")
	if r.Metrics[0].Name != "top1" || math.Abs(r.Metrics[0].Value-top1.Top1) > 1e-12 || r.Dataset.Bad != 0 {
		t.Errorf("top1 %v, want %v; %d bad", r.Metrics[0].Value, top1.Top1, r.Dataset.Bad)
	}
	names := map[string]string{"energy": "energy_T1", "odin_T1000": "odin_eps0_T1000"}
	compared := 0
	for _, f := range found {
		name := f.Score
		if n, ok := names[name]; ok {
			name = n
		}
		k := slices.Index(methods.Methods, name)
		if k < 0 {
			continue
		}
		w := wanted(k, f.Set)
		compared++
		// The same files: pixels are equal, logits agree to 1e-5, so a few neighbours in the
		// ranking change places. Noise is drawn anew; 500 images of it have an AUROC with a
		// standard error of up to 0.02, and a range of normal errors over all scores.
		tol := 0.002
		if f.Set != "ood_near_tiny" {
			tol = 0.04
		}
		if math.Abs(f.AUROC-w.AUROC) > tol {
			t.Errorf("%s on %s: AUROC %.4f, want %.4f", f.Score, f.Set, f.AUROC, w.AUROC)
		}
		if f.Set == "ood_near_tiny" && max(math.Abs(f.AUPRIn-w.AUPRIn), math.Abs(f.FPRIDPositive.FPR-w.FPRIDPositive.FPR), math.Abs(f.FPROODPositive.FPR-w.FPROODPositive.FPR), math.Abs(f.Accuracy-w.Accuracy)) > 0.005 {
			t.Errorf("%s on %s: %+v, want %+v", f.Score, f.Set, f.Separation, w)
		}
		t.Logf("%s on %s: AUROC %.4f, reference %.4f", f.Score, f.Set, f.AUROC, w.AUROC)
	}
	if compared != 3*16 {
		t.Errorf("%d were compared", compared)
	}
}

// TestRunDirectory: a run that is there gives the same report without the model's runs,
// whatever is missing is named, and what is not there is left out alone.
func TestRunDirectory(t *testing.T) {
	e := evaluation.DefaultConfig()
	e.Limit = 60
	c := Config{Sources: []Source{
		{Name: "blobs", Role: Out, Group: "far", Path: "noise:blobs", Limit: 20},
		{Name: "unseen", Role: Out, Group: "near", Path: "scenes:ood-near", Limit: 30},
	}}
	dir := filepath.Join(t.TempDir(), "run")
	r, found := evaluate(t, e, c, dir)
	again, _ := evaluate(t, e, c, dir)
	a, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("a run that is there gives another report:\n%s\n%s", a, b)
	}
	scores := map[string]int{}
	for _, f := range found {
		scores[f.Score]++
		if want := map[string]int{"blobs": 20, "unseen": 30}[f.Set]; f.ID != 60 || f.OOD != want {
			t.Errorf("%s on %s: %d and %d images", f.Score, f.Set, f.ID, f.OOD)
		}
	}
	if scores["msp"] != 2 || scores["knn_K50"] != 0 || scores["react_p90"] != 0 {
		t.Errorf("scores are %v", scores)
	}
	if w := strings.Join(r.Warnings, "\n"); !strings.Contains(w, "(--train) not given, so left out: ") || !strings.Contains(w, "knn_K50") || !strings.Contains(w, "(--val) not given") {
		t.Errorf("warnings are %s", w)
	}
}

// TestGridAndFullSpectrum: parameters are chosen on the images kept apart alone, images under
// shift count as ID in numbers of their own, and pictures that lie in two sets are named.
func TestGridAndFullSpectrum(t *testing.T) {
	e := evaluation.DefaultConfig()
	e.Limit = 60
	c := Config{Grid: true, Scores: []string{"msp", "react", "scale"}, Sources: []Source{
		Of(Val, "scenes:val", 50), Of(OutVal, "scenes:ood-near", 20),
		{Name: "shift", Role: Shifted, Path: "scenes:val", Limit: 30},
		{Name: "texture", Role: Out, Path: "scenes:ood-texture", Limit: 30},
		{Name: "same", Role: Out, Path: "scenes:test", Limit: 10},
	}}
	r, found := evaluate(t, e, c, "")
	var grid report.Table
	for _, tab := range r.Tables {
		if tab.Name == "grid" {
			grid = tab
		}
	}
	if len(grid.Rows) != 2 || !strings.HasPrefix(grid.Rows[0][0], "react_p") || grid.Rows[0][3] != "4" || grid.Rows[1][3] != "7" {
		t.Fatalf("grid is %+v", grid.Rows)
	}
	chosen := []string{"msp", grid.Rows[0][0], grid.Rows[1][0]}
	seen := map[string]Found{}
	for _, f := range found {
		if !slices.Contains(chosen, f.Score) {
			t.Errorf("%s was not chosen", f.Score)
		}
		seen[f.View+f.Set+f.Score] = f
	}
	a, b := seen["texturemsp"], seen["full-spectrumtexturemsp"]
	if a.ID != 60 || b.ID != 90 || a.OOD != 30 || b.OOD != 30 || a.AUROC == b.AUROC {
		t.Errorf("%+v and %+v", a.Separation, b.Separation)
	}
	// The choice is the best of all by itself.
	c.Grid, c.Scores = false, []string{"react_p85", "react_p90", "react_p95", "react_p99"}
	c.Sources = []Source{Of(Val, "scenes:val", 50), {Name: "apart", Role: Out, Path: "scenes:ood-near", Limit: 20}}
	v := e
	v.Data, v.Limit = "scenes:val", 50
	_, alone := evaluate(t, v, c, "")
	best := alone[0]
	for _, f := range alone {
		if f.AUROC > best.AUROC {
			best = f
		}
	}
	if best.Score != grid.Rows[0][0] {
		t.Errorf("%s is the best on the images kept apart, %s was chosen", best.Score, grid.Rows[0][0])
	}
	w := strings.Join(r.Warnings, "\n")
	if !strings.Contains(w, "30 images of shift give the model the same pixels as images of id-val") || !strings.Contains(w, "images of same give the model the same pixels as images of id-test: test/") {
		t.Errorf("warnings are %s", w)
	}
	if len(r.Metrics) < 3 || r.Metrics[2].Name != "top1 full-spectrum" || r.Metrics[2].N != 90 {
		t.Errorf("%+v", r.Metrics)
	}
}

// TestMeans: the mean over sets and the difference to the reference are those of the sets'
// numbers.
func TestMeans(t *testing.T) {
	e := evaluation.DefaultConfig()
	e.Limit = 60
	r, found := evaluate(t, e, Config{Scores: []string{"energy"}, Reference: "msp", Sources: []Source{
		{Name: "a", Role: Out, Path: "noise:texture", Limit: 30}, {Name: "b", Role: Out, Path: "noise:blobs", Limit: 40},
	}}, "")
	mean, n := 0.0, 0
	of := map[string]float64{}
	for _, f := range found {
		of[f.Set+" "+f.Score] = f.AUROC
		if f.Score == "energy" {
			mean += f.AUROC / 2
		}
	}
	for _, g := range r.Groups {
		for _, m := range g.Metrics {
			switch {
			case g.Kind == "all mean" && g.Name == "energy" && m.Name == "auroc":
				n++
				if math.Abs(m.Value-mean) > 1e-12 || m.Interval == nil || !(m.Interval.Low < mean && mean < m.Interval.High) {
					t.Errorf("mean is %+v, want %v", m, mean)
				}
			case m.Name == "auroc_difference":
				n++
				set := strings.TrimPrefix(g.Kind, "ood ")
				if want := of[set+" energy"] - of[set+" msp"]; math.Abs(m.Value-want) > 1e-12 || m.PAdjusted == nil || *m.PAdjusted < *m.P {
					t.Errorf("%s: difference is %+v, want %v", set, m, want)
				}
			}
		}
	}
	if n != 3 || len(r.Histograms) != 4 {
		t.Errorf("%d numbers, %d histograms", n, len(r.Histograms))
	}
	for _, h := range r.Histograms {
		for i, p := range h.Parts {
			sum := p.Below + p.Above
			for _, c := range p.Counts {
				sum += c
			}
			if want := []int{60, map[string]int{"ood a": 30, "ood b": 40}[h.Kind]}[i]; sum != want || len(p.Counts) != bins {
				t.Errorf("%s %s: %d images of %s, want %d", h.Kind, h.Name, sum, p.Name, want)
			}
		}
	}
}

// TestSources: what --ood can be.
func TestSources(t *testing.T) {
	for in, want := range map[string]Source{
		"near:tin=/data/tin":    {Name: "tin", Group: "near", Path: "/data/tin"},
		"far:noise:blobs":       {Name: "noise-blobs", Group: "far", Path: "noise:blobs"},
		"/data/inat.tar":        {Name: "inat", Path: "/data/inat.tar"},
		"/data/a=b/textures":    {Name: "textures", Path: "/data/a=b/textures"},
		"far:x=scenes:ood-near": {Name: "x", Group: "far", Path: "scenes:ood-near"},
	} {
		want.Role = Out
		if got, err := ParseSource(in, Out); err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "near:", "x=", "..", "near:.hidden=a"} {
		if got, err := ParseSource(in, Out); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
	a := Source{Name: "a", Role: Out, Path: "a"}
	val, apart := Of(Val, "v", 0), Of(OutVal, "o", 0)
	for _, c := range []Config{
		{}, {Sources: []Source{a, a}}, {Sources: []Source{a}, Scores: []string{"mps"}}, {Sources: []Source{a, apart}}, {Sources: []Source{a, apart}, Grid: true},
		{Sources: []Source{a, apart, val}}, {Sources: []Source{a}, Reference: "ash"}, {Sources: []Source{a}, Threshold: 1.5, Scores: []string{"msp"}}, {Threshold: 0.9},
		{Threshold: 0.9, Scores: []string{"msp"}, Grid: true},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v is allowed", c)
		}
	}
}
