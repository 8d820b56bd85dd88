package evaluation_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/results"

	"github.com/google/go-cmp/cmp"
)

var ctx = context.Background()

// record is the record of a task that keeps the prediction.
type record struct {
	results.Row
	Best int32 `parquet:"best"`
}

// table is n samples of two classes; sample i scores i for the first.
func table(n int) *evaltest.Table {
	t := &evaltest.Table{Classes: []string{"a", "b"}}
	for i := range n {
		t.Scores = append(t.Scores, []float32{float32(i), float32(n) / 2})
		t.Features = append(t.Features, []float32{float32(i), 1, -1})
		t.Labels = append(t.Labels, i%2)
	}
	return t
}

// make opens a pass and makes its records; most stops it after so many with an error.
func makePass(t *testing.T, tab *evaltest.Table, s evaluation.Samples, store evaluation.Store, spec evaluation.Spec, most int) (*evaluation.Pass, error) {
	t.Helper()
	spec.Task = "test"
	p, err := evaluation.Open(ctx, tab.Classifier(t), s, store, spec)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { p.Close() })
	if err := p.Begin(ctx, struct{ Outputs int }{p.Outputs}); err != nil {
		return nil, err
	}
	n := 0
	return p, evaluation.Collect(ctx, p, nil, func(sc evaluation.Scored) (record, evaluation.Own, error) {
		if n++; n > most {
			return record{}, nil, errors.New("stopped")
		}
		r := record{Row: p.Row(sc), Best: -1}
		if sc.Err != nil {
			r.Status, r.Error = results.Bad, sc.Err.Error()
		} else if r.Best = 0; sc.Logits[1] > sc.Logits[0] {
			r.Best = 1
		}
		return r, nil, nil
	})
}

