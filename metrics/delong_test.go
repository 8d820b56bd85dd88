package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// correlated draws scores of two detectors that see the same images.
func correlated(rng *rand.Rand, n int, shift float64) (a, b []float64) {
	for range n {
		common := rng.NormFloat64()
		a = append(a, shift+common+0.7*rng.NormFloat64())
		b = append(b, 0.8*shift+common+0.7*rng.NormFloat64())
	}
	return a, b
}

// Placements and the sum of one term are Separate's AUROC and interval, ties included.
func TestPlaceIsSeparate(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		id, ood := make([]float64, 1+rng.IntN(40)), make([]float64, 1+rng.IntN(40))
		for i := range id {
			id[i] = float64(rng.IntN(12))
		}
		for i := range ood {
			ood[i] = float64(rng.IntN(10))
		}
		d, err := Separate(id, ood)
		if err != nil {
			t.Fatal(err)
		}
		p := Place(id, ood)
		v, iv, _ := Combine([]Term{{1, p, 0}})
		mean := 0.0
		for _, x := range p.OOD {
			mean += x / float64(len(ood))
		}
		if math.Abs(v-d.AUROC) > 1e-12 || math.Abs(mean-d.AUROC) > 1e-12 {
			t.Fatalf("%v and %v, want %v", v, mean, d.AUROC)
		}
		if d.AUROC == 0 || d.AUROC == 1 {
			continue // DeLong's has no width
		}
		if math.Abs(max(iv.Low, 0)-d.AUROCInterval.Low) > 1e-9 || math.Abs(min(iv.High, 1)-d.AUROCInterval.High) > 1e-9 {
			t.Fatalf("%+v, want %+v", iv, d.AUROCInterval)
		}
	}
}

// The difference of two detectors on the same images: its interval holds the truth as
// often as it says, and is narrower than one that takes them as independent; so does
// that of a mean over sets. Equal detectors differ by nothing.
func TestCombineCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	normal := func(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }
	sd := math.Sqrt(2 * (1 + 0.49))
	truthA, truthB := normal(1/sd), normal(0.8/sd)
	const trials = 600
	held, mean, narrower := 0, 0, 0
	for range trials {
		idA, idB := correlated(rng, 120, 1)
		oodA, oodB := correlated(rng, 80, 0)
		otherA, _ := correlated(rng, 60, 0)
		a, b := Place(idA, oodA), Place(idB, oodB)
		_, iv, _ := Combine([]Term{{1, a, 0}, {-1, b, 0}})
		if d := truthA - truthB; iv.Low <= d && d <= iv.High {
			held++
		}
		if _, alone, _ := Combine([]Term{{1, a, 0}, {-1, b, 1}}); alone.High-alone.Low > iv.High-iv.Low {
			narrower++
		}
		if _, iv, _ := Combine([]Term{{0.5, a, 0}, {0.5, Place(idA, otherA), 1}}); iv.Low <= truthA && truthA <= iv.High {
			mean++
		}
	}
	// 570 expected, standard deviation 5.3.
	if held < 550 || held > 590 || mean < 550 || mean > 590 {
		t.Errorf("held the truth in %d (difference) and %d (mean) of %d trials", held, mean, trials)
	}
	if narrower < trials*9/10 {
		t.Errorf("pairing narrows %d of %d intervals", narrower, trials)
	}
	a, _ := correlated(rng, 30, 1)
	b, _ := correlated(rng, 30, 0)
	p := Place(a, b)
	if v, iv, q := Combine([]Term{{1, p, 0}, {-1, p, 0}}); v != 0 || iv.Low != 0 || iv.High != 0 || q != 1 {
		t.Errorf("a detector differs from itself by %v %+v, p %v", v, iv, q)
	}
}

// Where nothing varies, or there is one image, the interval says that little is known.
func TestCombineFew(t *testing.T) {
	perfect := Place([]float64{5, 6, 7, 8}, []float64{1, 2, 3})
	if v, iv, _ := Combine([]Term{{0.5, perfect, 0}, {0.5, perfect, 1}}); v != 1 || iv.High != 1 || iv.Low > 0.6 {
		t.Errorf("a mean of perfect ones: %v %+v", v, iv)
	}
	worst := Place([]float64{1, 2, 3, 4}, []float64{5, 6, 7})
	if v, iv, p := Combine([]Term{{1, perfect, 0}, {-1, worst, 0}}); v != 1 || iv.Low > 0.6 || p < 0.1 {
		t.Errorf("perfect less wrong, of three images: %v %+v %v", v, iv, p)
	}
	one := Place([]float64{5}, []float64{1, 2, 9, 3})
	if _, iv, p := Combine([]Term{{1, one, 0}, {-1, Place([]float64{5}, []float64{9, 9, 9, 9}), 0}}); iv.Low != -1 || iv.High != 1 || p != 1 {
		t.Errorf("one ID image: %+v %v", iv, p)
	}
	if d, err := Separate([]float64{5}, []float64{1, 2, 9, 3}); err != nil || d.AUROCInterval.Low != 0 || d.AUROCInterval.High != 1 {
		t.Errorf("one ID image: %+v %v", d.AUROCInterval, err)
	}
}

func TestCCR(t *testing.T) {
	id := []float64{5, 4, 3, 2, 1}
	right := []bool{true, false, true, true, true}
	ood := []float64{0, 0.5, 1.5, 2.5, 3, 0, 0, 0, 0, 0}
	for fpr, want := range map[float64]float64{0.1: 0.2, 0.2: 0.4, 0.15: 0.4, 0.3: 0.6, 1: 0.8} {
		// At 0.1 the threshold is 3, which an ID image must exceed.
		if _, got, err := CCR(id, right, ood, fpr); err != nil || got != want {
			t.Errorf("at %v: %v %v, want %v", fpr, got, err, want)
		}
	}
	if _, _, err := CCR(id, right, ood, 0.01); err == nil {
		t.Error("a hundredth of ten images has a threshold")
	}
}

func TestLogit95(t *testing.T) {
	// By hand: logit 0.9 = 2.19722, half width 1.95996 / sqrt(100 * 0.09) = 0.65332.
	iv := Logit95(0.9, 100)
	if math.Abs(iv.Low-0.824031) > 1e-5 || math.Abs(iv.High-0.945347) > 1e-5 {
		t.Errorf("%+v", iv)
	}
	for _, v := range []float64{0, 1} {
		if iv := Logit95(v, 50); iv.Low > v || iv.High < v || iv.High-iv.Low < 0.01 {
			t.Errorf("at %v: %+v", v, iv)
		}
	}
}

func TestMeanOfShares(t *testing.T) {
	one := WilsonShare(30, 100)
	if m, iv := MeanOfShares([]Share{one}); m != 0.3 || math.Abs(iv.Low-one.Low) > 1e-15 || math.Abs(iv.High-one.High) > 1e-15 {
		t.Errorf("of one: %v %+v, want %+v", m, iv, one)
	}
	m, iv := MeanOfShares([]Share{one, WilsonShare(50, 100), WilsonShare(70, 100)})
	// Three of about the same width: that width by the square root of three.
	if math.Abs(m-0.5) > 1e-12 || math.Abs((iv.High-iv.Low)-0.183/math.Sqrt(3)) > 0.01 {
		t.Errorf("%v %+v", m, iv)
	}
}
