package scores

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// family is the scores of one formula, which differ in its parameters.
type family struct {
	name   string
	params []param
	usual  func(classes, features int) []float64 // the parameters it is known by
	make   func(p []float64) Score               // Name and Family are left to member
}

// param is a parameter, as it stands in a score's name: its own name, then its value.
type param struct {
	name      string
	low, high float64 // both are allowed
	whole     bool
}

func percentage(name string) param { return param{name: name, low: 0, high: 100} }
func positive(name string) param {
	return param{name: name, low: math.SmallestNonzeroFloat64, high: 1e6}
}
func share(name string) param { return param{name: name, low: math.SmallestNonzeroFloat64, high: 1} }
func count(name string) param { return param{name: name, low: 1, high: 1e6, whole: true} }

// always are parameters that do not depend on the model.
func always(p ...float64) func(int, int) []float64 {
	return func(int, int) []float64 { return p }
}

// families lists all scores, in the order of reports.
var families = []family{
	{"msp", nil, always(), func([]float64) Score { return msp() }},
	{"mls", nil, always(), func([]float64) Score { return maxLogit() }},
	{"energy", nil, always(), func([]float64) Score { return energy() }},
	{"entropy", nil, always(), func([]float64) Score { return entropy() }},
	{"temp_scaling", nil, always(), func([]float64) Score { return tempScaling() }},
	{
		"gen", []param{positive("g"), count("M")}, func(classes, _ int) []float64 { return []float64{0.1, float64(min(100, classes))} },
		func(p []float64) Score { return gen(p[0], int(p[1])) },
	},
	{"odin", []param{positive("T")}, always(1000), func(p []float64) Score { return odin(p[0]) }},
	{"gradnorm", nil, always(), func([]float64) Score { return gradNorm() }},
	{"react", []param{percentage("p")}, always(90), func(p []float64) Score { return reAct(p[0]) }},
	{"vra", []param{percentage("p"), percentage("p")}, always(90, 10), func(p []float64) Score { return vra(p[0], p[1]) }},
	{"ash_b", []param{percentage("p")}, always(90), func(p []float64) Score { return ash("b", p[0]) }},
	{"ash_p", []param{percentage("p")}, always(90), func(p []float64) Score { return ash("p", p[0]) }},
	{"ash_s", []param{percentage("p")}, always(90), func(p []float64) Score { return ash("s", p[0]) }},
	{"scale", []param{percentage("p")}, always(85), func(p []float64) Score { return scale(p[0]) }},
	{"dice", []param{percentage("p")}, always(90), func(p []float64) Score { return dice(p[0]) }},
	{"klm", nil, always(), func([]float64) Score { return klm() }},
	{"openmax", []param{count("t"), count("a")}, always(20, 3), func(p []float64) Score { return openMax(int(p[0]), int(p[1])) }},
	{"mds", nil, always(), func([]float64) Score { return mds(false) }},
	{"rmds", nil, always(), func([]float64) Score { return mds(true) }},
	{"knn", []param{count("K")}, always(50), func(p []float64) Score { return knn(int(p[0])) }},
	{"vim", []param{count("dim")}, usualComponents, func(p []float64) Score { return vim(int(p[0])) }},
	{"residual", []param{count("dim")}, usualComponents, func(p []float64) Score { return residual(int(p[0])) }},
	{"she", nil, always(), func([]float64) Score { return she() }},
	{"nnguide", []param{count("K"), share("a")}, always(10, 0.1), func(p []float64) Score { return nnGuide(int(p[0]), p[1]) }},
	{"fdbd_distance", nil, always(), func([]float64) Score { return fdbd(true) }},
	{"fdbd_norm", nil, always(), func([]float64) Score { return fdbd(false) }},
	{"nci", []param{positive("a")}, always(1e-4), func(p []float64) Score { return nci(p[0]) }},
	{"relation", []param{positive("pow")}, always(1), func(p []float64) Score { return relation(p[0]) }},
}

// written is a parameter as it stands in a name.
func written(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// member is the score with parameters, which must be allowed.
func (f *family) member(p ...float64) Score {
	s := f.make(p)
	s.Family, s.Name = f.name, f.name
	for i, q := range f.params {
		s.Name += "_" + q.name + written(p[i])
	}
	return s
}

// of is the member of the family of that name.
func of(name string, p ...float64) Score {
	return families[slices.IndexFunc(families, func(f family) bool { return f.name == name })].member(p...)
}

// parse reads the parameters from the name of a member; ok is false for another name.
func (f *family) parse(name string) (p []float64, ok bool, err error) {
	rest, ok := strings.CutPrefix(name, f.name)
	for _, q := range f.params {
		if rest, ok = strings.CutPrefix(rest, "_"+q.name); !ok {
			return nil, false, nil
		}
		value := rest
		if end := strings.IndexByte(rest, '_'); end >= 0 {
			value = rest[:end]
		}
		rest = rest[len(value):]
		v, e := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case e != nil:
			err = fmt.Errorf("score %q: %q is not a number", name, value)
		case !(v >= q.low && v <= q.high):
			err = fmt.Errorf("score %q: %s cannot be %s", name, q.name, value)
		case q.whole && v != math.Trunc(v):
			err = fmt.Errorf("score %q: %s is a whole number, not %s", name, q.name, value)
		}
		p = append(p, v)
	}
	return p, ok && rest == "", err
}

