package multilabel

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"

	"github.com/google/go-cmp/cmp"
)

// reference are scores and truths of 60 images, and numbers of them by metrics/testdata/make_binary.py.
type reference struct {
	Scores           []float32
	Truth            []float64
	Classes          int
	WithImage        []int     `json:"with_image"`
	AveragePrecision []float64 `json:"average_precision"`
	MAP              float64
	Weighted         float64 `json:"map_weighted"`
	Micro            float64 `json:"map_micro"`
	VOC07            float64 `json:"map_voc07"`
	Above            [8]float64
	Top3             [8]float64
	Exactly3         [8]float64
	Ranking          [4]float64
}

func read(t *testing.T) (r reference) {
	t.Helper()
	data, err := os.ReadFile("../../metrics/testdata/labelsets.json")
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// set is pictures from which evaltest.Pixels reads scores, a pixel for each class, with a table of
// their labels.
type set struct {
	dir, table string
	classes    int
}

func (r reference) write(t *testing.T) set {
	t.Helper()
	s := set{t.TempDir(), filepath.Join(t.TempDir(), "labels.csv"), r.Classes}
	var table strings.Builder
	table.WriteString("image")
	for c := range r.Classes {
		fmt.Fprintf(&table, ",class%d", c)
	}
	for i := range len(r.Scores) / r.Classes {
		name := fmt.Sprintf("%02d.png", i)
		fmt.Fprintf(&table, "\n%s", name)
		im := image.NewGray(image.Rect(0, 0, r.Classes, 1))
		for c := range r.Classes {
			fmt.Fprintf(&table, ",%v", r.Truth[i*r.Classes+c])
			im.SetGray(c, 0, color.Gray{Y: uint8(math.Round(10*float64(r.Scores[i*r.Classes+c])) + 128)}) // scores have one digit
		}
		f, err := os.Create(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, im); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.table, []byte(table.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens a job on the pictures, of a classifier that may change the scores.
func (s set) open(t *testing.T, c Config, dir string, data evaluation.DataConfig, change func(z []float32)) (*Job, error) {
	t.Helper()
	recipe := imageproc.Recipe{Fit: imageproc.Shorter, Interpolation: imageproc.Bilinear, Layout: imageproc.NCHW, Crop: imageproc.Size{H: 1, W: s.classes}, Range: 255, Std: [3]float32{1, 1, 1}}
	z := make([]float32, s.classes)
	classifier := evaltest.Pixels(t, recipe, s.classes, func(tensor []float32) []float32 {
		for c := range z {
			z[c] = float32(float64(tensor[c]-128) / 10)
		}
		if change != nil {
			change(z)
		}
		return z
	})
	data.Path = s.dir
	im, err := classifier.Images(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	c.Path = s.table
	return Open(context.Background(), classifier, im, c, evaluation.Store{Dir: dir})
}

func (s set) run(t *testing.T, c Config, dir string, change func(z []float32)) (tasks.Result, *report.Report) {
	t.Helper()
	j, err := s.open(t, c, dir, evaluation.DataConfig{}, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	res, err := tasks.Do(context.Background(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := res.Report(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return res, r
}

func quick() Config {
	c := DefaultConfig()
	c.Replicates = 100
	return c
}

// TestReport: the numbers of a run are those of the definitions.
func TestReport(t *testing.T) {
	want := read(t)
	_, r := want.write(t).run(t, quick(), "", nil)
	if r.Dataset.N != 60 || r.Dataset.Bad != 0 {
		t.Errorf("%d images, %d bad", r.Dataset.N, r.Dataset.Bad)
	}
	check := func(name string, value float64, at ...report.Key) {
		t.Helper()
		n := r.Find(name, at...)
		// Sums of some hundred numbers in another order.
		if n == nil || math.Abs(n.Value-value) > 1e-12*(1+value) || n.Interval == nil || n.Interval.Low > value || n.Interval.High < value {
			t.Errorf("%s %v: %+v, want %v", name, at, n, value)
		}
	}
	check("map", want.MAP)
	check("map_voc07", want.VOC07)
	check("map_micro", want.Micro)
	check("map_weighted", want.Weighted)
	for end, of := range map[string][8]float64{"": want.Above, "_top3": want.Top3, "_exactly3": want.Exactly3} {
		for k, name := range []string{"cp", "cr", "cf1", "op", "or", "of1"} {
			check(name+end, of[k])
		}
	}
	check("subset_accuracy", want.Above[6])
	check("hamming_loss", want.Above[7])
	for k, name := range []string{"ranking_loss", "coverage_error", "lrap", "one_error"} {
		check(name, want.Ranking[k])
	}
	for k, c := range want.WithImage {
		check("average_precision", want.AveragePrecision[k], report.KeyClass.Is(fmt.Sprintf("class%d", c)))
	}
	if n := r.Find("average_precision", report.KeyClass.Is("class4")); n != nil {
		t.Errorf("a class without an image: %+v", n)
	}
	if !warned(r, "1 of 6 classes have no positive image") || warned(r, "order") {
		t.Errorf("%q", r.Warnings)
	}
	for _, f := range report.Formats() {
		if err := r.Write(&strings.Builder{}, f); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func warned(r *report.Report, want string) bool {
	return slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, want) })
}

// TestProbabilities: scores within 0 to 1 are taken for probabilities, and give the numbers of the
// logits, but for those that float32 makes equal.
func TestProbabilities(t *testing.T) {
	want := read(t)
	_, r := want.write(t).run(t, quick(), "", func(z []float32) {
		for c, v := range z {
			z[c] = float32(1 / (1 + math.Exp(-float64(v))))
		}
	})
	for name, v := range map[string]float64{"map": want.MAP, "cf1": want.Above[2], "of1_top3": want.Top3[5], "hamming_loss": want.Above[7]} {
		if got := r.Find(name); math.Abs(got.Value-v) > 1e-12 {
			t.Errorf("%s is %v, of logits %v", name, got.Value, v)
		}
	}
	if !warned(r, "taken for probabilities") {
		t.Errorf("%q", r.Warnings)
	}
}

// TestRun: a run directory is reported at another threshold, exported and compared.
func TestRun(t *testing.T) {
	want := read(t)
	dir := filepath.Join(t.TempDir(), "run")
	s := want.write(t)
	res, _ := s.run(t, quick(), dir, nil)
	study, err := results.OpenStudy(false, dir)
	if err != nil {
		t.Fatal(err)
	}
	never := 1 - 1e-9 // a logit of 20
	strict, err := Task{}.Load(context.Background(), study, tasks.Options{Threshold: &never})
	if err != nil {
		t.Fatal(err)
	}
	r, err := strict.Report(context.Background())
	if err != nil || r.Find("cr").Value != 0 || r.Find("op") != nil || r.Find("map").Value == 0 {
		t.Errorf("nothing is above %v: %+v, %v", never, r.Find("cr"), err)
	}
	var b strings.Builder
	if err := res.Export(context.Background(), &b, "csv"); err != nil || strings.Count(b.String(), "\n") != 61 || !strings.Contains(b.String(), "labels,unknown,top5,top5_score") {
		t.Errorf("%v: %.200s", err, b.String())
	}
	other, worse := s.run(t, quick(), "", func(z []float32) { z[0], z[1] = z[1], z[0] })
	var runs []compare.Run
	for _, res := range []tasks.Result{res, other} {
		source, err := res.Source(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, compare.Run{Dir: fmt.Sprint(len(runs)), Source: source})
	}
	diff, err := compare.Compare(context.Background(), compare.Config{Replicates: 100}, runs)
	if err != nil {
		t.Fatal(err)
	}
	d := diff.Pairs[0].Find("map")
	if math.Abs(d.A-want.MAP) > 1e-12 || d.B != worse.Find("map").Value || !(d.B < d.A) {
		t.Errorf("%+v", d)
	}
	if d := diff.Pairs[0].Find("subset_accuracy"); d.Test != "McNemar, exact" {
		t.Errorf("%+v", d.Difference)
	}
	// Other annotations are another run.
	if err := os.WriteFile(s.table, []byte("image,class0,class1,class2,class3,class4,class5\n00.png,1,0,0,0,0,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.open(t, quick(), dir, evaluation.DataConfig{}, nil); err == nil {
		t.Error("a run goes on with other annotations")
	}
	j, err := s.open(t, quick(), "", evaluation.DataConfig{Limit: 5}, nil)
	if err != nil || len(j.Pass.Todo) != 1 {
		t.Errorf("%v, %d images to do, of which one is annotated", err, len(j.Pass.Todo))
	}
	_ = j.Close()
}

// TestOrderWarning: outputs in another order than the annotations' classes are noticed.
func TestOrderWarning(t *testing.T) {
	want := read(t)
	for i, y := range want.Truth { // scores that know nearly everything
		want.Scores[i] = float32(2*y-1) + float32(i%7)/10
	}
	s := want.write(t)
	if _, r := s.run(t, quick(), "", nil); warned(r, "order") {
		t.Errorf("%q", r.Warnings)
	}
	if _, r := s.run(t, quick(), "", slices.Reverse); !warned(r, "in different orders") {
		t.Errorf("%q", r.Warnings)
	}
}

func TestAlign(t *testing.T) {
	classes := []string{"cat", "dog", "fox"}
	for _, c := range []struct {
		name    string
		outputs int
		names   []string
		want    []int
		how     string // or the error
	}{
		{"in order", 3, nil, []int{0, 1, 2}, "in order: class i is output i"},
		{"by name", 3, []string{"Fox", "dog", "cat"}, []int{2, 1, 0}, "by the class names"},
		{"other names", 3, []string{"a", "b", "c"}, []int{0, 1, 2}, "the model calls its classes otherwise"},
		{"some names", 3, []string{"cat", "dog", "c"}, nil, "has no fox"},
		{"too many outputs", 4, nil, nil, "the model has 4 outputs, and the annotations name 3 classes (cat, dog, fox)"},
		{"one name twice", 3, []string{"cat", "cat", "dog"}, nil, "has no fox"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := align(classes, c.outputs, c.names)
			if c.want == nil {
				if err == nil || !strings.Contains(err.Error(), c.how) {
					t.Errorf("%v, want %q", err, c.how)
				}
				return
			}
			if d := cmp.Diff(c.want, got.Output); err != nil || d != "" || !strings.Contains(got.How, c.how) {
				t.Errorf("%v %q: %s", err, got.How, d)
			}
		})
	}
	if (Config{Threshold: 0}).Validate() == nil || DefaultConfig().Validate() != nil {
		t.Error("thresholds are not checked")
	}
	if a := (About{Classes: classes, Output: []int{0, 1, 3}}); a.check() == nil {
		t.Error("an output that the model has not")
	}
}
