package classify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"

	"github.com/google/go-cmp/cmp"
)

// input is an evaluation of scores from a table: row i is what the model gives for
// image i, nil for an image that cannot be read.
type input struct {
	about   About
	table   [][]float32
	classes []int
}

func newInput(table [][]float32, classes, output []int) *input {
	in := &input{table: table, classes: classes, about: About{Described: tasks.Described[Config]{Config: quick()}, Output: output}}
	for _, row := range table {
		in.about.Outputs = max(in.about.Outputs, len(row))
	}
	for i := range output {
		in.about.Names = append(in.about.Names, string(rune('a'+i)))
	}
	return in
}

// run makes the records and evaluates them.
func (in *input) run(t testing.TB) (*result, error) {
	t.Helper()
	run := in.records(t)
	defer run.Close()
	return evaluate(context.Background(), in.about, run)
}

// records makes the records.
func (in *input) records(t testing.TB) *results.Run {
	t.Helper()
	run, err := results.Temporary(results.Manifest{
		Key:    results.Key{Task: Name, Data: results.Data{N: len(in.table)}},
		Arrays: []results.Array{{Name: evaluation.Logits, Width: in.about.Outputs}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, w := NewRecorder(in.about), results.NewWriter[Record](run)
	for i, row := range in.table {
		var bad error
		if row == nil {
			bad = errors.New("broken")
		}
		at := results.Row{Index: int64(i), ID: fmt.Sprintf("img%03d.png", i), Class: in.about.Names[in.classes[i]], Status: results.OK, Width: int32(20 + i), Height: 300}
		rec, err := c.Record(at, in.classes[i], row, bad)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(rec, row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return run
}

func quick() Config {
	c := DefaultConfig()
	c.Replicates = 100
	return c
}

func TestRun(t *testing.T) {
	nan := float32(math.NaN())
	table := [][]float32{
		{3, 1, 0}, {0, 2, 0}, nil, {1, 1, 0}, {0, 0, 5}, {0, nan, 0}, {0, 4, 0},
	}
	classes := []int{0, 1, 0, 1, 0, 1, 1}
	in := newInput(table, classes, []int{0, 1, 2})
	res, err := in.run(t)
	if err != nil {
		t.Fatal(err)
	}
	// Right: 0, 1 and 6. Row 3 is a tie that goes to class 0. Rows 2 and 5 are out.
	if !slices.Equal(res.Good, []int{0, 1, 3, 4, 6}) || res.Whole.N != 5 || res.Whole.Top1Hits != 3 {
		t.Errorf("good %v, %+v", res.Good, res.Whole)
	}
	if r := res.Records[2]; r.Status != results.Bad || r.Error != "broken" {
		t.Errorf("%+v", r)
	}
	if r := res.Records[5]; r.Status != results.Bad || !strings.Contains(r.Error, "NaN for output 1") {
		t.Errorf("%+v", r)
	}
	c := NewRecorder(in.about)
	if rec, err := c.Record(results.Row{}, 0, table[4], nil); err != nil || !slices.Equal(rec.Top, []int32{2, 0, 1}) || len(rec.TopProbability) != 3 {
		t.Errorf("%+v %v", rec, err)
	}
	want := []Pair{{Class: 0, As: 2, N: 1, Of: 2}, {Class: 1, As: 0, N: 1, Of: 3}}
	if !slices.Equal(res.Pairs, want) {
		t.Errorf("pairs %+v, want %+v", res.Pairs, want)
	}
}

// Of seven images, two are bad; three of the others are right.
func TestFill(t *testing.T) {
	nan := float32(math.NaN())
	table := [][]float32{{3, 1, 0}, {0, 2, 0}, nil, {1, 1, 0}, {0, 0, 5}, {0, nan, 0}, {0, 4, 0}}
	in := newInput(table, []int{0, 1, 0, 1, 0, 1, 1}, []int{0, 1, 2})
	in.about.Config.Replicates = 0
	in.about.Config.Worst = 5
	in.about.Config.By = Groupings()
	res, err := in.run(t)
	if err != nil {
		t.Fatal(err)
	}
	r := &report.Report{Headless: true}
	res.fill(r, in.about)
	var b strings.Builder
	if err := r.Write(&b, report.Text); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/report.text")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, want := [2]int{r.Dataset.N, r.Dataset.Bad}, [2]int{5, 2}; got != want {
		t.Errorf("%v images evaluated and bad, want %v", got, want)
	}
	better := map[string]report.Better{}
	for _, n := range r.Main {
		better[n.Name] = n.Better
	}
	for name, want := range map[string]report.Better{
		"top1": report.Higher, "balanced_accuracy": report.Higher, "mean_confidence": report.Neither, "temperature": report.Neither,
		"nll": report.Lower, "max_calibration_error": report.Lower, "e_aurc": report.Lower,
	} {
		if better[name] != want {
			t.Errorf("%s: better is %q, want %q", name, better[name], want)
		}
	}
}

// A temperature whose interval overflows costs the report its interval, not its numbers. One
// image is right and one wrong by nearly as much: the best temperature is 100, and others are
// nearly as likely.
func TestIntervalOverflows(t *testing.T) {
	in := newInput([][]float32{{0.1001, 0}, {0.1, 0}}, []int{0, 1}, []int{0, 1})
	res, err := in.run(t)
	if err != nil || res.Temperature == nil || !math.IsInf(res.Temperature.Interval.High, 1) {
		t.Fatalf("temperature %+v, %v: its interval must overflow here", res.Temperature, err)
	}
	for _, f := range report.Formats() {
		r := &report.Report{}
		res.fill(r, in.about)
		var b strings.Builder
		if err := r.Write(&b, f); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		temperature := r.Find("temperature")
		if temperature == nil || temperature.Interval != nil || temperature.Value != res.Temperature.Value {
			t.Errorf("%s: %+v", f, temperature)
		}
		if want := "the interval of temperature is not finite"; !strings.HasPrefix(r.Warnings[0], want) {
			t.Errorf("%s: warnings %q, want %q", f, r.Warnings, want)
		}
	}
}

// Two runs of the same images: what compare needs agrees with what the report has.
func TestSource(t *testing.T) {
	table := [][]float32{{3, 1, 0, 0, 0, 0}, {0, 2, 0, 1, 1, 1}, nil, {1, 1, 0, 0, 0, 0}, {9, 8, 7, 6, 5, 4}}
	in := newInput(table, []int{0, 1, 0, 1, 5}, []int{0, 1, 2, 3, 4, 5})
	run := in.records(t)
	defer run.Close()
	res, err := evaluate(context.Background(), in.about, run)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSource(context.Background(), &loaded{in.about, run})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 1, 3, 4}, s.Good()); diff != "" {
		t.Errorf("good samples (-want +got):\n%s", diff)
	}
	r := &report.Report{}
	res.fill(r, in.about)
	sample := s.At(s.Good())
	values := sample.Evaluate([]uint16{1, 1, 1, 1})
	for k, m := range s.Metrics() {
		n := r.Find(m.Name)
		if n == nil || n.Value != values[k] || n.Unit != m.Unit || n.Better != m.Better {
			t.Errorf("%s: %v, %+v; the report has %+v", m.Name, values[k], m, n)
		}
	}
	right := map[string][]bool{}
	for name, f := range sample.Right {
		for i := range s.Good() {
			right[name] = append(right[name], f(i))
		}
	}
	if diff := cmp.Diff(map[string][]bool{"top1": {true, true, false, false}, "top5": {true, true, true, false}}, right); diff != "" {
		t.Errorf("right (-want +got):\n%s", diff)
	}
}

// The same images through another output numbering give the same numbers.
func TestOutputNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	perm := []int{2, 0, 3, 1}
	var plain, moved [][]float32
	var classes []int
	for range 60 {
		row, other := make([]float32, 4), make([]float32, 4)
		for k := range row {
			row[k] = float32(rng.NormFloat64())
			other[perm[k]] = row[k]
		}
		plain, moved = append(plain, row), append(moved, other)
		class := rng.IntN(4)
		if rng.IntN(2) == 0 {
			class = metrics.Argmax(row) // so that logits and labels have to do with each other
		}
		classes = append(classes, class)
	}
	a, err := newInput(plain, classes, []int{0, 1, 2, 3}).run(t)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newInput(moved, classes, perm).run(t)
	if err != nil {
		t.Fatal(err)
	}
	// Sums over classes are in another order: equal but for rounding.
	if a.Whole.Top1Hits != b.Whole.Top1Hits || math.Abs(a.Whole.NLL-b.Whole.NLL) > 1e-12 || math.Abs(a.Temperature.Value-b.Temperature.Value) > 1e-9 {
		t.Errorf("%+v\n%+v", a.Whole, b.Whole)
	}
}

// With --restrict only the data's classes compete, in accuracy and in NLL.
func TestRestrict(t *testing.T) {
	table := [][]float32{{1, 9, 0, 2}, {2, 9, 0, 1}, {0, 9, 0, 3}}
	in := newInput(table, []int{1, 0, 1}, []int{0, 3}) // classes are outputs 0 and 3
	open, err := in.run(t)
	if err != nil {
		t.Fatal(err)
	}
	in.about.Config.Restrict = true
	closed, err := in.run(t)
	if err != nil {
		t.Fatal(err)
	}
	if open.Whole.Top1 != 0 || closed.Whole.Top1 != 1 || closed.Outputs != 2 {
		t.Errorf("top1 %v open, %v restricted", open.Whole.Top1, closed.Whole.Top1)
	}
	want := (2*math.Log(1+math.Exp(-1)) + math.Log(1+math.Exp(-3))) / 3
	if math.Abs(closed.Whole.NLL-want) > 1e-12 {
		t.Errorf("NLL %v, want %v", closed.Whole.NLL, want)
	}
	if closed.Records[0].Prediction != 3 {
		t.Errorf("prediction %d must be the model's output number 3", closed.Records[0].Prediction)
	}
	if !slices.ContainsFunc(open.Warnings, func(s string) bool { return strings.Contains(s, "--restrict") }) {
		t.Errorf("%v", open.Warnings)
	}
}

// Probabilities taken as such give the numbers of the logits they came from.
func TestProbabilities(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var logits, probs [][]float32
	var classes []int
	for range 50 {
		z, p := make([]float32, 3), make([]float64, 3)
		for k := range z {
			z[k] = float32(3 * rng.NormFloat64())
		}
		metrics.Softmax(p, z)
		logits = append(logits, z)
		probs = append(probs, []float32{float32(p[0]), float32(p[1]), float32(p[2])})
		classes = append(classes, rng.IntN(3))
	}
	a, err := newInput(logits, classes, []int{0, 1, 2}).run(t)
	if err != nil {
		t.Fatal(err)
	}
	in := newInput(probs, classes, []int{0, 1, 2})
	in.about.Probabilities = true
	b, err := in.run(t)
	if err != nil {
		t.Fatal(err)
	}
	// float32 probabilities carry seven digits.
	if math.Abs(a.Whole.NLL-b.Whole.NLL) > 1e-5 || a.Whole.Top1 != b.Whole.Top1 {
		t.Errorf("NLL %v from logits, %v from probabilities", a.Whole.NLL, b.Whole.NLL)
	}
	if !slices.ContainsFunc(b.Warnings, func(s string) bool { return strings.Contains(s, "are probabilities") }) {
		t.Errorf("%q", b.Warnings)
	}
}

func TestOrderWarning(t *testing.T) {
	const k, each = 12, 10
	names := make([]string, k) // 0, 1, 10, 11, 2 … when sorted as text
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	d := &datasets.Dataset{Classes: names}
	orders := d.Orders(k, nil)
	run := func(answer func(class, i int) int) *result {
		var table [][]float32
		var classes []int
		for c := range k {
			for i := range each {
				row := make([]float32, k)
				row[answer(c, i)] = 5
				table, classes = append(table, row), append(classes, c)
			}
		}
		output := make([]int, k)
		for i := range output {
			output[i] = i
		}
		in := newInput(table, classes, output)
		in.about.Names, in.about.Orders = names, orders
		res, err := in.run(t)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	has := func(r *result, s string) bool {
		return slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, s) })
	}
	// The model numbered its classes by text order.
	byText := run(func(c, _ int) int { return slices.Index(sorted, names[c]) })
	if !has(byText, "sorted as text") || !has(byText, "100.00 %") {
		t.Errorf("%v %q", byText.Whole.Top1, byText.Warnings)
	}
	// An order nobody knows.
	odd := run(func(c, _ int) int { return (c*5 + 3) % k })
	if !has(odd, "no known order fits, but matching") {
		t.Errorf("%v %q", odd.Whole.Top1, odd.Warnings)
	}
	// The model's outputs are the data's classes by name, whatever order was asked for.
	shuffled := make([]string, k)
	for c, name := range []string{"ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "kiwi", "lynx"} {
		shuffled[(c*5+3)%k] = strings.ToUpper(name)
	}
	words := slices.Clone(shuffled)
	slices.Sort(words)
	d = &datasets.Dataset{Classes: words, Order: datasets.TextOrder}
	orders = d.Orders(k, shuffled)
	byName := run(func(c, _ int) int { return (c*5 + 3) % k })
	if !has(byName, "matched by the class names in the model top-1 would be 100.00 %") || !has(byName, "leave --class-order out") || has(byName, "no known order") {
		t.Errorf("%v %q", byName.Whole.Top1, byName.Warnings)
	}
	// The same classes, but as numbers of the names in alphabetical order.
	orders = (&datasets.Dataset{Classes: names}).Orders(k, shuffled)
	if counted := run(func(c, _ int) int { return (c*5 + 3) % k }); !has(counted, "in alphabetical order top-1 would be 100.00 %") || has(counted, "no known order") {
		t.Errorf("%v %q", counted.Whole.Top1, counted.Warnings)
	}
	orders = (&datasets.Dataset{Classes: names}).Orders(k, nil)
	// Numbers from 1.
	if high := run(func(c, _ int) int { return max(c-1, 0) }); !has(high, "labels start at 1") || !has(high, "--class-order from-1") {
		t.Errorf("%v %q", high.Whole.Top1, high.Warnings)
	}
	// A right model is not bothered.
	if right := run(func(c, i int) int { return c }); has(right, "near chance") {
		t.Errorf("%q", right.Warnings)
	}
	// Neither are good models of few classes.
	for few := 2; few <= 10; few++ {
		var table [][]float32
		var classes, output []int
		for i := range 40 * few {
			row := make([]float32, few)
			answer := i % few
			if i%4 == 0 {
				answer = (i + 1) % few // three in four are right
			}
			row[answer] = 3
			table, classes = append(table, row), append(classes, i%few)
		}
		for o := range few {
			output = append(output, o)
		}
		in := newInput(table, classes, output)
		in.about.Orders = (&datasets.Dataset{Classes: names[:few]}).Orders(few, nil)
		res, err := in.run(t)
		if err != nil || has(res, "near chance") {
			t.Errorf("%d classes, top-1 %v: %q %v", few, res.Whole.Top1, res.Warnings, err)
		}
	}
	// A model that knows nothing: no order is named.
	rng := rand.New(rand.NewPCG(5, 5))
	if nothing := run(func(int, int) int { return rng.IntN(k) }); has(nothing, "would be") || has(nothing, "would give") || !has(nothing, "near chance") {
		t.Errorf("%v %q", nothing.Whole.Top1, nothing.Warnings)
	}
	if constant := run(func(int, int) int { return 3 }); !has(constant, "same output for every image") {
		t.Errorf("%q", constant.Warnings)
	}
}