var errUnknown = errors.New("there is no such score")

// Parse makes a score from its name with parameters, any that make sense.
func Parse(name string) (Score, error) {
	for i := range families {
		p, ok, err := families[i].parse(name)
		if !ok {
			continue
		}
		if err != nil {
			return Score{}, err
		}
		s := families[i].member(p...)
		if s.Name != name {
			return Score{}, fmt.Errorf("score %q is written %s", name, s.Name)
		}
		return s, nil
	}
	return Score{}, fmt.Errorf("score %q: %w", name, errUnknown)
}

// All lists the scores with the parameters they are known by, for a model of as many classes and features.
func All(classes, features int) []Score {
	out := make([]Score, len(families))
	for i := range families {
		out[i] = families[i].member(families[i].usual(classes, features)...)
	}
	return out
}

// Matches says whether a pattern picks the score or family of that name: it is the name, or its beginning up
// to an underscore (ash picks ash_b, and react picks react_p90).
func Matches(name, pattern string) bool {
	return name == pattern || strings.HasPrefix(name, pattern+"_")
}

// Names says what scores names pick, whatever the sizes of a model: families, and scores with parameters of their
// own; none picks all. A name that picks nothing is an error.
func Names(names []string) ([]string, error) {
	var out []string
	for i := range families {
		if len(names) == 0 {
			out = append(out, families[i].name)
		}
	}
	for _, n := range names {
		found := false
		for i := range families {
			if f := families[i].name; Matches(f, n) {
				if found = true; !slices.Contains(out, f) {
					out = append(out, f)
				}
			}
		}
		if found {
			continue
		}
		switch s, err := Parse(n); {
		case errors.Is(err, errUnknown):
			all, _ := Names(nil)
			return nil, fmt.Errorf("score %q is not one of %s", n, strings.Join(all, ", "))
		case err != nil:
			return nil, err
		case !slices.Contains(out, s.Name):
			out = append(out, s.Name)
		}
	}
	return out, nil
}

// Choose lists the scores that names pick, in their order: a family with the parameters it is known by. No
// names are all scores.
func Choose(classes, features int, names []string) ([]Score, error) {
	picked, err := Names(names)
	if err != nil {
		return nil, err
	}
	usual := All(classes, features)
	var out []Score
	for _, name := range picked {
		s, err := Parse(name)
		if k := slices.IndexFunc(usual, func(u Score) bool { return u.Family == name }); k >= 0 {
			s, err = usual[k], nil
		}
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o Score) bool { return o.Name == s.Name }) {
			out = append(out, s)
		}
	}
	return out, nil
}

// components are ViM's numbers of principal components for so many features: by the rule of its authors' code,
// and what OpenOOD's search tries beside it.
func components(features int) []int {
	switch {
	case features >= 2048:
		return []int{1000, 256}
	case features >= 768:
		return []int{512, 256}
	}
	return []int{max(features/2, 1), max(features/4, 1)}
}

func usualComponents(_, features int) []float64 { return []float64{float64(components(features)[0])} }

// Grid lists, for scores with parameters, those that OpenOOD's search tries, the usual ones among them, as far as a
// model of as many classes and features and n training images to compare with allow.
func Grid(classes, features, n int) [][]Score {
	var gen, odin, react, vra, scale, knn, vim, residual, relation, nci []Score
	ash := map[string][]Score{}
	for _, g := range []float64{0.01, 0.1, 0.5, 1, 2, 5, 10} {
		last := 0
		for _, m := range []int{10, 50, 100, 200, 500, 1000} {
			if m = min(m, classes); m != last {
				gen = append(gen, of("gen", g, float64(m)))
			}
			last = m
		}
	}
	for _, t := range []float64{1, 10, 100, 1000} {
		odin = append(odin, of("odin", t))
	}
	for _, p := range []float64{85, 90, 95, 99} {
		react = append(react, of("react", p))
		for _, low := range []float64{1, 5, 10, 15} {
			vra = append(vra, of("vra", p, low))
		}
	}
	for p := 65.0; p <= 95; p += 5 {
		scale = append(scale, of("scale", p))
		for _, v := range []string{"ash_b", "ash_p", "ash_s"} {
			ash[v] = append(ash[v], of(v, p))
		}
	}
	for _, k := range []int{50, 100, 200, 500, 1000} {
		if k <= n {
			knn = append(knn, of("knn", float64(k)))
		}
	}
	for _, dim := range components(features) {
		vim, residual = append(vim, of("vim", float64(dim))), append(residual, of("residual", float64(dim)))
	}
	for _, p := range []float64{1, 2, 4, 6, 8} {
		relation = append(relation, of("relation", p))
	}
	for _, a := range []float64{1e-4, 1e-3, 1e-2, 1e-1} {
		nci = append(nci, of("nci", a))
	}
	fdbd := []Score{of("fdbd_distance"), of("fdbd_norm")}
	all := [][]Score{gen, odin, react, vra, ash["ash_b"], ash["ash_p"], ash["ash_s"], scale, knn, vim, residual, fdbd, relation, nci}
	return slices.DeleteFunc(all, func(s []Score) bool { return len(s) < 2 })
}
