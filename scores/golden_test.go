package scores

import (
	"math"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/linear"
)

// outputs reads a set of the golden folder.
func outputs(t testing.TB, name string, labels bool) *Sample {
	t.Helper()
	z, f := golden.NPY(t, "golden", "ood", name+"_logits.npy"), golden.NPY(t, "golden", "ood", name+"_features.npy")
	s := &Sample{n: z.Shape[0], classes: z.Shape[1], width: f.Shape[1]}
	for _, v := range z.F64 {
		s.logits = append(s.logits, float32(v))
	}
	for _, v := range f.F64 {
		s.features = append(s.features, float32(v))
	}
	if labels {
		s.labels = golden.NPY(t, "golden", "ood", name+"_labels.npy").Ints()
	}
	return s
}

// golden10 is the data of a ResNet-20 of CIFAR-10 that the golden scores were fitted to.
func golden10(t testing.TB) Data {
	t.Helper()
	h := &Head{Layer: linear.Layer{In: 64, Out: 10}}
	for _, v := range golden.NPY(t, "golden", "ood", "head_W.npy").F64 {
		h.Weight = append(h.Weight, float32(v))
	}
	for _, v := range golden.NPY(t, "golden", "ood", "head_b.npy").F64 {
		h.Bias = append(h.Bias, float32(v))
	}
	return Data{h, outputs(t, "id_val", true), trained(outputs(t, "id_train", true), 5000)}
}

// trained are the first n rows of a set as training images.
func trained(s *Sample, n int) *TrainingSet {
	t := NewTrainingSet(n, s.classes, s.width)
	for i := range n {
		t.Add(s.labels[i], s.logitRow(i), s.featureRow(i))
	}
	t.Done()
	return t
}

// blocks prepares a set in blocks of several sizes.
func blocks(s *Sample) []*Block { return sized(s, func(i int) int { return 1 + 37*i%150 }) }

func sized(s *Sample, size func(i int) int) []*Block {
	var out []*Block
	for at := 0; at < s.n; {
		n := min(size(len(out)), s.n-at)
		var z [][]float32
		for i := range n {
			z = append(z, s.logitRow(at+i))
		}
		b := &Block{}
		b.Reset(z, widen(s.features[at*s.width:(at+n)*s.width]), s.width)
		out = append(out, b)
		at += n
	}
	return out
}

// scoresOf are a set's scores.
func scoresOf(f Func, of []*Block) []float64 {
	var all []float64
	for _, b := range of {
		out := make([]float64, len(b.images))
		f(b, out)
		all = append(all, out...)
	}
	return all
}

// TestScoresGolden: every score of every image of the four sets, against float64
// computations of OpenOOD's formulas.
func TestScoresGolden(t *testing.T) {
	g := golden10(t)
	train := outputs(t, "id_train", true)
	fitVal, first, more := g, g, g
	fitVal.Training = trained(g.Validation, g.Validation.n) // OpenOOD fits Residual on the validation set
	first.Training, more.Training = trained(train, 500), trained(train, 600)
	scores := map[string]struct {
		Score
		given Data
		tol   float64
	}{}
	add := func(golden string, s Score, from Data, tol float64) {
		scores[golden] = struct {
			Score
			given Data
			tol   float64
		}{s, from, tol}
	}
	const close = 1e-9 // sums in another order, in float64
	add("msp", of("msp"), g, close)
	add("mls", of("mls"), g, close)
	add("energy_T1", of("energy"), g, close)
	add("temp_scaling", of("temp_scaling"), g, 1e-6) // T to six digits
	add("gen_g0.1_M10", of("gen", 0.1, 10), g, close)
	add("gen_g0.1_M5", of("gen", 0.1, 5), g, close)
	add("entropy", of("entropy"), g, close)
	add("odin_eps0_T1000", of("odin", 1000), g, close)
	// The reference takes logits recomputed from the features in float64, not the model's.
	add("gradnorm", of("gradnorm"), g, 1e-6)
	add("react_p90", of("react", 90), g, close)
	add("vra_p90_p10", of("vra", 90, 10), g, close)
	for _, p := range []float64{65, 90} {
		for _, v := range []string{"b", "p", "s"} {
			add("ash_"+v+"_p"+written(p), of("ash_"+v, p), g, close)
		}
	}
	for _, p := range []float64{65, 85, 90} {
		add("scale_p"+written(p), of("scale", p), g, close)
	}
	add("dice_p90", of("dice", 90), g, close)
	add("klm", of("klm"), g, close)
	// The covariances have condition numbers of 273 and 1169.
	add("mds", of("mds"), g, 1e-8)
	add("rmds", of("rmds"), g, 1e-8)
	add("knn_K50", of("knn", 50), g, close)
	// The eigenvectors at the cut are 8 % apart.
	add("vim_dim32", of("vim", 32), g, 1e-8)
	add("residual_dim32_fit_train", of("residual", 32), g, 1e-8)
	add("residual_dim32_fit_val", of("residual", 32), fitVal, 1e-8)
	add("she_inner", of("she"), g, close)
	// Its bank there is the first 500, or 600, of the shuffled images.
	add("nnguide_K10_a0.1", of("nnguide", 10, 1), first, close)
	add("nnguide_K10_a0.1_openood_bank", of("nnguide", 10, 1), more, close)
	add("fdbd_distance", of("fdbd_distance"), g, close)
	add("fdbd_norm", of("fdbd_norm"), g, close)
	add("nci_a1e-4", of("nci", 1e-4), g, close)

	var names struct{ Methods []string }
	golden.JSON(t, &names, "golden", "ood", "scores.json")
	fitted := map[string]Func{}
	for name, s := range scores {
		if m := s.Missing(s.given); m != 0 {
			t.Fatalf("%s lacks %s", name, m)
		}
		f, _, err := s.Fit(s.given)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fitted[name] = f
	}
	for _, setName := range []string{"id_test", "ood_near_tiny", "ood_far_uniform", "ood_far_gaussian"} {
		s := outputs(t, setName, false)
		prepared := blocks(s)
		want := golden.NPY(t, "golden", "ood", "scores_"+setName+".npy")
		for k, name := range names.Methods {
			f, ok := fitted[name]
			if !ok {
				switch name {
				// What OpenOOD's float arithmetic or its optimizer leaves, not a definition.
				case "gen_g0.1_M10_literal_subtraction", "temp_scaling_openood_T":
				default:
					t.Errorf("%s is not computed", name)
				}
				continue
			}
			worst, at := 0.0, 0
			got := scoresOf(f, prepared)
			for i := range s.n {
				w := want.F64[k*s.n+i]
				// Relative, or to 1e-9 absolute where a score passes through 0.
				d := math.Abs(got[i]-w) / max(math.Abs(w), 1e-3)
				if !(d <= worst) {
					worst, at = d, i
				}
			}
			if !(worst <= scores[name].tol) {
				t.Errorf("%s on %s: image %d differs by %v", name, setName, at, worst)
			}
		}
	}
}
