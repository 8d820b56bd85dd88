package datasets

import (
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/internal/text"
)

// Alignment says which output of a model each class of a dataset is.
type Alignment struct {
	Output []int  // by class
	How    string // for people
}

// InOrder begins How where nothing but the number of classes says which outputs are meant.
const InOrder = "in order"

// Align finds the model output of every class. outputs is the number of the
// model's outputs, names their names where the model has them (else nil).
//
// In this order: a class map that the user gave; labels that are numbers, unless the model
// calls its classes by them; the same class names in data and model; ImageNet synsets against a model of 1000
// (or 1001, background first) outputs; as many classes as outputs, in order.
// Anything else is an error: there is no guessing which outputs are meant.
func (d *Dataset) Align(outputs int, names []string) (Alignment, error) {
	if len(d.Classes) == 0 {
		return Alignment{}, fmt.Errorf("data %s has no labels (%s); give them with --labels", d.Name, d.Why)
	}
	a, err := d.align(outputs, names)
	if err != nil {
		return a, fmt.Errorf("matching %s (%d classes) to the model's %d outputs: %w", d.Name, len(d.Classes), outputs, err)
	}
	used := map[int]int{}
	for c, o := range a.Output {
		if o < 0 || o >= outputs {
			return a, fmt.Errorf("matching %s to the model: class %q would be output %d, the model has 0 to %d", d.Name, d.Classes[c], o, outputs-1)
		}
		if other, ok := used[o]; ok {
			return a, fmt.Errorf("matching %s to the model: classes %q and %q are both output %d", d.Name, d.Classes[other], d.Classes[c], o)
		}
		used[o] = c
	}
	return a, nil
}

func (d *Dataset) align(outputs int, names []string) (Alignment, error) {
	n := len(d.Classes)
	lookup := func(how string, index map[string]int) (Alignment, []string) {
		a := Alignment{Output: make([]int, n), How: how}
		var missing []string
		for i, c := range d.Classes {
			o, ok := index[c]
			if !ok {
				missing = append(missing, c)
			}
			a.Output[i] = o
		}
		return a, missing
	}
	if d.ClassMap != nil {
		a, missing := lookup("by the class map "+d.MapName, d.ClassMap)
		if len(missing) > 0 {
			return a, fmt.Errorf("the class map %s lacks %d classes (%s)", d.MapName, len(missing), text.Some(missing, 3))
		}
		return a, nil
	}
	named := len(names) == outputs && !slices.ContainsFunc(d.Classes, func(c string) bool { return !slices.Contains(names, c) })
	if d.Indices != nil && !named {
		return Alignment{Output: slices.Clone(d.Indices), How: "by number: labels are output numbers"}, nil
	}
	others := ""
	if len(names) == outputs && outputs > 0 {
		index, folded := map[string]int{}, map[string]int{}
		for i, s := range names {
			index[s] = i
			folded[strings.ToLower(s)] = i
		}
		a, missing := lookup("by the class names in the model", index)
		if len(missing) == 0 {
			return a, nil
		}
		if len(folded) == len(names) {
			a := Alignment{Output: make([]int, n), How: "by the class names in the model, without regard to case"}
			hits := 0
			for i, c := range d.Classes {
				if o, ok := folded[strings.ToLower(c)]; ok {
					a.Output[i] = o
					hits++
				}
			}
			if hits == n {
				return a, nil
			}
		}
		if len(missing) < n {
			return a, fmt.Errorf("the model names its classes (%s), but has no %s; rename the classes or give a class map with --labels",
				text.Some(names, 3), text.Some(missing, 3))
		}
		others = "; the model calls its classes otherwise (" + text.Some(names, 3) + ")"
	}
	if outputs == 1000 || outputs == 1001 {
		if a, missing := lookup("by ImageNet synset", imageNetIndex()); len(missing) == 0 {
			if outputs == 1001 {
				a.How += ", output 0 being the background"
				for i := range a.Output {
					a.Output[i]++
				}
			}
			return a, nil
		}
	}
	if n == outputs {
		a := Alignment{Output: make([]int, n), How: InOrder + ": class i is output i" + others}
		for i := range a.Output {
			a.Output[i] = i
		}
		return a, nil
	}
	return Alignment{}, fmt.Errorf("nothing says which outputs are meant; give a class map with --labels (lines of \"class output\")")
}

// Order is another way in which a dataset's classes may have been numbered
// when a model was trained.
type Order struct {
	Name   string
	Output []int // by class
}

// Orders lists the numberings that are known to be mixed up, for telling why an
// accuracy is near chance.
func (d *Dataset) Orders(outputs int) []Order {
	n := len(d.Classes)
	rank := func(name string, less func(a, b string) int) Order {
		idx := make([]int, n)
		for i := range idx {
			idx[i] = i
		}
		slices.SortStableFunc(idx, func(a, b int) int { return less(d.Classes[a], d.Classes[b]) })
		o := Order{Name: name, Output: make([]int, n)}
		for r, c := range idx {
			o.Output[c] = r
		}
		return o
	}
	orders := []Order{
		rank("class names sorted as text (0, 1, 10, 100, …)", strings.Compare),
		rank("class names sorted without regard to case", func(a, b string) int {
			return strings.Compare(strings.ToLower(a), strings.ToLower(b))
		}),
	}
	shift := func(name string, by int) {
		o := Order{Name: name, Output: make([]int, n)}
		for i := range n {
			o.Output[i] = i + by
			if d.Indices != nil {
				o.Output[i] = d.Indices[i] + by
			}
		}
		orders = append(orders, o)
	}
	shift("labels one higher (output 0 is a background class)", 1)
	shift("labels one lower (labels start at 1)", -1)
	if outputs >= 1000 {
		classes := ImageNet()
		index := imageNetIndex()
		toSorted := make([]int, 1000) // devkit number - 1 -> sorted index
		for i, c := range classes {
			toSorted[c.Devkit-1] = i
		}
		from := Order{Name: "ILSVRC devkit order in the data, sorted synsets in the model", Output: make([]int, n)}
		to := Order{Name: "sorted synsets in the data, ILSVRC devkit order in the model", Output: make([]int, n)}
		for i, c := range d.Classes {
			at, ok := index[c]
			if !ok {
				at = i
				if d.Indices != nil {
					at = d.Indices[i]
				}
			}
			from.Output[i], to.Output[i] = -1, -1
			if at >= 0 && at < 1000 {
				from.Output[i], to.Output[i] = toSorted[at], classes[at].Devkit-1
			}
		}
		orders = append(orders, from, to)
	}
	return orders
}
