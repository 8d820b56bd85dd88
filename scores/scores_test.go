package scores

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/linear"

	"gonum.org/v1/gonum/mat"
)

// drawn makes outputs of a made-up model: features around their classes' means.
func drawn(seed uint64, n int, h *Head) *Sample {
	rng := rand.New(rand.NewPCG(seed, 9))
	s := NewSample(n, h.Out, h.In)
	f, z := make([]float32, h.In), make([]float32, h.Out)
	for i := range n {
		label := i % h.Out
		for d := range f {
			f[d] = float32(math.Abs(rng.NormFloat64() + 2*math.Sin(float64(label*h.In+d))))
		}
		for c := range z {
			z[c] = h.Bias[c]
			for d, w := range h.Row(c) {
				z[c] += w * f[d]
			}
		}
		s.Add(label, z, f)
	}
	return s
}

func madeUp(c, d int) (*Head, Data) {
	rng := rand.New(rand.NewPCG(4, 4))
	h := &Head{Layer: linear.Layer{In: d, Out: c}}
	for range c * d {
		h.Weight = append(h.Weight, float32(rng.NormFloat64()))
	}
	for range c {
		h.Bias = append(h.Bias, float32(rng.NormFloat64()))
	}
	return h, Data{h, drawn(1, 90, h), trained(drawn(2, 400, h), 400)}
}

// TestRelation: against the definition, pair by pair.
func TestRelation(t *testing.T) {
	h, g := madeUp(4, 6)
	train, s := drawn(2, 400, h), drawn(3, 50, h)
	for _, power := range []float64{1, 2} {
		f, _, err := of("relation", power).Fit(g)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range scoresOf(f, blocks(s)) {
			want := 0.0
			for j := range train.n {
				cos, alike := 0.0, 0.0
				a, b := widen(s.featureRow(i)), widen(train.featureRow(j))
				for d := range a {
					cos += (a[d]/norm(a) + 1e-10) * (b[d]/norm(b) + 1e-10)
				}
				p, _, _ := softmax(widen(s.logitRow(i)))
				q, _, _ := softmax(widen(train.logitRow(j)))
				for c := range p {
					alike += p[c] * q[c]
				}
				if k := max(cos, 0) * alike; k > 0.03 {
					want += math.Pow(k, power)
				}
			}
			if math.Abs(got-want) > 1e-9*math.Max(1, want) {
				t.Fatalf("power %v, image %d: %v, want %v", power, i, got, want)
			}
		}
	}
}

// TestWhitening: both ways give the same lengths, and a covariance that has no inverse its
// pseudo-inverse's.
func TestWhitening(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, c := range []struct{ d, rank int }{{5, 5}, {12, 12}, {12, 7}} {
		x := mat.NewDense(c.d, c.rank, nil)
		for i := range c.d {
			for j := range c.rank {
				x.Set(i, j, rng.NormFloat64())
			}
		}
		var s mat.SymDense
		s.SymOuterK(1, x)
		w, err := whitening(&s)
		if err != nil {
			t.Fatal(err)
		}
		// A vector in the space: x a. Its squared length is x' S^+ x.
		var svd mat.SVD
		svd.Factorize(&s, mat.SVDThin)
		var pinv mat.Dense
		a := mat.NewVecDense(c.rank, nil)
		for i := range c.rank {
			a.SetVec(i, rng.NormFloat64())
		}
		var v mat.VecDense
		v.MulVec(x, a)
		rhs := mat.NewDense(c.d, 1, slices.Clone(v.RawVector().Data))
		svd.SolveTo(&pinv, rhs, c.rank)
		want := mat.Dot(&v, pinv.ColView(0))
		var y mat.VecDense
		y.MulVec(w.T(), &v)
		if got := mat.Dot(&y, &y); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%+v: %v, want %v", c, got, want)
		}
		if _, r := w.Dims(); r != c.rank {
			t.Errorf("%+v: rank %d", c, r)
		}
	}
}

// TestTrainingSet: sums of one pass are those of the images, and of very many images some are
// kept, evenly.
func TestTrainingSet(t *testing.T) {
	h, _ := madeUp(3, 5)
	s := drawn(2, 1000, h)
	tr := trained(s, s.n)
	u := []float64{0.1, 0.2, 0.3, 0.4, 0.5}
	want := mat.NewSymDense(5, nil)
	for i := range s.n {
		f := widen(s.featureRow(i))
		for d := range f {
			f[d] -= u[d]
		}
		want.SymRankOne(want, 1.0/1000, mat.NewVecDense(5, f))
	}
	if got := tr.about(u); !mat.EqualApprox(got, want, 1e-12) {
		t.Errorf("about %v, want %v", mat.Formatted(got), mat.Formatted(want))
	}
	within := mat.NewSymDense(5, nil)
	mean := means(tr.sum, tr.count)
	for i := range s.n {
		f := widen(s.featureRow(i))
		for d := range f {
			f[d] -= mean[s.labels[i]][d]
		}
		within.SymRankOne(within, 1.0/1000, mat.NewVecDense(5, f))
	}
	if got := tr.within(); !mat.EqualApprox(got, within, 1e-12) {
		t.Errorf("within %v, want %v", mat.Formatted(got), mat.Formatted(within))
	}
	for _, c := range []struct{ n, width, keep int }{{1000, 64, 1000}, {1281167, 2048, 16384}, {1 << 26, 1, 1 << 25}, {10, 1 << 30, 1}} {
		p := newThinning(c.n, c.width)
		kept, last, gap := 0, -1, 0
		for i := range c.n {
			if p.next() {
				if kept++; last >= 0 {
					gap = max(gap, i-last)
				}
				last = i
			}
		}
		if kept != c.keep || p.keep < c.n && gap > c.n/c.keep+1 || (p.rule() == "") != (c.keep == c.n) {
			t.Errorf("%+v: %d kept, at most %d apart, %q", c, kept, gap, p.rule())
		}
	}
}

