package model

import (
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/internal/onnx"
)

// Output is an output of the graph.
type Output struct {
	Name    string
	Type    onnx.Type
	Shape   string // for people: "n x 10"; empty where the file gives none
	Classes int    // scores per image, 0 where the file does not say; 1: one logit
	// Not says why the output cannot hold class scores; empty where it can.
	Not string

	upstream map[*onnx.Node]bool // what it is computed from, of several that can hold class scores
}

func (o Output) String() string {
	s := fmt.Sprintf("%q", o.Name)
	if o.Shape != "" {
		s += " (" + o.Shape + ")"
	}
	return s
}

// Outputs are all outputs of the file, in its order.
func (m *Model) Outputs() []Output { return m.outputs }

// Candidates are the outputs that can hold class scores.
func (m *Model) Candidates() []Output {
	var out []Output
	for _, o := range m.outputs {
		if o.Not == "" {
			out = append(out, o)
		}
	}
	return out
}

// Choice says why Output is the one, where there are several candidates and none was asked
// for: a sentence for people that names them all. It is empty otherwise.
func (m *Model) Choice() string { return m.choice }

// Ambiguous is the error of a model whose outputs leave the choice open: several candidates,
// and neither names nor graph say which holds the class scores. Output is then the first.
func (m *Model) Ambiguous() error { return m.ambiguous }

// ForClasses is the model with the output that fits data of so many classes, where none was
// asked for and there are several candidates that can hold class scores by name and graph; the
// model itself where that changes nothing. Of several that fit, names and graph decide. Where
// none fits, the choice stays what it was.
func (m *Model) ForClasses(n int) (*Model, error) {
	if m.choice == "" && m.ambiguous == nil {
		return m, nil
	}
	all, _ := plausible(m.Candidates())
	of := func(classes int) []Output {
		return slices.DeleteFunc(slices.Clone(all), func(o Output) bool { return o.Classes != classes })
	}
	fit := of(n)
	if n == 2 && len(fit) == 0 {
		fit = of(1) // of two classes one number is enough
	}
	if len(fit) == 0 {
		return m, nil
	}
	pick, why, err := choose(fit)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", m.Name, err)
	}
	if len(fit) == 1 {
		why = fmt.Sprintf("it alone fits the %d classes of the data", n)
	}
	if pick.Name == m.Output && m.ambiguous == nil {
		return m, nil
	}
	e := &Model{Name: m.Name, Path: m.Path, SHA256: m.SHA256, Size: m.Size, edits: m.edits}
	if err := e.inspect(m.file, pick.Name); err != nil {
		return nil, fmt.Errorf("model %q: %w", m.Name, err)
	}
	e.choice = choiceText(pick, m.Candidates(), why)
	return e, nil
}

// findOutput takes the named output or inner tensor. Without a name it takes the output that
// can hold class scores; of several the one that choose finds.
func (m *Model) findOutput(f *finder, name string) error {
	m.outputs = nil
	var names []string
	for _, o := range f.g.Outputs {
		m.outputs = append(m.outputs, m.describeOutput(f, o))
		names = append(names, o.Name)
	}
	if name != "" {
		for _, o := range m.outputs {
			switch {
			case o.Name != name:
			case o.Not != "":
				return fmt.Errorf("output %s holds no class scores: it is %s", o, o.Not)
			default:
				m.Output, m.Classes = name, o.Classes
				return nil
			}
		}
		if f.g.Produces(name) { // a tensor inside
			if not, _ := f.chosen(name); not != "" {
				return fmt.Errorf("tensor %q holds no class scores: it is %s", name, not)
			}
			m.Output = name
			return nil
		}
		return fmt.Errorf("it has no output %q; its outputs are %s", name, strings.Join(names, ", "))
	}
	fit := m.Candidates()
	if len(fit) == 0 {
		var why []string
		for _, o := range m.outputs {
			why = append(why, fmt.Sprintf("%s is %s", o, o.Not))
		}
		return fmt.Errorf("none of its outputs holds class scores (images x classes): %s; name the tensor that does by --output, or export the model with it as an output", strings.Join(why, "; "))
	}
	pick := fit[0]
	if len(fit) > 1 {
		for i := range fit {
			fit[i].upstream = f.upstream([]string{fit[i].Name})
		}
		for i, o := range fit { // for ForClasses
			k := slices.IndexFunc(m.outputs, func(x Output) bool { return x.Name == o.Name })
			m.outputs[k] = fit[i]
		}
		var why string
		if pick, why, m.ambiguous = choose(fit); m.ambiguous == nil {
			m.choice = choiceText(pick, fit, why)
		}
	}
	m.Output, m.Classes = pick.Name, pick.Classes
	return nil
}

