package metrics

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// equal says whether two numbers are the same but for the rounding of sums of a few hundred numbers.
func equal(a, b float64) bool { return math.Abs(a-b) <= 1e-12*(1+math.Abs(b)) }

func ones(n int) []uint16 { return slices.Repeat([]uint16{1}, n) }

// TestBinaryByDefinition: numbers against those of testdata/make_binary.py, which goes pair by pair
// and threshold by threshold, ties included.
func TestBinaryByDefinition(t *testing.T) {
	var cases []struct {
		Logits           []float32
		Positive         []bool
		Threshold        float64
		Bins             int
		Counts           [4]int
		Points           [4][3]*float64
		Accuracy, AUROC  float64
		AUROCHalf        float64 `json:"auroc_half"`
		AveragePrecision float64 `json:"average_precision"`
		NLL, Brier, ECE  float64
		MeanProbability  float64 `json:"mean_probability"`
		Precision        float64
		Recall           float64
		Specificity      float64
		F1, MCC          float64
	}
	readJSON(t, &cases, "testdata/binary.json")
	for _, c := range cases {
		b := NewBinary(c.Logits, c.Positive, false, c.Threshold, c.Bins)
		got := b.Evaluate(ones(len(c.Logits)))
		if of := [4]int{got.TruePositive, got.FalseNegative, got.TrueNegative, got.FalsePositive}; of != c.Counts {
			t.Errorf("counts %v, want %v", of, c.Counts)
		}
		iv, err := b.Intervals(context.Background(), got, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string][2]float64{
			"accuracy": {got.Accuracy, c.Accuracy}, "auroc": {got.AUROC, c.AUROC}, "average precision": {got.AveragePrecision, c.AveragePrecision},
			"nll": {got.NLL, c.NLL}, "brier": {got.Brier, c.Brier}, "ece": {got.ECE, c.ECE}, "mean": {got.MeanProbability, c.MeanProbability},
			"precision": {got.Precision, c.Precision}, "recall": {got.Recall, c.Recall}, "specificity": {got.Specificity, c.Specificity},
			"f1": {got.F1, c.F1}, "mcc": {got.MCC, c.MCC}, "balanced": {got.Balanced, (c.Recall + c.Specificity) / 2},
			"interval": {iv.AUROC.High - iv.AUROC.Low, 2 * c.AUROCHalf},
		} {
			if !equal(v[0], v[1]) {
				t.Errorf("%s is %v, want %v", name, v[0], v[1])
			}
		}
		for k, p := range got.Points {
			want := c.Points[k]
			if !equal(p.TPR, *want[0]) || !equal(p.FPR, *want[1]) {
				t.Errorf("%s: %+v, want %v %v", PointNames()[k], p, *want[0], *want[1])
			}
			// Above the threshold are the images that the point takes, and no others.
			taken := 0
			for i := range c.Logits {
				if b.P(i) > p.Threshold {
					taken++
				}
			}
			if taken != p.Found+p.Passed {
				t.Errorf("%s: %d images are above %v, not %d", PointNames()[k], taken, p.Threshold, p.Found+p.Passed)
			}
		}
	}
}

func readJSON(t *testing.T, to any, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestBinaryCounts: counts are copies of images.
func TestBinaryCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		n := 2 + rng.IntN(30)
		var scores, copies []float32
		var positive, copied []bool
		count := make([]uint16, n)
		for i := range n {
			scores, positive = append(scores, float32(rng.IntN(12)-6)/2), append(positive, rng.IntN(3) == 0)
			count[i] = uint16(rng.IntN(4))
			for range count[i] {
				copies, copied = append(copies, scores[i]), append(copied, positive[i])
			}
		}
		if len(copies) == 0 {
			continue
		}
		got := NewBinary(scores, positive, false, 0.5, 10).Evaluate(count)
		want := NewBinary(copies, copied, false, 0.5, 10).Evaluate(ones(len(copies)))
		same := func(a, b float64) bool { return equal(a, b) || math.IsNaN(a) && math.IsNaN(b) }
		if got.Confusion != want.Confusion || !same(got.AUROC, want.AUROC) || !same(got.AveragePrecision, want.AveragePrecision) ||
			!same(got.NLL, want.NLL) || !same(got.ECE, want.ECE) || !slices.Equal(got.Points, want.Points) {
			t.Fatalf("%+v\nwith copies %+v", got, want)
		}
	}
}

