package scores

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFitWeibull: the parameters that were drawn from come back, no parameters nearby
// are likelier, and what has no fit is an error.
func TestFitWeibull(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, want := range []weibull{{0.5, 3}, {1, 0.01}, {3.7, 1.4}, {80, 1000}} {
		x := make([]float64, 20000)
		for i := range x {
			x[i] = want.Scale * math.Pow(rng.ExpFloat64(), 1/want.Shape)
		}
		got, err := fitWeibull(x)
		// Standard errors are 0.8 % of either parameter (of the scale, by the shape).
		if err != nil || math.Abs(got.Shape/want.Shape-1) > 0.03 || math.Abs(math.Log(got.Scale/want.Scale))*want.Shape > 0.04 {
			t.Errorf("%+v %v, want %+v", got, err, want)
		}
		likelihood := func(w weibull) float64 {
			sum := 0.0
			for _, v := range x {
				sum += math.Log(w.Shape) - w.Shape*math.Log(w.Scale) + (w.Shape-1)*math.Log(v) - math.Pow(v/w.Scale, w.Shape)
			}
			return sum
		}
		for _, other := range []weibull{
			{got.Shape * 1.001, got.Scale}, {got.Shape / 1.001, got.Scale}, {got.Shape, got.Scale * 1.0003}, {got.Shape, got.Scale / 1.0003},
		} {
			if likelihood(other) >= likelihood(got) {
				t.Errorf("%+v is likelier than %+v", other, got)
			}
		}
	}
	for _, x := range [][]float64{nil, {1}, {2, 2, 2}, {0, 1}, {-1, 3}} {
		if w, err := fitWeibull(x); err == nil {
			t.Errorf("%v fits %+v", x, w)
		}
	}
	if w := (weibull{2, 3}); w.cdf(-1) != 0 || math.Abs(w.cdf(3)-(1-1/math.E)) > 1e-15 {
		t.Errorf("%v %v", w.cdf(-1), w.cdf(3))
	}
}

// TestOpenMaxDefinition: the score of CIFAR-10 outputs, computed once more step by step
// as the definition has it.
func TestOpenMaxDefinition(t *testing.T) {
	g := golden10(t)
	f, _, err := of("openmax", 20, 3).Fit(g)
	if err != nil {
		t.Fatal(err)
	}
	train := outputs(t, "id_train", true)
	type class struct {
		mean []float64
		fit  weibull
		move float64
	}
	var classes [10]class
	for c := range classes {
		var mine [][]float32
		for i := range train.n {
			z := train.logitRow(i)
			if train.labels[i] == c && slices.Max(z) == z[c] {
				mine = append(mine, z)
			}
		}
		mean := make([]float64, 10)
		for _, z := range mine {
			for k, v := range z {
				mean[k] += float64(v) / float64(len(mine))
			}
		}
		var d []float64
		for _, z := range mine {
			sum := 0.0
			for k, v := range z {
				sum += math.Pow(float64(v)-mean[k], 2)
			}
			d = append(d, math.Sqrt(sum))
		}
		slices.Sort(d)
		d = d[len(d)-20:]
		move := 1 - d[0]
		for i := range d {
			d[i] += move
		}
		fit, err := fitWeibull(d)
		if err != nil {
			t.Fatal(err)
		}
		classes[c] = class{mean, fit, move}
	}
	for _, name := range []string{"id_test", "ood_near_tiny"} {
		s := outputs(t, name, false)
		got := scoresOf(f, blocks(s))
		rejected := 0
		for i := range s.n {
			want := openMaxOf(s.logitRow(i), func(k int) (float64, weibull, float64) {
				sum := 0.0
				for j, v := range s.logitRow(i) {
					sum += math.Pow(float64(v)-classes[k].mean[j], 2)
				}
				return math.Sqrt(sum), classes[k].fit, classes[k].move
			})
			if math.Abs(got[i]-want) > 1e-9 {
				t.Fatalf("%s: image %d scores %v, want %v", name, i, got[i], want)
			}
			if want < -0.5 {
				rejected++
			}
		}
		if name != "id_test" && rejected == 0 {
			t.Error("nothing is unknown")
		}
	}
}

// openMaxOf is the definition for one image; about tells a class's distance, distribution
// and move.
func openMaxOf(logits []float32, about func(k int) (float64, weibull, float64)) float64 {
	kept := make([]float64, len(logits))
	var unknown float64
	for k, v := range logits {
		rank := 0
		for j, o := range logits {
			if o > v || o == v && j < k {
				rank++
			}
		}
		weight := max(float64(3-rank)/3, 0)
		d, fit, move := about(k)
		w := 1 - math.Exp(-math.Pow(max(d+move, 0)/fit.Scale, fit.Shape))
		kept[k] = float64(v) * (1 - w*weight)
		unknown += float64(v) * w * weight
	}
	all := math.Exp(unknown)
	for _, v := range kept {
		all += math.Exp(v)
	}
	return -math.Exp(unknown) / all
}