func choiceText(pick Output, of []Output, why string) string {
	return fmt.Sprintf("class scores are read from output %q of %s, because %s; --output takes another", pick.Name, outputNames(of), why)
}

func outputNames(of []Output) string {
	var names []string
	for _, o := range of {
		names = append(names, o.String())
	}
	return strings.Join(names, ", ")
}

// describeOutput says what an output is, and whether it can hold class scores: numbers of the
// shape images x classes, with axes of 1 anywhere behind the first, or one number per image;
// of a model that takes one image at a time also a vector of classes.
func (m *Model) describeOutput(f *finder, v onnx.Value) (o Output) {
	o = Output{Name: v.Name, Type: v.Type}
	chosen, scores := f.chosen(v.Name)
	defer func() {
		if o.Not != "" && scores != "" {
			o.Not += fmt.Sprintf(", made from %q (try --output %q)", scores, scores)
		}
	}()
	if v.Ranked {
		dims := slices.Clone(v.Dims)
		for i := range dims {
			if i == 0 && dims[i].Size < 0 {
				dims[i].Symbol = "n"
			}
		}
		o.Shape = shapeText(dims)
	}
	switch v.Type {
	case onnx.Float32, onnx.Float16, onnx.Float64, onnx.BFloat16:
	case onnx.Undefined:
		switch v.Kind {
		case "":
		case "sequence", "map":
			o.Not = fmt.Sprintf("a %s, no tensor", v.Kind)
			if n := f.maker[v.Name]; n == nil || n.Op == "ZipMap" {
				o.Not = fmt.Sprintf("a %s, as scikit-learn's ZipMap makes it (export with options={\"zipmap\": False})", v.Kind)
			}
		default:
			o.Not = "of the kind " + v.Kind
		}
	case onnx.Uint8, onnx.Int8:
		if _, quantised := onnx.QuantizationIn(f.maker, v.Name); !quantised {
			o.Not = fmt.Sprintf("%v, and no quantised scores", v.Type)
		}
	case onnx.Int32, onnx.Int64:
		o.Not = fmt.Sprintf("%v: class numbers perhaps, no scores", v.Type)
	default:
		o.Not = v.Type.String()
	}
	if o.Not == "" {
		o.Not = chosen
	}
	if o.Not != "" || !v.Ranked {
		return o
	}
	dims := v.Dims
	single := m.NoBatch || m.Batch == 1 // one image at a time: the axis of the batch may be missing
	switch {
	case len(dims) == 0:
		o.Not = "a scalar, one number for all images of a run, such as a loss or a mean"
		return o
	case len(dims) == 1 && dims[0].Size > 1 && m.Batch == 0 && !m.NoBatch:
		return o // n is left as it was while exporting, or the classes of one image: a run tells
	case len(dims) == 1 && (!single || dims[0].Size <= 1):
		o.Classes = 1
		return o
	case !single:
		dims = dims[1:]
	case dims[0].Size < 0: // n, as nearly always
		dims = dims[1:]
	}
	classes, open := int64(1), false
	for _, d := range dims {
		switch {
		case d.Size < 0 && (open || classes > 1), d.Size > 1 && (open || classes > 1), d.Size == 0:
			o.Not = "of a shape that is not images x classes" + places(len(v.Dims))
			return o
		case d.Size < 0:
			open = true
		default:
			classes = d.Size * classes
		}
	}
	if !open && classes <= maxClasses {
		o.Classes = int(classes)
	}
	return o
}