// TestClassesCalled: tables show what people call classes beside synsets and numbers, and outputs that
// are no class of the data by name.
func TestClassesCalled(t *testing.T) {
	in := newInput([][]float32{{3, 0, 1, 0}, {0, 3, 1, 0}, {0, 1, 0, 3}}, []int{0, 0, 1}, []int{0, 1})
	in.about.Names, in.about.Called = []string{"n01440764", "Great_White"}, []string{"tench", "great white", "", "ray"}
	in.about.Config.By = []string{"class", "predicted"}
	res, err := in.run(t)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, by := range []report.KeyName{report.KeyClass, report.KeyPredicted} {
		for _, n := range res.groups(by, in.about) {
			got = append(got, n.At.Get(by))
		}
	}
	for _, row := range res.mixedUp(in.about).Rows {
		got = append(got, row[0].Word+" > "+row[1].Word)
	}
	want := []string{"n01440764 tench", "Great_White", "n01440764 tench", "Great_White", "output 3 ray", "n01440764 tench > Great_White", "Great_White > output 3 ray"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestErrors(t *testing.T) {
	none := newInput([][]float32{nil, nil}, []int{0, 0}, []int{0})
	none.about.Outputs = 1
	_, err := none.run(t)
	if !errors.Is(err, tasks.ErrNothingLeft) || !strings.Contains(err.Error(), "img000.png: broken") {
		t.Errorf("%v", err)
	}
	in := newInput([][]float32{{1, 2}}, []int{0}, []int{0, 1})
	in.about.Config.Bins = 1
	if _, err := in.run(t); err == nil {
		t.Error("one bin: no error")
	}
	c := NewRecorder(newInput([][]float32{{1, 2}}, []int{0}, []int{0, 1}).about)
	if _, err := c.Record(results.Row{}, 0, []float32{1, 2, 3}, nil); err == nil {
		t.Error("three scores of a model of two: no error")
	}
	// Every prediction right: no temperature, said in a warning, not a number.
	res, err := newInput([][]float32{{3, 0}, {0, 3}}, []int{0, 1}, []int{0, 1}).run(t)
	if err != nil || res.Temperature != nil || !strings.Contains(strings.Join(res.Warnings, " "), "no temperature") {
		t.Errorf("%v %+v", err, res)
	}
}

// The doctor is asked after a run where its accuracy is near chance, or clearly below the published one.
func TestLow(t *testing.T) {
	published := func(v float64) []report.Number {
		return []report.Number{{Name: "nll", Value: 5}, {Name: "top1", Value: v}}
	}
	for name, c := range map[string]struct {
		published []report.Number
		hits, n   int
		outputs   int
		restrict  int // classes that compete
		low       bool
	}{
		"plausible":                   {nil, 70, 100, 10, 0, false},
		"chance":                      {nil, 10, 100, 10, 0, true},
		"a little more than chance":   {nil, 160, 1000, 10, 0, true},
		"more than chance":            {nil, 300, 1000, 10, 0, false},
		"of 1000 classes":             {nil, 1, 500, 1000, 0, true},
		"of 2 classes":                {nil, 52, 100, 2, 0, true},
		"2 of 1000 compete":           {nil, 52, 100, 1000, 2, true},
		"too few images":              {nil, 0, 10, 10, 0, false},
		"as published":                {published(0.76), 740, 1000, 1000, 0, false},
		"a few points below":          {published(0.76), 700, 1000, 1000, 0, false},
		"clearly below":               {published(0.76), 560, 1000, 1000, 0, true},
		"few images, perhaps by luck": {published(0.76), 13, 20, 1000, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			j := &Job{about: About{Outputs: c.outputs, Output: make([]int, c.restrict), Described: tasks.Described[Config]{Config: Config{Restrict: c.restrict > 0}}}}
			j.about.Head.Published = c.published
			if got := j.low(c.hits, c.n); got != c.low {
				t.Errorf("low: %v", got)
			}
		})
	}
}
