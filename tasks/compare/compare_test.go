package compare

import (
	"context"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/report"
	"cutmix-eval/results"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fake is a run of which every image has a loss; it is right where that is below 1.
type fake struct {
	Description
	metrics []Metric
	loss    map[int]float64
	good    []int
}

func newFake(model string, loss ...float64) *fake {
	f := &fake{
		Description: Description{
			Head: report.Head{
				Model:         report.Model{Name: model, SHA256: model + "0"},
				Dataset:       report.Dataset{Name: "data", Path: "/data", N: len(loss), Bad: 3, Notes: []string{"a note"}},
				Preprocessing: report.Preprocessing{Summary: "resize 8", Source: "default"},
			},
			Key: results.Key{Task: "fake", Data: results.Data{Fingerprint: "f00"}, Device: results.Device{ORT: "1", Name: "cpu"}},
		},
		metrics: []Metric{
			{Name: "right", Unit: report.Fraction, Better: report.Higher},
			{Name: "loss", At: report.Keys{report.KeySet.Is("near")}, Unit: report.Nats, Better: report.Lower},
			{Name: "size", Label: "the size", Better: report.Neither, N: 7},
			{Name: "ece", Unit: report.Fraction, Better: report.Lower, Untested: "it is rough"},
		},
		loss: map[int]float64{},
	}
	for i, v := range loss {
		if !math.IsNaN(v) { // no result
			f.good, f.loss[i] = append(f.good, i), v
		}
	}
	return f
}

func (f *fake) Describe() Description { return f.Description }
func (f *fake) Metrics() []Metric     { return f.metrics }
func (f *fake) Good() []int           { return f.good }

func (f *fake) At(at []int) Sample {
	right := func(i int) bool { return f.loss[at[i]] < 1 }
	return Sample{
		Right: map[string]func(int) bool{"right": right},
		Evaluate: func(count []uint16) []float64 {
			var n, hits, sum float64
			for i, c := range count {
				n, sum = n+float64(c), sum+float64(c)*f.loss[at[i]]
				if right(i) {
					hits += float64(c)
				}
			}
			all := map[string]float64{"right": hits / n, "loss": sum / n, "size": 2 * sum, "ece": sum / n / 10}
			var out []float64
			for _, m := range f.metrics {
				out = append(out, all[m.Name])
			}
			return out
		},
	}
}

// losses are n losses that cycle.
func losses(n int, cycle ...float64) []float64 {
	var out []float64
	for i := range n {
		out = append(out, cycle[i%len(cycle)])
	}
	return out
}

func TestReport(t *testing.T) {
	base := newFake("one", losses(40, 0, 0.5, 2, 0.1)...)
	better := newFake("two", losses(40, 0, 0.5, 0.7, 0.1)...)
	worse := newFake("three", losses(40, 2, 0.5, 2, 0.1, 3)...)
	same := newFake("one", losses(40, 0, 0.5, 2, 0.1)...)
	worse.Head.Preprocessing, worse.Key.Preprocessing = report.Preprocessing{Summary: "resize 9"}, "other"
	worse.Notes = []string{"score x is not compared"}
	few := newFake("two", losses(20, 0, 0.5, 0.7, 0.1)...)
	one := newFake("two", append([]float64{3}, losses(39, 0.5, 2, 0.1, 0)...)...)
	for _, c := range []struct {
		name string
		c    Config
		runs []Run
	}{
		{"two", Config{Replicates: 200}, []Run{{Dir: "runs/base", Source: base}, {Dir: "runs/better", Source: better}}},
		{
			"three", Config{Replicates: 200, AllPairs: true},
			[]Run{{Dir: "a/x", Source: base}, {Dir: "b/x", Source: worse}, {Dir: "c/x", Source: better}},
		},
		{"same", Config{Replicates: 200}, []Run{{Dir: "base", Source: base}, {Dir: "same", Source: same}}},
		{"few", Config{Replicates: 200}, []Run{{Dir: "base", Source: base}, {Dir: "few", Source: few}}},
		{"one image", Config{Replicates: 200}, []Run{{Dir: "base", Source: base}, {Dir: "one", Source: one}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := Compare(context.Background(), c.c, c.runs)
			if err != nil {
				t.Fatal(err)
			}
			r := res.Report(c.c, report.Tool{Name: "cutmix-eval"})
			for _, f := range []report.Format{report.Text, report.Markdown} {
				var b strings.Builder
				if err := r.Write(&b, f); err != nil {
					t.Fatal(err)
				}
				golden(t, strings.ReplaceAll(c.name, " ", "-")+"."+string(f), b.String())
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test ./tasks/compare -update writes it anew):\n%s", name, diff)
	}
}

// The report has the numbers of both runs and their differences.
func TestNumbers(t *testing.T) {
	a, b := newFake("one", losses(40, 0, 2)...), newFake("two", losses(40, 0, 0.5)...)
	res, err := Compare(context.Background(), Config{Replicates: 100}, []Run{{Dir: "a", Source: a}, {Dir: "b", Source: b}})
	if err != nil {
		t.Fatal(err)
	}
	r := res.Report(Config{Replicates: 100}, report.Tool{})
	near := report.KeySet.Is("near")
	for _, c := range []struct {
		name string
		at   report.Keys
		want float64
		test string
	}{
		{"right", report.Keys{report.KeyRun.Is("a")}, 0.5, ""},
		{"right", report.Keys{report.KeyRun.Is("b")}, 1, ""},
		{"right_difference", report.Keys{report.KeyPair.Is("b - a")}, 0.5, "McNemar, exact"},
		{"loss_difference", report.Keys{near, report.KeyPair.Is("b - a")}, -0.75, "paired bootstrap"},
		{"ece_difference", report.Keys{report.KeyPair.Is("b - a")}, -0.075, ""},
	} {
		n := r.Find(c.name, c.at...)
		if n == nil {
			t.Errorf("no %s %v", c.name, c.at)
			continue
		}
		test := ""
		if n.Test != nil {
			test = n.Test.Name
		}
		if math.Abs(n.Value-c.want) > 1e-12 || test != c.test { // sums of 40 numbers
			t.Errorf("%s %v is %v by %q, want %v by %q", c.name, c.at, n.Value, test, c.want, c.test)
		}
	}
	if r.Model != (report.Model{}) || r.Dataset.N != 40 || r.Dataset.Bad != 0 {
		t.Errorf("the head is of one of the runs: %+v, %+v", r.Model, r.Dataset)
	}
}

// Runs need not have their numbers in the same order, nor the same ones.
func TestCommonMetrics(t *testing.T) {
	a, b := newFake("one", losses(40, 0, 2)...), newFake("two", losses(40, 0, 2)...)
	b.metrics = []Metric{b.metrics[3], {Name: "loss", At: report.Keys{report.KeySet.Is("far")}}, b.metrics[0]}
	res, err := Compare(context.Background(), Config{Replicates: 100}, []Run{{Dir: "a", Source: a}, {Dir: "b", Source: b}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range res.Metrics {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"right", "ece"}, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, d := range res.Pairs[0].Differences {
		if d.Value != 0 || d.A != d.B {
			t.Errorf("%s: %v and %v differ by %v, though the runs are alike", d.Name, d.A, d.B, d.Value)
		}
	}
	if d := res.Pairs[0].Find("ece"); d == nil || d.Name != "ece" || res.Pairs[0].Find("loss") != nil {
		t.Errorf("found %+v", d)
	}
}

func TestNotComparable(t *testing.T) {
	base := newFake("one", losses(40, 0, 2)...)
	for _, c := range []struct {
		name, want string
		edit       func(*fake)
	}{
		{"other task", `"a" is a run of fake, "b" one of classify`, func(f *fake) { f.Key.Task = "classify" }},
		{"other images", "runs of different images cannot be compared", func(f *fake) { f.Key.Data.Fingerprint = "f01" }},
		{"other boxes", "have other boxes, masks or annotations", func(f *fake) { f.Key.Data.Truth = "x" }},
		{"no image in common", "no image was evaluated in all of them", func(f *fake) { f.good = nil }},
		{"no number in common", "no number in common", func(f *fake) { f.metrics = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake("two", losses(40, 0, 2)...)
			c.edit(f)
			_, err := Compare(context.Background(), Config{Replicates: 100}, []Run{{Dir: "a", Source: base}, {Dir: "b", Source: f}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, err := Compare(context.Background(), Config{Replicates: 100}, []Run{{Dir: "a", Source: base}}); err == nil {
		t.Error("one run is compared")
	}
	if _, err := Compare(context.Background(), Config{Replicates: 99}, nil); err == nil {
		t.Error("99 replicates will do")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Compare(ctx, Config{Replicates: 100}, []Run{{Source: base}, {Source: base}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