// rows reads a pass's records, and an array of theirs.
func rows(t *testing.T, p *evaluation.Pass, array string) (out []record, values [][]float32) {
	t.Helper()
	var names []string
	if array != "" {
		names = append(names, array)
	}
	if err := results.Each[record](ctx, p.Run, names, func(r *record, v [][]float32) error {
		out = append(out, *r)
		if array != "" {
			values = append(values, slices.Clone(v[0]))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out, values
}

const all = 1 << 30

func TestPass(t *testing.T) {
	tab := table(40)
	tab.Bad = map[int]error{7: errors.New("it is torn")}
	p, err := makePass(t, tab, tab.Samples(), evaluation.Store{}, evaluation.Spec{Needs: []string{evaluation.Features}}, all)
	if err != nil {
		t.Fatal(err)
	}
	got, features := rows(t, p, evaluation.Features)
	if len(got) != 40 || tab.Ran != 39 {
		t.Fatalf("%d records; the model ran on %d samples", len(got), tab.Ran)
	}
	want := record{results.Row{Index: 5, ID: "005", Class: "b", Status: results.OK, Width: 8, Height: 8}, 1}
	if d := cmp.Diff(want, got[5]); d != "" {
		t.Errorf("record 5 (-want +got):\n%s", d)
	}
	bad := record{results.Row{Index: 7, ID: "007", Class: "b", Status: results.Bad, Error: "it is torn"}, -1}
	if d := cmp.Diff(bad, got[7]); d != "" {
		t.Errorf("record 7 (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]float32{5, 1, -1}, features[5]); d != "" {
		t.Errorf("features of sample 5:\n%s", d)
	}
	if p.Stats.Samples != 40 {
		t.Errorf("statistics of %d samples", p.Stats.Samples)
	}
}

// A pass that was stopped goes on with what is missing, and ends in the same records.
func TestPassGoesOn(t *testing.T) {
	whole, err := makePass(t, table(100), table(100).Samples(), evaluation.Store{}, evaluation.Spec{}, all)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := rows(t, whole, "")
	dir := filepath.Join(t.TempDir(), "run")
	left := 100
	for left > 0 {
		tab := table(100)
		p, err := makePass(t, tab, tab.Samples(), evaluation.Store{Dir: dir}, evaluation.Spec{}, 37)
		if err != nil && !strings.Contains(err.Error(), "stopped") {
			t.Fatal(err)
		}
		now := len(p.Missing(results.Shard{}))
		if now >= left || tab.Ran > left+8 { // the ring of batches runs ahead
			t.Fatalf("%d of %d samples are left after the model ran on %d", now, left, tab.Ran)
		}
		if left = now; left == 0 {
			got, _ := rows(t, p, "")
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("records (-at once +bit by bit):\n%s", d)
			}
		}
		p.Close()
	}
	tab := table(100)
	p, err := makePass(t, tab, tab.Samples(), evaluation.Store{Dir: dir}, evaluation.Spec{}, all)
	if err != nil || tab.Ran > 0 || len(p.Todo) > 0 {
		t.Errorf("of a finished run %d samples are to do, the model ran on %d: %v", len(p.Todo), tab.Ran, err)
	}
}

// Selections view a run; what a run was begun with cannot change.
func TestPassIsAnother(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	tab := table(60)
	if _, err := makePass(t, tab, tab.Samples(), evaluation.Store{Dir: dir}, evaluation.Spec{Config: "x"}, all); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spec  evaluation.Spec
		store evaluation.Store
		want  string
	}{
		"a part of it":   {evaluation.Spec{Config: "x", Selected: []int{3, 9}}, evaluation.Store{}, ""},
		"another option": {evaluation.Spec{Config: "y"}, evaluation.Store{}, "it has config x, not config y"},
		"other labels":   {evaluation.Spec{Config: "x", Labels: "l"}, evaluation.Store{}, "a matching of classes and outputs with the fingerprint (none)"},
		"features":       {evaluation.Spec{Config: "x"}, evaluation.Store{Save: []string{evaluation.Features}}, "without --save features"},
		"logits":         {evaluation.Spec{Config: "x", Needs: []string{evaluation.Logits}}, evaluation.Store{}, "keeps no logits"},
	} {
		t.Run(name, func(t *testing.T) {
			c.store.Dir = dir
			p, err := makePass(t, tab, tab.Samples(), c.store, c.spec, all)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := rows(t, p, ""); len(got) != len(c.spec.Selected) {
				t.Errorf("%d records", len(got))
			}
		})
	}
}

// A run of a few samples grows to one of all, in the parts it was begun with, and the model runs
// on the others alone.
func TestPassGrows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	few := []int{3, 9, 501}
	tab := table(1000)
	p, err := makePass(t, tab, tab.Samples(), evaluation.Store{Dir: dir}, evaluation.Spec{Selected: few}, all)
	if err != nil || tab.Ran != len(few) {
		t.Fatalf("the model ran on %d of %d samples: %v", tab.Ran, len(few), err)
	}
	p.Close()
	tab = table(1000)
	p, err = makePass(t, tab, tab.Samples(), evaluation.Store{Dir: dir}, evaluation.Spec{}, all)
	if err != nil || tab.Ran != 1000-len(few) {
		t.Fatalf("the model ran on %d samples: %v", tab.Ran, err)
	}
	if size, want := p.Manifest.Key.PartSize, results.PartSize(len(few), 1000); size != want {
		t.Errorf("parts cover %d samples, want %d", size, want)
	}
	tab = table(1000)
	whole, err := makePass(t, tab, tab.Samples(), evaluation.Store{}, evaluation.Spec{}, all)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := rows(t, whole, "")
	got, _ := rows(t, p, "")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("records (-at once +grown):\n%s", d)
	}
}

// Another run's scores are used instead of the model, which does not run.
func TestPassReuses(t *testing.T) {
	dir := t.TempDir()
	from, again := filepath.Join(dir, "from"), filepath.Join(dir, "again")
	spec := evaluation.Spec{Needs: []string{evaluation.Logits, evaluation.Features}}
	first := table(50)
	p, err := makePass(t, first, first.Samples(), evaluation.Store{Dir: from}, spec, all)
	if err != nil {
		t.Fatal(err)
	}
	want, features := rows(t, p, evaluation.Features)
	tab := table(50)
	spec.Config = "another task's"
	p, err = makePass(t, tab, tab.Samples(), evaluation.Store{Dir: again, Reuse: from}, spec, all)
	if err != nil {
		t.Fatal(err)
	}
	if tab.Ran > 0 {
		t.Errorf("the model ran on %d samples", tab.Ran)
	}
	got, same := rows(t, p, evaluation.Features)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("records (-from +again):\n%s", d)
	}
	if d := cmp.Diff(features, same); d != "" {
		t.Errorf("features (-from +again):\n%s", d)
	}
	other := table(50)
	other.Labels[3] = 0
	if _, err = makePass(t, other, other.Samples(), evaluation.Store{Reuse: from}, spec, all); err == nil || !strings.Contains(err.Error(), "its data are others") {
		t.Errorf("other data: %v", err)
	}
	if _, err = makePass(t, tab, tab.Samples(), evaluation.Store{Reuse: from}, evaluation.Spec{Taps: []string{evaltest.Penultimate}}, all); err == nil ||
		!strings.Contains(err.Error(), "looks inside the model") {
		t.Errorf("taps: %v", err)
	}
}

