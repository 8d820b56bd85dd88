package ood

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/datasets"
	"cutmix-eval/detector"
	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files anew")

var ctx = context.Background()

// world is the images of all sets and a model of three classes: sets are ranges of a table's
// samples.
type world struct {
	*evaltest.Table
	sets map[string][2]int
}

// newWorld draws features: ID images lie around their class's mean, others nearer to none of
// them. An image of the ID test and one of far cannot be read.
func newWorld() *world {
	const classes, features = 3, 6
	rng := rand.New(rand.NewPCG(1, 1))
	tab := &evaltest.Table{Classes: []string{"a", "b", "c"}, Bad: map[int]error{}}
	for c := range classes {
		for d := range features {
			w := float32(0.2 * rng.NormFloat64())
			if d%classes == c {
				w += 1
			}
			tab.Weight = append(tab.Weight, w)
		}
		tab.Bias = append(tab.Bias, float32(c)/10)
	}
	w := &world{tab, map[string][2]int{}}
	for _, set := range []struct {
		name   string
		n      int
		signal float64 // how far images are from the middle; 0: OOD images have no label
	}{
		{"id-test", 60, 1.5}, {"id-val", 40, 1.5}, {"id-train", 90, 1.5}, {"shift", 30, 1},
		{"near", 30, 0}, {"far", 24, 0}, {"farther", 20, 0}, {"ood-val", 25, 0},
	} {
		first := len(tab.Labels)
		for i := range set.n {
			label, f, z := i%classes, make([]float32, features), make([]float32, classes)
			for d := range f {
				v := math.Abs(rng.NormFloat64())
				if d%classes == label {
					v += set.signal
				}
				f[d] = float32(v)
			}
			for c := range z {
				z[c] = tab.Bias[c]
				for d, v := range f {
					z[c] += tab.Weight[c*features+d] * v
				}
			}
			if set.signal == 0 {
				label = datasets.Unlabelled
			}
			tab.Scores, tab.Features, tab.Labels = append(tab.Scores, z), append(tab.Features, f), append(tab.Labels, label)
		}
		w.sets[set.name] = [2]int{first, len(tab.Labels)}
	}
	tab.Bad[w.sets["id-test"][0]+5], tab.Bad[w.sets["far"][0]+2] = errors.New("broken"), errors.New("broken too")
	return w
}

// roles are the sets of the world.
var roles = map[string]Source{
	"id-val": {Role: Val}, "id-train": {Role: Train}, "ood-val": {Role: OutVal, Path: "apart"}, "shift": {Role: Shifted},
	"near": {Role: Out, Group: "near"}, "far": {Role: Out, Group: "far"}, "farther": {Role: Out, Group: "far"},
}

// with is a configuration with sets of the world.
func with(c Config, names ...string) Config {
	for _, n := range names {
		src := roles[n]
		src.Name = n
		c.Sources = append(c.Sources, src)
	}
	return c
}

// prepared is samples with a recipe, which a detector keeps.
type prepared struct{ *evaltest.Samples }

func (p prepared) Describe(h *report.Head) {
	p.Samples.Describe(h)
	h.Preprocessing.Recipe = imageproc.Standard()
}

// samples are those of a set.
func (w *world) samples(name string) evaluation.Samples {
	s := w.Table.Samples()
	s.Name = name + "/"
	var at []int
	for i := w.sets[name][0]; i < w.sets[name][1]; i++ {
		at = append(at, i)
	}
	return prepared{s.Select(at)}
}

// open opens a job.
func (w *world) open(t *testing.T, c Config, store evaluation.Store) (*Job, error) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	j := &Job{classifier: w.Classifier(t), config: c}
	var inputs []input
	for _, src := range c.sources() {
		inputs = append(inputs, input{src, w.samples(src.Name)})
	}
	if err := j.open(ctx, inputs, store); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	t.Cleanup(func() { j.Close() })
	return j, nil
}

