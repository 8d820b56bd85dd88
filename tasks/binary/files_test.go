package binary

import (
	"math"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// Real and made models with one output against testdata/binary.py, which runs them in
// torch: a logit, and a Keras classifier that ends in a Sigmoid, NHWC, of insects that it has not seen.
// A thousandth of a logit is more than ONNX Runtime's and torch's sums differ by.
func TestFiles(t *testing.T) {
	small := evaltest.Scaled(1, [3]float32{}, [3]float32{1, 1, 1})
	fit := imageproc.Squash
	small.Resize, small.Crop, small.BothSides, small.Fit = &imageproc.Size{H: 32, W: 32}, &imageproc.Size{}, true, &fit
	for _, c := range []struct {
		name        string
		model, data []string
		changes     evaluation.Changes
		positive    string
		want        map[string]float64
	}{
		{
			"logit", []string{"cases", "one-logit", "one_logit.onnx"}, []string{"cases", "one-logit", "two.tar"}, evaltest.Raw(), `"pos"`,
			map[string]float64{"accuracy": 1, "auroc": 1, "nll": 0.0065972971813852595, "brier": 4.3307223759256455e-05},
		},
		{
			"sigmoid", []string{"models", "real", "ptf04_dogs_vs_cats.onnx"}, []string{"data", "real", "ants-and-bees-200.tar"}, small, `"bees"`,
			map[string]float64{"accuracy": 0.5285714285714286, "auroc": 0.5151020408163265, "nll": 0.8447084109616004, "brier": 0.29726904014651173},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := onFiles(t, c.model, c.data, c.changes, 0, evaluation.Store{})
			for name, want := range c.want {
				if n := r.Find(name); n == nil || math.Abs(n.Value-want) > 1e-5 || n.N != r.Dataset.N {
					t.Errorf("%s is %+v, want %v", name, n, want)
				}
			}
			if r.Find("tpr", report.KeyPoint.Is("fpr at most 5 %")) == nil {
				t.Error("no operating point")
			}
			if !strings.Contains(r.Dataset.Labels, "with "+c.positive+" as the positive class") {
				t.Errorf("labels matched %s", r.Dataset.Labels)
			}
		})
	}
}

// onFiles is the report of a model's file on so many images; 0 is all. Of a shard there is none.
func onFiles(t *testing.T, model, data []string, changes evaluation.Changes, limit int, s evaluation.Store) *report.Report {
	t.Helper()
	m, d := evaltest.Shared(t, model, data, changes)
	d.Limit = limit
	c, im := evaltest.Files(t, m, d, evaluation.DefaultRunning())
	j, err := Open(t.Context(), c, im, quick(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if !s.Shard.Whole() {
		if err := j.Collect(t.Context(), j.Passes()[0], nil); err != nil {
			t.Fatal(err)
		}
		return nil
	}
	res, err := tasks.Do(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	return reported(t, res)
}

// Shards, a run that goes on and an undivided one are the same.
func TestFilesShards(t *testing.T) {
	tmp := t.TempDir()
	run := func(name string, limit int, shard results.Shard) string {
		dir := tmp + "/" + name
		onFiles(t, []string{"cases", "one-logit", "one_logit.onnx"}, []string{"cases", "one-logit", "two.tar"}, evaltest.Raw(), limit,
			evaluation.Store{Dir: dir, Shard: shard})
		return dir
	}
	whole := run("whole", 0, results.Shard{})
	shards := run("shards", 0, results.Shard{I: 0, N: 2})
	run("shards", 0, results.Shard{I: 1, N: 2})
	more := run("more", 6, results.Shard{})
	run("more", 0, results.Shard{})
	printed := func(dir string) string {
		study, err := results.OpenStudy(false, dir)
		if err != nil {
			t.Fatal(err)
		}
		res, err := Task{}.Load(t.Context(), study, tasks.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := reported(t, res).Write(&b, report.JSON); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, dir := range []string{shards, more} {
		if got, want := printed(dir), printed(whole); got != want {
			t.Errorf("%s reports\n%s\nand not\n%s", dir, got, want)
		}
	}
}