// maxClasses bounds the number of classes that is believed of a file.
const maxClasses = 1 << 24

// layered says whether a node is a layer that has weights.
func layered(n *onnx.Node) bool {
	switch n.Op {
	case "Conv", "Gemm", "MatMul", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QGemm", "Attention", "FusedConv":
		return true
	}
	return false
}

// Words in the names of outputs that are not the classifier's: auxiliary classifiers, and
// what is taken from within a network.
var asides = []string{"aux", "feat", "embed", "hidden", "pool", "attn", "attention", "token", "loss", "box", "mask", "distill", "penultimate"}

// Words in the names of outputs that are.
var mains = []string{"logit", "prob", "score", "pred", "class", "softmax", "main", "output"}

func named(o Output, words []string) bool {
	name := strings.ToLower(o.Name)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}

// choose takes the output with the class scores, of several that can hold them. In this order:
// those are left out whose names say that they are something else (auxiliary, features); of
// two of which one is computed from the other the lesser is left out; then the one nearest to
// the end of the graph is taken, if its own part of the graph has at least twice the layers of
// the others' (an auxiliary classifier hangs on an early feature); then the only one whose name
// says that it is it. The error names the outputs.
func choose(of []Output) (pick Output, why string, err error) {
	left, why := plausible(of)
	if len(left) > 1 {
		left, why = without(left, why, "it is nearest to the end of the graph", func(a Output) bool {
			return slices.ContainsFunc(left, func(b Output) bool { return own(b, a) >= max(1, 2*own(a, b)) })
		})
	}
	if len(left) > 1 {
		left, why = without(left, why, "its name says so", func(o Output) bool { return !named(o, mains) })
	}
	if len(left) == 1 {
		return left[0], why, nil
	}
	return of[0], "", fmt.Errorf("it has %d outputs that could be the class scores, %s, and nothing says which; give one with --output", len(left), outputNames(left))
}

// plausible are the outputs that are neither something else by name nor the lesser of two, with
// why the others are not.
func plausible(of []Output) (left []Output, why string) {
	left, why = without(of, "", "the names of the others say that they are something else", func(o Output) bool { return named(o, asides) })
	all := left
	return without(left, why, "the others are computed from it, or it from them", func(a Output) bool {
		return slices.ContainsFunc(all, func(b Output) bool { return lesser(a, b) })
	})
}

// without leaves outputs out, unless that leaves none or all; why stays what it was then.
func without(of []Output, why, because string, out func(Output) bool) ([]Output, string) {
	left := slices.DeleteFunc(slices.Clone(of), out)
	if len(left) == 0 || len(left) == len(of) {
		return of, why
	}
	return left, because
}

// lesser says whether one of the two is computed from the other, and a is the one to leave
// out: what a layer makes the other of (features), what has the same classes before an
// activation, or what sums the other up without a layer (its largest values).
func lesser(a, b Output) bool {
	switch in, around := within(a, b), within(b, a); {
	case in == around: // neither, or two names for the same
		return false
	case in:
		return own(b, a) > 0 || a.Classes == b.Classes
	default:
		return own(a, b) == 0 && a.Classes != b.Classes
	}
}

// within says whether all that a is computed from is part of what b is computed from.
func within(a, b Output) bool {
	for n := range a.upstream {
		if !b.upstream[n] {
			return false
		}
	}
	return true
}

// own is the number of layers with weights that a needs and b does not.
func own(a, b Output) int {
	count := 0
	for n := range a.upstream {
		if !b.upstream[n] && layered(n) {
			count++
		}
	}
	return count
}