// run does all of a job.
func (w *world) run(t *testing.T, c Config, dir string) *loaded {
	t.Helper()
	j, err := w.open(t, c, evaluation.Store{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return done(t, j)
}

// done does all of a job, and gives its runs back.
func done(t *testing.T, j *Job) *loaded {
	t.Helper()
	res, err := tasks.Do(ctx, j, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := res.(*loaded)
	reported(t, l)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

func reported(t *testing.T, res tasks.Result) *report.Report {
	t.Helper()
	r, err := res.Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// written is a report in a format.
func written(t *testing.T, res tasks.Result, f report.Format) string {
	t.Helper()
	var b bytes.Buffer
	if err := reported(t, res).Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// read loads a study.
func read(t *testing.T, o tasks.Options, dirs ...string) (tasks.Result, error) {
	t.Helper()
	s, err := results.OpenStudy(false, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return Task{}.Load(ctx, s, o)
}

// TestReport: the text of a report with everything in it.
func TestReport(t *testing.T) {
	c := with(Config{Scores: []string{"msp", "energy", "react", "mds", "knn_K3"}, Reference: "msp", Notes: []string{"made up"}},
		"id-val", "id-train", "shift", "near", "far", "farther")
	got := written(t, newWorld().run(t, c, ""), report.Text)
	path := filepath.Join("testdata", "report.text")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestStudy: the report of an evaluation is the same whether it is kept or not, made at once
// or in shares, now or from its folder.
func TestStudy(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	c := with(Config{Scores: []string{"msp", "react", "mds"}}, "id-val", "id-train", "near", "far")
	want := written(t, w.run(t, c, ""), report.JSON)
	equal := func(t *testing.T, res tasks.Result) {
		t.Helper()
		if d := cmp.Diff(want, written(t, res, report.JSON)); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
	t.Run("kept", func(t *testing.T) { equal(t, w.run(t, c, in("kept"))) })
	t.Run("again", func(t *testing.T) {
		before := w.Ran
		equal(t, w.run(t, c, in("kept")))
		if w.Ran != before {
			t.Errorf("the model ran on %d images again", w.Ran-before)
		}
	})
	t.Run("from the folder", func(t *testing.T) {
		res, err := read(t, tasks.Options{}, in("kept"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, res)
	})
	for i := range 2 {
		j, err := w.open(t, c, evaluation.Store{Dir: in([]string{"first", "second"}[i]), Shard: results.Shard{I: i, N: 2}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range j.Passes() {
			if err := j.Collect(ctx, p, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a share", func(t *testing.T) {
		if _, err := read(t, tasks.Options{}, in("first")); !errors.Is(err, results.ErrIncomplete) {
			t.Errorf("%v", err)
		}
	})
	for _, dirs := range [][]string{{"first", "second"}, {"second", "first"}} {
		t.Run(strings.Join(dirs, " and "), func(t *testing.T) {
			res, err := read(t, tasks.Options{}, in(dirs[0]), in(dirs[1]))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, res)
		})
	}
	t.Run("other sets", func(t *testing.T) { // the folder's report is that of the last command
		other := with(Config{Scores: []string{"energy"}}, "near")
		want := written(t, w.run(t, other, in("kept")), report.Text)
		res, err := read(t, tasks.Options{}, in("kept"))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, written(t, res, report.Text)); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
	t.Run("one set is no evaluation", func(t *testing.T) {
		if _, err := read(t, tasks.Options{}, in("kept/far")); err == nil || !strings.Contains(err.Error(), "the records of one set of images") {
			t.Errorf("%v", err)
		}
	})
}

// TestOptions: a report made with other options says so, and what the task has not is refused.
func TestOptions(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.run(t, with(Config{Scores: []string{"msp", "energy", "react"}}, "id-val", "near"), dir)
	names, reference, grid, bins := []string{"react"}, "msp", true, 3
	res, err := read(t, tasks.Options{Score: &names, Reference: &reference, Grid: &grid}, dir)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Config struct{ Task Config }
	}
	if err := json.Unmarshal([]byte(written(t, res, report.JSON)), &got); err != nil {
		t.Fatal(err)
	}
	want := with(Config{Scores: names, Reference: reference, Grid: grid}, "id-val", "near")
	if d := cmp.Diff(want, got.Config.Task); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	var used []string
	for _, u := range res.(*loaded).result.used {
		used = append(used, u.Name)
	}
	if want := []string{"msp", "react_p90", "react_p85", "react_p95", "react_p99"}; !slices.Equal(used, want) {
		t.Errorf("scores are %v, want %v", used, want)
	}
	var refused *tasks.OptionError
	if _, err := read(t, tasks.Options{Bins: &bins}, dir); !errors.As(err, &refused) || refused.Option != "bins" {
		t.Errorf("%v", err)
	}
	names[0] = "nosuch"
	if _, err := read(t, tasks.Options{Score: &names}, dir); err == nil || !strings.Contains(err.Error(), `score "nosuch"`) {
		t.Errorf("%v", err)
	}
}

// TestLeftOut: what scores need and is not given is named, and the others stay.
func TestLeftOut(t *testing.T) {
	r := reported(t, newWorld().run(t, with(Config{Scores: []string{"msp", "react", "knn_K3"}}, "near"), ""))
	want := []string{
		"ID validation images (--val) not given, so left out: react_p90", "ID training images (--train) not given, so left out: knn_K3",
	}
	if d := cmp.Diff(want, r.Warnings); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if n := r.Find("auroc", report.KeySet.Is("near"), report.KeyScore.Is("msp")); n == nil || n.N != 59+30 {
		t.Errorf("%+v", n)
	}
}

// TestBad: images that cannot be read are named with their set.
func TestBad(t *testing.T) {
	r := reported(t, newWorld().run(t, with(Config{Scores: []string{"msp"}}, "near", "far"), ""))
	want := []report.BadImage{{ID: "id-test/005", Reason: "broken"}, {ID: "far: far/252", Reason: "broken too"}}
	if d := cmp.Diff(want, r.BadImages); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got, want := [3]int{r.Dataset.N, r.Dataset.Bad, r.Tried}, [3]int{59, 1, 60 + 30 + 24}; got != want {
		t.Errorf("%v images evaluated, bad and tried, want %v", got, want)
	}
}

// TestRefused: what cannot be evaluated.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	other, err := results.NewStudy("finetune", nil)
	if err == nil {
		err = other.Save(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	probabilities := newWorld()
	for i := range probabilities.Scores {
		probabilities.Scores[i] = []float32{0.5, 0.25, 0.25}
	}
	unlabelled := newWorld()
	for i := range unlabelled.Labels {
		unlabelled.Labels[i] = datasets.Unlabelled
	}
	one := with(Config{}, "near")
	for _, c := range []struct {
		name   string
		world  *world
		config Config
		dir    string
		want   string
	}{
		{"a folder of another task", newWorld(), one, dir, "holds a run of finetune; choose another --out"},
		{"probabilities", probabilities, one, "", "set id-test: model \"table\" gives probabilities"},
		{"training images without labels", unlabelled, with(Config{}, "id-train", "near"), "", "set id-train: training images need labels"},
		{
			"no folder for the detector", newWorld(),
			Config{Scores: []string{"msp"}, Threshold: 0.9, Detector: filepath.Join(dir, "none", "d")}, "", "writing detector",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.world.open(t, c.config, evaluation.Store{Dir: c.dir}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			// That its results do not depend on the batch is checked on four.
			if c.world.Ran > 4 {
				t.Errorf("the model ran on %d images", c.world.Ran)
			}
		})
	}
}

// TestGrid: parameters are chosen on the images kept apart alone; the best is that by itself.
func TestGrid(t *testing.T) {
	w := newWorld()
	l := w.run(t, with(Config{Grid: true, Scores: []string{"msp", "react", "scale"}, Reference: "react_p99"}, "id-val", "ood-val", "near"), "")
	r := reported(t, l)
	for _, c := range l.result.chosen {
		best, name := 0.0, ""
		alone := with(Config{Grid: true, Scores: []string{strings.Split(c.name, "_")[0]}}, "id-val", "ood-val")
		alone.Sources[1].Role = Out // and the validation images are those to test
		swapped := newWorld()
		swapped.sets["id-test"] = swapped.sets["id-val"]
		for _, f := range swapped.run(t, alone, "").result.found {
			if f.AUROC > best {
				best, name = f.AUROC, f.name
			}
		}
		if name != c.name || best != c.AUROC {
			t.Errorf("%s with %v was chosen, %s has %v", c.name, c.AUROC, name, best)
		}
		if n := r.Find("auroc", report.KeySet.Is("ood-val"), report.KeyScore.Is(c.name)); n == nil || n.Value != best || n.N != 40+25 {
			t.Errorf("%s: %+v", c.name, n)
		}
	}
	if n := len(l.result.chosen); n != 2 {
		t.Fatalf("%d kinds were chosen among", n)
	}
	want := []string{"msp", l.result.chosen[0].name, "react_p99", l.result.chosen[1].name} // the reference stays
	if want[1] == want[2] {
		want = slices.Delete(want, 1, 2)
	}
	var got []string
	for _, u := range l.result.used {
		got = append(got, u.Name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("scores are %v, want %v", got, want)
	}
}

// TestFullSpectrum: images under shift count as ID in numbers of their own.
func TestFullSpectrum(t *testing.T) {
	r := reported(t, newWorld().run(t, with(Config{Scores: []string{"msp"}}, "shift", "near"), ""))
	set, score, view := report.KeySet.Is("near"), report.KeyScore.Is("msp"), report.KeyView.Is(fullSpectrum)
	alone, both := r.Find("auroc", set, score), r.Find("auroc", set, score, view)
	if alone.N != 59+30 || both.N != 59+30+30 || alone.Value == both.Value {
		t.Errorf("%+v and %+v", alone, both)
	}
	if n := r.Find("top1", report.KeySet.Is("shift")); n == nil || n.N != 30 {
		t.Errorf("under shift: %+v", n)
	}
	if n := r.Find("top1", view); n == nil || n.N != 89 {
		t.Errorf("of both: %+v", n)
	}
}

// TestOverlap: images that lie in two sets are named.
func TestOverlap(t *testing.T) {
	w := newWorld()
	first := w.sets["id-test"][0]
	w.sets["near"] = [2]int{first + 6, first + 14}
	r := reported(t, w.run(t, with(Config{Scores: []string{"msp"}}, "near"), ""))
	want := "8 images of near give the model the same pixels as images of id-test: near/006, near/007, near/008, near/009, near/010 and 3 more"
	if !slices.Contains(r.Warnings, want) {
		t.Errorf("%q is not in %q", want, r.Warnings)
	}
}

// TestMeans: means over sets and differences to the reference are those of the sets' numbers,
// and histograms hold all images.
func TestMeans(t *testing.T) {
	r := reported(t, newWorld().run(t, with(Config{Scores: []string{"energy"}, Reference: "msp"}, "near", "far", "farther"), ""))
	energy, msp := report.KeyScore.Is("energy"), report.KeyScore.Is("msp")
	for group, sets := range map[string][]string{"far": {"far", "farther"}, "all": {"near", "far", "farther"}} {
		for _, name := range []string{
			"auroc", "aupr_in", "ap_out", "fpr95_id_positive", "fpr95_ood_positive", "tnr_at_tpr95", "detection_accuracy",
		} {
			want := 0.0
			for _, s := range sets {
				want += r.Find(name, report.KeySet.Is(s), energy).Value / float64(len(sets))
			}
			n := r.Find(name, report.KeyGroup.Is(group), energy)
			// Sums are in another order.
			if n == nil || math.Abs(n.Value-want) > 1e-12 || n.N != len(sets) {
				t.Errorf("%s of %s: %+v, want %v", name, group, n, want)
			} else if iv := n.Interval; iv != nil && !(iv.Low <= want && want <= iv.High) {
				t.Errorf("%s of %s: %v is not in %+v", name, group, want, iv)
			}
		}
	}
	for _, s := range []string{"near", "far", "farther"} {
		set := report.KeySet.Is(s)
		want := r.Find("auroc", set, energy).Value - r.Find("auroc", set, msp).Value
		if d := r.Find("auroc_difference", set, energy); d == nil || math.Abs(d.Value-want) > 1e-12 || d.Test.PAdjusted != d.Test.P {
			t.Errorf("%s: difference is %+v, want %v", s, d, want)
		}
		if d := r.Find("auroc_difference", set, msp); d != nil {
			t.Errorf("%s: the reference differs from itself: %+v", s, d)
		}
	}
	if r.Find("auroc", report.KeyGroup.Is("near"), energy) != nil {
		t.Error("there is a mean over one set")
	}
	sizes := map[string]int{"near": 30, "far": 23, "farther": 20}
	for _, h := range r.Histograms {
		for i, p := range h.Parts {
			sum := p.Below + p.Above
			for _, c := range p.Counts {
				sum += c
			}
			if want := []int{59, sizes[h.At.Get(report.KeySet)]}[i]; sum != want || len(p.Counts) != 50 {
				t.Errorf("%v: %d images of %s, want %d", h.At, sum, p.Name, want)
			}
		}
	}
	if len(r.Histograms) != 6 {
		t.Errorf("%d histograms", len(r.Histograms))
	}
}

// TestDetector: the kept threshold accepts, image by image, what the report says, and what
// was found is not computed twice.
func TestDetector(t *testing.T) {
	w, file := newWorld(), filepath.Join(t.TempDir(), "knn.detector")
	c := with(Config{Scores: []string{"knn_K3"}, Reference: "msp", Threshold: 0.9, Detector: file}, "id-train", "near")
	j, err := w.open(t, c, evaluation.Store{})
	if err != nil {
		t.Fatal(err)
	}
	l := done(t, j)
	if l != j.result {
		t.Error("the result is not that of Finish")
	}
	d, err := detector.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if d.Score != "knn_K3" || d.N != 59 || d.D != 6 || d.C != 3 {
		t.Errorf("%+v", d)
	}
	r := reported(t, l)
	for name, accepted := range map[string]*report.Number{
		"id-test": r.Find("accepted"), "near": r.Find("accepted", report.KeySet.Is("near")),
	} {
		a, err := Apply(ctx, d, w.Classifier(t), w.samples(name), evaluation.Store{})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if err := a.Collect(ctx, a.Pass, nil); err != nil {
			t.Fatal(err)
		}
		verdicts, err := a.Verdicts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		pass, bad := 0, 0
		for _, v := range verdicts {
			if v.Accept {
				pass++
			}
			if v.Error != "" {
				bad++
			}
		}
		if n := len(verdicts) - bad; n != accepted.N || float64(pass)/float64(n) != accepted.Value {
			t.Errorf("%s: %d of %d accepted, want %+v", name, pass, n, accepted)
		}
	}
	other := newWorld()
	other.Bias[0]++
	_, err = Apply(ctx, d, other.Classifier(t), other.samples("near"), evaluation.Store{})
	if err == nil || !strings.Contains(err.Error(), "is not the one that the detector was made with") {
		t.Errorf("another model: %v", err)
	}
}

// TestReadConfidences: they are msp's scores.
func TestReadConfidences(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	l := w.run(t, with(Config{Scores: []string{"msp"}}, "near", "far"), dir)
	s, err := results.OpenStudy(false, dir)
	if err != nil {
		t.Fatal(err)
	}
	got, key, err := ReadConfidences(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	want := []Confidences{{"near", l.result.out[0].confidence}, {"far", l.result.out[1].confidence}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if key.Data.Fingerprint == "" || len(got[1].Values) != 23 {
		t.Errorf("%+v, %d values", key, len(got[1].Values))
	}
}

// TestExport: a line for every image of the ID test and the OOD sets.
func TestExport(t *testing.T) {
	l := newWorld().run(t, with(Config{Scores: []string{"msp", "mds"}}, "id-train", "near"), "")
	for format, first := range map[string]string{
		"csv":   "set,role,group,id,right,prediction,confidence,msp,mds\nid-test,test,,id-test/000,true,0,0.",
		"jsonl": `{"set":"id-test","role":"test","group":"","id":"id-test/000","right":true,"prediction":0,"confidence":0.`,
	} {
		var b strings.Builder
		if err := l.result.export(&b, format); err != nil {
			t.Fatal(err)
		}
		lines := 59 + 30
		if format == "csv" {
			lines++
		}
		if got := b.String(); strings.Count(got, "\n") != lines || !strings.HasPrefix(got, first) {
			t.Errorf("%d lines of %s:\n%.300s", strings.Count(got, "\n"), format, got)
		}
	}
	if err := l.result.export(&strings.Builder{}, "xml"); err == nil {
		t.Error("xml: no error")
	}
}

// TestSource: numbers under bootstrap counts are those of the images that the counts repeat,
// whatever the order in which the sets were named.
func TestSource(t *testing.T) {
	l := newWorld().run(t, with(Config{Scores: []string{"msp", "mds"}}, "id-train", "near", "far"), "")
	s, err := newSource(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range s.Metrics() {
		names = append(names, (&report.Number{Name: m.Name, At: m.At}).Label())
	}
	want := []string{
		"auroc far msp", "fpr95_id_positive far msp", "auroc far mds", "fpr95_id_positive far mds", "auroc near msp",
		"fpr95_id_positive near msp", "auroc near mds", "fpr95_id_positive near mds", "auroc all msp", "auroc all mds",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Fatalf("-want +got:\n%s", d)
	}
	at := slices.DeleteFunc(slices.Clone(s.Good()), func(i int) bool { return i%7 == 3 }) // some are not shared
	if len(s.Good()) != 59+23+30 || !slices.IsSorted(at) {
		t.Fatalf("%d images", len(s.Good()))
	}
	sample, rng := s.At(at), rand.New(rand.NewPCG(8, 8))
	for range 20 {
		count := make([]uint16, len(at))
		for range at {
			count[rng.IntN(len(at))]++
		}
		got := sample.Evaluate(count)
		for i, set := range s.out {
			for k := range s.scores {
				var id, out []float64
				for i, index := range at {
					for range count[i] {
						if place, ok := s.id.place[index]; ok {
							id = append(id, s.id.values[k][place])
						} else if place, ok := set.place[index]; ok {
							out = append(out, set.values[k][place])
						}
					}
				}
				want, err := metrics.Separate(id, out)
				if err != nil {
					t.Fatal(err)
				}
				pair := got[4*i+2*k:]
				// Sums are in another order.
				if math.Abs(pair[0]-want.AUROC) > 1e-12 || math.Abs(pair[1]-want.FPRIDPositive.FPR) > 1e-12 {
					t.Errorf("%s on %s: %v, want %v %v", s.scores[k], set.name, pair[:2], want.AUROC, want.FPRIDPositive.FPR)
				}
			}
		}
	}
}
