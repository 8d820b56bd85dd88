package binary

import (
	"context"
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden file anew")

// table is scores of two classes by class.
func table(scores ...[]float32) *evaltest.Table {
	t := &evaltest.Table{Classes: []string{"cat", "dog"}}
	for class, of := range scores {
		for _, s := range of {
			t.Scores, t.Labels = append(t.Scores, []float32{s}), append(t.Labels, class)
		}
	}
	return t
}

func quick() Config {
	c := DefaultConfig()
	c.Replicates = 100
	return c
}

// run evaluates a table, in a run directory or, where that is empty, without.
func run(t *testing.T, of *evaltest.Table, c Config, dir string) tasks.Result {
	t.Helper()
	j, err := Open(context.Background(), of.Classifier(t), of.Samples(), c, evaluation.Store{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	res, err := tasks.Do(context.Background(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func reported(t *testing.T, res tasks.Result) *report.Report {
	t.Helper()
	r, err := res.Report(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReport: the whole report of seven images, one of which the model gives NaN for.
func TestReport(t *testing.T) {
	of := table([]float32{-2, -1, 1.5, float32(math.NaN())}, []float32{2, 3, -0.5, 1})
	c := quick()
	c.Replicates, c.Worst, c.By = 0, 5, Groupings()
	r := reported(t, run(t, of, c, ""))
	r.Headless = true
	var b strings.Builder
	if err := r.Write(&b, report.Text); err != nil {
		t.Fatal(err)
	}
	const path = "testdata/report.text"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("-want +got (go test ./tasks/binary -update writes it anew):\n%s", d)
	}
	if got := [2]int{r.Dataset.N, r.Dataset.Bad}; got != [2]int{7, 1} {
		t.Errorf("%v images evaluated and bad", got)
	}
	for _, f := range report.Formats() {
		if err := r.Write(&strings.Builder{}, f); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestPositiveAndThreshold: the other class is positive, or the threshold another one.
func TestPositiveAndThreshold(t *testing.T) {
	of := table([]float32{-2, -1, 1.5}, []float32{2, 3, -0.5, 1})
	c := quick()
	dir := t.TempDir() + "/run"
	dog := reported(t, run(t, of, c, dir))
	c.Positive = "cat"
	cat := reported(t, run(t, of, c, ""))
	for name, want := range map[string][2]float64{
		"accuracy": {5. / 7, 2. / 7}, "auroc": {10. / 12, 2. / 12}, "recall": {3. / 4, 1. / 3}, "specificity": {2. / 3, 1. / 4}, "precision": {3. / 4, 1. / 4},
	} {
		if got := [2]float64{dog.Find(name).Value, cat.Find(name).Value}; math.Abs(got[0]-want[0])+math.Abs(got[1]-want[1]) > 1e-12 {
			t.Errorf("%s of dog and of cat: %v, want %v", name, got, want)
		}
	}
	if n := dog.Find("auroc").Interval; n == nil || n.Method != "DeLong" {
		t.Errorf("%+v", n)
	}
	// A run of one positive class does not go on as one of the other.
	if _, err := Open(context.Background(), of.Classifier(t), of.Samples(), c, evaluation.Store{Dir: dir}); err == nil {
		t.Error("the positive class of a run may be another one")
	}
	s, err := results.OpenStudy(false, dir)
	if err != nil {
		t.Fatal(err)
	}
	high := 0.8 // a logit of 1.386
	res, err := Task{}.Load(context.Background(), s, tasks.Options{Threshold: &high})
	if err != nil {
		t.Fatal(err)
	}
	r := reported(t, res)
	if r.Find("recall").Value != 0.5 || r.Find("accuracy").Value != 4./7 || r.Find("nll").Value != dog.Find("nll").Value {
		t.Errorf("at %v recall is %v, accuracy %v", high, r.Find("recall").Value, r.Find("accuracy").Value)
	}
	for _, wrong := range []float64{0, 1, -1, math.NaN()} {
		if _, err := (Task{}).Load(context.Background(), s, tasks.Options{Threshold: &wrong}); !errors.As(err, new(*tasks.ValueError)) {
			t.Errorf("threshold %v: %v", wrong, err)
		}
	}
	var b strings.Builder
	if err := res.Export(context.Background(), &b, "csv"); err != nil || !strings.Contains(b.String(), "positive,score\n") || strings.Count(b.String(), "\n") != 8 {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestScales: values within 0 to 1 are probabilities unless somebody says that they are not.
func TestScales(t *testing.T) {
	of := table([]float32{0.1, 0.2, 0.6}, []float32{0.9, 0.4, 1})
	auto := reported(t, run(t, of, quick(), ""))
	if got := auto.Find("accuracy").Value; got != 4./6 {
		t.Errorf("accuracy %v of probabilities", got)
	}
	for _, want := range []string{"all 6 values lie between 0 and 1", "1 of 6 probabilities were rounded"} {
		if !warned(auto, want) {
			t.Errorf("%q does not say %q", auto.Warnings, want)
		}
	}
	c := quick()
	c.Scale = evaluation.Logit
	if r := reported(t, run(t, of, c, "")); r.Find("accuracy").Value != 0.5 || warned(r, "nothing in the graph") {
		t.Errorf("accuracy %v of logits, %q", r.Find("accuracy").Value, r.Warnings)
	}
}

func warned(r *report.Report, want string) bool {
	return slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, want) })
}

// TestWarnings: what is likely wrong is said, and what is right is not.
func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name        string
		cats, dogs  []float32
		want, never string
	}{
		{"right", []float32{-2, -1, -3}, []float32{1, 2, 3}, "", "class"},
		{"other way round", []float32{2, 1, 3, 4, 5, 6}, []float32{-1, -2, -3, -4, -5, -6}, `the positive class is probably "cat", not "dog"`, ""},
		{"constant", []float32{2, 2}, []float32{2, 2}, "the same score (2) for every image", "probably"},
		{"shifted", []float32{-9, -8, -7, -9.5, -8.5}, []float32{-6, -5, -4, -3, -2}, `every image is taken for "cat" at the threshold 0.5, though AUROC is 100.00 %`, ""},
		{"one class", nil, []float32{1, 2}, `all 2 evaluated images are of class "dog"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := reported(t, run(t, table(c.cats, c.dogs), quick(), ""))
			if c.want != "" && !warned(r, c.want) || c.never != "" && warned(r, c.never) || c.want == "" && len(r.Warnings) > 0 {
				t.Errorf("%q", r.Warnings)
			}
		})
	}
}

// TestRefuses: what a single output cannot do is said in a sentence.
func TestRefuses(t *testing.T) {
	three := table([]float32{1}, []float32{1})
	three.Classes = append(three.Classes, "fox")
	one := table([]float32{1})
	one.Classes = one.Classes[:1]
	for want, of := range map[string]*evaltest.Table{
		"has 3 classes; give data of two classes":    three,
		`has only the class "cat"`:                   one,
		"not one image could be evaluated: 000: bad": {Classes: []string{"a", "b"}, Scores: [][]float32{{1}}, Labels: []int{0}, Bad: map[int]error{0: errors.New("bad")}},
	} {
		j, err := Open(context.Background(), of.Classifier(t), of.Samples(), quick(), evaluation.Store{})
		if err == nil {
			var res tasks.Result
			if res, err = tasks.Do(context.Background(), j, nil); err == nil {
				_, err = res.Report(context.Background())
			}
			_ = j.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for want, edit := range map[string]func(*Config){
		"threshold 1": func(c *Config) { c.Threshold = 1 }, "1 bins": func(c *Config) { c.Bins = 1 },
		"-1 worst": func(c *Config) { c.Worst = -1 }, `grouping "x"`: func(c *Config) { c.By = []string{"x"} },
	} {
		c := quick()
		if edit(&c); c.Validate() == nil || !strings.Contains(c.Validate().Error(), want) {
			t.Errorf("%v, want %q", c.Validate(), want)
		}
	}
}

// TestCompare: McNemar's test of the accuracy, DeLong's of the AUROC.
func TestCompare(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var cats, dogs [2][]float32 // of two models
	for range 60 {
		for k, sharp := range []float64{0.5, 2} {
			cats[k] = append(cats[k], float32(rng.NormFloat64()-sharp))
			dogs[k] = append(dogs[k], float32(rng.NormFloat64()+sharp))
		}
	}
	var runs []compare.Run
	for k := range 2 {
		res := run(t, table(cats[k], dogs[k]), quick(), "")
		s, err := res.Source(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, compare.Run{Name: []string{"blunt", "sharp"}[k], Source: s})
		sample, r := s.At(s.Good()), reported(t, res)
		for i, v := range sample.Evaluate(slices.Repeat([]uint16{1}, 120)) {
			m := s.Metrics()[i]
			if n := r.Find(m.Name); n == nil || math.Abs(n.Value-v) > 1e-12 || n.Unit != m.Unit || n.Better != m.Better {
				t.Errorf("%s is %v to compare, and in the report %+v", m.Name, v, n)
			}
		}
	}
	res, err := compare.Compare(context.Background(), compare.Config{Replicates: 200}, runs)
	if err != nil {
		t.Fatal(err)
	}
	wide := func(v []float32) (out []float64) {
		for _, s := range v {
			out = append(out, float64(s))
		}
		return out
	}
	place := func(k int) metrics.Placements { return metrics.Place(wide(dogs[k]), wide(cats[k])) }
	value, iv, p := metrics.Combine([]metrics.Term{{Weight: 1, Placements: place(1)}, {Weight: -1, Placements: place(0)}})
	if d := res.Pairs[0].Find("auroc"); d.Test != "DeLong, paired" || d.Value != value || d.Interval != iv || d.P != p || !(p < 0.01) {
		t.Errorf("%+v; want %v %v p %v", d.Difference, value, iv, p)
	}
	if d := res.Pairs[0].Find("accuracy"); d.Test != "McNemar, exact" || !(d.P < 0.01) {
		t.Errorf("%+v", d.Difference)
	}
	if d := res.Pairs[0].Find("brier"); d.Test != "paired bootstrap" || d.Value >= 0 {
		t.Errorf("%+v", d.Difference)
	}
	c := quick()
	c.Positive = "cat"
	other, err := run(t, table(cats[0], dogs[0]), c, "").Source(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	runs[1].Source = other
	if _, err := compare.Compare(context.Background(), compare.Config{Replicates: 200}, runs); err == nil || !strings.Contains(err.Error(), "another positive class") {
		t.Errorf("%v", err)
	}
}
