package ood

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Scores lists the scores with the parameters they are known by, for a head of c
// classes and d features.
func Scores(c, d int) []Score {
	dim := principal(d)[0]
	return []Score{
		MSP(), MaxLogit(), Energy(), Entropy(), TempScaling(), GEN(0.1, min(100, c)), ODIN(1000), GradNorm(),
		ReAct(90), VRA(90, 10), ASH("b", 90), ASH("p", 90), ASH("s", 90), SCALE(85), DICE(90), KLM(), OpenMax(20, 3),
		MDS(false), MDS(true), KNN(50), ViM(dim), Residual(dim), SHE(), NNGuide(10, 0.1), FDBD(true), FDBD(false), NCI(1e-4), Relation(1),
	}
}

// principal are ViM's numbers of principal components for d features: by the rule of its
// authors' code, and what OpenOOD's search tries beside it.
func principal(d int) []int {
	switch {
	case d >= 2048:
		return []int{1000, 256}
	case d >= 768:
		return []int{512, 256}
	}
	return []int{max(d/2, 1), max(d/4, 1)}
}

// Grid lists, for scores with parameters, those that OpenOOD's search tries, the default
// among them, as far as c classes, d features and a bank of n training images allow.
func Grid(c, d, n int) [][]Score {
	var gen, odin, react, vra, scale, knn, vim, res, relation, nci []Score
	ash := map[string][]Score{}
	for _, g := range []float64{0.01, 0.1, 0.5, 1, 2, 5, 10} {
		last := 0
		for _, m := range []int{10, 50, 100, 200, 500, 1000} {
			if m = min(m, c); m != last {
				gen = append(gen, GEN(g, m))
			}
			last = m
		}
	}
	for _, t := range []float64{1, 10, 100, 1000} {
		odin = append(odin, ODIN(t))
	}
	for _, p := range []float64{85, 90, 95, 99} {
		react = append(react, ReAct(p))
		for _, low := range []float64{1, 5, 10, 15} {
			vra = append(vra, VRA(p, low))
		}
	}
	for p := 65.0; p <= 95; p += 5 {
		scale = append(scale, SCALE(p))
		for _, v := range []string{"b", "p", "s"} {
			ash[v] = append(ash[v], ASH(v, p))
		}
	}
	for _, k := range []int{50, 100, 200, 500, 1000} {
		if k <= n {
			knn = append(knn, KNN(k))
		}
	}
	for _, dim := range principal(d) {
		vim, res = append(vim, ViM(dim)), append(res, Residual(dim))
	}
	for _, p := range []float64{1, 2, 4, 6, 8} {
		relation = append(relation, Relation(p))
	}
	for _, a := range []float64{1e-4, 1e-3, 1e-2, 1e-1} {
		nci = append(nci, NCI(a))
	}
	all := [][]Score{gen, odin, react, vra, ash["b"], ash["p"], ash["s"], scale, knn, vim, res, {FDBD(true), FDBD(false)}, relation, nci}
	return slices.DeleteFunc(all, func(s []Score) bool { return len(s) < 2 })
}

