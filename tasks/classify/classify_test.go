package classify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
)

// fake is a "model" that answers image i with the i-th row of a table: images
// are 1x1 pixels that hold their own index in two channels.
type fake struct {
	table [][]float32
	in    []float32
	out   [][]float32
	fail  error
}

func (f *fake) Size() int                 { return len(f.out) }
func (f *fake) Slot(i int) []float32      { return f.in[3*i : 3*i+3] }
func (f *fake) Output(_, i int) []float32 { return f.out[i] }
func (f *fake) Close() error              { return nil }
func (f *fake) Run(ctx context.Context, n int) error {
	for i := range n {
		at := int(f.in[3*i]) + 256*int(f.in[3*i+1])
		f.out[i] = f.table[at]
	}
	return errors.Join(f.fail, ctx.Err())
}

// input makes an evaluation of the table's rows with the given classes; a nil
// row is an image that cannot be read.
func input(table [][]float32, classes, output []int) Input {
	recipe, err := imageproc.NamedRecipe("raw")
	if err != nil {
		panic(err)
	}
	recipe.Range = 255
	in := Input{Classes: classes, Output: output, Outputs: 0}
	for i, row := range table {
		in.IDs = append(in.IDs, fmt.Sprintf("img%03d.png", i))
		in.Outputs = max(in.Outputs, len(row))
	}
	for i := range output {
		in.Names = append(in.Names, string(rune('a'+i)))
	}
	in.Pixels = pipeline.Config{
		Images: pipeline.Images{N: len(table), Loader: func() pipeline.Load {
			return func(i int, _ imageproc.Window) (imageproc.Image, error) {
				if table[i] == nil {
					return imageproc.Image{}, errors.New("broken")
				}
				return imageproc.Image{W: 1, H: 1, Pix: []byte{byte(i), byte(i >> 8), 0}}, nil
			}
		}},
		Recipe: recipe, Batch: 3, Workers: 2,
		NewBatch: func(n int) (pipeline.Batch, error) {
			return &fake{table: table, in: make([]float32, 3*n), out: make([][]float32, n)}, nil
		},
	}
	return in
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
	res, err := Run(context.Background(), quick(), input(table, classes, []int{0, 1, 2}))
	if err != nil {
		t.Fatal(err)
	}
	// Right: 0, 1 and 6. Row 3 is a tie that goes to class 0. Rows 2 and 5 are out.
	if !slices.Equal(res.Good, []int{0, 1, 3, 4, 6}) || res.Whole.N != 5 || res.Whole.Top1Hits != 3 {
		t.Errorf("good %v, %+v", res.Good, res.Whole)
	}
	if r := res.Records[2]; r.Err == nil || r.Err.Error() != "broken" {
		t.Errorf("%+v", r)
	}
	if r := res.Records[5]; r.Err == nil || !strings.Contains(r.Err.Error(), "NaN for output 1") {
		t.Errorf("%+v", r)
	}
	if got := res.Records[4].Top; !slices.Equal(got, []int{2, 0, 1}) {
		t.Errorf("top %v", got)
	}
	want := []Pair{{Class: 0, As: 2, N: 1, Of: 2}, {Class: 1, As: 0, N: 1, Of: 3}}
	if !slices.Equal(res.Pairs, want) {
		t.Errorf("pairs %+v, want %+v", res.Pairs, want)
	}
	var r report.Report
	in := input(table, classes, []int{0, 1, 2})
	res.Fill(&r, in)
	if len(r.BadImages) != 2 || r.BadImages[0].ID != "img002.png" || r.Dataset.N != 5 || r.Dataset.Bad != 2 {
		t.Errorf("%+v %+v", r.BadImages, r.Dataset)
	}
	if r.Metrics[0].Name != "top1" || r.Metrics[0].Value != 0.6 || r.Metrics[0].N != 5 {
		t.Errorf("%+v", r.Metrics[0])
	}
	for _, m := range r.Metrics {
		if m.Interval == nil {
			t.Errorf("%s has no interval", m.Name)
		}
		if m.Name == "top5" {
			t.Error("top5 of three classes says nothing")
		}
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
	a, err := Run(context.Background(), quick(), input(plain, classes, []int{0, 1, 2, 3}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Run(context.Background(), quick(), input(moved, classes, perm))
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
	in := input(table, []int{1, 0, 1}, []int{0, 3}) // classes are outputs 0 and 3
	open, err := Run(context.Background(), quick(), in)
	if err != nil {
		t.Fatal(err)
	}
	c := quick()
	c.Restrict = true
	closed, err := Run(context.Background(), c, in)
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
	if closed.Records[0].Pred != 3 {
		t.Errorf("prediction %d must be the model's output number 3", closed.Records[0].Pred)
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
	a, err := Run(context.Background(), quick(), input(logits, classes, []int{0, 1, 2}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Run(context.Background(), quick(), input(probs, classes, []int{0, 1, 2}))
	if err != nil {
		t.Fatal(err)
	}
	// float32 probabilities carry seven digits.
	if math.Abs(a.Whole.NLL-b.Whole.NLL) > 1e-5 || a.Whole.Top1 != b.Whole.Top1 {
		t.Errorf("NLL %v from logits, %v from probabilities", a.Whole.NLL, b.Whole.NLL)
	}
	if !b.Probabilities || !slices.ContainsFunc(b.Warnings, func(s string) bool { return strings.Contains(s, "are probabilities") }) {
		t.Errorf("probabilities %v, %q", b.Probabilities, b.Warnings)
	}
	if a.Probabilities {
		t.Error("logits were taken for probabilities")
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
	run := func(answer func(class, i int) int) *Result {
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
		in := input(table, classes, output)
		in.Names, in.Orders = names, d.Orders(k)
		res, err := Run(context.Background(), quick(), in)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	has := func(r *Result, s string) bool {
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
		in := input(table, classes, output)
		in.Orders = (&datasets.Dataset{Classes: names[:few]}).Orders(few)
		res, err := Run(context.Background(), quick(), in)
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

func TestErrors(t *testing.T) {
	_, err := Run(context.Background(), quick(), input([][]float32{nil, nil}, []int{0, 0}, []int{0}))
	if !errors.Is(err, ErrNothingLeft) || !strings.Contains(err.Error(), "img000.png: broken") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, quick(), input([][]float32{{1, 2}}, []int{0}, []int{0, 1})); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	c := quick()
	c.Bins = 1
	if _, err := Run(context.Background(), c, input([][]float32{{1, 2}}, []int{0}, []int{0, 1})); err == nil {
		t.Error("one bin: no error")
	}
	// Every prediction right: no temperature, said in a warning, not a number.
	res, err := Run(context.Background(), quick(), input([][]float32{{3, 0}, {0, 3}}, []int{0, 1}, []int{0, 1}))
	if err != nil || res.Temperature != nil || !strings.Contains(strings.Join(res.Warnings, " "), "no temperature") {
		t.Errorf("%v %+v", err, res)
	}
}

// Results do not depend on batch size, workers or seed-independent order.
func TestSameWhateverTheBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var table [][]float32
	var classes []int
	for range 101 {
		table = append(table, []float32{rng.Float32(), rng.Float32(), rng.Float32()})
		classes = append(classes, rng.IntN(3))
	}
	var first metrics.Classification
	var iv metrics.Intervals
	for i, c := range [][2]int{{1, 1}, {7, 3}, {200, 2}} {
		in := input(table, classes, []int{0, 1, 2})
		in.Pixels.Batch, in.Pixels.Workers = c[0], c[1]
		res, err := Run(context.Background(), quick(), in)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first, iv = res.Whole, *res.Intervals
		} else if res.Whole != first || *res.Intervals != iv {
			t.Errorf("batch %d, workers %d: other numbers", c[0], c[1])
		}
	}
}