// TestBinaryScales: probabilities give the numbers of their logits, at thresholds that float32 cannot
// hold too.
func TestBinaryScales(t *testing.T) {
	z := []float32{-3, -1, -0.5, 0, 0.25, 2, 5}
	y := []bool{false, true, false, false, true, true, true}
	var p []float32
	for _, v := range z {
		of, _, _ := Logistic(float64(v))
		p = append(p, float32(of))
	}
	for _, threshold := range []float64{0.05, 0.3, 0.5, 0.7} {
		a := NewBinary(z, y, false, threshold, 15).Evaluate(ones(len(z)))
		b := NewBinary(p, y, true, threshold, 15).Evaluate(ones(len(z)))
		if a.Confusion != b.Confusion || math.Abs(a.NLL-b.NLL) > 1e-6 || math.Abs(a.Brier-b.Brier) > 1e-6 || a.AUROC != b.AUROC { // float32 has 7 digits
			t.Errorf("%v: %+v of logits, %+v of probabilities", threshold, a, b)
		}
	}
	// A probability that is the threshold is not above it, in float32 as where it was made.
	if NewBinary([]float32{0.3}, []bool{true}, true, 0.3, 15).Taken(0) || NewBinary([]float32{0}, []bool{true}, false, 0.5, 15).Taken(0) {
		t.Error("a score at the threshold is taken for positive")
	}
	// Logits of which the probability rounds to 1 keep their likelihood.
	far := NewBinary([]float32{200, -200}, []bool{false, true}, false, 0.5, 15).Evaluate(ones(2))
	if far.NLL != 200 || far.Brier != 1 {
		t.Errorf("%+v", far)
	}
	round := NewBinary([]float32{1, 0}, []bool{false, true}, true, 0.5, 15).Evaluate(ones(2))
	if want := (25*math.Ln2 + 149*math.Ln2) / 2; math.Abs(round.NLL-want) > 1e-6 { // 1 less 2^-25, and 2^-149
		t.Errorf("NLL %v of rounded probabilities, want %v", round.NLL, want)
	}
}

// TestBinaryOfOneClass: there is no number of both classes, and none is made up.
func TestBinaryOfOneClass(t *testing.T) {
	b := NewBinary([]float32{1, -1}, []bool{true, true}, false, 0.5, 15)
	n := b.Evaluate(ones(2))
	if !math.IsNaN(n.AUROC) || !math.IsNaN(n.Specificity) || n.Points != nil || n.Accuracy != 0.5 {
		t.Errorf("%+v", n)
	}
	if _, err := b.Intervals(context.Background(), n, 100, 1); err != nil {
		t.Error(err)
	}
}

// TestLabelSets: numbers against those of testdata/make_binary.py.
func TestLabelSets(t *testing.T) {
	var want struct {
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
	readJSON(t, &want, "testdata/labelsets.json")
	c := want.Classes
	for i, y := range want.Truth {
		if y < 0 {
			want.Truth[i] = math.NaN()
		}
	}
	count := ones(len(want.Truth) / c)
	p := NewMultiLabel(want.Scores, want.Truth, c).AveragePrecisions(count)
	check := func(name string, got, want float64) {
		t.Helper()
		if !equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	check("map", p.Mean, want.MAP)
	check("weighted", p.Weighted, want.Weighted)
	check("micro", p.Micro, want.Micro)
	check("voc07", p.VOC07, want.VOC07)
	if !math.IsNaN(p.Classes[4]) {
		t.Errorf("a class without an image has the average precision %v", p.Classes[4])
	}
	for k, of := range want.WithImage {
		check("average precision", p.Classes[of], want.AveragePrecision[k])
	}
	above, top := Above(want.Scores, 0), Highest(want.Scores, c, 3)
	both := slices.Clone(above)
	for i := range both {
		both[i] = both[i] && top[i]
	}
	for name, of := range map[string]struct {
		taken []bool
		want  [8]float64
	}{"above": {above, want.Above}, "top 3": {both, want.Top3}, "exactly 3": {top, want.Exactly3}} {
		n := NewLabelSets(of.taken, want.Truth, c).Evaluate(count)
		for k, v := range []float64{n.CP, n.CR, n.CF1, n.OP, n.OR, n.OF1, n.Exact, n.Hamming} {
			check(name, v, of.want[k])
		}
	}
	r := NewLabelRanking(want.Scores, want.Truth, c)
	for k, v := range [][]float64{r.Loss, r.Coverage, r.Precision, r.OneError} {
		check("ranking", MeanOf(v, count), want.Ranking[k])
	}
}

// TestLabelSetCounts: counts are copies of images.
func TestLabelSetCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n, c = 20, 4
	taken, truth, count := make([]bool, n*c), make([]float64, n*c), make([]uint16, n)
	var copied []bool
	var truths []float64
	for i := range n {
		for k := range c {
			taken[i*c+k], truth[i*c+k] = rng.IntN(2) == 0, []float64{0, 1, math.NaN()}[rng.IntN(3)]
		}
		count[i] = uint16(rng.IntN(3))
		for range count[i] {
			copied, truths = append(copied, taken[i*c:(i+1)*c]...), append(truths, truth[i*c:(i+1)*c]...)
		}
	}
	a, b := NewLabelSets(taken, truth, c).Evaluate(count), NewLabelSets(copied, truths, c).Evaluate(ones(len(truths)/c))
	if a.CF1 != b.CF1 || a.OF1 != b.OF1 || a.Exact != b.Exact || a.Hamming != b.Hamming || !slices.Equal(a.Classes, b.Classes) {
		t.Errorf("%+v\n%+v", a, b)
	}
}