// forms are the names of scores: what a number in them means, the makers say.
var forms = []struct {
	name *regexp.Regexp
	of   func(p []float64, word string) Score
}{
	form(`msp`, func([]float64, string) Score { return MSP() }),
	form(`mls`, func([]float64, string) Score { return MaxLogit() }),
	form(`energy`, func([]float64, string) Score { return Energy() }),
	form(`entropy`, func([]float64, string) Score { return Entropy() }),
	form(`temp_scaling`, func([]float64, string) Score { return TempScaling() }),
	form(`gen_g#_M#`, func(p []float64, _ string) Score { return GEN(p[0], int(p[1])) }),
	form(`odin_T#`, func(p []float64, _ string) Score { return ODIN(p[0]) }),
	form(`gradnorm`, func([]float64, string) Score { return GradNorm() }),
	form(`react_p#`, func(p []float64, _ string) Score { return ReAct(p[0]) }),
	form(`vra_p#_p#`, func(p []float64, _ string) Score { return VRA(p[0], p[1]) }),
	form(`ash_([bps])_p#`, func(p []float64, v string) Score { return ASH(v, p[0]) }),
	form(`scale_p#`, func(p []float64, _ string) Score { return SCALE(p[0]) }),
	form(`dice_p#`, func(p []float64, _ string) Score { return DICE(p[0]) }),
	form(`klm`, func([]float64, string) Score { return KLM() }),
	form(`openmax_t#_a#`, func(p []float64, _ string) Score { return OpenMax(int(p[0]), int(p[1])) }),
	form(`(r?)mds`, func(_ []float64, r string) Score { return MDS(r != "") }),
	form(`knn_K#`, func(p []float64, _ string) Score { return KNN(int(p[0])) }),
	form(`vim_dim#`, func(p []float64, _ string) Score { return ViM(int(p[0])) }),
	form(`residual_dim#`, func(p []float64, _ string) Score { return Residual(int(p[0])) }),
	form(`she`, func([]float64, string) Score { return SHE() }),
	form(`nnguide_K#_a#`, func(p []float64, _ string) Score { return NNGuide(int(p[0]), p[1]) }),
	form(`fdbd_(distance|norm)`, func(_ []float64, v string) Score { return FDBD(v == "distance") }),
	form(`nci_a#`, func(p []float64, _ string) Score { return NCI(p[0]) }),
	form(`relation_pow#`, func(p []float64, _ string) Score { return Relation(p[0]) }),
}

func form(name string, of func([]float64, string) Score) (f struct {
	name *regexp.Regexp
	of   func(p []float64, word string) Score
}) {
	f.name, f.of = regexp.MustCompile("^"+strings.ReplaceAll(name, "#", `([0-9.]+(?:e-?[0-9]+)?)`)+"$"), of
	return f
}

// Parse makes a score from its name with parameters, any that make sense.
func Parse(name string) (Score, error) {
	for _, f := range forms {
		m := f.name.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		var p []float64
		word := ""
		for _, part := range m[1:] {
			v, err := strconv.ParseFloat(part, 64)
			if err != nil {
				word = part
			} else if !(v >= 0 && v <= 1e6) {
				return Score{}, fmt.Errorf("score %q: %s makes no sense", name, part)
			} else {
				p = append(p, v)
			}
		}
		s := f.of(p, word)
		percent := strings.Contains(name, "_p") && !strings.Contains(name, "_pow")
		bad := s.Name != name
		for _, v := range p {
			bad = bad || percent && v > 100 || v == 0 && !percent
		}
		if bad {
			return Score{}, fmt.Errorf("score %q: its parameters make no sense", name)
		}
		return s, nil
	}
	return Score{}, fmt.Errorf("there is no score %q", name)
}

// kind is the score's name with its parameters left out.
func (s Score) kind() string { return parameter.ReplaceAllString(s.Name, "#") }

var parameter = regexp.MustCompile(`[0-9.]+(?:e-?[0-9]+)?`)

// is says whether a name picks a score: its own, or one without parameters.
func (s Score) is(name string) bool { return s.Name == name || strings.HasPrefix(s.Name, name+"_") }

// Choose picks scores by name: one without its parameters picks all of its kind, one with
// other parameters than those of the list is that score.
func Choose(all []Score, names []string) ([]Score, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []Score
	for _, n := range names {
		found := false
		for _, s := range all {
			if s.is(n) {
				if !slices.ContainsFunc(out, func(o Score) bool { return o.Name == s.Name }) {
					out = append(out, s)
				}
				found = true
			}
		}
		if s, err := Parse(n); !found && err == nil {
			out, found = append(out, s), true
		}
		if !found {
			var known []string
			for _, s := range all {
				known = append(known, s.Name)
			}
			return nil, fmt.Errorf("score %q is not one of %s", n, strings.Join(known, ", "))
		}
	}
	return out, nil
}