// TestZeroFeatures: training images whose features are all 0 change no similarity, and are counted.
func TestZeroFeatures(t *testing.T) {
	h, g := madeUp(4, 6)
	set, s := drawn(2, 400, h), drawn(3, 50, h)
	mixed := NewTrainingSet(410, h.Out, h.In)
	for i := range set.n {
		if i%40 == 0 {
			mixed.Add(0, make([]float32, h.Out), make([]float32, h.In))
		}
		mixed.Add(set.labels[i], set.logitRow(i), set.featureRow(i))
	}
	mixed.Done()
	if mixed.zeros != 10 {
		t.Errorf("%d are counted", mixed.zeros)
	}
	for _, score := range []Score{of("knn", 5), of("relation", 1), of("nnguide", 5, 1)} {
		var got [2][]float64
		for i, train := range []*TrainingSet{trained(set, set.n), mixed} {
			f, _, err := score.Fit(Data{h, g.Validation, train})
			if err != nil {
				t.Fatal(err)
			}
			got[i] = scoresOf(f, blocks(s))
		}
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("%s: they change the scores", score.Name)
		}
	}
	zero := NewTrainingSet(5, h.Out, h.In)
	for range 5 {
		zero.Add(0, make([]float32, h.Out), make([]float32, h.In))
	}
	zero.Done()
	for _, score := range All(4, 6) {
		if score.Needs&NeedTraining != 0 && score.Needs&NeedFeatures != 0 {
			_, _, err := score.Fit(Data{h, g.Validation, zero}) // an error or numbers, no panic
			if err == nil && score.Family == "knn" {
				t.Errorf("%s compares with nothing", score.Name)
			}
		}
	}
}

// TestNames: every score is found again by its name.
func TestNames(t *testing.T) {
	all := All(10, 64)
	for _, f := range Grid(1000, 2048, 5000) {
		all = append(all, f...)
	}
	for _, s := range all {
		got, err := Parse(s.Name)
		if err != nil || got.Name != s.Name || got.Family != s.Family || got.Needs != s.Needs || got.Summary != s.Summary {
			t.Errorf("%s: %+v %v", s.Name, got, err)
		}
	}
}

// TestParseRefuses: what is no score, or has parameters that make no sense, is refused with the reason.
func TestParseRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"":             "no such score",
		"knn":          "no such score",
		"mds2":         "no such score",
		"msp_1":        "no such score",
		"ash_x_p90":    "no such score",
		"gen_g0.1":     "no such score",
		"knn_K0":       "K cannot be 0",
		"knn_K1.5":     "K is a whole number, not 1.5",
		"react_p101":   "p cannot be 101",
		"react_p-1":    "p cannot be -1",
		"react_pnan":   "p cannot be nan",
		"react_px":     `"x" is not a number`,
		"odin_T0":      "T cannot be 0",
		"vim_dim1e9":   "dim cannot be 1e9",
		"knn_K07":      "is written knn_K7",
		"nci_a1e-4":    "is written nci_a0.0001",
		"nnguide_K1":   "no such score",
		"vra_p90_p10_": "no such score",
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := Parse(name); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q, error %v, want one with %q", s.Name, err, want)
			}
		})
	}
}

// TestChoose: families and single scores, each once, in the order of the names.
func TestChoose(t *testing.T) {
	for _, c := range []struct{ names, want, families string }{
		{"knn_K7 ash msp msp", "knn_K7 ash_b_p90 ash_p_p90 ash_s_p90 msp", "knn_K7 ash_b ash_p ash_s msp"},
		{"knn knn_K50", "knn_K50", "knn knn_K50"},
		{"react_p65 react_p65", "react_p65", "react_p65"},
		{"vim gen", "vim_dim32 gen_g0.1_M10", "vim gen"},
		{"temp", "temp_scaling", "temp_scaling"},
	} {
		t.Run(c.names, func(t *testing.T) {
			chosen, err := Choose(10, 64, strings.Fields(c.names))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range chosen {
				got = append(got, s.Name)
			}
			families, err := Names(strings.Fields(c.names))
			if err != nil {
				t.Fatal(err)
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("%s, want %s", g, c.want)
			}
			if f := strings.Join(families, " "); f != c.families {
				t.Errorf("names are %s, want %s", f, c.families)
			}
		})
	}
	if all, err := Choose(10, 64, nil); err != nil || len(all) != len(families) {
		t.Errorf("%d scores, %v", len(all), err)
	}
	for name, want := range map[string]string{"mps": `"mps" is not one of msp, mls, `, "knn_K0": "K cannot be 0"} {
		if _, err := Choose(10, 64, []string{"msp", name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

// TestMissing: what is not there is missing, in an order that is always the same.
func TestMissing(t *testing.T) {
	h, d := madeUp(3, 4)
	sizes := &Head{Layer: linear.Layer{Out: 3}}
	for _, c := range []struct {
		score string
		data  Data
		want  string
	}{
		{"msp", Data{Head: sizes}, ""},
		{"react", Data{Head: sizes}, "a linear head"},
		{"react", Data{Head: h}, "ID validation images"},
		{"gradnorm", Data{Head: sizes}, "features"},
		{"knn", Data{Head: h, Validation: d.Validation}, "ID training images"},
		{"knn", d, ""},
	} {
		chosen, err := Choose(3, 4, []string{c.score})
		if err != nil {
			t.Fatal(err)
		}
		if got := chosen[0].Missing(c.data).String(); got != c.want {
			t.Errorf("%s lacks %q, want %q", c.score, got, c.want)
		}
	}
}