// Passes of one classifier share its engine, as long as it has what they look at.
func TestEngineIsShared(t *testing.T) {
	tab := table(10)
	c := tab.Classifier(t)
	plain, err := c.Engine(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tapped, err := c.Engine(ctx, evaltest.Penultimate)
	if err != nil || tapped == plain {
		t.Fatalf("the engine without the tap is used for it: %v", err)
	}
	for name, taps := range map[string][]string{"the same taps": {evaltest.Penultimate}, "fewer taps": nil} {
		if e, err := c.Engine(ctx, taps...); err != nil || e != tapped {
			t.Errorf("%s: another engine was opened, %v", name, err)
		}
	}
	if c.Stop(); c.Ran() != nil {
		t.Error("a stopped classifier has an engine")
	}
}

// Records that take time are made by several goroutines and come in order; the first error
// ends the pass.
func TestCollectParallel(t *testing.T) {
	for name, fail := range map[string]int{"all": -1, "one fails": 23} {
		t.Run(name, func(t *testing.T) {
			tab := table(64)
			p, err := evaluation.Open(ctx, tab.Classifier(t), tab.Samples(), evaluation.Store{}, evaluation.Spec{Task: "test", Needs: []string{evaluation.Logits}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := p.Begin(ctx, nil, results.Array{Name: "twice", Width: 1}); err != nil {
				t.Fatal(err)
			}
			err = evaluation.CollectParallel(ctx, p, 3, nil, func(sc evaluation.Scored) (record, error) {
				return record{Row: p.Row(sc), Best: int32(sc.Logits[0])}, nil
			}, func() func(record) (record, evaluation.Own, error) {
				return func(r record) (record, evaluation.Own, error) {
					if int(r.Index) == fail {
						return r, nil, errors.New("no map")
					}
					return r, evaluation.Own{"twice": {2 * float32(r.Best)}}, nil
				}
			})
			got, twice := rows(t, p, "twice")
			if fail >= 0 {
				if err == nil || err.Error() != "no map" {
					t.Errorf("error %v", err)
				}
				if len(got) > fail {
					t.Errorf("%d records, though the one of sample %d failed", len(got), fail)
				}
				return
			}
			if err != nil || len(got) != 64 {
				t.Fatalf("%d records, %v", len(got), err)
			}
			for i := range got {
				if int(got[i].Index) != i || twice[i][0] != 2*float32(i) {
					t.Fatalf("record %d is of sample %d with %v", i, got[i].Index, twice[i])
				}
			}
		})
	}
}

// Scores that sum to 1 are taken for probabilities, whose logarithms are logits.
func TestProbabilities(t *testing.T) {
	tab := &evaltest.Table{Scores: [][]float32{{0.25, 0.75}, {1, 0}}, Labels: []int{1, 0}, Classes: []string{"a", "b"}}
	p, err := makePass(t, tab, tab.Samples(), evaluation.Store{}, evaluation.Spec{}, all)
	if err != nil || !p.Probabilities {
		t.Fatalf("probabilities %v, %v", p.Probabilities, err)
	}
	o, err := evaluation.NewContest(2, nil, true).Score(tab.Scores[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	if o.Confidence < 0.7499 || o.Confidence > 0.7501 { // float32 logarithms
		t.Errorf("confidence %v", o.Confidence)
	}
}

// Only the outputs that compete can be predicted; outcomes name outputs of the model.
func TestContest(t *testing.T) {
	c := evaluation.NewContest(4, []int{3, 1}, false)
	scores := []float32{9, 2, 8, 1}
	o, err := c.Score(scores, 3)
	if err != nil {
		t.Fatal(err)
	}
	if o.Pred != 1 || o.Label != 3 || o.Rank != 1 {
		t.Errorf("predicted %d, label %d, rank %d", o.Pred, o.Label, o.Rank)
	}
	if d := cmp.Diff([]float32{2, 1}, c.Logits(scores)); d != "" {
		t.Errorf("logits:\n%s", d)
	}
	if c.Place(0) != -1 || c.Place(3) != 1 {
		t.Errorf("places %d and %d", c.Place(0), c.Place(3))
	}
}
